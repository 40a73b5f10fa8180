/* SPDX-License-Identifier: Apache-2.0 */
/* swap_volume: one volume of a server for another, or, when Cinder migrates it, for itself elsewhere. */
#define LOG_NAME "kilonova.compute.volumes"
#include "compute/ops/ops.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_volumes.h"
#include "compute/ops/steps.h"
#include "compute/volume.h"
#include "compute/volume_swap.h"

#define GIB ((int64_t)1024 * 1024 * 1024)

/* Cinder is told that a migration is done. */
#define NOTE_MIGRATES "completes the migration"
/* It was told, and answered that the volume has its old id, or the new one. */
#define NOTE_OLD_ID "keeps the old id"
#define NOTE_NEW_ID "has the new id"

typedef struct Swap {
    Operation *op;
    const RequestContext *ctx;
    const char *old_id;
    const char *new_id;
    const char *new_attachment_id; /* NULL: from before attachments */
    BlockDeviceMapping *bdm;
    CinderVolume *old_volume;
    CinderVolume *new_volume;
    json_t *old_info;
    json_t *new_info; /* NULL: not connected */
} Swap;

static void
swap_clear(Swap *swap)
{
    block_device_mapping_free(swap->bdm);
    cinder_volume_free(swap->old_volume);
    cinder_volume_free(swap->new_volume);
    json_decref(swap->old_info);
    json_decref(swap->new_info);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Swap, swap_clear)

static void
notify(const Swap *swap, const char *phase, const NovaError *error)
{
    json_auto_t *fields =
        json_pack("{s:s, s:s}", "old_volume_id", swap->old_id, "new_volume_id", swap->new_id);
    const InstanceNotice notice = {.action = "volume_swap", .phase = phase, .error = error, .fields = fields};

    notifier_send(swap->op->host->notifier, swap->ctx, swap->op->instance, &notice);
}

static int64_t
new_size(const Swap *swap)
{
    return swap->new_volume && swap->new_volume->size_gib > swap->old_volume->size_gib ? swap->new_volume->size_gib : 0;
}

/* ---- the new volume's connection ---- */

static json_t *
export_new(const Swap *swap, NovaError **err)
{
    Host *host = swap->op->host;
    json_auto_t *connector = connectors_host(host->connectors);

    if (!swap->new_attachment_id)
        return cinder_initialize_connection(host->cinder, swap->ctx, swap->new_id, connector, err);
    return cinder_attachment_update(host->cinder, swap->ctx, swap->new_attachment_id, connector,
                                    swap->bdm->device_name, err);
}

/* What a process before us had exported is exported. */
static json_t *
find_exported(const Swap *swap)
{
    g_autoptr(NovaError) error = NULL;
    json_t *info = swap->op->is_resumed && swap->new_attachment_id
                       ? cinder_attachment_get(swap->op->host->cinder, swap->ctx, swap->new_attachment_id, &error)
                       : NULL;

    if (json_object_size(info) > 0)
        return info;
    json_decref(info);
    return NULL;
}

static bool
connect_new(Swap *swap, NovaError **err)
{
    swap->old_info = volume_connection_info(swap->bdm);
    if (json_object_size(swap->old_info) > 0 && !json_object_get(swap->old_info, "serial"))
        json_object_set_new(swap->old_info, "serial", json_string(swap->old_id));
    swap->new_info = find_exported(swap);
    if (!swap->new_info)
        swap->new_info = export_new(swap, err);
    if (!swap->new_info)
        return false;
    if (swap->new_volume->is_multiattach)
        json_object_set_new(swap->new_info, "multiattach", json_true());
    if (!json_object_get(swap->new_info, "serial"))
        json_object_set_new(swap->new_info, "serial", json_string(swap->new_id));
    return true;
}

/* The guest has the new volume whatever Cinder says: to give it back would take it from the guest. */
static void
complete_new(const Swap *swap)
{
    g_autoptr(NovaError) error = NULL;

    if (swap->new_attachment_id && !cinder_attachment_complete(swap->op->host->cinder, swap->ctx,
                                                               swap->new_attachment_id, &error))
        LOG_ERROR("Volume %s stays attaching: %s", swap->new_id, nova_error_details(error));
}

