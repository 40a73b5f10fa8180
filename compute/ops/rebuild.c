/* SPDX-License-Identifier: Apache-2.0 */
/* Rebuilding a server in its place: ComputeManager.rebuild_instance() for a server of this host. */
#define LOG_NAME "kilonova.compute.rebuild"
#include "compute/ops/ops.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/resource_tracker.h"
#include "storage/disks.h"

#define GIB ((int64_t)1 << 30)

typedef struct Rebuild {
    Operation *op;
    json_t *image;  /* Nova's dict of the new image; an empty one: none */
    GuestPlan *plan;
} Rebuild;

static void
rebuild_clear(Rebuild *rebuild)
{
    json_decref(rebuild->image);
    guest_plan_free(rebuild->plan);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rebuild, rebuild_clear)

/* ---- notifications ---- */

static void
notify(Rebuild *rebuild, const char *phase, const NovaError *error)
{
    Operation *op = rebuild->op;
    json_auto_t *extra = json_pack("{s:s}", "image_name", json_get_string(rebuild->image, "name", ""));
    InstanceNotice notice = {.action = "rebuild", .phase = phase, .error = error};

    if (!error)
        notice.extra = extra;
    if (!error && rebuild->plan)
        notice.network = rebuild->plan->network;
    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

/* What ends here is the server as it was: with the image that it was made of. */
static void
notify_exists(Operation *op)
{
    const char *image = json_get_string(op->args, "orig_image_ref", NULL);
    g_autofree char *url = image ? notifier_image_url(op->host->notifier, op->ctx, image) : NULL;
    ExistsNotice notice = {.is_current_period = true, .image_ref_url = url,
                           .system_metadata = json_object_get(op->args, "orig_sys_metadata")};

    notifier_exists(op->host->notifier, op->ctx, op->instance, &notice);
}

/* ---- the steps ---- */

static bool
read_image(Rebuild *rebuild, NovaError **err)
{
    Operation *op = rebuild->op;
    const char *id = json_get_string(op->args, "image_ref", "");

    rebuild->image = *id ? glance_show_translated(op->host->glance, op->ctx, id, err) : json_object();
    return rebuild->image != NULL;
}

static bool
announce(Operation *op, TaskState task, TaskStates expected, NovaError **err)
{
    OBJECT_SET(op->instance, task_state, task);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, expected, err);
}

/* The new guest, from the new image; the record's own when there is none. */
static bool
plan_guest(Rebuild *rebuild, NovaError **err)
{
    Operation *op = rebuild->op;
    ImageMeta *image = NULL;

    if (json_object_size(rebuild->image) > 0) {
        image = image_meta_from_dict(rebuild->image, err);
        if (!image)
            return false;
    }
    rebuild->plan = step_plan_guest_of(op->host, op->ctx, op->instance, image, VOLUMES_ALL, err);
    return rebuild->plan != NULL;
}

static bool
is_reimaged(const Rebuild *rebuild, const BlockDeviceMapping *bdm)
{
    return json_get_bool(rebuild->op->args, "reimage_boot_volume", false) &&
           bdm == block_device_info_root(rebuild->plan->bdms);
}

/* For Nova, volumes are detached and attached anew; not the one that the image is written over. */
static void
announce_detach(Rebuild *rebuild, const char *phase)
{
    Operation *op = rebuild->op;

    for (guint i = 0; i < rebuild->plan->bdms->len; i++) {
        const BlockDeviceMapping *bdm = rebuild->plan->bdms->pdata[i];

        if (block_device_info_is_volume(bdm) && bdm->volume_id && !is_reimaged(rebuild, bdm))
            volume_announce_detach(op->host, op->ctx, op->instance, bdm, phase);
    }
}

static bool
close_volumes(Rebuild *rebuild, NovaError **err)
{
    announce_detach(rebuild, "start");
    if (!volumes_close(rebuild->op, rebuild->plan->bdms, false, err))
        return false;
    announce_detach(rebuild, "end");
    return true;
}

static bool
remove_old(Rebuild *rebuild, NovaError **err)
{
    Operation *op = rebuild->op;

    if (json_get_bool(op->args, "preserve_ephemeral", false))
        return nova_error_set(err, NOVA_ERROR_PRESERVE_EPHEMERAL_NOT_SUPPORTED,
                              "The current driver does not support preserving ephemeral partitions.");
    if (!step_power_off(op->host, op->instance, true, err) ||
        !step_destroy_guest(op->host, op->instance, rebuild->plan->network, false, err) ||
        !close_volumes(rebuild, err) || !disks_remove_volumes(op->host->options, op->instance->uuid, err))
        return false;
    if (!disks_delete(op->host->options, op->instance->uuid))
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "The old files of the instance cannot be removed");
    return true;
}

/* A process before us had begun it, and Cinder is still at it. */
static bool
is_being_written(const Operation *op, const char *volume_id)
{
    g_autoptr(CinderVolume) volume =
        op->is_resumed ? cinder_volume_get(op->host->cinder, op->ctx, volume_id, NULL) : NULL;

    return volume && g_strcmp0(volume->status, "downloading") == 0;
}

static bool
wait_for_image(Rebuild *rebuild, const char *volume_id, NovaError **err)
{
    Operation *op = rebuild->op;
    const Options *options = op->host->options;
    int64_t gib = (json_get_int(rebuild->image, "size", 0) + GIB - 1) / GIB;
    int64_t timeout_s = CLAMP(options->default_group.reimage_timeout_per_gb * gib, 0, 7 * 86400);
    g_autoptr(EventWaiter) waiter =
        instance_events_prepare(op->host->events, op->instance->uuid, "volume-reimaged", &volume_id, 1);

    return (is_being_written(op, volume_id) ||
            cinder_volume_reimage(op->host->cinder, op->ctx, volume_id,
                                  json_get_string(rebuild->image, "id", ""), true, err)) &&
           instance_events_wait(waiter, (int)timeout_s * 1000, err);
}

