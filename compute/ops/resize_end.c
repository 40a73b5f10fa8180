/* SPDX-License-Identifier: Apache-2.0 */
/* How a resize or cold migration ends: ComputeManager.confirm_resize() on the source; revert_resize() on
 * the target, then finish_revert_resize() on the source. */
#define LOG_NAME "kilonova.compute.resize"
#include "compute/ops/ops.h"

#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "compute/move_claim.h"
#include "compute/ops/move.h"
#include "compute/ops/spawn.h"
#include "compute/ops/provider_mapping.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/recovery.h"
#include "storage/disk_move.h"
#include "storage/disks.h"
#include "storage/instance_folder.h"

/* ---- confirm_resize: on the source ---- */

/* confirm_migration(): what is left of the server here, when it has gone, or of its old size. */
static bool
clean_up(Operation *op, const NetworkInfo *network, NovaError **err)
{
    g_autoptr(NovaError) error = NULL;

    if (!disks_mark(op->host->options, op->instance->uuid, DISK_MARK_FORGET, &error))
        LOG_WARNING("The disk's state from before the resize is kept: %s", nova_error_details(error));
    disk_move_forget(op->host->options, op->instance->uuid);
    return g_strcmp0(op->instance->host, op->host->name) == 0 ||
           step_destroy_guest(op->host, op->instance, network, false, err);
}

static bool
announce_confirmed(Operation *op, NovaError **err)
{
    bool is_off = op->instance->power_state.value == POWER_STATE_SHUTDOWN; /* as the database has it */

    step_set_states(op->instance, is_off ? VM_STATE_STOPPED : VM_STATE_ACTIVE, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance,
                                   EXPECT(NONE, DELETING, SOFT_DELETING), err);
}

static bool
confirm(Operation *op, Migration *migration, NovaError **err)
{
    g_autoptr(NetworkInfo) network = NULL;

    notifier_instance(op->host->notifier, op->ctx, op->instance, "resize_confirm", "start", NULL);
    if (!neutron_teardown_on_host(op->host->neutron, op->ctx, op->instance, migration->source_compute, err))
        return false;
    network = step_refresh_network(op->host, op->ctx, op->instance, err);
    if (!network || !clean_up(op, network, err) ||
        !move_claim_confirm(op->host->tracker, op->ctx, op->instance, migration, err) ||
        !announce_confirmed(op, err))
        return false;
    notifier_send(op->host->notifier, op->ctx, op->instance,
                  &(InstanceNotice){.action = "resize_confirm", .phase = "end", .network = network});
    return true;
}

/* Whether the source is clean or not, the server is at the target: nothing is held for it here. */
static bool
release(Operation *op, const Migration *migration, NovaError **err)
{
    if (!move_delete_allocation(op, migration, err))
        return false;
    conductor_scheduler_delete(op->host->conductor, op->ctx, op->host->name, op->instance->uuid);
    return move_forget(op, err);
}

static bool
confirm_and_release(Operation *op, Migration *migration, NovaError **err)
{
    NovaError *error = NULL;
    NovaError *failure = NULL;

    if (!confirm(op, migration, &error))
        LOG_ERROR("Confirm resize failed on source host %s. Resource allocations in the placement service "
                  "will be removed regardless because the instance is now on the destination host %s. You "
                  "can try hard rebooting the instance to correct its state. %s", op->host->name,
                  migration->dest_compute, nova_error_details(error));
    if (!release(op, migration, &failure)) {
        nova_error_free(error);
        error = failure;
    }
    if (!error)
        return true;
    step_error_out(op, false, VM_STATE_ACTIVE, error);
    return nova_error_propagate(err, error);
}

static bool
can_be_confirmed(const Migration *migration)
{
    if (strcmp(migration->status, "finished") == 0 || strcmp(migration->status, "confirming") == 0)
        return true;
    LOG_WARNING("Unexpected confirmation status '%s' of migration %d, exit confirmation process",
                migration->status, (int)migration->id);
    return false;
}

