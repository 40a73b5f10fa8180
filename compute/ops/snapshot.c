/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots and backups of a server: ComputeManager.snapshot_instance(), backup_instance(). */
#define LOG_NAME "kilonova.compute.snapshot"
#include "compute/ops/snapshot.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/ops.h"
#include "compute/ops/snapshot_undo.h"
#include "compute/ops/steps.h"

static bool
is_over(const NovaError *error)
{
    return nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) ||
           nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_RUNNING) ||
           nova_error_is(error, NOVA_ERROR_UNEXPECTED_DELETING_TASK_STATE_ERROR);
}

/* A live snapshot defines the domain again, perhaps just after the deletion forgot it. */
static void
forget_guest(Operation *op)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(op->host->hypervisor, op->instance->uuid, &error);

    if (guest && guest_id(guest) < 0 && !guest_undefine(guest, false, &error))
        LOG_WARNING("Forgetting the deleted guest: %s", nova_error_details(error));
}

/* The server was deleted meanwhile: so is an image that is not complete. */
static void
forget_image(Operation *op, const char *image_id)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *record = glance_show(op->host->glance, op->ctx, image_id, &error);

    LOG_DEBUG("Instance disappeared during snapshot");
    if (record && g_strcmp0(json_get_string(record, "status", NULL), "active") != 0)
        snapshot_discard_image(op->host, op->ctx, image_id);
}

/* The image was deleted meanwhile, which is how users cancel a snapshot. */
static bool
forget_task(Operation *op, NovaError **err)
{
    LOG_WARNING("Image not found during snapshot");
    OBJECT_SET(op->instance, task_state, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}

static void
notify(Operation *op, const char *image_id, const char *phase)
{
    json_auto_t *fields = json_pack("{s:s}", "snapshot_image_id", image_id);
    const InstanceNotice notice = {.action = "snapshot", .phase = phase, .fields = fields};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

static bool
snapshot(Operation *op, const char *image_id, TaskStates expected, NovaError **err)
{
    const SnapshotTasks tasks = {expected, TASK_STATE_IMAGE_PENDING_UPLOAD, TASK_STATE_IMAGE_UPLOADING};
    Instance *instance = op->instance;
    gint64 began = g_get_monotonic_time();

    step_set_power_state(instance, step_power_state(op->host, instance));
    if (!conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT_ANY, err) ||
        !step_load_instance(op->host, op->ctx, instance, err))
        return false;
    LOG_INFO("instance snapshotting");
    if (instance->power_state.value != POWER_STATE_RUNNING)
        LOG_WARNING("trying to snapshot a non-running instance: (state: %d expected: %d)",
                    (int)instance->power_state.value, POWER_STATE_RUNNING);
    notify(op, image_id, "start");
    if (!snapshot_take(op, image_id, &tasks, err))
        return false;
    LOG_INFO("Took %.2f seconds to snapshot the instance on the hypervisor.",
             (double)(g_get_monotonic_time() - began) / 1e6);
    OBJECT_SET(instance, task_state, TASK_STATE_NONE);
    if (!conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(IMAGE_UPLOADING), err))
        return false;
    notify(op, image_id, "end");
    return true;
}

static bool
is_deleted(Operation *op)
{
    static const char *const attributes[] = {NULL};
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Instance) instance =
        conductor_instance_get(op->host->conductor, op->ctx, op->instance->uuid, attributes, &error);

    return !instance && nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND);
}

/* _snapshot_instance() with delete_image_on_error. */
static bool
make_snapshot(Operation *op, TaskStates expected, NovaError **err)
{
    const char *image_id = json_get_string(op->args, "image_id", "");
    NovaError *error = NULL;

    if (snapshot(op, image_id, expected, &error))
        return true;
    if (is_over(error)) {
        forget_image(op, image_id);
        if (is_deleted(op))
            forget_guest(op);
        nova_error_free(error);
        return true;
    }
    if (nova_error_is(error, NOVA_ERROR_IMAGE_NOT_FOUND)) {
        nova_error_free(error);
        return forget_task(op, err);
    }
    snapshot_discard_image(op->host, op->ctx, image_id);
    return nova_error_propagate(err, error);
}

/* ---- snapshot ---- */

/* Answers at once: what lasts is done in a lane of its own, max_concurrent_snapshots at a time. */
bool
op_snapshot_instance(Operation *op, NovaError **err)
{
    const char *image_id = json_get_string(op->args, "image_id", "");
    json_auto_t *args = json_pack("{s:s}", "image_id", image_id);
    json_auto_t *primitive = NULL;
    NovaError *error = NULL;
    Instance *copy;

    if (op->is_resumed && op->instance->task_state != TASK_STATE_IMAGE_SNAPSHOT_PENDING)
        return op->host->has_method(op->host, op->instance->uuid, "_snapshot_instance") || /* handed on */
               snapshot_finish_or_undo(op, image_id, err);
    OBJECT_SET(op->instance, task_state, TASK_STATE_IMAGE_SNAPSHOT);
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance,
                                 EXPECT(IMAGE_SNAPSHOT_PENDING), &error)) {
        bool is_gone = is_over(error);

        if (!is_gone) {
            snapshot_discard_image(op->host, op->ctx, image_id);
            return nova_error_propagate(err, error);
        }
        LOG_DEBUG("Instance being deleted, snapshot cannot continue: %s", nova_error_details(error));
        nova_error_free(error);
        return true;
    }
    primitive = object_to_json(op->instance);
    copy = instance_from_json(primitive, err);
    if (!copy)
        return false;
    op->host->queue_method(op->host, "_snapshot_instance", op->ctx, copy, args);
    return true;
}

bool
op_do_snapshot_instance(Operation *op, NovaError **err)
{
    if (op->is_resumed && op->instance->task_state != TASK_STATE_IMAGE_SNAPSHOT)
        return snapshot_finish_or_undo(op, json_get_string(op->args, "image_id", ""), err);
    return make_snapshot(op, EXPECT(IMAGE_SNAPSHOT), err);
}

/* ---- backup ---- */

/* Which of the images, the youngest first, are beyond the number to be kept. */
static void
delete_oldest(Operation *op, const json_t *images, int64_t rotation)
{
    size_t n = json_array_size(images);

    LOG_DEBUG("Found %zu images (rotation: %d)", n, (int)rotation);
    for (size_t i = n; rotation >= 0 && i > (size_t)rotation; i--) {
        const char *id = json_get_string(json_array_get(images, i - 1), "id", "");
        g_autoptr(NovaError) error = NULL;

        LOG_DEBUG("Deleting image %s", id);
        if (!glance_delete(op->host->glance, op->ctx, id, &error))
            LOG_INFO("Failed to delete image %s during deleting excess backups. Continuing for next "
                     "image.. %s", id, nova_error_details(error));
    }
}

bool
op_backup_instance(Operation *op, NovaError **err)
{
    const char *type = json_get_string(op->args, "backup_type", "");
    int64_t rotation = json_get_int(op->args, "rotation", 0);
    json_auto_t *filters = json_pack("{s:s, s:s, s:s}", "image_type", "backup", "backup_type", type,
                                     "instance_uuid", op->instance->uuid);
    json_auto_t *images = NULL;

    if (op->is_resumed && op->instance->task_state != TASK_STATE_IMAGE_BACKUP)
        return snapshot_finish_or_undo(op, json_get_string(op->args, "image_id", ""), err);
    if (!make_snapshot(op, EXPECT(IMAGE_BACKUP), err))
        return false;
    images = glance_list(op->host->glance, op->ctx, filters, err);
    if (!images)
        return false;
    delete_oldest(op, images, rotation);
    return true;
}
