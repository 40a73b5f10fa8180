/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces of NVMe over fabrics (nova.virt.libvirt.volume.nvme). A subsystem may have several volumes: it is left
 * with the last one. */
#define LOG_NAME "kilonova.storage.connector"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/connector_private.h"
#include "storage/nvme.h"
#include "storage/scsi.h"

#define POLL_MS 100
#define TRY_MS 3000 /* 5 of [libvirt]num_nvme_discover_tries are as long as os-brick looks */
#define RECONNECT_MS 20000 /* a kernel tries each 10 s */
#define RESIZE_MS 5000
#define ATTEMPTS 3

/* ---- connecting ---- */

static bool
joins_paths(const Connection *connection)
{
    return connector_uses_multipath(connection) && nvme_joins_paths(connection->connectors->root);
}

static bool
is_in_state(const Connection *connection, const NvmePortal *portal, const char *wanted)
{
    g_autofree char *state = nvme_state(connection->connectors->root, portal);

    return g_strcmp0(state, wanted) == 0;
}

static bool
has_portal_in(const Connection *connection, const NvmeTarget *target, const char *state)
{
    for (guint i = 0; i < target->portals->len; i++)
        if (is_in_state(connection, target->portals->pdata[i], state))
            return true;
    return false;
}

/* What a subsystem that does not tell has got meanwhile. */
static void
rescan_live(const Connection *connection, const NvmeTarget *target)
{
    for (guint i = 0; i < target->portals->len; i++) {
        const NvmePortal *portal = target->portals->pdata[i];
        g_autoptr(NovaError) error = NULL;

        if (is_in_state(connection, portal, "live") && !nvme_rescan(portal, &error))
            LOG_WARNING("%s", nova_error_details(error));
    }
}

/* One portal is enough, unless all paths are wanted. */
static bool
connect_missing(const Connection *connection, const NvmeTarget *target)
{
    bool connected = false;

    for (guint i = 0; i < target->portals->len; i++) {
        const NvmePortal *portal = target->portals->pdata[i];
        g_autoptr(NovaError) error = NULL;

        if (portal->controller)
            continue;
        if (!nvme_connect(target, portal, &error)) {
            LOG_ERROR("Could not connect to %s:%s: %s", portal->address, portal->port, nova_error_details(error));
            continue;
        }
        connected = true;
        if (!joins_paths(connection))
            break;
    }
    return connected;
}

static bool
wait_for_reconnection(const Connection *connection, const NvmeTarget *target)
{
    for (int waited = 0; has_portal_in(connection, target, "connecting") && waited < RECONNECT_MS; waited += POLL_MS)
        g_usleep(POLL_MS * 1000);
    return has_portal_in(connection, target, "live");
}

static char *
wait_for_device(const Connection *connection, NvmeTarget *target)
{
    const char *root = connection->connectors->root;
    int64_t left_ms = connection->connectors->options->libvirt.num_nvme_discover_tries * TRY_MS;

    for (;; left_ms -= POLL_MS) {
        char *device;

        nvme_find_controllers(root, target);
        device = nvme_find_device(root, target);
        if (device || left_ms <= 0)
            return device;
        g_usleep(POLL_MS * 1000);
    }
}

static bool
try_to_connect(const Connection *connection, NvmeTarget *target)
{
    bool connected;

    nvme_find_controllers(connection->connectors->root, target);
    connected = has_portal_in(connection, target, "live");
    if (connected)
        rescan_live(connection, target);
    if (!connected || joins_paths(connection))
        connected |= connect_missing(connection, target);
    return connected || wait_for_reconnection(connection, target);
}

static bool
connect_portals(const Connection *connection, NvmeTarget *target)
{
    bool connected = try_to_connect(connection, target);

    for (int attempt = 1; !connected && attempt < ATTEMPTS; attempt++) {
        g_usleep((1 << attempt) * 1000 * 1000);
        connected = try_to_connect(connection, target);
    }
    return connected;
}

static GPtrArray *
controllers_of(const NvmeTarget *target)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < target->portals->len; i++) {
        const NvmePortal *portal = target->portals->pdata[i];

        if (portal->controller)
            g_ptr_array_add(names, g_strdup(portal->controller));
    }
    return names;
}

/* Nobody uses yet what was connected for this volume. */
static void
drop(const Connection *connection, NvmeTarget *target, const GPtrArray *before)
{
    nvme_find_controllers(connection->connectors->root, target);
    for (guint i = 0; i < target->portals->len; i++) {
        const NvmePortal *portal = target->portals->pdata[i];
        g_autoptr(NovaError) error = NULL;

        if (portal->controller &&
            !g_ptr_array_find_with_equal_func((GPtrArray *)before, portal->controller, g_str_equal, NULL) &&
            !nvme_disconnect(portal, &error))
            LOG_WARNING("Leaving %s: %s", target->nqn, nova_error_details(error));
    }
}