/* The message is older than what has become of the server. NULL: it was deleted. */
static Instance *
fetch_instance(Operation *op, NovaError **err)
{
    static const char *const attributes[] = {
        "metadata",      "system_metadata", "flavor", "info_cache", "migration_context",
        "numa_topology", "pci_requests",    NULL,
    };
    NovaError *error = NULL;
    Instance *instance =
        conductor_instance_get(op->host->conductor, op->ctx, op->instance->uuid, attributes, &error);

    if (!instance && !nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
        nova_error_propagate(err, error);
    else
        nova_error_free(error);
    return instance;
}

bool
op_confirm_resize(Operation *op, NovaError **err)
{
    g_autoptr(Migration) migration = move_read_migration(op, err);
    g_autoptr(Instance) fresh = NULL;
    Instance *asked = op->instance;
    NovaError *error = NULL;
    bool ok;

    if (!migration)
        return false;
    if (!migration->status || !can_be_confirmed(migration))
        return true;
    fresh = fetch_instance(op, &error);
    if (!fresh) {
        LOG_INFO("Instance is not found during confirmation");
        return !error || nova_error_propagate(err, error);
    }
    op->instance = fresh;
    if (op->is_resumed && fresh->vm_state != VM_STATE_RESIZED) /* all but the last had been done */
        ok = release(op, migration, err);
    else
        ok = confirm_and_release(op, migration, err);
    op->instance = asked;
    return ok;
}

/* ---- revert_resize: on the target ---- */

bool
op_check_instance_shared_storage(Operation *op, NovaError **err)
{
    const char *path = json_get_string(json_get_object(op->args, "data"), "filename", NULL);

    if (!path)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "no filename in the message");
    op->result = json_boolean(access(path, F_OK) == 0);
    return true;
}

static bool
remove_new(Operation *op, const Migration *migration, const NetworkInfo *network, NovaError **err)
{
    bool is_shared = recovery_shares_folder(op->host, op->ctx, op->instance->uuid, migration->source_compute);

    g_autoptr(GPtrArray) bdms =
        conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);

    if (!bdms || !step_destroy_guest(op->host, op->instance, network, is_shared, err))
        return false;
    if (!is_shared && !disks_delete(op->host->options, op->instance->uuid))
        LOG_WARNING("Some files of the instance could not be removed");
    return volumes_close(op, bdms, true, err);
}

static bool
revert(Operation *op, Migration *migration, NovaError **err)
{
    g_autoptr(NetworkInfo) network = NULL;
    json_auto_t *args = NULL;

    if (!neutron_teardown_on_host(op->host->neutron, op->ctx, op->instance, NULL, err) ||
        !neutron_migrate_instance_start(op->host->neutron, op->ctx, op->instance, migration->dest_compute,
                                        err))
        return false;
    network = step_refresh_network(op->host, op->ctx, op->instance, err);
    if (!network || !remove_new(op, migration, network, err) ||
        !move_claim_revert(op->host->tracker, op->ctx, op->instance, migration, err))
        return false;
    args = json_pack("{s:o, s:o, s:O?}", "instance", object_to_json(op->instance), "migration",
                     object_to_json(migration), "request_spec", json_object_get(op->args, "request_spec"));
    return peers_cast(op->host->peers, op->ctx, migration->source_compute, "finish_revert_resize", args, err);
}

bool
op_revert_resize(Operation *op, NovaError **err)
{
    const ExistsNotice exists = {.is_current_period = true};
    g_autoptr(Migration) migration = move_read_migration(op, err);
    NovaError *error = NULL;

    if (move_is_over(op, EXPECT(RESIZE_REVERTING), "finish_revert_resize"))
        return true;
    if (!migration || !move_load_instance(op, err))
        return false;
    notifier_exists(op->host->notifier, op->ctx, op->instance, &exists);
    if (revert(op, migration, &error))
        return true;
    step_error_out(op, false, VM_STATE_ACTIVE, error);
    return nova_error_propagate(err, error);
}

/* ---- finish_revert_resize: on the source ---- */

static bool
come_back(Operation *op, const Migration *migration, NovaError **err)
{
    Instance *instance = op->instance;

    if (!instance->old_flavor)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "the instance has no old flavor to go back to");
    move_set_flavor(instance, instance->old_flavor);
    OBJECT_SET_STRING(instance, host, migration->source_compute);
    OBJECT_SET_STRING(instance, node, migration->source_node);
    OBJECT_SET_INT(instance, compute_id, resource_tracker_node_id(op->host->tracker));
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(RESIZE_REVERTING), err);
}