/* _rebuild_volume_backed_instance(): Cinder writes the image over the volume, which is reserved meanwhile. */
static bool
reimage_root(Rebuild *rebuild, NovaError **err)
{
    Operation *op = rebuild->op;
    const BlockDeviceMapping *root = block_device_info_root(rebuild->plan->bdms);
    const char *reason = "Failed to rebuild volume backed instance.";
    g_autoptr(NovaError) error = NULL;

    if (!root || !root->volume_id || !is_reimaged(rebuild, root) || wait_for_image(rebuild, root->volume_id, &error))
        return true;
    LOG_ERROR("Failed to rebuild volume backed instance: %s", nova_error_details(error));
    nova_error_set(err, NOVA_ERROR_BUILD_ABORT_EXCEPTION, "Build of instance %s aborted: %s",
                   op->instance->uuid, reason);
    return false;
}

static bool
make_new(Rebuild *rebuild, NovaError **err)
{
    Operation *op = rebuild->op;
    Spawn spawn = {
        .op = op,
        .plan = rebuild->plan,
        .admin_pass = json_get_string(op->args, "new_pass", NULL),
        .injected_files = json_object_get(op->args, "injected_files"),
    };

    if (!announce(op, TASK_STATE_REBUILD_BLOCK_DEVICE_MAPPING, EXPECT(REBUILDING), err) ||
        !volumes_prepare(op, rebuild->plan->bdms, rebuild->plan->devices, err) ||
        !announce(op, TASK_STATE_REBUILD_SPAWNING, EXPECT(REBUILD_BLOCK_DEVICE_MAPPING), err) ||
        !spawn_guest(&spawn, err))
        return false;
    spawn_note(op, rebuild->plan);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT(REBUILD_SPAWNING),
                                   err);
}

/* A server that was stopped is stopped again: not by its guest, which has only just begun to boot. */
static bool
stop_again(Operation *op, NovaError **err)
{
    json_auto_t *args = json_pack("{s:b}", "clean_shutdown", 0);

    LOG_INFO("bringing vm to original state: 'stopped'");
    step_set_states(op->instance, VM_STATE_ACTIVE, TASK_STATE_POWERING_OFF);
    OBJECT_SET_INT(op->instance, progress, 0);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err) &&
           op->host->call_method(op, "stop_instance", args, err);
}

static bool
rebuild_guest(Rebuild *rebuild, NovaError **err)
{
    Operation *op = rebuild->op;
    bool was_stopped = op->instance->vm_state == VM_STATE_STOPPED;

    notify_exists(op);
    notify(rebuild, "start", NULL);
    step_set_power_state(op->instance, step_power_state(op->host, op->instance));
    if (!announce(op, TASK_STATE_REBUILDING, EXPECT(REBUILDING), err) || !plan_guest(rebuild, err) ||
        !remove_old(rebuild, err) || !reimage_root(rebuild, err) || !make_new(rebuild, err))
        return false;
    if (was_stopped && !stop_again(op, err))
        return false;
    conductor_scheduler_update(op->host->conductor, op->ctx, op->host->name, op->instance);
    notify(rebuild, "end", NULL);
    return true;
}

/* A process before us had begun it: all of it again, but for the stop of a server that was stopped,
 * which is the last step and leaves its own trace. */
static bool
begin_again(Operation *op, bool *ret_is_done, NovaError **err)
{
    *ret_is_done = op->instance->task_state == TASK_STATE_POWERING_OFF;
    if (*ret_is_done)
        return stop_again(op, err);
    OBJECT_SET(op->instance, task_state, TASK_STATE_REBUILDING);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}

/* ---- failure ---- */

/* Nova takes the allocation away: the server has nothing on this host any more. */
static void
remove_allocation(Operation *op)
{
    g_autoptr(NovaError) error = NULL;

    if (!placement_remove_tree_from_allocations(op->host->placement, op->ctx, op->instance->uuid,
                                                resource_tracker_node_uuid(op->host->tracker), &error))
        LOG_ERROR("Failed to clean allocation of the instance: %s", nova_error_details(error));
}

static bool
rebuild_failed(Rebuild *rebuild, NovaError *error, NovaError **err)
{
    Operation *op = rebuild->op;

    notify(rebuild, "error", error);
    if (nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) ||
        nova_error_is(error, NOVA_ERROR_UNEXPECTED_DELETING_TASK_STATE_ERROR)) {
        LOG_DEBUG("Instance was deleted while rebuilding: %s", nova_error_details(error));
        nova_error_free(error);
        return true;
    }
    remove_allocation(op);
    step_error_out(op, false, op->instance->vm_state, error);
    return nova_error_propagate(err, error);
}

bool
op_rebuild_instance(Operation *op, NovaError **err)
{
    g_auto(Rebuild) rebuild = {.op = op};
    NovaError *error = NULL;
    bool is_done = false;

    LOG_INFO("Rebuilding instance");
    if (json_get_bool(op->args, "recreate", false))
        return nova_error_set(err, NOVA_ERROR_INSTANCE_EVACUATE_NOT_SUPPORTED,
                              "Instance evacuate is not supported.");
    if (!read_image(&rebuild, err) || !step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    if (op->is_resumed && !begin_again(op, &is_done, err))
        return false;
    if (is_done)
        return true;
    return rebuild_guest(&rebuild, &error) || rebuild_failed(&rebuild, error, err);
}