static bool
swap_in_guest(Swap *swap, NovaError **err)
{
    Host *host = swap->op->host;
    VolumeSwap work;

    if (!connect_new(swap, err))
        return false;
    work = (VolumeSwap){swap->bdm, swap->old_info, swap->new_info, new_size(swap) * GIB, swap->op->is_resumed};
    operation_step(swap->op, "copying the volume");
    if (!volume_swap(host, swap->ctx, swap->op->instance, &work, err))
        return false;
    complete_new(swap);
    return true;
}

/* ---- Cinder's side ---- */

/* The old volume is in use again, the new one free. */
static void
give_back(const Swap *swap)
{
    Host *host = swap->op->host;
    g_autoptr(NovaError) error = NULL, other = NULL;

    if (!cinder_roll_detaching(host->cinder, swap->ctx, swap->old_id, &error))
        LOG_WARNING("Volume %s stays detaching: %s", swap->old_id, nova_error_details(error));
    if (swap->new_attachment_id
            ? !cinder_attachment_delete(host->cinder, swap->ctx, swap->new_attachment_id, &other)
            : !cinder_unreserve(host->cinder, swap->ctx, swap->new_id, &other))
        LOG_WARNING("Volume %s stays reserved: %s", swap->new_id, nova_error_details(other));
}

/* Of the volume that the guest no longer has. */
static bool
drop_connection(const Swap *swap, bool failed, NovaError **err)
{
    Host *host = swap->op->host;
    json_auto_t *connector = NULL;

    if (!swap->new_info)
        return true;
    if (swap->bdm->attachment_id)
        return failed || cinder_attachment_delete(host->cinder, swap->ctx, swap->bdm->attachment_id, err);
    connector = connectors_host(host->connectors);
    return cinder_terminate_connection(host->cinder, swap->ctx, failed ? swap->new_id : swap->old_id,
                                       connector, err);
}

static bool
is_migration(const Swap *swap)
{
    return g_strcmp0(swap->old_volume->migration_status, "migrating") == 0;
}

/* Which id the volume has from now on; caller frees. */
static char *
complete_in_cinder(const Swap *swap, bool failed, NovaError **err)
{
    char *id;

    if (operation_has_note(swap->op, NOTE_OLD_ID))
        return g_strdup(swap->old_id);
    if (operation_has_note(swap->op, NOTE_NEW_ID) || (swap->bdm->attachment_id && !is_migration(swap)))
        return g_strdup(swap->new_id);
    if (!failed && is_migration(swap))
        operation_note(swap->op, NOTE_MIGRATES);
    id = cinder_migrate_completion(swap->op->host->cinder, swap->ctx, swap->old_id, swap->new_id, failed, err);
    if (id && !failed)
        operation_note(swap->op, g_strcmp0(id, swap->old_id) == 0 ? NOTE_OLD_ID : NOTE_NEW_ID);
    return id;
}

static void
fail(const Swap *swap, const NovaError *error)
{
    g_autoptr(NovaError) other = NULL;
    g_autofree char *ignored = NULL;

    LOG_ERROR("Failed to swap volume %s for %s", swap->old_id, swap->new_id);
    notify(swap, "error", error);
    give_back(swap);
    if (!drop_connection(swap, true, &other) || !(ignored = complete_in_cinder(swap, true, &other)))
        LOG_WARNING("Telling Cinder that the swap failed: %s", nova_error_details(other));
}

/* ---- the mapping ---- */

