/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.volume"
#include "compute/volume.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_volumes.h"
#include "compute/guest.h"
#include "compute/volume_guest.h"
#include "compute/volume_secret.h"

/* ---- mappings ---- */

json_t *
volume_connection_info(const BlockDeviceMapping *bdm)
{
    const char *text = bdm->connection_info ? bdm->connection_info : "";
    json_t *info = json_parse(text, strlen(text), NULL);

    if (json_is_object(info))
        return info;
    json_decref(info);
    return json_object();
}

void
volume_set_connection_info(BlockDeviceMapping *bdm, const json_t *connection_info)
{
    g_autofree char *text = json_to_python_text(connection_info);

    OBJECT_SET_STRING(bdm, connection_info, text);
}

const char *
volume_id_of(const json_t *connection_info)
{
    const char *id = json_get_string(json_get_object(connection_info, "data"), "volume_id", "");

    return *id ? id : json_get_string(connection_info, "serial", NULL);
}

bool
volume_is_multiattach(const json_t *connection_info)
{
    return json_get_bool(connection_info, "multiattach", false);
}

/* ---- encryption ---- */

static bool
not_encryptable(const json_t *connection_info, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_VOLUME_ENCRYPTION_NOT_SUPPORTED,
                          "Volume encryption is not supported for %s volume %s",
                          json_get_string(connection_info, "driver_volume_type", "None"),
                          volume_id_of(connection_info));
}

/* LUKS version 1, in Cinder's words of now and before. */
static bool
is_luks(const json_t *encryption)
{
    static const char *const names[] = {
        "luks", "LuksEncryptor", "nova.volume.encryptors.luks.LuksEncryptor",
        "os_brick.encryptors.luks.LuksEncryptor", NULL};

    return g_strv_contains(names, json_get_string(encryption, "provider", ""));
}

/* QEMU decrypts with a secret of libvirt's. One that is there is kept: then the guest was only off. */
static bool
make_secret(Host *host, const RequestContext *ctx, const json_t *connection_info, NovaError **err)
{
    const char *id = volume_id_of(connection_info);
    g_autofree char *existing = NULL;
    g_autofree char *passphrase = NULL;
    json_auto_t *encryption = NULL;

    if (!json_get_bool(json_get_object(connection_info, "data"), "encrypted", false))
        return true;
    if (!id)
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'volume_id'");
    if (!volume_secret_find(host->hypervisor, id, &existing, err))
        return false;
    if (existing)
        return true;
    encryption = cinder_volume_encryption(host->cinder, ctx, id, err);
    if (!encryption)
        return false;
    if (!is_luks(encryption))
        return not_encryptable(connection_info, err);
    passphrase = key_manager_fetch_passphrase(host->key_manager, ctx,
                                              json_get_string(encryption, "encryption_key_id", NULL), err);
    return passphrase && volume_secret_create(host->hypervisor, id, passphrase, err);
}

static bool
drop_secret(Host *host, const json_t *connection_info, NovaError **err)
{
    const char *id = volume_id_of(connection_info);

    return !id || !json_get_bool(json_get_object(connection_info, "data"), "encrypted", false) ||
           volume_secret_delete(host->hypervisor, id, err);
}

/* ---- this host ---- */

bool
volume_connect(Host *host, const RequestContext *ctx, const Instance *instance,
               json_t *connection_info, NovaError **err)
{
    g_autoptr(NovaError) undo = NULL;

    if (!connectors_connect(host->connectors, connection_info, instance->uuid, err))
        return false;
    if (make_secret(host, ctx, connection_info, err))
        return true;
    if (!connectors_disconnect(host->connectors, connection_info, instance->uuid, false, &undo))
        LOG_WARNING("Disconnecting the volume again: %s", nova_error_details(undo));
    return false;
}

static void
remove_uuid(json_t *uuids, const char *uuid)
{
    for (size_t i = json_array_size(uuids); i-- > 0;)
        if (g_strcmp0(json_string_value(json_array_get(uuids, i)), uuid) == 0)
            json_array_remove(uuids, i);
}

/* LibvirtDriver._should_disconnect_target(), but the server itself does not count: Cinder does not list it
 * before its attachment is complete. */
static bool
is_last_here(Host *host, const RequestContext *ctx, const Instance *instance, const json_t *connection_info,
             bool *ret_last, NovaError **err)
{
    g_autoptr(CinderVolume) volume = NULL;
    json_auto_t *uuids = NULL;

    *ret_last = true;
    if (!volume_is_multiattach(connection_info) || connectors_counts_users(connection_info))
        return true;
    volume = cinder_volume_get(host->cinder, ctx, volume_id_of(connection_info), err);
    uuids = volume ? conductor_uuids_on_host(host->conductor, ctx, host->name, err) : NULL;
    if (!uuids)
        return false;
    remove_uuid(uuids, instance->uuid);
    *ret_last = cinder_volume_count_servers(volume, uuids) == 0;
    return true;
}

