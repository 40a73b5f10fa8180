/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/nvme.h"

#include <errno.h>
#include <string.h>

#include "agent/base/command.h"
#include "agent/base/fail_point.h"
#include "agent/base/python_text.h"
#include "storage/scsi.h"

#define CONTROLLERS "/sys/class/nvme-fabrics/ctl"
#define ALREADY_CONNECTED 70 /* exit code of some releases of nvme */

/* ---- targets ---- */

static void
free_portal(void *item)
{
    NvmePortal *portal = item;

    g_free(portal->address);
    g_free(portal->port);
    g_free(portal->controller);
    g_free(portal);
}

void
nvme_target_free(NvmeTarget *target)
{
    if (!target)
        return;
    g_free(target->nqn);
    g_free(target->host_nqn);
    g_free(target->value);
    g_ptr_array_unref(target->portals);
    g_ptr_array_unref(target->before);
    g_free(target);
}

/* A number or a text; NULL for anything else, and for an empty one. */
static char *
plain_text(const json_t *value)
{
    if (json_is_integer(value))
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return json_is_string(value) && *json_string_value(value) ? g_strdup(json_string_value(value)) : NULL;
}

static bool
add_portal(NvmeTarget *target, const json_t *address, const json_t *port, const json_t *transport, NovaError **err)
{
    NvmePortal *portal = g_new0(NvmePortal, 1);
    const char *name = json_is_string(transport) ? json_string_value(transport) : "";

    portal->address = plain_text(address);
    portal->port = plain_text(port);
    portal->transport = strcmp(name, "RoCEv2") == 0 || strcmp(name, "rdma") == 0 ? "rdma" : "tcp";
    g_ptr_array_add(target->portals, portal);
    return (portal->address && portal->port) ||
           nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'target_portal' or 'target_port'");
}

static bool
read_portals(NvmeTarget *target, const json_t *data, NovaError **err)
{
    const json_t *portals = json_object_get(data, "portals");
    size_t i;
    const json_t *portal;

    if (!json_object_get(data, "target_nqn"))
        return add_portal(target, json_object_get(data, "target_portal"), json_object_get(data, "target_port"),
                          json_object_get(data, "transport_type"), err);
    json_array_foreach (portals, i, portal)
        if (!add_portal(target, json_array_get(portal, 0), json_array_get(portal, 1), json_array_get(portal, 2), err))
            return false;
    return target->portals->len > 0 || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'portals'");
}

/* The surest one counts: a UUID is one of all, a namespace's number is of its subsystem. */
static bool
read_property(NvmeTarget *target, const json_t *data, NovaError **err)
{
    static const struct {
        const char *key, *property;
        bool is_uuid;
    } properties[] = {{"vol_uuid", "uuid", true}, {"volume_nguid", "nguid", true}, {"ns_id", "nsid", false}};

    for (size_t i = 0; i < G_N_ELEMENTS(properties) && !target->property; i++) {
        g_autofree char *text = plain_text(json_object_get(data, properties[i].key));

        if (!text)
            continue;
        target->property = properties[i].property;
        target->value = properties[i].is_uuid ? python_uuid(text, err) : g_steal_pointer(&text);
        if (!target->value)
            return false;
    }
    return true;
}

NvmeTarget *
nvme_target_new(const json_t *data, NovaError **err)
{
    g_autoptr(NvmeTarget) target = g_new0(NvmeTarget, 1);

    target->portals = g_ptr_array_new_with_free_func(free_portal);
    target->before = g_ptr_array_new_with_free_func(g_free);
    target->nqn = plain_text(json_object_get(data, "target_nqn"));
    if (!target->nqn)
        target->nqn = plain_text(json_object_get(data, "nqn"));
    target->host_nqn = plain_text(json_object_get(data, "host_nqn"));
    if (json_object_get(data, "volume_replicas")) {
        nova_error_set(err, NOVA_ERROR_VOLUME_DRIVER_NOT_SUPPORTED,
                       "The volume has replicas, which are not joined here.");
        return NULL;
    }
    if (!target->nqn) {
        nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'nqn'");
        return NULL;
    }
    if (!read_portals(target, data, err) || !read_property(target, data, err))
        return NULL;
    return g_steal_pointer(&target);
}

