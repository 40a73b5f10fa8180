/* SPDX-License-Identifier: Apache-2.0 */
/* Stopping, starting and rebooting a server. */
#define LOG_NAME "kilonova.compute.power"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/shares.h"
#include "compute/ops/shelve.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
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

/* The network info is read anew: a start and a reboot are what mends a cache that missed events. */
static bool
hard_start(Operation *op, NovaError **err)
{
    g_autoptr(NetworkInfo) network = step_refresh_network(op->host, op->ctx, op->instance, err);

    return network && shares_refuse(op, err) && step_recreate_guest(op->host, op->ctx, op->instance, err);
}

bool
op_start_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;

    if (!step_load_instance(op->host, op->ctx, instance, err) || !hard_start(op, err))
        return false;
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_ACTIVE, TASK_STATE_NONE);
    shelve_forget(op, NULL); /* an unshelve that was not offloaded is a start */
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(POWERING_ON), err);
}

/* ---- reboot ---- */

static bool
wait_and_start(Operation *op, Guest *guest)
{
    int64_t limit_s = op->host->options->libvirt.wait_soft_reboot_seconds;
    gint64 began = g_get_monotonic_time();
    g_autoptr(NovaError) error = NULL;

    if (!guest_shutdown(guest, &error)) {
        LOG_DEBUG("Instance soft reboot failed: %s", nova_error_details(error));
        return false;
    }
    if (!guest_wait_off(guest, (int)CLAMP(limit_s, 0, G_MAXINT / 1000) * 1000))
        return false;
    LOG_INFO("Instance shutdown successfully after %d seconds.",
             (int)((g_get_monotonic_time() - began) / G_USEC_PER_SEC));
    if (guest_start(guest, false, &error))
        return true;
    LOG_DEBUG("Instance soft reboot failed: %s", nova_error_details(error));
    return false;
}

/* The guest shuts down by itself and is started again from its definition. False: it did not; a hard
 * reboot is what helps then. */
static bool
soft_reboot(Operation *op, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);

    if (!guest)
        return false;
    if (guest_power_state(guest) == POWER_STATE_RUNNING && wait_and_start(op, guest)) {
        LOG_INFO("Instance soft rebooted successfully.");
        return true;
    }
    LOG_WARNING("Failed to soft reboot instance. Trying hard reboot.");
    return false;
}

static bool
reboot(Operation *op, bool is_soft, NovaError **err)
{
    NovaError *error = NULL;

    if (is_soft && soft_reboot(op, &error))
        return true;
    if (error)
        return nova_error_propagate(err, error);
    return step_recreate_guest(op->host, op->ctx, op->instance, err);
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
    notifier_instance(op->host->notifier, op->ctx, op->instance, "reboot", "start", NULL);
    OBJECT_SET(op->instance, task_state,
               is_soft ? TASK_STATE_REBOOT_STARTED : TASK_STATE_REBOOT_STARTED_HARD);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, pending, err);
}

/* A reboot that failed while the guest runs on is recorded and forgiven; any other is an ERROR. */
static bool
reboot_failed(Operation *op, NovaError *error, NovaError **err)
{
    Host *host = op->host;
    g_autoptr(NovaError) failure = NULL;

    if (step_power_state(host, op->instance) != POWER_STATE_RUNNING) {
        LOG_ERROR("Cannot reboot instance: %s", nova_error_details(error));
        step_set_error_state(host, op->ctx, op->instance);
        return nova_error_propagate(err, error);
    }
    LOG_WARNING("Reboot failed but instance is running: %s", nova_error_details(error));
    if (!conductor_fault_create(host->conductor, op->ctx, op->instance->uuid, host->name, error,
                                &failure))
        LOG_WARNING("Failed to record the fault: %s", nova_error_details(failure));
    notifier_instance(host->notifier, op->ctx, op->instance, "reboot", "error", error);
    nova_error_free(error);
    return true;
}

/* What was deleted while it rebooted is no failure of the reboot. */
static bool
record_rebooted(Operation *op, VmState vm_state, NovaError **err)
{
    NovaError *error = NULL;

    step_set_power_state(op->instance, step_power_state(op->host, op->instance));
    step_set_states(op->instance, vm_state, TASK_STATE_NONE);
    if (conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &error))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
        return nova_error_propagate(err, error);
    LOG_WARNING("Instance disappeared during reboot");
    nova_error_free(error);
    return true;
}

/* A reboot is what mends a server whose attachments Cinder and the record see differently. */
static bool
forget_dangling_volumes(Operation *op, NovaError **err)
{
    g_autoptr(GPtrArray) bdms =
        conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);

    if (bdms)
        volumes_forget_dangling(op->host, op->ctx, op->instance, bdms);
    return bdms != NULL;
}

bool
op_reboot_instance(Operation *op, NovaError **err)
{
    bool is_soft = strcmp(json_get_string(op->args, "reboot_type", "HARD"), "SOFT") == 0;
    Instance *instance = op->instance;
    /* A server in rescue stays there. */
    VmState vm_state = instance->vm_state == VM_STATE_RESCUED ? VM_STATE_RESCUED : VM_STATE_ACTIVE;
    g_autoptr(NetworkInfo) network = NULL;
    NovaError *error = NULL;

    LOG_INFO("Rebooting instance");
    if (!step_load_instance(op->host, op->ctx, instance, err) || !forget_dangling_volumes(op, err) ||
        !(network = step_refresh_network(op->host, op->ctx, instance, err)))
        return false;
    if (!announce_reboot(op, is_soft, err))
        return false;
    if (!reboot(op, is_soft, &error) && !reboot_failed(op, error, err))
        return false;
    if (!record_rebooted(op, vm_state, err))
        return false;
    notifier_instance(op->host->notifier, op->ctx, instance, "reboot", "end", NULL);
    return true;
}
