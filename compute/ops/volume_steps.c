/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.volumes"
#include "compute/ops/volume_steps.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/block_device_info.h"
#include "compute/volume.h"

/* ---- on this host ---- */

static const char *
id_of(const BlockDeviceMapping *bdm)
{
    return bdm->volume_id ? bdm->volume_id : "None";
}

/* Of a volume that several servers here may have, one lets go at a time: the last has to know that it is. */
static void
lock_shared(Host *host, const BlockDeviceMapping *bdm, const json_t *connection_info)
{
    if (volume_is_multiattach(connection_info))
        connectors_lock_volume(host->connectors, id_of(bdm));
}

static void
unlock_shared(Host *host, const BlockDeviceMapping *bdm, const json_t *connection_info)
{
    if (volume_is_multiattach(connection_info))
        connectors_unlock_volume(host->connectors, id_of(bdm));
}

static bool
disconnect(Host *host, const RequestContext *ctx, const Instance *instance, const BlockDevice *device,
           const VolumeDisconnect *how, NovaError **err)
{
    bool ok;

    if (!device->connection_info)
        return true;
    lock_shared(host, device->mapping, device->connection_info);
    ok = volume_disconnect(host, ctx, instance, device->connection_info, how, err);
    unlock_shared(host, device->mapping, device->connection_info);
    return ok;
}

static void
ignore(const BlockDeviceMapping *bdm, const NovaError *error)
{
    LOG_WARNING("Ignoring Volume Error on vol %s: %s", id_of(bdm), nova_error_details(error));
}

static void
let_go(Host *host, const RequestContext *ctx, const Instance *instance, const BlockDevices *devices,
       guint n, const VolumeDisconnect *how)
{
    for (guint i = 0; i < n; i++) {
        const BlockDevice *device = devices->volumes->pdata[i];
        g_autoptr(NovaError) error = NULL;

        if (!disconnect(host, ctx, instance, device, how, &error))
            ignore(device->mapping, error);
    }
}

bool
volumes_connect(Host *host, const RequestContext *ctx, const Instance *instance, const BlockDevices *devices,
                NovaError **err)
{
    for (guint i = 0; devices && i < devices->volumes->len; i++) {
        BlockDevice *device = devices->volumes->pdata[i];
        BlockDeviceMapping *bdm = device->mapping;

        if (volume_connect(host, ctx, instance, device->connection_info, err)) {
            volume_set_connection_info(bdm, device->connection_info);
            if (!object_has_changes(bdm) || conductor_bdm_save(host->conductor, ctx, bdm, err))
                continue;
        }
        let_go(host, ctx, instance, devices, i + 1, &(VolumeDisconnect){.keeps_secret = true});
        return nova_error_prefix(err, "connecting volume %s", id_of(bdm));
    }
    return true;
}

bool
volumes_disconnect(Host *host, const RequestContext *ctx, const Instance *instance,
                   const BlockDevices *devices, NovaError **err)
{
    NovaError *first = NULL;

    for (guint i = 0; devices && i < devices->volumes->len; i++) {
        g_autoptr(NovaError) error = NULL;

        if (!disconnect(host, ctx, instance, devices->volumes->pdata[i],
                        &(VolumeDisconnect){.keeps_secret = true}, &error) && !first)
            first = g_steal_pointer(&error);
    }
    return !first || nova_error_propagate(err, first);
}

void
volumes_let_go(Host *host, const RequestContext *ctx, const Instance *instance, const BlockDevices *devices)
{
    if (devices)
        let_go(host, ctx, instance, devices, devices->volumes->len, &(VolumeDisconnect){.force = true});
}

/* ---- what Cinder says of the connections ---- */

static bool
refresh(Host *host, const RequestContext *ctx, BlockDevice *device, NovaError **err)
{
    if (!volume_refresh(host, ctx, device->mapping, err))
        return false;
    json_decref(device->connection_info);
    device->connection_info = volume_connection_info(device->mapping);
    return true;
}

