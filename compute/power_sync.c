/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.power_sync"
#include "compute/power_sync.h"

#include "agent/base/log.h"
#include "compute/guest.h"
#include "compute/own_requests.h"

static bool
is_off(PowerState state)
{
    return state == POWER_STATE_SHUTDOWN || state == POWER_STATE_CRASHED;
}

static PowerVerdict
judge_active(PowerState actual, const char **ret_why)
{
    switch (actual) {
    case POWER_STATE_SHUTDOWN:
    case POWER_STATE_CRASHED:
        *ret_why = "Instance shutdown by itself. Calling the stop API.";
        return POWER_STOP;
    case POWER_STATE_SUSPENDED:
        *ret_why = "Instance is suspended unexpectedly. Calling the stop API.";
        return POWER_STOP;
    case POWER_STATE_PAUSED:
        *ret_why = "Instance is paused unexpectedly. Ignore.";
        return POWER_STRANGE;
    case POWER_STATE_NOSTATE:
        *ret_why = "Instance is unexpectedly not found. Ignore.";
        return POWER_STRANGE;
    default:
        return POWER_FINE;
    }
}

PowerVerdict
power_sync_judge(VmState vm_state, PowerState actual, const char **ret_why)
{
    bool is_running = !is_off(actual) && actual != POWER_STATE_NOSTATE;

    *ret_why = NULL;
    switch (vm_state) {
    case VM_STATE_ACTIVE:
        return judge_active(actual, ret_why);
    case VM_STATE_STOPPED:
        *ret_why = "Instance is not stopped. Calling the stop API.";
        return is_running ? POWER_STOP : POWER_FINE;
    case VM_STATE_PAUSED:
        *ret_why = "Paused instance shutdown by itself. Calling the stop API.";
        return is_off(actual) ? POWER_STOP : POWER_FINE;
    case VM_STATE_SOFT_DELETED:
    case VM_STATE_DELETED:
        *ret_why = "Instance is not (soft-)deleted.";
        return is_running || actual == POWER_STATE_CRASHED ? POWER_STRANGE : POWER_FINE;
    default:
        return POWER_FINE;
    }
}

static bool
is_recorded(const Instance *instance, PowerState actual)
{
    return !instance->power_state.is_null && instance->power_state.value == (int64_t)actual;
}

bool
power_sync_is_due(const Instance *instance, PowerState actual)
{
    const char *why;

    return instance->task_state == TASK_STATE_NONE &&
           (!is_recorded(instance, actual) ||
            power_sync_judge(instance->vm_state, actual, &why) != POWER_FINE);
}

/* The guest as it is now; NOSTATE when there is none. */
static bool
fetch_power_state(Host *host, const char *uuid, PowerState *ret_state, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, uuid, &error);

    if (error)
        return nova_error_propagate(err, error);
    *ret_state = guest ? guest_power_state(guest) : POWER_STATE_NOSTATE;
    return true;
}

/* A server that stopped by itself is looked at again before it is stopped for good. */
static bool
is_still_so(Host *host, const Instance *instance, bool *ret_still, NovaError **err)
{
    PowerState now;
    const char *why;

    if (!fetch_power_state(host, instance->uuid, &now, err))
        return false;
    *ret_still = power_sync_judge(instance->vm_state, now, &why) == POWER_STOP;
    return true;
}

static bool
record_power_state(Host *host, RequestContext *ctx, Instance *instance, PowerState actual,
                   NovaError **err)
{
    if (is_recorded(instance, actual))
        return true;
    LOG_INFO("During _sync_instance_power_state the DB power_state (%" G_GINT64_FORMAT
             ") does not match the vm_power_state from the hypervisor (%d). Updating power_state "
             "in the DB to match the hypervisor.", instance->power_state.value, actual);
    OBJECT_SET_INT(instance, power_state, actual);
    return conductor_save_instance(host->conductor, ctx, instance, EXPECT_ANY, err);
}

bool
power_sync_instance(Host *host, RequestContext *ctx, const char *uuid, PowerState actual,
                    NovaError **err)
{
    g_autoptr(Instance) instance = conductor_instance_get(host->conductor, ctx, uuid, NULL, err);
    const char *why;
    bool is_still = false;

    if (!instance)
        return false;
    if (g_strcmp0(instance->host, host->name) != 0) {
        LOG_INFO("During the sync_power process the instance has moved from host %s to host %s",
                 instance->host, host->name);
        return true;
    }
    if (instance->task_state != TASK_STATE_NONE) {
        LOG_INFO("During sync_power_state the instance has a pending task (%s). Skip.",
                 task_state_name(instance->task_state));
        return true;
    }
    if (!record_power_state(host, ctx, instance, actual, err))
        return false;
    switch (power_sync_judge(instance->vm_state, actual, &why)) {
    case POWER_STOP:
        if (!is_still_so(host, instance, &is_still, err))
            return false;
        if (!is_still)
            return true;
        LOG_WARNING("%s Current vm_state: %s", why, vm_state_name(instance->vm_state));
        return own_request_stop(host, ctx, instance, err);
    case POWER_STRANGE:
        LOG_WARNING("%s", why);
        return true;
    default:
        return true;
    }
}

/* ---- events ---- */

static const struct {
    const char *name;
    PowerState state;
} events[] = {
    [LIFECYCLE_STARTED] = {"Started", POWER_STATE_RUNNING},
    [LIFECYCLE_STOPPED] = {"Stopped", POWER_STATE_SHUTDOWN},
    [LIFECYCLE_PAUSED] = {"Paused", POWER_STATE_PAUSED},
    [LIFECYCLE_MIGRATED] = {"Paused", POWER_STATE_PAUSED},
    [LIFECYCLE_RESUMED] = {"Resumed", POWER_STATE_RUNNING},
};

void
power_sync_on_event(Host *host, const char *uuid, LifecycleEvent event)
{
    g_autoptr(RequestContext) admin = request_context_new_admin();
    g_autoptr(RequestContext) ctx = request_context_elevated(admin, "yes");
    g_autoptr(NovaError) error = NULL;
    PowerState now;
    LOG_SCOPE(ctx, uuid);

    LOG_INFO("VM %s (Lifecycle Event)", events[event].name);
    if (!fetch_power_state(host, uuid, &now, &error)) {
        LOG_WARNING("Looking at the guest: %s", nova_error_details(error));
        return;
    }
    /* A transient domain, or one that was undefined meanwhile, is gone when it stops. */
    if (now != events[event].state)
        return;
    if (power_sync_instance(host, ctx, uuid, now, &error))
        return;
    if (nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
        LOG_DEBUG("The event is about a domain that is no instance");
    else
        LOG_ERROR("Synchronising the power state: %s", nova_error_details(error));
}
