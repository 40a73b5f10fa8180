/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that a server's rows ask for: made from an image or a snapshot or blank, and opened to this host
 * (the classes of nova.virt.block_device, ComputeManager._prep_block_device()). */
#define LOG_NAME "kilonova.compute.volumes"
#include "compute/ops/volume_steps.h"

#include <inttypes.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/block_device_info.h"
#include "compute/volume.h"

/* ---- a volume that does not exist yet ---- */

/* Cinder does not know which server and row a volume was made for. Until the journal does, its name says so;
 * then it gets the name that Nova gives. */
static char *
name_until_noted(const Operation *op, const BlockDeviceMapping *bdm)
{
    return g_strdup_printf("%s-%s", op->instance->uuid, bdm->uuid);
}

/* "volume ROW ID" */
static void
note_volume(Operation *op, const BlockDeviceMapping *bdm, const char *id)
{
    g_autofree char *note = g_strdup_printf("volume %s %s", bdm->uuid, id);
    g_autofree char *blank_name = g_strdup_printf("%s-blank-vol", op->instance->uuid);
    bool is_blank = g_strcmp0(bdm->source_type, "blank") == 0;
    g_autoptr(NovaError) error = NULL;

    operation_note(op, note);
    if (!cinder_volume_rename(op->host->cinder, op->ctx, id, is_blank ? blank_name : "", &error))
        LOG_WARNING("The new volume %s keeps its first name: %s", id, nova_error_details(error));
}

static char *
noted_id(const Operation *op, const BlockDeviceMapping *bdm)
{
    g_autofree char *prefix = g_strdup_printf("volume %s ", bdm->uuid);

    for (guint i = op->notes ? op->notes->len : 0; i > 0; i--) {
        const char *note = op->notes->pdata[i - 1];

        if (g_str_has_prefix(note, prefix))
            return g_strdup(note + strlen(prefix));
    }
    return NULL;
}

/* The volume that a process before us made for this row, if it is there yet. Caller frees. */
static bool
find_made(Operation *op, const BlockDeviceMapping *bdm, char **ret_id, NovaError **err)
{
    g_autofree char *name = name_until_noted(op, bdm);
    g_autofree char *id = noted_id(op, bdm);
    g_autoptr(CinderVolume) volume = id ? cinder_volume_get(op->host->cinder, op->ctx, id, NULL) : NULL;

    if (!volume)
        return cinder_volume_find(op->host->cinder, op->ctx, name, ret_id, err);
    *ret_id = g_strdup(volume->id);
    return true;
}

/* A snapshot's volume is of the type of the volume that the snapshot was taken of. */
static bool
read_snapshot(Operation *op, BlockDeviceMapping *bdm, NovaError **err)
{
    json_auto_t *snapshot = cinder_snapshot_get(op->host->cinder, op->ctx, bdm->snapshot_id, err);
    const char *origin_id = snapshot ? json_get_string(snapshot, "volume_id", NULL) : NULL;
    g_autoptr(CinderVolume) origin = NULL;

    if (!snapshot)
        return false;
    if ((bdm->volume_type && *bdm->volume_type) || !origin_id)
        return true;
    origin = cinder_volume_get(op->host->cinder, op->ctx, origin_id, err);
    if (!origin)
        return false;
    if (origin->volume_type)
        OBJECT_SET_STRING(bdm, volume_type, origin->volume_type);
    return true;
}

/* NULL with an error. Caller frees. */
static char *
create(Operation *op, BlockDeviceMapping *bdm, NovaError **err)
{
    g_autofree char *name = name_until_noted(op, bdm);
    g_autoptr(CinderVolume) volume = NULL;
    CinderNewVolume what = {
        .size_gib = bdm->volume_size.is_null ? 0 : bdm->volume_size.value, .name = name, .description = ""};

    if (g_strcmp0(bdm->source_type, "snapshot") == 0) {
        if (!read_snapshot(op, bdm, err))
            return NULL;
        what.snapshot_id = bdm->snapshot_id;
    } else if (g_strcmp0(bdm->source_type, "image") == 0) {
        what.image_id = bdm->image_id;
    }
    what.volume_type = bdm->volume_type;
    if (!op->host->options->cinder.cross_az_attach)
        what.availability_zone = op->instance->availability_zone;
    volume = cinder_volume_create(op->host->cinder, op->ctx, &what, err);
    return volume ? g_strdup(volume->id) : NULL;
}

typedef struct Wait {
    int64_t attempts;
    gint64 began;
    char *status;
} Wait;

static bool
not_created(const Wait *wait, const char *id, NovaError **err)
{
    int64_t seconds = (g_get_monotonic_time() - wait->began) / G_USEC_PER_SEC;

    nova_error_set(err, NOVA_ERROR_VOLUME_NOT_CREATED,
                   "Volume %s did not finish being created even after we waited %" PRId64
                   " seconds or %" PRId64 " attempts. And its status is %s.",
                   id, seconds, wait->attempts, wait->status);
    return false;
}

static bool
is_being_made(const char *status)
{
    return strcmp(status, "creating") == 0 || strcmp(status, "downloading") == 0;
}

/* _await_block_device_map_created() */
static bool
await_volume(Operation *op, const char *id, NovaError **err)
{
    const OptionsDefault *options = &op->host->options->default_group;
    int64_t limit = MAX(options->block_device_allocate_retries, 0) + 1;
    int64_t pause_s = CLAMP(options->block_device_allocate_retries_interval, 0, 86400);
    Wait wait = {.began = g_get_monotonic_time()};
    bool is_made = false;

    while (wait.attempts < limit) {
        g_autoptr(CinderVolume) volume = cinder_volume_get(op->host->cinder, op->ctx, id, err);

        if (!volume) {
            g_free(wait.status);
            return false;
        }
        g_free(wait.status);
        wait.status = g_strdup(volume->status ? volume->status : "None");
        wait.attempts++;
        is_made = strcmp(wait.status, "available") == 0;
        if (is_made || !is_being_made(wait.status))
            break;
        if (wait.attempts < limit)
            g_usleep((gulong)pause_s * G_USEC_PER_SEC);
    }
    if (!is_made)
        not_created(&wait, id, err);
    g_free(wait.status);
    return is_made;
}