void
volumes_try_refresh(Host *host, const RequestContext *ctx, const BlockDevices *devices)
{
    for (guint i = 0; devices && i < devices->volumes->len; i++) {
        BlockDevice *device = devices->volumes->pdata[i];
        g_autoptr(NovaError) error = NULL;

        if (!refresh(host, ctx, device, &error))
            LOG_WARNING("Going on with the connection of volume %s that is known: %s", id_of(device->mapping),
                        nova_error_details(error));
    }
}

/* ---- attachments ---- */

static bool
is_attached(const BlockDeviceMapping *bdm)
{
    return block_device_info_is_volume(bdm) && bdm->volume_id && bdm->attachment_id;
}

static void
delete_stranger(Host *host, const RequestContext *ctx, const char *id)
{
    g_autoptr(NovaError) error = NULL;

    LOG_INFO("Removing stale volume attachment %s of the instance from Cinder", id);
    if (!cinder_attachment_delete(host->cinder, ctx, id, &error))
        LOG_WARNING("Removing the attachment failed: %s", nova_error_details(error));
}

/* What no row has got, nobody would find. */
static bool
save_attachment(Operation *op, BlockDeviceMapping *bdm, const char *id, NovaError **err)
{
    NovaError *error = NULL;

    OBJECT_SET_STRING(bdm, attachment_id, id);
    if (conductor_bdm_save(op->host->conductor, op->ctx, bdm, &error))
        return true;
    if (nova_error_is(error, NOVA_ERROR_NOT_FOUND))
        delete_stranger(op->host, op->ctx, id);
    return nova_error_propagate(err, error);
}

/* The new one is in the row before the old one goes: whoever comes after a crash finds one of them there. */
static bool
reserve_anew(Operation *op, BlockDeviceMapping *bdm, NovaError **err)
{
    g_autofree char *old = g_strdup(bdm->attachment_id);
    g_autofree char *fresh = cinder_attachment_create(op->host->cinder, op->ctx, bdm->volume_id,
                                                      op->instance->uuid, NULL, NULL, err);

    return fresh && save_attachment(op, bdm, fresh, err) &&
           cinder_attachment_delete(op->host->cinder, op->ctx, old, err);
}

static bool
has_attachment(const GPtrArray *bdms, const char *id)
{
    for (guint i = 0; i < bdms->len; i++)
        if (g_strcmp0(((const BlockDeviceMapping *)bdms->pdata[i])->attachment_id, id) == 0)
            return true;
    return false;
}

/* Attachments of the server that no row has. */
static void
delete_strangers(Host *host, const RequestContext *ctx, const json_t *attachments, const GPtrArray *bdms)
{
    size_t i;
    json_t *attachment;

    json_array_foreach (attachments, i, attachment) {
        const char *id = json_get_string(attachment, "id", NULL);

        if (id && !has_attachment(bdms, id))
            delete_stranger(host, ctx, id);
    }
}

static bool
has_volumes(const GPtrArray *bdms)
{
    for (guint i = 0; i < bdms->len; i++)
        if (block_device_info_is_volume(bdms->pdata[i]))
            return true;
    return false;
}

bool
volumes_forget_left_over(Operation *op, const GPtrArray *bdms, NovaError **err)
{
    json_auto_t *attachments = NULL;

    if (!op->is_resumed || !has_volumes(bdms))
        return true;
    attachments = cinder_attachments_of_instance(op->host->cinder, op->ctx, op->instance->uuid, err);
    if (attachments)
        delete_strangers(op->host, op->ctx, attachments, bdms);
    return attachments != NULL;
}

/* ---- opening ---- */

/* A row from before attachments has no more than a connection to ask for. */
static bool
open_volume(Operation *op, BlockDevice *device, NovaError **err)
{
    BlockDeviceMapping *bdm = device->mapping;
    const VolumeAttach how = {.again = op->is_resumed, .moves = true};

    if (!bdm->attachment_id)
        return refresh(op->host, op->ctx, device, err);
    if (!volume_attach(op->host, op->ctx, op->instance, bdm, &how, err))
        return false;
    json_decref(device->connection_info);
    device->connection_info = volume_connection_info(bdm);
    return true;
}

