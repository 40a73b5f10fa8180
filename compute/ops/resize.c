/* SPDX-License-Identifier: Apache-2.0 */
/* Resize and cold migration, from the claim to the server in its new size: ComputeManager.prep_resize()
 * on the target, resize_instance() on the source, finish_resize() on the target again. */
#define LOG_NAME "kilonova.compute.resize"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/migration_context.h"
#include "compute/guest_agent.h"
#include "compute/move_claim.h"
#include "compute/ops/group_policy.h"
#include "compute/ops/move.h"
#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/vif_guest.h"
#include "network/vif_plug.h"
#include "storage/disk_move.h"
#include "storage/disks.h"

typedef struct Resize {
    Operation *op;
    Migration *migration;
    Flavor *flavor;       /* the new one */
    NetworkInfo *network;
    GuestPlan *plan;
    bool is_harmless;     /* the failure has changed nothing: Nova's InstanceFaultRollback */
} Resize;

static void
resize_clear(Resize *resize)
{
    migration_free(resize->migration);
    flavor_free(resize->flavor);
    network_info_free(resize->network);
    guest_plan_free(resize->plan);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Resize, resize_clear)

static bool
read_args(Resize *resize, bool has_flavor, NovaError **err)
{
    resize->migration = move_read_migration(resize->op, err);
    if (!resize->migration)
        return false;
    if (has_flavor && !(resize->flavor = flavor_from_json(json_object_get(resize->op->args, "flavor"), err)))
        return false;
    return move_load_instance(resize->op, err);
}

static void
notify(Resize *resize, const char *action, const char *phase)
{
    Operation *op = resize->op;
    InstanceNotice notice = {.action = action, .phase = phase, .network = resize->network};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

static bool
save_task(Operation *op, TaskState task, TaskStates expected, NovaError **err)
{
    OBJECT_SET(op->instance, task_state, task);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, expected, err);
}

/* Hands the move on to the next step, at this host or another. */
static bool
cast(Resize *resize, const char *host, const char *method, json_t *args, NovaError **err)
{
    Operation *op = resize->op;

    json_object_set_new(args, "instance", object_to_json(op->instance));
    json_object_set_new(args, "migration", object_to_json(resize->migration));
    json_object_set(args, "request_spec", json_object_get(op->args, "request_spec"));
    return peers_cast(op->host->peers, op->ctx, host, method, args, err);
}

/* ---- prep_resize: on the target ---- */

