/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping, starting and rebooting a server. */
#define LOG_NAME "kilonova.compute.power"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/steps.h"
#include "compute/resource_tracker.h"

bool
op_stop_instance(Operation *op, NovaError **err)
{
    bool clean = json_get_bool(op->args, "clean_shutdown", true);
    Instance *instance = op->instance;
    TaskStates expected = EXPECT(POWERING_OFF);

    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    if (step_is_off(step_power_state(op->host, instance)))
        expected |= EXPECT(NONE);
    if (!step_power_off(op->host, instance, clean, err))
        return false;
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_STOPPED, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, expected, err);
}

/* A guest made anew from the record: what every start and every hard reboot is. */
static bool
hard_start(Operation *op, NovaError **err)
{
    g_autoptr(GuestPlan) plan = step_plan_guest(op->host, op->ctx, op->instance, err);
    StartGuest start = {.plan = plan};

    return plan && step_destroy_guest(op->host, op->instance, plan->network, true, err) &&
           step_create_disks(op->host, op->ctx, op->instance, plan, err) &&
           step_start_guest(op->host, op->instance, &start, err);
}

bool
op_start_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;

    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    if (!hard_start(op, err))
        return false;
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_ACTIVE, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(POWERING_ON), err);
}

/* ---- reboot ---- */

/* The guest shuts down by itself and is started again from its definition. */
static bool
soft_reboot(Operation *op, bool *ret_done, NovaError **err)
{
    int64_t limit_s = op->host->options->libvirt.wait_soft_reboot_seconds;
    gint64 began = g_get_monotonic_time();
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(op->host->hypervisor, op->instance->uuid, &error);

    *ret_done = false;
    if (error)
        return nova_error_propagate(err, error);
    if (!guest || guest_power_state(guest) != POWER_STATE_RUNNING)
        return true;
    if (!guest_shutdown(guest, &error)) {
        LOG_WARNING("Instance soft reboot failed: %s", nova_error_details(error));
        nova_error_free(error);
        return true;
    }
    if (!guest_wait_off(guest, (int)CLAMP(limit_s, 0, G_MAXINT / 1000) * 1000)) {
        LOG_WARNING("Failed to soft reboot instance. Trying hard reboot.");
        return true;
    }
    LOG_INFO("Instance shutdown successfully after %d seconds.",
             (int)((g_get_monotonic_time() - began) / G_USEC_PER_SEC));
    if (!guest_start(guest, false, err))
        return false;
    *ret_done = true;
    LOG_INFO("Instance rebooted successfully.");
    return true;
}

static bool
reboot(Operation *op, bool is_soft, NovaError **err)
{
    bool done = false;

    if (is_soft && !soft_reboot(op, &done, err))
        return false;
    return done || hard_start(op, err);
}

static bool
announce_reboot(Operation *op, bool is_soft, NovaError **err)
{
    TaskStates asked = is_soft ? EXPECT(REBOOTING, REBOOT_PENDING, REBOOT_STARTED)
                               : EXPECT(REBOOTING_HARD, REBOOT_PENDING_HARD, REBOOT_STARTED_HARD);
    TaskStates pending = is_soft ? EXPECT(REBOOT_PENDING) : EXPECT(REBOOT_PENDING_HARD);

    step_set_power_state(op->instance, step_power_state(op->host, op->instance));
    OBJECT_SET(op->instance, task_state,
               is_soft ? TASK_STATE_REBOOT_PENDING : TASK_STATE_REBOOT_PENDING_HARD);
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, asked, err))
        return false;
    OBJECT_SET(op->instance, task_state,
               is_soft ? TASK_STATE_REBOOT_STARTED : TASK_STATE_REBOOT_STARTED_HARD);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, pending, err);
}

/* A reboot that failed while the guest runs on is recorded and forgiven; any other is an ERROR. */
static bool
reboot_failed(Operation *op, NovaError *error, NovaError **err)
{
    bool is_running = step_power_state(op->host, op->instance) == POWER_STATE_RUNNING;
    g_autoptr(NovaError) failure = NULL;

    notifier_instance(op->host->notifier, op->ctx, op->instance, "reboot", "error", error);
    LOG_ERROR("Cannot reboot instance: %s", nova_error_details(error));
    if (is_running) {
        if (!conductor_fault_create(op->host->conductor, op->ctx, op->instance->uuid, op->host->name,
                                    error, &failure))
            LOG_WARNING("Failed to record the fault: %s", nova_error_details(failure));
        nova_error_free(error);
        return true;
    }
    OBJECT_SET(op->instance, vm_state, VM_STATE_ERROR);
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &failure))
        LOG_WARNING("Setting the instance to ERROR: %s", nova_error_details(failure));
    return nova_error_propagate(err, error);
}

bool
op_reboot_instance(Operation *op, NovaError **err)
{
    bool is_soft = strcmp(json_get_string(op->args, "reboot_type", "HARD"), "SOFT") == 0;
    Instance *instance = op->instance;
    NovaError *error = NULL;

    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    LOG_INFO("Rebooting instance");
    notifier_instance(op->host->notifier, op->ctx, instance, "reboot", "start", NULL);
    if (!announce_reboot(op, is_soft, err))
        return false;
    if (!reboot(op, is_soft, &error) && !reboot_failed(op, error, err))
        return false;
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, instance->vm_state == VM_STATE_RESCUED ? VM_STATE_RESCUED : VM_STATE_ACTIVE,
                    TASK_STATE_NONE);
    if (!conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT_ANY, err))
        return false;
    notifier_instance(op->host->notifier, op->ctx, instance, "reboot", "end", NULL);
    return true;
}