bool
volumes_open(Operation *op, const GPtrArray *bdms, const BlockDevices *devices, NovaError **err)
{
    if (!volumes_forget_left_over(op, bdms, err))
        return false;
    for (guint i = 0; i < devices->volumes->len; i++)
        if (!open_volume(op, devices->volumes->pdata[i], err))
            return false;
    return true;
}

/* ---- closing ---- */

static void
release_or_log(Host *host, const RequestContext *ctx, const Instance *instance, const BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;

    if (!block_device_info_is_volume(bdm) || !bdm->volume_id || volume_release(host, ctx, instance, bdm, &error))
        return;
    if (nova_error_is(error, NOVA_ERROR_NOT_FOUND))
        LOG_DEBUG("Ignoring %s: %s", nova_error_class(error), nova_error_details(error));
    else
        LOG_WARNING("Ignoring unknown exception for volume %s: %s", bdm->volume_id, nova_error_details(error));
}

static void
forget_connection(Host *host, const RequestContext *ctx, BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;

    if (!bdm->connection_info)
        return;
    OBJECT_SET_STRING(bdm, connection_info, NULL);
    if (!conductor_bdm_save(host->conductor, ctx, bdm, &error))
        LOG_WARNING("The mapping of volume %s keeps its connection: %s", id_of(bdm), nova_error_details(error));
}

/* How a volume leaves this host. */
typedef struct Close {
    bool force;    /* one that cannot be disconnected does not keep the others */
    bool releases; /* the server does not keep it */
} Close;

/* What Cinder does not export was disconnected before, or never connected: it may be another server's here by
 * now. */
static bool
disconnect_exported(Operation *op, const BlockDeviceMapping *bdm, const json_t *connection_info, bool force,
                    NovaError **err)
{
    const VolumeDisconnect how = {.force = force};
    NovaError *error = NULL;

    if (json_object_size(connection_info) == 0 || !volume_is_exported(op->host, op->ctx, bdm) ||
        volume_disconnect(op->host, op->ctx, op->instance, connection_info, &how, &error))
        return true;
    if (!force)
        return nova_error_propagate(err, error);
    ignore(bdm, error);
    nova_error_free(error);
    return true;
}

static bool
end_attachment(Operation *op, BlockDeviceMapping *bdm, bool releases, NovaError **err)
{
    if (!releases)
        return !bdm->attachment_id || reserve_anew(op, bdm, err);
    release_or_log(op->host, op->ctx, op->instance, bdm);
    forget_connection(op->host, op->ctx, bdm);
    return true;
}

static bool
close_volume(Operation *op, BlockDeviceMapping *bdm, const Close *how, NovaError **err)
{
    json_auto_t *info = volume_connection_info(bdm);
    bool ok;

    if (!block_device_info_is_volume(bdm) || !bdm->volume_id)
        return true;
    lock_shared(op->host, bdm, info);
    ok = disconnect_exported(op, bdm, info, how->force, err) && end_attachment(op, bdm, how->releases, err);
    unlock_shared(op->host, bdm, info);
    return ok;
}

static bool
close_all(Operation *op, const GPtrArray *bdms, const Close *how, NovaError **err)
{
    for (guint i = 0; i < bdms->len; i++)
        if (!close_volume(op, bdms->pdata[i], how, err))
            return false;
    return true;
}

bool
volumes_close(Operation *op, const GPtrArray *bdms, bool force, NovaError **err)
{
    return volumes_forget_left_over(op, bdms, err) && close_all(op, bdms, &(Close){.force = force}, err);
}