/* ---- /sys ---- */

/* NULL: there is no such file. Caller frees. */
static char *
read_property_of(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? g_strstrip(text) : NULL;
}

static char *
controller_folder(const char *root, const NvmePortal *portal)
{
    return g_strdup_printf("%s" CONTROLLERS "/%s", root, portal->controller);
}

/* Of "traddr=192.0.2.1,trsvcid=4420,src_addr=192.0.2.7". */
static bool
is_address_of(const char *address, const NvmePortal *portal)
{
    g_auto(GStrv) parts = g_strsplit(address, ",", -1);
    g_autofree char *host = g_strconcat("traddr=", portal->address, NULL);
    g_autofree char *port = g_strconcat("trsvcid=", portal->port, NULL);

    return g_strv_contains((const char *const *)parts, host) && g_strv_contains((const char *const *)parts, port);
}

/* A kernel that does not tell the host's name is believed. */
static bool
is_controller_of(const char *folder, const char *host_nqn, const NvmePortal *portal)
{
    g_autofree char *transport = read_property_of(folder, "transport");
    g_autofree char *address = read_property_of(folder, "address");
    g_autofree char *host = read_property_of(folder, "hostnqn");

    return g_strcmp0(transport, portal->transport) == 0 && address && is_address_of(address, portal) &&
           (!host || !host_nqn || strcmp(host, host_nqn) == 0);
}

void
nvme_find_controllers(const char *root, NvmeTarget *target)
{
    g_autoptr(GPtrArray) folders = scsi_find_paths(root, CONTROLLERS "/nvme*");
    g_autofree char *etc = g_strconcat(root, "/etc/nvme", NULL);
    g_autofree char *own = read_property_of(etc, "hostnqn");
    const char *host_nqn = target->host_nqn ? target->host_nqn : own;

    for (guint i = 0; i < target->portals->len; i++)
        g_clear_pointer(&((NvmePortal *)target->portals->pdata[i])->controller, g_free);
    for (guint i = 0; i < folders->len; i++) {
        g_autofree char *nqn = read_property_of(folders->pdata[i], "subsysnqn");

        for (guint j = 0; j < target->portals->len && g_strcmp0(nqn, target->nqn) == 0; j++) {
            NvmePortal *portal = target->portals->pdata[j];

            if (!portal->controller && is_controller_of(folders->pdata[i], host_nqn, portal)) {
                portal->controller = g_path_get_basename(folders->pdata[i]);
                break;
            }
        }
    }
}

char *
nvme_state(const char *root, const NvmePortal *portal)
{
    g_autofree char *folder = portal->controller ? controller_folder(root, portal) : NULL;

    return folder ? read_property_of(folder, "state") : NULL;
}

/* "nvme0c2n10", one path of several, is of the device nvme0n10. */
static char *
device_name(const char *path)
{
    g_autofree char *name = g_path_get_basename(path);
    const char *path_number = strchr(name, 'c');
    const char *namespace = path_number ? strchr(path_number, 'n') : NULL;

    if (!namespace)
        return g_steal_pointer(&name);
    return g_strdup_printf("%.*s%s", (int)(path_number - name), name, namespace);
}

static GPtrArray *
namespace_folders(const char *root, const NvmePortal *portal)
{
    g_autofree char *pattern = g_strdup_printf(CONTROLLERS "/%s/nvme*n*", portal->controller);

    return scsi_find_paths(root, pattern);
}

static bool
has_name(const GPtrArray *names, const char *name)
{
    return g_ptr_array_find_with_equal_func((GPtrArray *)names, name, g_str_equal, NULL);
}

static void
add_namespaces(const char *root, const NvmePortal *portal, GPtrArray *names)
{
    g_autoptr(GPtrArray) folders = portal->controller ? namespace_folders(root, portal) : g_ptr_array_new();

    for (guint i = 0; i < folders->len; i++) {
        g_autofree char *name = device_name(folders->pdata[i]);

        if (!has_name(names, name))
            g_ptr_array_add(names, g_steal_pointer(&name));
    }
}

