/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.connector"
#include "storage/connector.h"

#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/connector_private.h"
#include "storage/host_connector.h"

/* What is NULL is nothing to do. 'extend' gets the wanted size. */
typedef struct ConnectorDriver {
    const char *type;
    bool (*connect)(Connection *connection, NovaError **err);
    bool (*disconnect)(Connection *connection, NovaError **err);
    bool (*extend)(Connection *connection, int64_t *size, NovaError **err);
    bool counts_users;
    const char *missing; /* Nova's class of a driver that this release does not have */
} ConnectorDriver;

#define NOVA_VOLUMES "nova.virt.libvirt.volume."

/* QEMU itself, or its user on the network, grows with the volume. */
static bool
extends_by_itself(Connection *connection, int64_t *size, NovaError **err)
{
    (void)connection;
    (void)size;
    (void)err;
    return true;
}

/* clang-format off */
static const ConnectorDriver drivers[] = {
    {"rbd",           NULL, NULL, extends_by_itself, false, NULL},
    {"local",         NULL, NULL, NULL, false, NULL},
    {"fake",          NULL, NULL, NULL, false, NULL},
    {"gpfs",          NULL, NULL, NULL, false, NULL},
    {"nfs",           connector_nfs_connect, connector_nfs_disconnect, extends_by_itself, true, NULL},
    {"iscsi",         connector_iscsi_connect, connector_iscsi_disconnect, connector_iscsi_extend, false, NULL},
    {"iser",          NULL, NULL, NULL, false, NOVA_VOLUMES "iser.LibvirtISERVolumeDriver"},
    {"smbfs",         NULL, NULL, NULL, false, NOVA_VOLUMES "smbfs.LibvirtSMBFSVolumeDriver"},
    {"fibre_channel", connector_fibre_channel_connect, connector_fibre_channel_disconnect, connector_fibre_channel_extend, false, NULL},
    {"quobyte",       NULL, NULL, NULL, false, NOVA_VOLUMES "quobyte.LibvirtQuobyteVolumeDriver"},
    {"scaleio",       NULL, NULL, NULL, false, NOVA_VOLUMES "scaleio.LibvirtScaleIOVolumeDriver"},
    {"vzstorage",     NULL, NULL, NULL, false, NOVA_VOLUMES "vzstorage.LibvirtVZStorageVolumeDriver"},
    {"storpool",      NULL, NULL, NULL, false, NOVA_VOLUMES "storpool.LibvirtStorPoolVolumeDriver"},
    {"nvmeof",        connector_nvmeof_connect, connector_nvmeof_disconnect, connector_nvmeof_extend, false, NULL},
    {"lightos",       NULL, NULL, NULL, false, NOVA_VOLUMES "lightos.LibvirtLightOSVolumeDriver"},
};
/* clang-format on */

Connectors *
connectors_new(const Options *options, const char *root)
{
    Connectors *connectors = g_new0(Connectors, 1);

    connectors->options = options;
    connectors->root = g_strdup(root);
    connectors->mounts = mounts_new();
    connectors->guards = key_lock_new();
    connectors->volumes = key_lock_new();
    connectors->targets = key_lock_new();
    return connectors;
}

void
connectors_free(Connectors *connectors)
{
    if (!connectors)
        return;
    mounts_free(connectors->mounts);
    key_lock_free(connectors->guards);
    key_lock_free(connectors->volumes);
    key_lock_free(connectors->targets);
    g_free(connectors->root);
    g_free(connectors);
}

json_t *
connectors_host(const Connectors *connectors)
{
    return host_connector_make(connectors->options, connectors->root);
}

void
connectors_note_file(Connectors *connectors, const char *path, const char *instance_uuid)
{
    mounts_note_file(connectors->mounts, path, instance_uuid);
}

/* ---- the driver of a connection ---- */

static const ConnectorDriver *
find_driver(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++)
        if (strcmp(drivers[i].type, type) == 0)
            return &drivers[i];
    return NULL;
}