static bool
connect_target(Connection *connection, NvmeTarget *target, NovaError **err)
{
    g_autoptr(GPtrArray) before = NULL;
    g_autofree char *device = NULL, *path = NULL;

    nvme_find_controllers(connection->connectors->root, target);
    before = controllers_of(target);
    g_ptr_array_unref(target->before);
    target->before = nvme_namespaces(connection->connectors->root, target);
    if (connect_portals(connection, target))
        device = wait_for_device(connection, target);
    if (!device)
        nova_error_set(err, NOVA_ERROR_VOLUME_DEVICE_NOT_FOUND, "Volume device not found at %s.", target->nqn);
    if (!device || !connector_wait_for_node(connection, device, err)) {
        drop(connection, target, before);
        return false;
    }
    path = g_strconcat("/dev/", device, NULL);
    json_object_set_new(connection->data, "device_path", json_string(path));
    return true;
}

static bool
kernel_joins_paths(const Connection *connection)
{
    return nvme_joins_paths(connection->connectors->root);
}

bool
connector_nvmeof_connect(Connection *connection, NovaError **err)
{
    g_autoptr(NvmeTarget) target = nvme_target_new(connection->data, err);
    bool ok;

    if (!target || !connector_check_multipath(connection, kernel_joins_paths, err))
        return false;
    key_lock_take(connection->connectors->targets, target->nqn);
    ok = connect_target(connection, target, err);
    key_lock_release(connection->connectors->targets, target->nqn);
    return ok;
}

/* ---- disconnecting ---- */

/* Has the controller no other namespace? One may be another device by each way where the kernel does not join them. */
static bool
may_leave(const Connection *connection, const NvmeTarget *target, const NvmePortal *portal, const char *device)
{
    const char *root = connection->connectors->root;
    g_autoptr(GPtrArray) names = nvme_portal_namespaces(root, portal);
    g_autofree char *own = target->property ? nvme_portal_device(root, target, portal) : g_strdup(device);

    return names->len == 0 || (names->len == 1 && g_strcmp0(names->pdata[0], own) == 0);
}

/* 'device' is the volume's; NULL: it has none. */
static bool
disconnect_unused(const Connection *connection, const NvmeTarget *target, const char *device, NovaError **err)
{
    NovaError *error = NULL;

    for (guint i = 0; i < target->portals->len; i++) {
        const NvmePortal *portal = target->portals->pdata[i];

        if (portal->controller && may_leave(connection, target, portal, device) &&
            !connector_goes_on(connection, nvme_disconnect(portal, &error), &error, err))
            return false;
    }
    return true;
}

/* By what it is, or, when Cinder did not say that, by what connecting it found. */
static char *
device_of(const Connection *connection, const NvmeTarget *target)
{
    const char *path = json_get_string(connection->data, "device_path", "");
    char *device = target->property ? nvme_find_device(connection->connectors->root, target) : NULL;
    g_autoptr(GPtrArray) names = nvme_namespaces(connection->connectors->root, target);
    const char *name = g_str_has_prefix(path, "/dev/") ? path + strlen("/dev/") : "";

    if (device || target->property || !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
        return device;
    return g_strdup(name);
}

static bool
disconnect_target(const Connection *connection, NvmeTarget *target, NovaError **err)
{
    const char *root = connection->connectors->root;
    g_autofree char *device = NULL;
    NovaError *error = NULL;

    nvme_find_controllers(root, target);
    device = device_of(connection, target);
    if (device && !connector_goes_on(connection, scsi_flush(root, device, &error), &error, err))
        return false;
    return disconnect_unused(connection, target, device, err);
}

bool
connector_nvmeof_disconnect(Connection *connection, NovaError **err)
{
    g_autoptr(NvmeTarget) target = nvme_target_new(connection->data, err);
    bool ok;

    if (!target)
        return false;
    key_lock_take(connection->connectors->targets, target->nqn);
    ok = disconnect_target(connection, target, err);
    key_lock_release(connection->connectors->targets, target->nqn);
    return ok;
}

/* ---- extending ---- */

/* The kernel may have heard of it already, or hears of it now; what it says in the end counts. */
bool
connector_nvmeof_extend(Connection *connection, int64_t *size, NovaError **err)
{
    const char *root = connection->connectors->root;
    g_autoptr(NvmeTarget) target = nvme_target_new(connection->data, err);
    g_autofree char *device = NULL;
    const int64_t wanted = *size;

    if (!target)
        return false;
    nvme_find_controllers(root, target);
    device = device_of(connection, target);
    if (!device)
        return nova_error_set(err, NOVA_ERROR_VOLUME_DEVICE_NOT_FOUND, "Volume device not found at %s.", target->nqn);
    if (!scsi_size(root, device, size, err))
        return false;
    if (*size < wanted)
        rescan_live(connection, target);
    for (int waited = 0; *size < wanted && waited < RESIZE_MS; waited += POLL_MS) {
        g_usleep(POLL_MS * 1000);
        if (!scsi_size(root, device, size, err))
            return false;
    }
    return true;
}