void
volumes_release(Operation *op, const GPtrArray *bdms)
{
    g_autoptr(NovaError) error = NULL;

    if (!close_all(op, bdms, &(Close){.force = true, .releases = true}, &error))
        LOG_ERROR("Releasing the volumes: %s", nova_error_details(error));
}

/* ---- the end ---- */

static void
delete_or_log(Host *host, const RequestContext *ctx, const BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;

    if (!bdm->volume_id || !bdm->delete_on_termination)
        return;
    LOG_DEBUG("Deleting volume: %s", bdm->volume_id);
    if (!cinder_volume_delete(host->cinder, ctx, bdm->volume_id, &error))
        LOG_WARNING("Failed to delete volume: %s due to %s", bdm->volume_id, nova_error_details(error));
}

void
volumes_delete(Host *host, const RequestContext *ctx, const GPtrArray *bdms)
{
    for (guint i = 0; i < bdms->len; i++)
        delete_or_log(host, ctx, bdms->pdata[i]);
}

static void
destroy_row(Host *host, const RequestContext *ctx, BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;

    if (!conductor_bdm_destroy(host->conductor, ctx, bdm, &error))
        LOG_WARNING("Destroying the block device mapping of volume %s: %s", bdm->volume_id,
                    nova_error_details(error));
}

void
volume_announce_detach(Host *host, const RequestContext *ctx, Instance *instance,
                       const BlockDeviceMapping *bdm, const char *phase)
{
    json_auto_t *fields = json_pack("{s:s}", "volume_id", bdm->volume_id);
    const InstanceNotice notice = {
        .action = "volume_detach", .phase = phase, .extra = fields, .fields = fields};

    notifier_send(host->notifier, ctx, instance, &notice);
}

void
volumes_abandon(Host *host, const RequestContext *ctx, Instance *instance, const GPtrArray *bdms)
{
    for (guint i = 0; i < bdms->len; i++) {
        BlockDeviceMapping *bdm = bdms->pdata[i];

        if (!bdm->volume_id)
            continue;
        volume_announce_detach(host, ctx, instance, bdm, "start");
        release_or_log(host, ctx, instance, bdm);
        volume_announce_detach(host, ctx, instance, bdm, "end");
        if (bdm->delete_on_termination)
            destroy_row(host, ctx, bdm);
        delete_or_log(host, ctx, bdm);
    }
}

/* ---- agreement with Cinder ---- */

/* Has Cinder forgotten the row's attachment? Not if it only does not answer. */
static bool
is_forgotten(Host *host, const RequestContext *ctx, const BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *connection = cinder_attachment_get(host->cinder, ctx, bdm->attachment_id, &error);

    return !connection && nova_error_is(error, NOVA_ERROR_VOLUME_ATTACHMENT_NOT_FOUND);
}

void
volumes_forget_detached(Host *host, const RequestContext *ctx, GPtrArray *bdms)
{
    for (guint row = bdms->len; row > 0; row--)
        if (is_attached(bdms->pdata[row - 1]) && is_forgotten(host, ctx, bdms->pdata[row - 1]))
            g_ptr_array_remove_index(bdms, row - 1);
}

void
volumes_forget_dangling(Host *host, const RequestContext *ctx, const Instance *instance, GPtrArray *bdms)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *attachments = cinder_attachments_of_instance(host->cinder, ctx, instance->uuid, &error);

    if (!attachments) {
        LOG_DEBUG("Not looking for stale volume attachments: %s", nova_error_details(error));
        return;
    }
    for (guint row = bdms->len; row > 0; row--) {
        BlockDeviceMapping *bdm = bdms->pdata[row - 1];

        if (!is_attached(bdm) || !is_forgotten(host, ctx, bdm))
            continue;
        LOG_INFO("Removing stale volume attachment '%s' from instance for volume '%s'.", bdm->attachment_id,
                 bdm->volume_id);
        destroy_row(host, ctx, bdm);
        g_ptr_array_remove_index(bdms, row - 1);
    }
    delete_strangers(host, ctx, attachments, bdms);
}
