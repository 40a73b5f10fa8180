/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.host_connector"
#include "storage/host_connector.h"

#include <arpa/inet.h>
#include <glib.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/nvme.h"

#define NVME_FOLDER "/etc/nvme"

/* Without the white space around it; NULL: there is no such file, or nothing in it. */
static char *
read_line(const char *root, const char *path)
{
    g_autofree char *full = g_strconcat(root, path, NULL);
    char *text = NULL;

    if (!g_file_get_contents(full, &text, NULL, NULL))
        return NULL;
    g_strstrip(text);
    if (!*text)
        g_clear_pointer(&text, g_free);
    return text;
}

static void
set_text(json_t *host, const char *key, const char *value)
{
    if (value)
        json_object_set_new(host, key, json_string(value));
}

/* ---- iSCSI ---- */

static void
add_initiator(json_t *host, const char *root)
{
    g_autofree char *text = read_line(root, "/etc/iscsi/initiatorname.iscsi");
    g_auto(GStrv) lines = g_strsplit(text ? text : "", "\n", -1);

    for (char **line = lines; *line; line++)
        if (g_str_has_prefix(*line, "InitiatorName=")) {
            set_text(host, "initiator", g_strstrip(*line + strlen("InitiatorName=")));
            return;
        }
}

/* ---- Fibre Channel ---- */

static void
add_wwn(json_t *list, const char *root, const char *adapter, const char *file)
{
    g_autofree char *path = g_strdup_printf("/sys/class/fc_host/%s/%s", adapter, file);
    g_autofree char *text = read_line(root, path);

    if (text)
        json_array_append_new(list, json_string(g_str_has_prefix(text, "0x") ? text + 2 : text));
}

static GPtrArray *
sorted_names(const char *folder)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        g_ptr_array_add(names, g_strdup(name));
    if (dir)
        g_dir_close(dir);
    g_ptr_array_sort(names, (GCompareFunc)g_strcmp0);
    return names;
}

static bool
is_online(const char *root, const char *adapter)
{
    g_autofree char *path = g_strdup_printf("/sys/class/fc_host/%s/port_state", adapter);
    g_autofree char *state = read_line(root, path);

    return g_strcmp0(state, "Online") == 0;
}

static void
add_fibre_channel(json_t *host, const char *root)
{
    g_autofree char *folder = g_strconcat(root, "/sys/class/fc_host", NULL);
    g_autoptr(GPtrArray) adapters = sorted_names(folder);
    json_auto_t *ports = json_array(), *nodes = json_array();

    for (guint i = 0; i < adapters->len; i++)
        if (is_online(root, adapters->pdata[i])) {
            add_wwn(ports, root, adapters->pdata[i], "port_name");
            add_wwn(nodes, root, adapters->pdata[i], "node_name");
        }
    if (json_array_size(ports) > 0)
        json_object_set(host, "wwpns", ports);
    if (json_array_size(nodes) > 0)
        json_object_set(host, "wwnns", nodes);
}

/* ---- NVMe ---- */

/* Of the file system that is mounted on /: udev has a link named by it to its device. NULL: it is on
 * none, as in a container. */
static char *
root_uuid(const char *root)
{
    g_autofree char *folder = g_strconcat(root, "/dev/disk/by-uuid", NULL);
    g_autoptr(GPtrArray) names = sorted_names(folder);
    struct stat mounted, device;

    if (stat("/", &mounted) < 0)
        return NULL;
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);

        if (stat(path, &device) == 0 && S_ISBLK(device.st_mode) && device.st_rdev == mounted.st_dev)
            return g_strdup(names->pdata[i]);
    }
    return NULL;
}

/* What the file says; when there is none and this host has nvme-cli, it is made. */
static char *
identity(const char *root, const char *file, const char *prefix, const char *system_uuid)
{
    g_autofree char *path = g_build_filename(NVME_FOLDER, file, NULL);
    g_autofree char *full = g_strconcat(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);
    g_autofree char *nvme = g_find_program_in_path("nvme");
    g_autofree char *fresh = NULL;
    g_autofree char *line = NULL;
    char *text = read_line(root, path);

    if (text || !nvme)
        return text;
    fresh = g_uuid_string_random();
    text = g_strconcat(prefix, system_uuid ? system_uuid : fresh, NULL);
    line = g_strconcat(text, "\n", NULL);
    if (g_mkdir_with_parents(folder, 0755) != 0 || !g_file_set_contents(full, line, -1, NULL)) {
        LOG_WARNING("Could not generate %s", full);
        g_clear_pointer(&text, g_free);
    }
    return text;
}

static void
add_nvme(json_t *host, const char *root)
{
    g_autofree char *system_uuid = read_line(root, "/sys/class/dmi/id/product_uuid");
    g_autofree char *uuid = root_uuid(root);
    g_autofree char *nqn = identity(root, "hostnqn", "nqn.2014-08.org.nvmexpress:uuid:", system_uuid);
    g_autofree char *id = identity(root, "hostid", "", system_uuid);

    set_text(host, "nvme_hostid", id);
    set_text(host, "uuid", uuid);
    set_text(host, "system uuid", system_uuid);
    set_text(host, "nqn", nqn);
    json_object_set_new(host, "nvme_native_multipath", json_boolean(nvme_joins_paths(root)));
}

/* ---- LightOS ---- */

static json_t *
addresses_of(int family)
{
    struct ifaddrs *list = NULL;
    json_t *addresses = json_array();
    char text[INET6_ADDRSTRLEN];

    if (getifaddrs(&list) < 0)
        return addresses;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        const void *address = NULL;

        if (!i->ifa_addr || i->ifa_addr->sa_family != family || strcmp(i->ifa_name, "lo") == 0)
            continue;
        address = family == AF_INET ? (const void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr
                                    : (const void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
        if (inet_ntop(family, address, text, sizeof(text)))
            json_array_append_new(addresses, json_string(text));
    }
    freeifaddrs(list);
    return addresses;
}

static void
add_addresses(json_t *host)
{
    json_auto_t *six = addresses_of(AF_INET6);
    json_t *all = addresses_of(AF_INET);

    json_array_extend(all, six);
    json_object_set_new(host, "found_dsc", json_string(""));
    json_object_set_new(host, "host_ips", all);
}

json_t *
host_connector_make(const Options *options, const char *root)
{
    struct utsname name = {0};
    json_t *host;

    uname(&name);
    host = json_pack("{s:s, s:s, s:s?, s:s?, s:b, s:b}", "platform", name.machine, "os_type", "linux", "ip",
                     options->default_group.my_block_storage_ip, "host", options->default_group.host,
                     "multipath", options->libvirt.volume_use_multipath, "enforce_multipath", 1);
    add_initiator(host, root);
    add_fibre_channel(host, root);
    json_object_set_new(host, "do_local_attach", json_false());
    add_nvme(host, root);
    if (json_object_get(host, "nqn"))
        add_addresses(host);
    return host;
}