static const ConnectorDriver *
lookup_driver(const json_t *connection_info, NovaError **err)
{
    const char *type = json_get_string(connection_info, "driver_volume_type", "None");
    const ConnectorDriver *driver = find_driver(type);
    NovaError *error = NULL;

    if (driver && !driver->missing)
        return driver;
    if (driver) {
        nova_error_set(&error, NOVA_ERROR_VOLUME_DRIVER_NOT_SUPPORTED,
                       "The %s volume driver is not supported on this platform.", driver->missing);
        nova_error_set_kwarg(error, "volume_driver", driver->missing);
    } else {
        nova_error_set(&error, NOVA_ERROR_VOLUME_DRIVER_NOT_FOUND, "Could not find a handler for %s volume.",
                       type);
        nova_error_set_kwarg(error, "driver_type", type);
    }
    nova_error_propagate(err, error);
    return NULL;
}

static bool
fill_connection(Connection *connection, Connectors *connectors, const json_t *connection_info,
                NovaError **err)
{
    connection->connectors = connectors;
    connection->data = json_get_object(connection_info, "data");
    return connection->data || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'data'");
}

bool
connection_need(const Connection *connection, const char *key, const char **ret_text, NovaError **err)
{
    *ret_text = json_get_string(connection->data, key, NULL);
    return *ret_text || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

bool
connectors_connect(Connectors *connectors, json_t *connection_info, const char *instance_uuid,
                   NovaError **err)
{
    const ConnectorDriver *driver = lookup_driver(connection_info, err);
    Connection connection = {.instance_uuid = instance_uuid};

    if (!driver || !fill_connection(&connection, connectors, connection_info, err))
        return false;
    FAIL_POINT("volume.connect:before", driver->type);
    if (driver->connect && !driver->connect(&connection, err))
        return nova_error_prefix(err, "connecting a volume of %s", driver->type);
    FAIL_POINT("volume.connect:after", driver->type);
    return true;
}

bool
connectors_disconnect(Connectors *connectors, const json_t *connection_info, const char *instance_uuid,
                      bool force, NovaError **err)
{
    const ConnectorDriver *driver = lookup_driver(connection_info, err);
    Connection connection = {.instance_uuid = instance_uuid, .force = force};

    if (!driver || !fill_connection(&connection, connectors, connection_info, err))
        return false;
    FAIL_POINT("volume.disconnect:before", driver->type);
    if (driver->disconnect && !driver->disconnect(&connection, err))
        return nova_error_prefix(err, "disconnecting a volume of %s", driver->type);
    FAIL_POINT("volume.disconnect:after", driver->type);
    return true;
}

bool
connectors_extend(Connectors *connectors, const json_t *connection_info, int64_t requested_size,
                  int64_t *ret_size, NovaError **err)
{
    const ConnectorDriver *driver = lookup_driver(connection_info, err);
    Connection connection = {0};
    int64_t size = requested_size;

    if (!driver || !fill_connection(&connection, connectors, connection_info, err))
        return false;
    if (!driver->extend)
        return nova_error_set(err, NOVA_ERROR_EXTEND_VOLUME_NOT_SUPPORTED,
                              "Volume size extension is not supported by the hypervisor.");
    if (!driver->extend(&connection, &size, err))
        return false;
    *ret_size = size;
    return true;
}

bool
connectors_counts_users(const json_t *connection_info)
{
    const ConnectorDriver *driver =
        find_driver(json_get_string(connection_info, "driver_volume_type", ""));

    return driver && driver->counts_users;
}

/* ---- guards ---- */

/* TARGETS_SHARED is about initiators that cannot scan for one device alone, which open-iscsi has done
 * since 2.0.874 (2016). */
static bool
is_guarded(const CinderVolume *volume)
{
    return volume->shared_targets == TARGETS_ALWAYS_LOCKED && volume->service_uuid;
}

void
connectors_lock_volume(Connectors *connectors, const char *volume_id)
{
    key_lock_take(connectors->volumes, volume_id);
}

void
connectors_unlock_volume(Connectors *connectors, const char *volume_id)
{
    key_lock_release(connectors->volumes, volume_id);
}

void
connectors_lock(Connectors *connectors, const CinderVolume *volume)
{
    if (is_guarded(volume))
        key_lock_take(connectors->guards, volume->service_uuid);
    if (volume->is_multiattach)
        connectors_lock_volume(connectors, volume->id);
}

void
connectors_unlock(Connectors *connectors, const CinderVolume *volume)
{
    if (volume->is_multiattach)
        connectors_unlock_volume(connectors, volume->id);
    if (is_guarded(volume))
        key_lock_release(connectors->guards, volume->service_uuid);
}