static bool
save_mapping(Swap *swap, const char *volume_id, NovaError **err)
{
    BlockDeviceMapping *bdm = swap->bdm;
    json_t *data = json_get_object(swap->new_info, "data");

    json_object_set_new(swap->new_info, "serial", json_string(volume_id));
    json_object_set_new(swap->new_info, "volume_id", json_string(volume_id));
    if (data)
        json_object_set_new(data, "volume_id", json_string(volume_id));
    volume_set_connection_info(bdm, swap->new_info);
    OBJECT_SET_STRING(bdm, source_type, "volume");
    OBJECT_SET_STRING(bdm, destination_type, "volume");
    OBJECT_SET_STRING(bdm, snapshot_id, NULL);
    OBJECT_SET_STRING(bdm, volume_id, volume_id);
    OBJECT_SET(bdm, no_device, false);
    if (new_size(swap) > 0)
        OBJECT_SET_INT(bdm, volume_size, new_size(swap));
    if (swap->new_attachment_id)
        OBJECT_SET_STRING(bdm, attachment_id, swap->new_attachment_id);
    return conductor_bdm_save(swap->op->host->conductor, swap->ctx, bdm, err);
}

/* ---- the operation ---- */

/* A process before us had told Cinder that it is done: the new volume's data are the old one's by now, and its id
 * is about to go. */
static bool
is_migrated(const Swap *swap)
{
    const char *status = swap->old_volume->migration_status;

    return swap->new_attachment_id &&
           (operation_has_note(swap->op, NOTE_OLD_ID) ||
            (operation_has_note(swap->op, NOTE_MIGRATES) &&
             (g_strcmp0(status, "success") == 0 || g_strcmp0(status, "completing") == 0)));
}

/* Only the mapping does not say so yet. */
static bool
finish_migrated(Swap *swap, NovaError **err)
{
    swap->new_info = cinder_attachment_get(swap->op->host->cinder, swap->ctx, swap->new_attachment_id, err);
    if (!swap->new_info)
        return false;
    complete_new(swap);
    if (swap->old_volume->is_multiattach)
        json_object_set_new(swap->new_info, "multiattach", json_true());
    return save_mapping(swap, swap->old_id, err);
}

static bool
swap_volumes(Swap *swap, NovaError **err)
{
    Cinder *cinder = swap->op->host->cinder;
    NovaError *error = NULL;
    g_autofree char *id = NULL;

    swap->old_volume = cinder_volume_get(cinder, swap->ctx, swap->old_id, err);
    if (swap->old_volume && is_migrated(swap))
        return finish_migrated(swap, err);
    swap->new_volume = swap->old_volume ? cinder_volume_get(cinder, swap->ctx, swap->new_id, err) : NULL;
    if (!swap->new_volume)
        return false;
    LOG_INFO("Swapping volume %s for %s", swap->old_id, swap->new_id);
    if (!swap_in_guest(swap, &error)) {
        fail(swap, error);
        return nova_error_propagate(err, error);
    }
    if (!drop_connection(swap, false, err))
        return false;
    id = complete_in_cinder(swap, false, err);
    return id && save_mapping(swap, id, err);
}

/* A process before us had saved the mapping: then it has the new attachment, whatever its volume is called. */
static bool
is_over(const Swap *swap, const NovaError *error)
{
    if (!swap->op->is_resumed)
        return false;
    return swap->bdm ? swap->new_attachment_id &&
                           g_strcmp0(swap->bdm->attachment_id, swap->new_attachment_id) == 0
                     : nova_error_is(error, NOVA_ERROR_NOT_FOUND);
}

bool
op_swap_volume(Operation *op, NovaError **err)
{
    g_autoptr(RequestContext) ctx = request_context_elevated(op->ctx, NULL);
    g_auto(Swap) swap = {
        .op = op,
        .ctx = ctx,
        .old_id = json_get_string(op->args, "old_volume_id", ""),
        .new_id = json_get_string(op->args, "new_volume_id", ""),
        .new_attachment_id = json_get_string(op->args, "new_attachment_id", NULL),
    };
    g_autoptr(NovaError) error = NULL;

    notify(&swap, "start", NULL);
    swap.bdm = conductor_bdm_of_volume(op->host->conductor, ctx, swap.old_id, op->instance->uuid, &error);
    if (is_over(&swap, error)) {
        notify(&swap, "end", NULL);
        return true;
    }
    if (!swap.bdm)
        return nova_error_propagate(err, g_steal_pointer(&error));
    if (!step_load_instance(op->host, ctx, op->instance, err) || !swap_volumes(&swap, err))
        return false;
    notify(&swap, "end", NULL);
    return true;
}
