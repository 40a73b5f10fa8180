/* SPDX-License-Identifier: Apache-2.0 */
/* What the connectors of SCSI disks share: once the kernel has a disk, it does not matter how it came. */
#define LOG_NAME "kilonova.storage.connector"

#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/connector_private.h"
#include "storage/multipath.h"
#include "storage/scsi.h"

#define POLL_MS 100
#define NODE_MS 10000

/* ---- connecting ---- */

bool
connector_uses_multipath(const Connection *connection)
{
    return connection->connectors->options->libvirt.volume_use_multipath;
}

bool
connector_check_multipath(const Connection *connection, bool (*is_supported)(const Connection *connection),
                          NovaError **err)
{
    if (!connector_uses_multipath(connection) || is_supported(connection))
        return true;
    if (json_get_bool(connection->data, "enforce_multipath", false))
        return nova_error_set(err, NOVA_ERROR_BRICK_EXCEPTION,
                              "Multipathing is enforced but the host doesn't support multipathing.");
    LOG_WARNING("Multipathing is requested but the host doesn't support multipathing.");
    return true;
}

static bool
has_multipathd(const Connection *connection G_GNUC_UNUSED)
{
    return multipath_is_running();
}

bool
connector_check_multipathd(const Connection *connection, NovaError **err)
{
    return connector_check_multipath(connection, has_multipathd, err);
}

bool
connector_wait_for_node(const Connection *connection, const char *device, NovaError **err)
{
    g_autofree char *node = g_strconcat(connection->connectors->root, "/dev/", device, NULL);

    for (int waited = 0; waited < NODE_MS; waited += POLL_MS) {
        if (access(node, F_OK) == 0)
            return true;
        g_usleep(POLL_MS * 1000);
    }
    return nova_error_set(err, NOVA_ERROR_VOLUME_DEVICE_NOT_FOUND, "Volume device not found at /dev/%s.", device);
}

void
connector_set_disk(Connection *connection, const GPtrArray *devices, const char *path)
{
    const char *root = connection->connectors->root;
    g_autofree char *dm = connector_uses_multipath(connection) ? multipath_wait(root, devices) : NULL;
    g_autofree char *identity = dm ? multipath_identity(root, dm) : NULL;
    g_autofree char *plain = g_strconcat("/dev/", dm ? dm : devices->pdata[0], NULL);

    if (connector_uses_multipath(connection) && !dm)
        LOG_WARNING("No dm was created, connection to volume is probably bad and will perform poorly.");
    json_object_set_new(connection->data, "device_path", json_string(path && !dm ? path : plain));
    if (identity)
        json_object_set_new(connection->data, "multipath_id", json_string(identity));
}

/* ---- disconnecting ---- */

bool
connector_goes_on(const Connection *connection, bool ok, NovaError **error, NovaError **err)
{
    if (ok)
        return true;
    if (!connection->force)
        return nova_error_propagate(err, g_steal_pointer(error));
    LOG_WARNING("Going on: %s", nova_error_details(*error));
    g_clear_pointer(error, nova_error_free);
    return true;
}

/* Is "device_path", which may be a link, this device? */
static bool
is_used(const Connection *connection, const char *device)
{
    const char *used = json_get_string(connection->data, "device_path", "");
    g_autofree char *path = g_strconcat(connection->connectors->root, used, NULL);

    return scsi_leads_to(path, device);
}

/* Only the path that the guest wrote to has anything to flush. */
static bool
flush(const Connection *connection, const GPtrArray *devices, NovaError **err)
{
    const char *root = connection->connectors->root;
    g_autofree char *dm = multipath_find(root, devices);

    if (dm)
        return multipath_flush(root, dm, err);
    for (guint i = 0; i < devices->len; i++)
        if (is_used(connection, devices->pdata[i]) && !scsi_flush(root, devices->pdata[i], err))
            return false;
    return true;
}

bool
connector_remove_disks(const Connection *connection, const GPtrArray *devices, NovaError **err)
{
    const char *root = connection->connectors->root;
    NovaError *error = NULL;

    if (!connector_goes_on(connection, flush(connection, devices, &error), &error, err))
        return false;
    for (guint i = 0; i < devices->len; i++)
        if (!connector_goes_on(connection, scsi_remove(root, devices->pdata[i], &error), &error, err))
            return false;
    return true;
}

/* ---- extending ---- */

bool
connector_rescan_disks(const Connection *connection, const GPtrArray *devices, int64_t *size, NovaError **err)
{
    const char *root = connection->connectors->root;
    g_autofree char *dm = multipath_find(root, devices);

    if (devices->len == 0)
        return nova_error_set(err, NOVA_ERROR_VOLUME_PATHS_NOT_FOUND, "Could not find any paths for the volume.");
    for (guint i = 0; i < devices->len; i++)
        if (!scsi_rescan(root, devices->pdata[i], size, err))
            return false;
    return !dm || multipath_resize(root, dm, size, err);
}