bool
volume_disconnect(Host *host, const RequestContext *ctx, const Instance *instance,
                  const json_t *connection_info, const VolumeDisconnect *how, NovaError **err)
{
    static const VolumeDisconnect gently = {0};
    bool is_last;

    if (!how)
        how = &gently;
    if ((!how->keeps_secret && !drop_secret(host, connection_info, err)) ||
        !is_last_here(host, ctx, instance, connection_info, &is_last, err))
        return false;
    if (is_last)
        return connectors_disconnect(host->connectors, connection_info, instance->uuid, how->force, err);
    LOG_INFO("Detected multiple connections on this host for volume: %s, skipping target disconnect.",
             volume_id_of(connection_info));
    return true;
}

/* ---- attaching ---- */

static bool
check_zone(const Host *host, const Instance *instance, const CinderVolume *volume, NovaError **err)
{
    if (host->options->cinder.cross_az_attach ||
        g_strcmp0(instance->availability_zone, volume->availability_zone) == 0)
        return true;
    return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME,
                          "Invalid volume: Instance %s and volume %s are not in the same "
                          "availability_zone. Instance is in %s. Volume is in %s",
                          instance->uuid, volume->id,
                          instance->availability_zone ? instance->availability_zone : "None",
                          volume->availability_zone ? volume->availability_zone : "None");
}

/* What Cinder does not know of a connection, and Nova keeps in it. */
static void
complete_connection(json_t *info, const BlockDeviceMapping *bdm, bool multiattach)
{
    json_auto_t *old = volume_connection_info(bdm);
    json_t *multipath = json_object_get(json_get_object(old, "data"), "multipath_id");

    if (!json_object_get(info, "serial"))
        json_object_set_new(info, "serial", json_string(bdm->volume_id));
    if (multipath)
        json_object_set(json_get_object(info, "data"), "multipath_id", multipath);
    if (multiattach)
        json_object_set_new(info, "multiattach", json_true());
}

static json_t *
export_to_host(Host *host, const RequestContext *ctx, const BlockDeviceMapping *bdm, NovaError **err)
{
    json_auto_t *connector = connectors_host(host->connectors);

    return cinder_attachment_update(host->cinder, ctx, bdm->attachment_id, connector, bdm->device_name, err);
}

static bool
save_mapping(Host *host, const RequestContext *ctx, BlockDeviceMapping *bdm, const json_t *info,
             const CinderVolume *volume, NovaError **err)
{
    volume_set_connection_info(bdm, info);
    if (!OBJECT_IS_SET(bdm, volume_size) || bdm->volume_size.is_null)
        OBJECT_SET_INT(bdm, volume_size, volume->size_gib);
    return conductor_bdm_save(host->conductor, ctx, bdm, err);
}

/* An attach on its way. */
typedef struct Attach {
    Host *host;
    const RequestContext *ctx;
    Instance *instance;
    BlockDeviceMapping *bdm;
    VolumeAttach how;
} Attach;

/* Cinder knows what a process before us had exported: what the mapping says may be over. */
static json_t *
connection_of(const Attach *attach, const CinderVolume *volume, NovaError **err)
{
    Host *host = attach->host;
    const BlockDeviceMapping *bdm = attach->bdm;
    bool again = attach->how.again;
    json_t *info = again ? cinder_attachment_get(host->cinder, attach->ctx, bdm->attachment_id, err) : NULL;

    if (again && !info)
        return NULL;
    if (json_object_size(info) == 0) {
        json_decref(info);
        info = export_to_host(host, attach->ctx, bdm, err);
    }
    if (info)
        complete_connection(info, bdm, volume->is_multiattach);
    return info;
}

static bool
give_to_guest(const Attach *attach, json_t *info, NovaError **err)
{
    if (attach->how.again) /* whatever fails, the guest may have this */
        volume_set_connection_info(attach->bdm, info);
    return !attach->how.to_guest || volume_guest_attach(attach->host, attach->ctx, attach->instance, attach->bdm,
                                                        info, attach->how.again, err);
}

/* The connection has to be in the database before Cinder calls the volume in use: it is what a detach
 * works from. */
static bool
attach_exported(const Attach *attach, const CinderVolume *volume, NovaError **err)
{
    Host *host = attach->host;
    BlockDeviceMapping *bdm = attach->bdm;
    json_auto_t *info = connection_of(attach, volume, err);
    g_autoptr(NovaError) undo = NULL;

    if (!info || !give_to_guest(attach, info, err))
        return false;
    if (save_mapping(host, attach->ctx, bdm, info, volume, err) &&
        cinder_attachment_complete(host->cinder, attach->ctx, bdm->attachment_id, err))
        return true;
    if (attach->how.to_guest &&
        !volume_guest_detach(host, attach->ctx, attach->instance, bdm, info, &undo))
        LOG_WARNING("Driver failed to detach volume %s at %s: %s", bdm->volume_id, bdm->device_name,
                    nova_error_details(undo));
    return false;
}