static void
delete_or_log(Operation *op, const char *id)
{
    g_autoptr(NovaError) error = NULL;

    if (!cinder_volume_delete(op->host->cinder, op->ctx, id, &error))
        LOG_WARNING("Failed to delete volume: %s due to %s", id, nova_error_details(error));
}

/* The volume is there and the server's; the row says so, unsaved. */
static bool
make_volume(Operation *op, BlockDeviceMapping *bdm, NovaError **err)
{
    g_autofree char *id = NULL;
    g_autofree char *attachment = NULL;

    if (op->is_resumed && !find_made(op, bdm, &id, err))
        return false;
    if (!id && !(id = create(op, bdm, err)))
        return false;
    note_volume(op, bdm, id);
    if (await_volume(op, id, err))
        attachment = cinder_attachment_create(op->host->cinder, op->ctx, id, op->instance->uuid, NULL, NULL,
                                              err);
    if (!attachment) {
        if (bdm->delete_on_termination)
            delete_or_log(op, id);
        return false;
    }
    OBJECT_SET_STRING(bdm, volume_id, id);
    OBJECT_SET_STRING(bdm, attachment_id, attachment);
    return true;
}

/* ---- all of a server's ---- */

static bool
is_unmade(const BlockDeviceMapping *bdm)
{
    return block_device_info_is_volume(bdm) && !bdm->no_device && !bdm->volume_id;
}

void
volumes_discard_made(Operation *op, const GPtrArray *bdms)
{
    for (guint i = 0; i < bdms->len; i++) {
        const BlockDeviceMapping *bdm = bdms->pdata[i];
        g_autofree char *id = NULL;
        g_autoptr(NovaError) error = NULL;

        if (!is_unmade(bdm))
            continue;
        if (!find_made(op, bdm, &id, &error))
            LOG_WARNING("Looking for a volume that was made for the server: %s", nova_error_details(error));
        if (id && bdm->delete_on_termination)
            delete_or_log(op, id);
    }
}

static void
announce(const BlockDevice *device)
{
    const BlockDeviceMapping *bdm = device->mapping;
    const char *place = device->device_name ? device->device_name : "None";

    if (bdm->volume_id)
        LOG_INFO("Booting with volume %s at %s", bdm->volume_id, place);
    else if (bdm->snapshot_id)
        LOG_INFO("Booting with volume snapshot %s at %s", bdm->snapshot_id, place);
    else if (bdm->image_id)
        LOG_INFO("Booting with volume-backed-image %s at %s", bdm->image_id, place);
    else
        LOG_INFO("Booting with blank volume at %s", place);
}

/* What has become of the row is saved whatever happens, as Nova does. */
static void
save_row(Operation *op, BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;

    if (object_has_changes(bdm) && !conductor_bdm_save(op->host->conductor, op->ctx, bdm, &error))
        LOG_WARNING("Saving the block device mapping of %s: %s", bdm->volume_id, nova_error_details(error));
}

/* After a failure the volume is free again. */
static bool
attach_or_release(Operation *op, BlockDeviceMapping *bdm, bool again, NovaError **err)
{
    g_autoptr(NovaError) undo = NULL;

    if (volume_attach(op->host, op->ctx, op->instance, bdm, &(VolumeAttach){.again = again}, err))
        return true;
    if (bdm->attachment_id && !cinder_attachment_delete(op->host->cinder, op->ctx, bdm->attachment_id, &undo))
        LOG_WARNING("Attachment %s of volume %s is left: %s", bdm->attachment_id, bdm->volume_id,
                    nova_error_details(undo));
    return false;
}

static bool
prepare(Operation *op, BlockDevice *device, NovaError **err)
{
    BlockDeviceMapping *bdm = device->mapping;
    bool is_new = !bdm->volume_id;

    announce(device);
    OBJECT_SET_STRING(bdm, device_name, device->device_name);
    OBJECT_SET_STRING(bdm, disk_bus, device->disk_bus);
    OBJECT_SET_STRING(bdm, device_type, device->device_type);
    if ((is_new && !make_volume(op, bdm, err)) ||
        !attach_or_release(op, bdm, op->is_resumed && !is_new, err)) {
        save_row(op, bdm);
        return false;
    }
    json_decref(device->connection_info);
    device->connection_info = volume_connection_info(bdm);
    return true;
}

static bool
prepare_failed(NovaError *error, NovaError **err)
{
    LOG_ERROR("Instance failed block device setup: %s", nova_error_details(error));
    if (nova_error_is(error, NOVA_ERROR_OVER_QUOTA))
        return nova_error_propagate(err, error);
    nova_error_set(err, NOVA_ERROR_INVALID_BDM, "%s", nova_error_message(error));
    nova_error_free(error);
    return false;
}

bool
volumes_prepare(Operation *op, const GPtrArray *bdms, const BlockDevices *devices, NovaError **err)
{
    NovaError *error = NULL;

    if (!volumes_forget_left_over(op, bdms, &error))
        return prepare_failed(error, err);
    for (guint i = 0; i < devices->volumes->len; i++)
        if (!prepare(op, devices->volumes->pdata[i], &error))
            return prepare_failed(error, err);
    return true;
}
