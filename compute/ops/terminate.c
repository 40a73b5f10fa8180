/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting a server: ComputeManager._delete_instance() and _shutdown_instance(). */
#define LOG_NAME "kilonova.compute.terminate"
#include "compute/ops/ops.h"

#include "agent/base/log.h"
#include "compute/ops/shares.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/resource_tracker.h"

static bool
shut_down(Operation *op, const NetworkInfo *network, const GPtrArray *bdms, NovaError **err)
{
    notifier_instance(op->host->notifier, op->ctx, op->instance, "shutdown", "start", NULL);
    LOG_INFO("Terminating instance");
    if (!step_destroy_guest(op->host, op->instance, network, false, err))
        return false;
    volumes_release(op, bdms);
    LOG_INFO("Instance destroyed successfully.");
    return true;
}

static bool
release_ports(Operation *op, NovaError **err)
{
    g_autoptr(NovaError) error = NULL;

    if (neutron_deallocate_for_instance(op->host->neutron, op->ctx, op->instance, NULL, &error))
        return true;
    LOG_ERROR("Failed to deallocate network for instance. Error: %s", nova_error_details(error));
    return nova_error_propagate(err, g_steal_pointer(&error));
}

static bool
record_deleted(Operation *op, NovaError **err)
{
    g_autofree char *now = step_now();

    OBJECT_SET_STRING(op->instance, terminated_at, now);
    step_set_power_state(op->instance, POWER_STATE_NOSTATE);
    step_set_states(op->instance, VM_STATE_DELETED, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}

/* What is left once the record says deleted. Only an allocation that stays keeps the record, so that the
 * deletion can be asked for again. */
static bool
forget_everywhere(Operation *op, NovaError **err)
{
    Host *host = op->host;
    const char *uuid = op->instance->uuid;
    bool force = host->options->default_group.reclaim_instance_interval == 0;
    g_autoptr(NovaError) consoles = NULL;

    resource_tracker_note(host->tracker, op->ctx, op->instance);
    if (!placement_delete_allocations(host->placement, op->ctx, uuid, force, NULL, err))
        return false;
    if (!conductor_console_auths_clean(host->conductor, op->ctx, uuid, &consoles))
        LOG_WARNING("Failed to remove console tokens: %s", nova_error_details(consoles));
    conductor_scheduler_delete(host->conductor, op->ctx, host->name, uuid);
    return true;
}

/* A request that came during the build brought an empty cache. */
static NetworkInfo *
known_network(Operation *op, NovaError **err)
{
    static const NeutronRefresh all = {.port_id = NULL};
    g_autoptr(NetworkInfo) cached = step_cached_network(op->instance, err);

    if (!cached || cached->vifs->len > 0)
        return g_steal_pointer(&cached);
    return neutron_fetch_instance_nw_info(op->host->neutron, op->ctx, op->instance, &all, err);
}

static bool
delete_instance(Operation *op, NovaError **err)
{
    Host *host = op->host;
    g_autoptr(NetworkInfo) network = NULL;
    g_autoptr(GPtrArray) bdms = NULL;

    instance_events_cancel(op->host->events, op->instance->uuid);
    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    network = known_network(op, err);
    bdms = network ? conductor_bdms_by_instance(host->conductor, op->ctx, op->instance->uuid, err) : NULL;
    if (!bdms)
        return false;
    notifier_instance(host->notifier, op->ctx, op->instance, "delete", "start", NULL);
    if (!shut_down(op, network, bdms, err) || !step_remove_files(op->host, op->instance, err) ||
        !release_ports(op, err))
        return false;
    shares_deny_all(op);
    notifier_instance(host->notifier, op->ctx, op->instance, "shutdown", "end", NULL);
    volumes_delete(host, op->ctx, bdms);
    if (!record_deleted(op, err) || !forget_everywhere(op, err) ||
        !conductor_destroy_instance(op->host->conductor, op->ctx, op->instance, err))
        return false;
    notifier_instance(op->host->notifier, op->ctx, op->instance, "delete", "end", NULL);
    return true;
}

static void
record_error(Operation *op)
{
    g_autoptr(NovaError) error = NULL;

    OBJECT_SET(op->instance, vm_state, VM_STATE_ERROR);
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &error))
        LOG_WARNING("Recording the failed deletion: %s", nova_error_details(error));
}

bool
op_terminate_instance(Operation *op, NovaError **err)
{
    NovaError *error = NULL;

    if (delete_instance(op, &error))
        return true;
    if (nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND)) {
        LOG_INFO("Instance disappeared during terminate");
        nova_error_free(error);
        return true;
    }
    LOG_ERROR("Setting instance vm_state to ERROR: %s", nova_error_details(error));
    record_error(op);
    return nova_error_propagate(err, error);
}
