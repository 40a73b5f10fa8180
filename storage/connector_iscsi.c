/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of iSCSI targets, over one path or, with [libvirt]volume_use_multipath, over all that Cinder names.
 * A device belongs to a volume by its session and LUN, never by its name: nothing else is ever removed. */
#define LOG_NAME "kilonova.storage.connector"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/connector_private.h"
#include "storage/iscsi.h"
#include "storage/scsi.h"

#define POLL_MS 100

/* ---- one at a time for each target ---- */

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the targets in an order of their own, so that two volumes never wait for each other. */
static GPtrArray *
lock_targets(const Connection *connection, const GPtrArray *targets)
{
    GPtrArray *names = g_ptr_array_new();

    for (guint i = 0; i < targets->len; i++) {
        char *iqn = ((const IscsiTarget *)targets->pdata[i])->iqn;

        if (!g_ptr_array_find_with_equal_func(names, iqn, g_str_equal, NULL))
            g_ptr_array_add(names, iqn);
    }
    g_ptr_array_sort(names, compare_texts);
    for (guint i = 0; i < names->len; i++)
        key_lock_take(connection->connectors->targets, names->pdata[i]);
    return names;
}

static void
unlock_targets(const Connection *connection, GPtrArray *names)
{
    for (guint i = 0; i < names->len; i++)
        key_lock_release(connection->connectors->targets, names->pdata[i]);
    g_ptr_array_unref(names);
}

/* ---- connecting ---- */

/* Asked for at once, then after 4, 9, 16 ... more seconds, [libvirt]num_volume_scan_tries times. Caller
 * frees. */
static char *
wait_for_device(const Connection *connection, const char *session, const IscsiTarget *target, NovaError **err)
{
    const char *root = connection->connectors->root;
    int64_t tries = connection->connectors->options->libvirt.num_volume_scan_tries;
    int64_t until_scan_ms = 0;

    for (int64_t scans = -1; scans <= tries; until_scan_ms -= POLL_MS) {
        char *device;

        if (until_scan_ms <= 0) {
            scans++;
            if (!scsi_scan(root, session, target->lun, err))
                return NULL;
            until_scan_ms = (scans + 2) * (scans + 2) * 1000;
        }
        device = scsi_find_device(root, session, target->lun);
        if (device)
            return device;
        g_usleep(POLL_MS * 1000);
    }
    nova_error_set(err, NOVA_ERROR_VOLUME_DEVICE_NOT_FOUND,
                   "Volume device not found at LUN %" G_GINT64_FORMAT " of %s.", target->lun, target->portal);
    return NULL;
}

static char *
connect_path(const Connection *connection, const IscsiTarget *target, NovaError **err)
{
    const char *interface = connection->connectors->options->libvirt.iscsi_iface;
    g_autofree char *session = iscsi_login(target, connection->data, interface ? interface : "default", err);
    g_autofree char *device = session ? wait_for_device(connection, session, target, err) : NULL;

    return device && connector_wait_for_node(connection, device, err) ? g_steal_pointer(&device) : NULL;
}

static bool disconnect_paths(const Connection *connection, const GPtrArray *targets, NovaError **err);

static void
drop_path(const Connection *connection, IscsiTarget *target)
{
    g_autoptr(GPtrArray) one = g_ptr_array_new();
    g_autoptr(NovaError) error = NULL;

    g_ptr_array_add(one, target);
    if (!disconnect_paths(connection, one, &error))
        LOG_WARNING("Leaving %s: %s", target->portal, nova_error_details(error));
}

/* The devices of the paths that work, at least one; owning array of char *. */
static GPtrArray *
connect_paths(const Connection *connection, const GPtrArray *targets, NovaError **err)
{
    GPtrArray *devices = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(NovaError) error = NULL;

    for (guint i = 0; i < targets->len && (devices->len == 0 || connector_uses_multipath(connection)); i++) {
        char *device;

        g_clear_pointer(&error, nova_error_free);
        device = connect_path(connection, targets->pdata[i], &error);
        if (device) {
            g_ptr_array_add(devices, device);
            continue;
        }
        LOG_WARNING("Failed to connect to iSCSI portal %s: %s", ((IscsiTarget *)targets->pdata[i])->portal,
                    nova_error_details(error));
        drop_path(connection, targets->pdata[i]);
    }
    if (devices->len > 0)
        return devices;
    g_ptr_array_unref(devices);
    nova_error_propagate(err, g_steal_pointer(&error));
    return NULL;
}

bool
connector_iscsi_connect(Connection *connection, NovaError **err)
{
    g_autoptr(GPtrArray) targets = iscsi_targets(connection->data, err);
    g_autoptr(GPtrArray) devices = NULL;
    GPtrArray *locked;

    if (!targets || !connector_check_multipathd(connection, err))
        return false;
    locked = lock_targets(connection, targets);
    devices = connect_paths(connection, targets, err);
    if (devices)
        connector_set_disk(connection, devices, NULL);
    unlock_targets(connection, locked);
    return devices != NULL;
}

/* ---- disconnecting ---- */

/* Of each target the device of this volume, or nothing. */
static bool
find_devices(const Connection *connection, const GPtrArray *targets, GPtrArray *devices, NovaError **err)
{
    for (guint i = 0; i < targets->len; i++) {
        const IscsiTarget *target = targets->pdata[i];
        g_autofree char *session = NULL;
        char *device;

        if (!iscsi_session(target, &session, err))
            return false;
        device = session ? scsi_find_device(connection->connectors->root, session, target->lun) : NULL;
        if (device)
            g_ptr_array_add(devices, device);
    }
    return true;
}

/* A session with disks of other volumes stays. */
static bool
leave_target(const Connection *connection, const IscsiTarget *target, NovaError **err)
{
    g_autofree char *session = NULL;

    if (!iscsi_session(target, &session, err))
        return false;
    return (session && scsi_has_others(connection->connectors->root, session, target->lun)) ||
           iscsi_logout(target, err);
}

static bool
disconnect_paths(const Connection *connection, const GPtrArray *targets, NovaError **err)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new_with_free_func(g_free);
    NovaError *error = NULL;

    if (!find_devices(connection, targets, devices, err) || !connector_remove_disks(connection, devices, err))
        return false;
    for (guint i = 0; i < targets->len; i++)
        if (!connector_goes_on(connection, leave_target(connection, targets->pdata[i], &error), &error, err))
            return false;
    return true;
}

bool
connector_iscsi_disconnect(Connection *connection, NovaError **err)
{
    g_autoptr(GPtrArray) targets = iscsi_targets(connection->data, err);
    GPtrArray *locked;
    bool ok;

    if (!targets)
        return false;
    locked = lock_targets(connection, targets);
    ok = disconnect_paths(connection, targets, err);
    unlock_targets(connection, locked);
    return ok;
}

/* ---- extending ---- */

bool
connector_iscsi_extend(Connection *connection, int64_t *size, NovaError **err)
{
    g_autoptr(GPtrArray) targets = iscsi_targets(connection->data, err);
    g_autoptr(GPtrArray) devices = g_ptr_array_new_with_free_func(g_free);

    return targets && find_devices(connection, targets, devices, err) &&
           connector_rescan_disks(connection, devices, size, err);
}