bool
volume_attach(Host *host, const RequestContext *ctx, Instance *instance, BlockDeviceMapping *bdm,
              const VolumeAttach *how, NovaError **err)
{
    const Attach attach = {host, ctx, instance, bdm, *how};
    g_autoptr(CinderVolume) volume = NULL;
    bool ok;

    if (!bdm->attachment_id || !bdm->volume_id)
        return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME,
                              "Invalid volume: its mapping has no attachment");
    volume = cinder_volume_get(host->cinder, ctx, bdm->volume_id, err);
    if (!volume || (!how->moves && !check_zone(host, instance, volume, err)))
        return false;
    connectors_lock(host->connectors, volume);
    ok = attach_exported(&attach, volume, err);
    connectors_unlock(host->connectors, volume);
    return ok;
}

/* ---- detaching ---- */

bool
volume_driver_detach(Host *host, const RequestContext *ctx, const Instance *instance,
                     const BlockDeviceMapping *bdm, NovaError **err)
{
    json_auto_t *info = volume_connection_info(bdm);
    g_autoptr(NovaError) error = NULL, undo = NULL;

    LOG_INFO("Attempting to driver detach volume %s from mountpoint %s", bdm->volume_id, bdm->device_name);
    if (volume_guest_detach(host, ctx, instance, bdm, info, &error))
        return true;
    if (nova_error_is(error, NOVA_ERROR_DISK_NOT_FOUND)) {
        LOG_WARNING("Ignoring DiskNotFound exception while detaching volume %s from %s : %s",
                    bdm->volume_id, bdm->device_name, nova_error_message(error));
        return true;
    }
    if (nova_error_is(error, NOVA_ERROR_DEVICE_DETACH_FAILED))
        LOG_WARNING("Guest refused to detach volume %s", bdm->volume_id);
    if (!cinder_roll_detaching(host->cinder, ctx, bdm->volume_id, &undo))
        LOG_WARNING("Volume %s stays detaching: %s", bdm->volume_id, nova_error_details(undo));
    return nova_error_propagate(err, g_steal_pointer(&error));
}

bool
volume_release(Host *host, const RequestContext *ctx, const Instance *instance,
               const BlockDeviceMapping *bdm, NovaError **err)
{
    json_auto_t *connector = NULL;

    if (bdm->attachment_id)
        return cinder_attachment_delete(host->cinder, ctx, bdm->attachment_id, err);
    connector = connectors_host(host->connectors);
    return cinder_terminate_connection(host->cinder, ctx, bdm->volume_id, connector, err) &&
           cinder_detach(host->cinder, ctx, bdm->volume_id, instance->uuid, err);
}

bool
volume_detach(Host *host, const RequestContext *ctx, const Instance *instance,
              const BlockDeviceMapping *bdm, NovaError **err)
{
    g_autoptr(CinderVolume) volume = cinder_volume_get(host->cinder, ctx, bdm->volume_id, err);
    bool is_here = g_strcmp0(instance->host, host->name) == 0;
    bool ok;

    if (!volume)
        return false;
    if (!is_here)
        LOG_ERROR("Unable to call for a driver detach of volume %s due to the instance being registered "
                  "to the remote host %s.", bdm->volume_id, instance->host ? instance->host : "None");
    connectors_lock(host->connectors, volume);
    ok = (!is_here || volume_driver_detach(host, ctx, instance, bdm, err)) &&
         volume_release(host, ctx, instance, bdm, err);
    connectors_unlock(host->connectors, volume);
    return ok;
}

/* ---- refreshing ---- */

bool
volume_is_exported(Host *host, const RequestContext *ctx, const BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *info =
        bdm->attachment_id ? cinder_attachment_get(host->cinder, ctx, bdm->attachment_id, &error) : NULL;

    return info ? json_object_size(info) > 0 : !nova_error_is(error, NOVA_ERROR_VOLUME_ATTACHMENT_NOT_FOUND);
}

bool
volume_refresh(Host *host, const RequestContext *ctx, BlockDeviceMapping *bdm, NovaError **err)
{
    json_auto_t *old = volume_connection_info(bdm);
    json_auto_t *connector = NULL, *info = NULL;

    if (json_object_size(old) == 0)
        return true;
    if (bdm->attachment_id) {
        info = cinder_attachment_get(host->cinder, ctx, bdm->attachment_id, err);
    } else {
        connector = connectors_host(host->connectors);
        info = cinder_initialize_connection(host->cinder, ctx, bdm->volume_id, connector, err);
    }
    if (!info || json_object_size(info) == 0)
        return info != NULL;
    complete_connection(info, bdm, volume_is_multiattach(old));
    volume_set_connection_info(bdm, info);
    return conductor_bdm_save(host->conductor, ctx, bdm, err);
}