/* finish_revert_migration() */
static bool
make_old_guest(Operation *op, const NetworkInfo *network, NovaError **err)
{
    g_autoptr(GuestPlan) plan = NULL;
    g_autoptr(EventWaiter) waiter = NULL;
    StartGuest start = {.stays_off = move_was_stopped(op->instance)};

    if (move_has_guest(op))
        return true;
    if (op->is_resumed && !step_destroy_guest(op->host, op->instance, network, true, err))
        return false;
    if (!disk_move_restore(op->host->options, op->instance->uuid, err) ||
        !disks_mark(op->host->options, op->instance->uuid, DISK_MARK_RETURN, err))
        return false;
    plan = step_plan_guest(op->host, op->ctx, op->instance, err);
    if (!plan || !volumes_open(op, plan->bdms, plan->devices, err))
        return false;
    if (!start.stays_off)
        waiter = step_expect_plugs(op->host, op->instance, plan->network, NULL);
    start.plan = plan;
    start.waiter = waiter;
    return step_start_guest(op->host, op->ctx, op->instance, &start, err);
}

static bool
take_back(Operation *op, Migration *migration, NovaError **err)
{
    json_auto_t *devices =
        resource_tracker_moved_pci_profiles(op->host->tracker, op->instance, MOVE_OLD, err);
    json_auto_t *providers = NULL;
    NeutronRebinding here = {.host = migration->source_compute, .pci_by_slot = devices};
    g_autoptr(NetworkInfo) network = NULL;
    g_autofree char *now = step_now();

    if (!devices || !come_back(op, migration, err) || !move_revert_allocation(op, migration, err))
        return false;
    here.provider_mapping = providers = provider_mapping_fetch(op, err);
    if (!providers || !neutron_bind_ports_to_host(op->host->neutron, op->ctx, op->instance, &here, err))
        return false;
    network = step_refresh_network(op->host, op->ctx, op->instance, err);
    if (!network || !make_old_guest(op, network, err) ||
        !conductor_drop_migration_context(op->host->conductor, op->ctx, op->instance, err))
        return false;
    OBJECT_SET_STRING(op->instance, launched_at, now);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT(RESIZE_REVERTING), err);
}

/* ACTIVE; or STOPPED by way of the ordinary stop, as Nova does. */
static bool
announce_reverted(Operation *op, NovaError **err)
{
    json_auto_t *args = json_pack("{s:b}", "clean_shutdown", 1);
    bool was_stopped = move_was_stopped(op->instance);

    LOG_INFO("Updating instance to original state: '%s'", was_stopped ? "stopped" : "active");
    OBJECT_SET(op->instance, task_state, was_stopped ? TASK_STATE_POWERING_OFF : TASK_STATE_NONE);
    if (!was_stopped)
        OBJECT_SET(op->instance, vm_state, VM_STATE_ACTIVE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err) &&
           (!was_stopped || op->host->call_method(op, "stop_instance", args, err));
}

static bool
finish_revert(Operation *op, Migration *migration, NovaError **err)
{
    bool is_back = op->is_resumed && op->instance->task_state == TASK_STATE_POWERING_OFF;

    if (!is_back && !move_update_swap(op, op->instance->new_flavor, op->instance->old_flavor, err))
        return false;
    notifier_instance(op->host->notifier, op->ctx, op->instance, "resize_revert", "start", NULL);
    if ((!is_back && !take_back(op, migration, err)) || !announce_reverted(op, err))
        return false;
    notifier_instance(op->host->notifier, op->ctx, op->instance, "resize_revert", "end", NULL);
    return true;
}

bool
op_finish_revert_resize(Operation *op, NovaError **err)
{
    g_autoptr(Migration) migration = move_read_migration(op, err);
    g_autoptr(NovaError) failure = NULL;
    NovaError *error = NULL;

    if (op->is_resumed && op->instance->task_state == TASK_STATE_NONE &&
        op->instance->vm_state != VM_STATE_RESIZED)
        return move_forget(op, err);
    if (move_is_over(op, EXPECT(RESIZE_REVERTING, POWERING_OFF), NULL))
        return true;
    if (!migration || !move_load_instance(op, err))
        return false;
    if (!finish_revert(op, migration, &error))
        step_error_out(op, false, VM_STATE_ACTIVE, error);
    if (!move_forget(op, &failure))
        LOG_WARNING("Forgetting the move: %s", nova_error_details(failure));
    resource_tracker_note(op->host->tracker, op->ctx, op->instance);
    return !error || nova_error_propagate(err, error);
}
