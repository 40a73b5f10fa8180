/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of a Fibre Channel fabric (nova.virt.libvirt.volume.fibrechannel). A device belongs to a volume by its
 * remote port and LUN, never by its name; the path that the guest is given is udev's link, as Nova's. */
#define LOG_NAME "kilonova.storage.connector"

#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/connector_private.h"
#include "storage/fibre_channel.h"

#define POLL_MS 100
#define SCAN_MS 2000
#define LINK_MS 2000

/* ---- connecting ---- */

/* Looked for at once, then after each of [libvirt]num_volume_scan_tries scans. */
static GPtrArray *
wait_for_devices(const Connection *connection, const GPtrArray *targets, NovaError **err)
{
    const char *root = connection->connectors->root;
    int64_t tries = connection->connectors->options->libvirt.num_volume_scan_tries;

    for (int64_t until_scan_ms = 0;; until_scan_ms -= POLL_MS) {
        g_autoptr(GPtrArray) devices = fibre_channel_devices(root, targets);

        if (devices->len > 0)
            return g_steal_pointer(&devices);
        if (until_scan_ms <= 0) {
            if (tries-- <= 0)
                break;
            if (!fibre_channel_scan(root, connection->data, targets, err))
                return NULL;
            until_scan_ms = SCAN_MS;
        }
        g_usleep(POLL_MS * 1000);
    }
    nova_error_set(err, NOVA_ERROR_NO_FIBRE_CHANNEL_VOLUME_DEVICE_FOUND,
                   "Unable to find a Fibre Channel volume device.");
    return NULL;
}

/* NULL: udev makes none, and the device's own name must do. */
static char *
wait_for_link(const Connection *connection, const GPtrArray *targets, const char *device)
{
    const char *root = connection->connectors->root;
    char *link = fibre_channel_link(root, targets, device);

    for (int waited = 0; !link && waited < LINK_MS; waited += POLL_MS) {
        g_usleep(POLL_MS * 1000);
        link = fibre_channel_link(root, targets, device);
    }
    return link;
}

/* Of several paths Nova names udev's link to what multipathd makes of them. */
static void
name_multipath(Connection *connection)
{
    const char *identity = json_get_string(connection->data, "multipath_id", NULL);
    g_autofree char *link = g_strconcat("/dev/disk/by-id/dm-uuid-mpath-", identity, NULL);
    g_autofree char *full = g_strconcat(connection->connectors->root, link, NULL);

    if (identity && access(full, F_OK) == 0)
        json_object_set_new(connection->data, "device_path", json_string(link));
}

static void
drop(const Connection *connection, const GPtrArray *devices)
{
    g_autoptr(NovaError) error = NULL;

    if (!connector_remove_disks(connection, devices, &error))
        LOG_WARNING("Removing what cannot be used: %s", nova_error_details(error));
}

bool
connector_fibre_channel_connect(Connection *connection, NovaError **err)
{
    g_autoptr(GPtrArray) targets = fibre_channel_targets(connection->data, err);
    g_autoptr(GPtrArray) devices = NULL;
    g_autofree char *link = NULL;

    if (!targets || !connector_check_multipathd(connection, err))
        return false;
    devices = wait_for_devices(connection, targets, err);
    if (!devices)
        return false;
    if (!connector_wait_for_node(connection, devices->pdata[0], err)) {
        drop(connection, devices);
        return false;
    }
    link = wait_for_link(connection, targets, devices->pdata[0]);
    connector_set_disk(connection, devices, link);
    name_multipath(connection);
    return true;
}

/* ---- disconnecting, extending ---- */

bool
connector_fibre_channel_disconnect(Connection *connection, NovaError **err)
{
    g_autoptr(GPtrArray) targets = fibre_channel_targets(connection->data, err);
    g_autoptr(GPtrArray) devices = targets ? fibre_channel_devices(connection->connectors->root, targets) : NULL;

    return devices && connector_remove_disks(connection, devices, err);
}

bool
connector_fibre_channel_extend(Connection *connection, int64_t *size, NovaError **err)
{
    g_autoptr(GPtrArray) targets = fibre_channel_targets(connection->data, err);
    g_autoptr(GPtrArray) devices = targets ? fibre_channel_devices(connection->connectors->root, targets) : NULL;

    return devices && connector_rescan_disks(connection, devices, size, err);
}