static void
notify_prep(Resize *resize, const char *phase)
{
    Operation *op = resize->op;
    json_auto_t *fields = json_pack("{s:o}", "new_flavor", object_to_json(resize->flavor));
    json_auto_t *extra = json_pack("{s:s?, s:I}", "new_instance_type", resize->flavor->name,
                                   "new_instance_type_id", (json_int_t)resize->flavor->id);
    InstanceNotice notice = {.action = "resize_prep", .phase = phase, .fields = fields};

    if (strcmp(phase, "end") == 0)
        notice.extra = extra;
    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

static bool
check_source(Resize *resize, NovaError **err)
{
    const Operation *op = resize->op;
    const Instance *instance = op->instance;

    if (!instance->host || !*instance->host)
        return nova_error_set(err, NOVA_ERROR_MIGRATION_ERROR,
                              "Migration error: Instance has no source host");
    if (strcmp(instance->host, op->host->name) != 0 ||
        resize->flavor->id != instance->instance_type_id.value)
        return true;
    resize->is_harmless = true;
    return nova_error_set(err, NOVA_ERROR_UNABLE_TO_MIGRATE_TO_SELF,
                          "Unable to migrate instance (%s) to current host (%s).", instance->uuid,
                          op->host->name);
}

/* What the later steps, and a revert, need to know of the server as it is. */
static bool
stash(Resize *resize, NovaError **err)
{
    Instance *instance = resize->op->instance;
    Flavor *copy = move_copy_flavor(resize->flavor);

    flavor_free(instance->new_flavor);
    OBJECT_SET(instance, new_flavor, copy);
    g_hash_table_replace(instance->system_metadata, g_strdup("old_vm_state"),
                         g_strdup(vm_state_name(instance->vm_state)));
    return conductor_save_instance(resize->op->host->conductor, resize->op->ctx, instance, EXPECT_ANY, err);
}

static bool
claim_and_cast(Resize *resize, NovaError **err)
{
    Operation *op = resize->op;
    json_auto_t *args = json_pack("{s:O?, s:O?, s:b}", "image", json_object_get(op->args, "image"), "flavor",
                                  json_object_get(op->args, "flavor"), "clean_shutdown",
                                  json_get_bool(op->args, "clean_shutdown", true));
    g_autoptr(ImageMeta) image = image_meta_from_dict(json_object_get(op->args, "image"), err);
    const MoveTarget target = {
        .flavor = resize->flavor,
        .image = image,
        .limits = json_path(op->args, "filter_properties", "limits", NULL),
    };

    if (!image || !step_note_pci_providers(op, err) ||
        !move_claim_resize(op->host->tracker, op->ctx, op->instance, resize->migration, &target, err))
        return false;
    LOG_INFO("Migrating");
    if (cast(resize, op->instance->host, "resize_instance", args, err))
        return true;
    move_claim_abort(op->host->tracker, op->ctx, op->instance);
    return false;
}

/* compute_task.migrate_server 1.20 */
static json_t *
migrate_server_args(Operation *op, const NovaError *error)
{
    json_t *properties = json_deep_copy(json_get_object(op->args, "filter_properties"));
    g_autofree char *text = g_strdup_printf("nova.exception.%s: %s\n", nova_error_class(error),
                                            nova_error_message(error));

    json_object_set_new(json_get_object(properties, "retry"), "exc", json_pack("[s]", text));
    return json_pack("{s:o, s:{s:o}, s:b, s:b, s:O?, s:n, s:n, s:n, s:b, s:O?, s:O?}", "instance",
                     object_to_json(op->instance), "scheduler_hint", "filter_properties", properties, "live",
                     0, "rebuild", 0, "flavor", json_object_get(op->args, "flavor"), "block_migration",
                     "disk_over_commit", "reservations", "clean_shutdown",
                     json_get_bool(op->args, "clean_shutdown", true), "request_spec",
                     json_object_get(op->args, "request_spec"), "host_list",
                     json_object_get(op->args, "host_list"));
}

static void
record_failure(Operation *op, const NovaError *error)
{
    g_autoptr(NovaError) failure = NULL;

    if (!conductor_fault_create(op->host->conductor, op->ctx, op->instance->uuid, op->host->name, error,
                                &failure))
        LOG_WARNING("Failed to record the fault: %s", nova_error_details(failure));
    notifier_instance(op->host->notifier, op->ctx, op->instance, "resize", "error", error);
}

/* Another host may have room. False: none does, or nobody is to be asked. */
static bool
reschedule(Operation *op, const NovaError *error)
{
    const OptionsDefault *options = &op->host->options->default_group;
    json_auto_t *args = NULL;
    g_autoptr(NovaError) failure = NULL;

    if (!json_get_object(json_get_object(op->args, "filter_properties"), "retry")) {
        LOG_DEBUG("Retry info not present, will not reschedule");
        return false;
    }
    if (save_task(op, TASK_STATE_RESIZE_PREP, EXPECT_ANY, &failure)) {
        args = migrate_server_args(op, error);
        if (conductor_migrate_server(op->host->conductor, op->ctx, args, (int)options->long_rpc_timeout,
                                     (int)options->rpc_response_timeout, &failure)) {
            record_failure(op, error);
            return true;
        }
    }
    LOG_ERROR("Error trying to reschedule: %s", nova_error_details(failure));
    record_failure(op, failure);
    return false;
}

/* True when the failure is somebody else's business now. */
static bool
prep_failed(Resize *resize, NovaError *error, NovaError **err)
{
    Operation *op = resize->op;
    g_autoptr(NovaError) failure = NULL;

    LOG_ERROR("The resize cannot begin: %s", nova_error_details(error));
    if (!move_revert_allocation(op, resize->migration, &failure))
        LOG_ERROR("Reverting the allocation: %s", nova_error_details(failure));
    if (!nova_error_is(error, NOVA_ERROR_BUILD_ABORT_EXCEPTION) && reschedule(op, error)) {
        nova_error_free(error);
        return true;
    }
    return nova_error_propagate(err, error);
}

static bool
prepare(Resize *resize, NovaError **err)
{
    NovaError *error = NULL;

    return (group_policy_check(resize->op, &error) && check_source(resize, &error) && stash(resize, &error) &&
            claim_and_cast(resize, &error)) ||
           prep_failed(resize, error, err);
}

bool
op_prep_resize(Operation *op, NovaError **err)
{
    const ExistsNotice exists = {.is_current_period = true};
    g_auto(Resize) resize = {.op = op};
    VmState state = op->instance->vm_state;
    NovaError *error = NULL;
    bool ok;

    if (move_is_over(op, EXPECT(RESIZE_PREP), "resize_instance"))
        return true;
    if (!read_args(&resize, true, err))
        return false;
    notifier_exists(op->host->notifier, op->ctx, op->instance, &exists);
    notify_prep(&resize, "start");
    ok = prepare(&resize, &error);
    notify_prep(&resize, "end");
    if (ok)
        return true;
    step_error_out(op, resize.is_harmless, state, error);
    return nova_error_propagate(err, error);
}

/* ---- resize_instance: on the source ---- */

static bool
refuse(Resize *resize, const char *reason, NovaError **err)
{
    NovaError *error = NULL;

    resize->is_harmless = true;
    nova_error_set(&error, NOVA_ERROR_RESIZE_ERROR, "Resize error: %s", reason);
    nova_error_set_kwarg(error, "reason", reason);
    return nova_error_propagate(err, error);
}

/* Nova's LVM back end cannot, either. */
static bool
refuse_store(Resize *resize, NovaError **err)
{
    resize->is_harmless = true;
    return nova_error_set(err, NOVA_ERROR_MIGRATION_PRE_CHECK_ERROR,
                          "Migration pre-check error: Migration is not supported for LVM backed instances");
}

static int64_t
ephemeral_gib(const Resize *resize)
{
    int64_t sum = 0;

    for (guint i = 0; i < resize->plan->bdms->len; i++) {
        const BlockDeviceMapping *bdm = resize->plan->bdms->pdata[i];

        if (g_strcmp0(bdm->source_type, "blank") == 0 && g_strcmp0(bdm->destination_type, "local") == 0 &&
            g_strcmp0(bdm->guest_format, "swap") != 0)
            sum += bdm->volume_size.value;
    }
    return sum ? sum : resize->op->instance->flavor->ephemeral_gb;
}

static bool
check_disks(Resize *resize, NovaError **err)
{
    const Operation *op = resize->op;
    g_autofree char *own = move_claim_host_address(op->host->options, op->host->node);

    bool has_local_root = !block_device_info_boots_from_volume(resize->plan->bdms);

    if ((has_local_root && resize->flavor->root_gb < op->instance->flavor->root_gb) ||
        resize->flavor->ephemeral_gb < ephemeral_gib(resize))
        return refuse(resize, "Unable to resize disk down.", err);
    if (!disks_can_move(op->host->options) && disk_map_find(resize->plan->disk_map, "disk"))
        return refuse_store(resize, err);
    if (g_strcmp0(resize->migration->dest_host, own) != 0)
        return refuse(resize, "this release of the agent moves no disks to other hosts", err);
    return true;
}

/* migrate_disk_and_power_off(): the server is off and its disks are where the target looks for
 * them. *ret_disks describes them. */
static bool
move_disks(Resize *resize, json_t **ret_disks, NovaError **err)
{
    Operation *op = resize->op;
    const Options *options = op->host->options;
    const char *uuid = op->instance->uuid;
    bool clean = json_get_bool(op->args, "clean_shutdown", true);
    const VifGuest vif_guest = vif_guest_of(op->host, op->instance);
    g_autoptr(GPtrArray) names = NULL;
    json_auto_t *disks = NULL;

    if (!step_power_off(op->host, op->instance, clean, err) ||
        !vif_unplug_all(op->host->ovsdb, options, resize->plan->network->vifs, &vif_guest, err) ||
        !volumes_close(op, resize->plan->bdms, false, err))
        return false;
    names = move_disk_names(options, uuid);
    disks = disk_move_describe(options, uuid, names, err);
    if (!disks || !disk_move_put_aside(options, uuid, names, err))
        return false;
    *ret_disks = json_incref(disks);
    return true;
}

static bool
ask_to_finish(Resize *resize, const json_t *disks, NovaError **err)
{
    g_autofree char *text = json_to_python_text(disks);
    json_auto_t *args = json_pack("{s:O?, s:s}", "image", json_object_get(resize->op->args, "image"),
                                  "disk_info", text);

    return cast(resize, resize->migration->dest_compute, "finish_resize", args, err);
}

static bool
hand_over(Resize *resize, const json_t *disks, NovaError **err)
{
    Operation *op = resize->op;
    Instance *instance = op->instance;
    Migration *migration = resize->migration;
    Flavor *old = move_copy_flavor(instance->flavor);

    OBJECT_SET_STRING(instance, host, migration->dest_compute);
    OBJECT_SET_STRING(instance, node, migration->dest_node);
    OBJECT_SET(instance, compute_id, migration->dest_compute_id);
    flavor_free(instance->old_flavor);
    OBJECT_SET(instance, old_flavor, old);
    return save_task(op, TASK_STATE_RESIZE_MIGRATED, EXPECT(RESIZE_MIGRATING), err) &&
           ask_to_finish(resize, disks, err);
}

/* A process before us had handed the server over, but not told the target. */
static bool
ask_again(Resize *resize, NovaError **err)
{
    const Operation *op = resize->op;
    g_autoptr(GPtrArray) names = move_disk_names(op->host->options, op->instance->uuid);
    json_auto_t *disks = disk_move_describe(op->host->options, op->instance->uuid, names, err);

    return disks && ask_to_finish(resize, disks, err);
}

static bool
send_server(Resize *resize, NovaError **err)
{
    Operation *op = resize->op;
    TaskStates expected = move_expected(op, EXPECT(RESIZE_PREP), EXPECT(RESIZE_MIGRATING));
    json_auto_t *disks = NULL;

    if (op->is_resumed && op->instance->task_state == TASK_STATE_RESIZE_MIGRATED)
        return ask_again(resize, err);
    if (op->is_resumed && !disk_move_restore(op->host->options, op->instance->uuid, err))
        return false;
    resize->network = step_refresh_network(op->host, op->ctx, op->instance, err);
    if (!resize->network || !move_save_status(op, resize->migration, "migrating", err) ||
        !save_task(op, TASK_STATE_RESIZE_MIGRATING, expected, err))
        return false;
    notify(resize, "resize", "start");
    resize->plan = step_plan_guest(op->host, op->ctx, op->instance, err);
    if (!resize->plan || !check_disks(resize, err) || !move_disks(resize, &disks, err))
        return false;
    return neutron_migrate_instance_start(op->host->neutron, op->ctx, op->instance,
                                          resize->migration->dest_compute, err) &&
           move_save_status(op, resize->migration, "post-migrating", err) && hand_over(resize, disks, err);
}

static bool
send_failed(Resize *resize, VmState state, NovaError *error, NovaError **err)
{
    Operation *op = resize->op;
    g_autoptr(NovaError) failure = NULL;

    step_error_out(op, resize->is_harmless, state, error);
    if (!move_revert_allocation(op, resize->migration, &failure))
        LOG_ERROR("Reverting the allocation: %s", nova_error_details(failure));
    /* At another host the claim lasts until its next update of resources. */
    if (g_strcmp0(resize->migration->dest_compute, op->host->name) == 0)
        move_claim_abort(op->host->tracker, op->ctx, op->instance);
    return nova_error_propagate(err, error);
}

bool
op_resize_instance(Operation *op, NovaError **err)
{
    g_auto(Resize) resize = {.op = op};
    VmState state = op->instance->vm_state;
    NovaError *error = NULL;

    if (move_is_over(op, EXPECT(RESIZE_PREP, RESIZE_MIGRATING, RESIZE_MIGRATED), "finish_resize"))
        return true;
    if (!read_args(&resize, true, err))
        return false;
    if (!send_server(&resize, &error))
        return send_failed(&resize, state, error, err);
    notify(&resize, "resize", "end");
    instance_events_cancel(op->host->events, op->instance->uuid);
    return true;
}

/* ---- finish_resize: on the target ---- */

static bool
is_new_size(const Resize *resize)
{
    return resize->migration->old_instance_type_id.value != resize->migration->new_instance_type_id.value;
}

static bool
arrive(Resize *resize, NovaError **err)
{
    Operation *op = resize->op;
    Instance *instance = op->instance;
    TaskStates expected = move_expected(op, EXPECT(RESIZE_MIGRATED), EXPECT(RESIZE_FINISH));
    json_auto_t *providers = step_provider_mapping(op->args);
    json_auto_t *devices = resource_tracker_moved_pci_profiles(op->host->tracker, instance, MOVE_NEW, err);
    const NeutronRebinding here = {.host = resize->migration->dest_compute,
                                   .provider_mapping = providers,
                                   .pci_by_slot = devices};

    if (!devices)
        return false;
    if (is_new_size(resize))
        move_set_flavor(instance, instance->new_flavor);
    if (!migration_context_apply(instance, MOVE_NEW, err) ||
        !neutron_bind_ports_to_host(op->host->neutron, op->ctx, instance, &here, err))
        return false;
    resize->network = step_refresh_network(op->host, op->ctx, instance, err);
    return resize->network && save_task(op, TASK_STATE_RESIZE_FINISH, expected, err);
}

static void
sync_time(Operation *op)
{
    g_autoptr(Guest) guest = guest_find(op->host->hypervisor, op->instance->uuid, NULL);

    if (guest)
        guest_sync_time(guest);
}

/* What a process before us has made of the guest and its disks. */
static bool
forget_guest(Resize *resize, const json_t *disks, NovaError **err)
{
    const Operation *op = resize->op;

    return step_destroy_guest(op->host, op->instance, resize->network, true, err) &&
           disk_move_renew(op->host->options, op->instance->uuid, disks, err);
}

/* A mark of an earlier move that nobody took away is no way back from this one. */
static bool
mark_disks(const Operation *op, NovaError **err)
{
    const Options *options = op->host->options;
    const char *uuid = op->instance->uuid;

    return (op->is_resumed || disks_mark(options, uuid, DISK_MARK_FORGET, err)) &&
           disks_mark(options, uuid, DISK_MARK_SET, err);
}

/* finish_migration(). Nobody waits for Neutron: it may not have seen that the ports were away. */
static bool
make_guest(Resize *resize, NovaError **err)
{
    Operation *op = resize->op;
    const Options *options = op->host->options;
    json_t *image_dict = json_get_object(op->args, "image");
    const char *text = json_get_string(op->args, "disk_info", "[]");
    json_auto_t *disks = json_parse(text, strlen(text), err);
    ImageMeta *image = NULL;
    StartGuest start = {.stays_off = move_was_stopped(op->instance)};

    if (!disks || (op->is_resumed && !forget_guest(resize, disks, err)))
        return false;
    if (json_object_size(image_dict) > 0 && !(image = image_meta_from_dict(image_dict, err)))
        return false;
    resize->plan = step_plan_guest_of(op->host, op->ctx, op->instance, image, VOLUMES_CONNECTED, err);
    start.plan = resize->plan;
    if (!resize->plan || !disk_move_convert(options, op->instance->uuid, disks, err) ||
        !mark_disks(op, err) ||
        !step_create_disks(op->host, op->ctx, op->instance, resize->plan, err) ||
        !volumes_open(op, resize->plan->bdms, resize->plan->devices, err) ||
        !step_start_guest(op->host, op->ctx, op->instance, &start, err))
        return false;
    if (!start.stays_off)
        sync_time(op);
    return true;
}

static bool
announce_resized(Resize *resize, NovaError **err)
{
    Operation *op = resize->op;
    g_autofree char *now = step_now();

    if (!move_save_status(op, resize->migration, "finished", err))
        return false;
    OBJECT_SET(op->instance, vm_state, VM_STATE_RESIZED);
    OBJECT_SET_STRING(op->instance, launched_at, now);
    return save_task(op, TASK_STATE_NONE, EXPECT(RESIZE_FINISH), err);
}

static bool
finish(Resize *resize, NovaError **err)
{
    Operation *op = resize->op;
    Instance *instance = op->instance;
    g_autoptr(Flavor) old = move_copy_flavor(op->is_resumed ? instance->old_flavor : instance->flavor);

    if (!arrive(resize, err))
        return false;
    notify(resize, "resize_finish", "start");
    if (!move_has_guest(op) && !make_guest(resize, err)) {
        if (is_new_size(resize) && old)
            move_set_flavor(instance, old);
        return false;
    }
    return announce_resized(resize, err);
}

/* The server is this host's, running or not: so are its allocations; those of the old size end. */
static bool
finish_failed(Resize *resize, NovaError *error, NovaError **err)
{
    Operation *op = resize->op;
    g_autoptr(NovaError) failure = NULL;

    LOG_INFO("Deleting allocations for old flavor on source node %s after finish_resize failure. You may be "
             "able to recover the instance by hard rebooting it.", resize->migration->source_compute);
    if (!move_delete_allocation(op, resize->migration, &failure))
        LOG_ERROR("%s", nova_error_details(failure));
    return nova_error_propagate(err, error);
}

bool
op_finish_resize(Operation *op, NovaError **err)
{
    g_auto(Resize) resize = {.op = op};
    NovaError *error = NULL;

    if (move_is_over(op, EXPECT(RESIZE_MIGRATED, RESIZE_FINISH), NULL))
        return true;
    if (!read_args(&resize, false, err))
        return false;
    if (!move_update_swap(op, op->instance->old_flavor, op->instance->new_flavor, &error))
        return finish_failed(&resize, error, err);
    if (!finish(&resize, &error)) {
        step_error_out(op, false, VM_STATE_ACTIVE, error);
        return finish_failed(&resize, error, err);
    }
    move_claim_arrived(op->host->tracker, op->ctx, op->instance, resize.migration);
    conductor_scheduler_update(op->host->conductor, op->ctx, op->host->name, op->instance);
    notify(&resize, "resize_finish", "end");
    return true;
}