GPtrArray *
nvme_portal_namespaces(const char *root, const NvmePortal *portal)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    add_namespaces(root, portal, names);
    return names;
}

GPtrArray *
nvme_namespaces(const char *root, const NvmeTarget *target)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < target->portals->len; i++)
        add_namespaces(root, target->portals->pdata[i], names);
    return names;
}

char *
nvme_portal_device(const char *root, const NvmeTarget *target, const NvmePortal *portal)
{
    g_autoptr(GPtrArray) folders = portal->controller ? namespace_folders(root, portal) : g_ptr_array_new();

    for (guint i = 0; i < folders->len && target->property; i++) {
        g_autofree char *value = read_property_of(folders->pdata[i], target->property);

        if (g_strcmp0(value, target->value) == 0)
            return device_name(folders->pdata[i]);
    }
    return NULL;
}

/* What the subsystem has now and had not when connecting began, if that is one. */
static char *
find_new(const char *root, const NvmeTarget *target)
{
    g_autoptr(GPtrArray) names = nvme_namespaces(root, target);
    const char *found = NULL;

    for (guint i = 0; i < names->len; i++) {
        if (has_name(target->before, names->pdata[i]))
            continue;
        if (found)
            return NULL;
        found = names->pdata[i];
    }
    return g_strdup(found);
}

char *
nvme_find_device(const char *root, const NvmeTarget *target)
{
    char *device = NULL;

    for (guint i = 0; i < target->portals->len && !device; i++) {
        const NvmePortal *portal = target->portals->pdata[i];
        g_autofree char *state = nvme_state(root, portal);

        if (g_strcmp0(state, "live") == 0)
            device = target->property ? nvme_portal_device(root, target, portal) : find_new(root, target);
    }
    return device;
}

bool
nvme_joins_paths(const char *root)
{
    g_autofree char *folder = g_strconcat(root, "/sys/module/nvme_core/parameters", NULL);
    g_autofree char *text = read_property_of(folder, "multipath");

    return g_strcmp0(text, "Y") == 0;
}

/* ---- nvme ---- */

static bool
judge(const CommandResult *result, const char *what, NovaError **err)
{
    bool is_connected = result->exit_status == ALREADY_CONNECTED || result->exit_status == EALREADY ||
                        (result->exit_status == 1 && (strstr(result->errors, "already connected") ||
                                                      strstr(result->out, "already connected")));
    g_autofree char *text = g_strdup(*result->errors ? result->errors : result->out);

    return result->exit_status == 0 || is_connected ||
           nova_error_set(err, NOVA_ERROR_PROCESS_EXECUTION_ERROR, "nvme %s: exit code %d: %s", what,
                          result->exit_status, g_strstrip(text));
}

bool
nvme_connect(const NvmeTarget *target, const NvmePortal *portal, NovaError **err)
{
    const char *const argv[] = {"nvme", "connect", "-a", portal->address, "-s", portal->port, "-t",
                                portal->transport, "-n", target->nqn, "-Q", "128", "-l", "-1",
                                target->host_nqn ? "-q" : NULL, target->host_nqn, NULL};
    g_auto(CommandResult) result = {0};

    FAIL_POINT("nvme.connect:before", NULL);
    return command_run_unchecked(argv, &(CommandLimits){0}, &result, err) && judge(&result, "connect", err);
}

static bool
run(const char *const *argv, NovaError **err)
{
    g_auto(CommandResult) result = {0};

    return command_run(argv, &(CommandLimits){0}, &result, err);
}

bool
nvme_disconnect(const NvmePortal *portal, NovaError **err)
{
    g_autofree char *device = g_strconcat("/dev/", portal->controller, NULL);
    const char *const argv[] = {"nvme", "disconnect", "-d", device, NULL};

    FAIL_POINT("nvme.disconnect:before", NULL);
    return run(argv, err);
}

bool
nvme_rescan(const NvmePortal *portal, NovaError **err)
{
    g_autofree char *device = g_strconcat("/dev/", portal->controller, NULL);
    const char *const argv[] = {"nvme", "ns-rescan", device, NULL};

    return run(argv, err);
}
