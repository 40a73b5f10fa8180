/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.fibre_channel"
#include "storage/fibre_channel.h"

#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/scsi.h"

#define HOSTS "/sys/class/fc_host"
#define TRANSPORT "/sys/class/fc_transport"
#define REMOTE_PORTS "/sys/class/fc_remote_ports"
#define LINKS "/dev/disk/by-path"

/* ---- targets ---- */

static void
free_target(void *item)
{
    FibreChannelTarget *target = item;

    g_free(target->wwpn);
    g_free(target);
}

/* 'many' when there is something in it, otherwise 'one', which may be a list itself. New reference. */
static json_t *
read_list(const json_t *data, const char *many, const char *one)
{
    json_t *list = json_object_get(data, many);
    json_t *value = json_object_get(data, one);

    if (json_is_array(list) && json_array_size(list) > 0)
        return json_incref(list);
    if (json_is_array(value))
        return json_incref(value);
    return value && !json_is_null(value) ? json_pack("[O]", value) : json_array();
}

static char *
lower_wwn(const json_t *wwn)
{
    return g_ascii_strdown(json_is_string(wwn) ? json_string_value(wwn) : "", -1);
}

static bool
no_paths(const json_t *luns, const json_t *wwns, NovaError **err)
{
    g_autofree char *lun_text = json_dumps(luns, 0);
    g_autofree char *wwn_text = json_dumps(wwns, 0);

    g_strdelimit(wwn_text, "\"", '\'');
    return nova_error_set(err, NOVA_ERROR_VOLUME_PATHS_NOT_FOUND,
                          "Unable to find potential volume paths for FC device with luns: %s and wwns: %s.",
                          lun_text, wwn_text);
}

GPtrArray *
fibre_channel_targets(const json_t *data, NovaError **err)
{
    const char *mode = json_get_string(data, "addressing_mode", "SAM");
    json_auto_t *wwns = read_list(data, "target_wwns", "target_wwn");
    json_auto_t *luns = read_list(data, "target_luns", "target_lun");
    GPtrArray *targets;
    size_t i;
    json_t *wwn;

    if (!json_object_get(data, "target_lun") && json_array_size(luns) == 0)
        json_array_append_new(luns, json_integer(0));
    if (json_array_size(wwns) == 0 || (json_array_size(luns) != json_array_size(wwns) && json_array_size(luns) != 1)) {
        no_paths(luns, wwns, err);
        return NULL;
    }
    targets = g_ptr_array_new_with_free_func(free_target);
    json_array_foreach (wwns, i, wwn) {
        FibreChannelTarget *target = g_new0(FibreChannelTarget, 1);
        const json_t *lun = json_array_get(luns, json_array_size(luns) == 1 ? 0 : i);

        target->wwpn = lower_wwn(wwn);
        target->lun = scsi_address_lun(json_integer_value(lun), mode);
        g_ptr_array_add(targets, target);
    }
    return targets;
}

/* ---- /sys ---- */

/* "0x50060E80" + newline → "50060e80"; NULL: there is no such file. */
static char *
read_wwn(const char *path)
{
    g_autofree char *text = NULL;
    g_autofree char *lower = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    lower = g_ascii_strdown(g_strstrip(text), -1);
    return g_strdup(lower + (g_str_has_prefix(lower, "0x") ? 2 : 0));
}

/* The folders that match, whose port_name is 'wwpn'; owning array of char *, absolute with 'root'. */
static GPtrArray *
find_ports(const char *root, const char *pattern, const char *wwpn)
{
    g_autofree char *names = g_strconcat(pattern, "/port_name", NULL);
    g_autoptr(GPtrArray) files = scsi_find_paths(root, names);
    GPtrArray *ports = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < files->len; i++) {
        g_autofree char *found = read_wwn(files->pdata[i]);

        if (g_strcmp0(found, wwpn) == 0)
            g_ptr_array_add(ports, g_path_get_dirname(files->pdata[i]));
    }
    return ports;
}

static void
add_devices(const char *root, const char *port, int64_t lun, GPtrArray *devices)
{
    g_autofree char *pattern = g_strdup_printf("%s/device/target*/*:*:*:%" G_GINT64_FORMAT "/block/*",
                                               port + strlen(root), lun);
    g_autoptr(GPtrArray) paths = scsi_find_paths(root, pattern);

    for (guint i = 0; i < paths->len; i++) {
        g_autofree char *name = g_path_get_basename(paths->pdata[i]);

        if (!g_ptr_array_find_with_equal_func(devices, name, g_str_equal, NULL))
            g_ptr_array_add(devices, g_steal_pointer(&name));
    }
}

GPtrArray *
fibre_channel_devices(const char *root, const GPtrArray *targets)
{
    GPtrArray *devices = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < targets->len; i++) {
        const FibreChannelTarget *target = targets->pdata[i];
        g_autoptr(GPtrArray) ports = find_ports(root, REMOTE_PORTS "/rport-*", target->wwpn);

        for (guint j = 0; j < ports->len; j++)
            add_devices(root, ports->pdata[j], target->lun, devices);
    }
    return devices;
}

/* As udev's path_id writes it. */
static char *
link_suffix(const FibreChannelTarget *target)
{
    if (target->lun < 256)
        return g_strdup_printf("-fc-0x%s-lun-%" G_GINT64_FORMAT, target->wwpn, target->lun);
    return g_strdup_printf("-fc-0x%s-lun-0x%04x%04x00000000", target->wwpn, (unsigned)(target->lun & 0xffff),
                           (unsigned)(target->lun >> 16 & 0xffff));
}

char *
fibre_channel_link(const char *root, const GPtrArray *targets, const char *device)
{
    g_autoptr(GPtrArray) links = scsi_find_paths(root, LINKS "/*-fc-*");

    for (guint i = 0; i < targets->len; i++) {
        g_autofree char *suffix = link_suffix(targets->pdata[i]);

        for (guint j = 0; j < links->len; j++)
            if (g_str_has_suffix(links->pdata[j], suffix) && scsi_leads_to(links->pdata[j], device))
                return g_strdup((char *)links->pdata[j] + strlen(root));
    }
    return NULL;
}

/* ---- scanning ---- */

/* What is to be written into the "scan" of one adapter. */
typedef struct Scan {
    char *path;
    char *text;
} Scan;

static void
free_scan(void *item)
{
    Scan *scan = item;

    g_free(scan->path);
    g_free(scan->text);
    g_free(scan);
}

static gboolean
is_same_scan(const void *a, const void *b)
{
    const Scan *one = a, *other = b;

    return strcmp(one->path, other->path) == 0 && strcmp(one->text, other->text) == 0;
}

static void
add_scan(GPtrArray *scans, const char *root, const char *adapter, const char *where, int64_t lun)
{
    Scan *scan = g_new0(Scan, 1);

    scan->path = g_strdup_printf("%s/sys/class/scsi_host/%s/scan", root, adapter);
    scan->text = g_strdup_printf("%s %" G_GINT64_FORMAT, where, lun);
    if (g_ptr_array_find_with_equal_func(scans, scan, is_same_scan, NULL))
        free_scan(scan);
    else
        g_ptr_array_add(scans, scan);
}

/* Of ".../target6:0:3" or ".../rport-6:0-1": what stands between the first colon and 'end'. */
static char *
after_colon(const char *path, const char *end)
{
    const char *colon = strchr(strrchr(path, '/'), ':');

    return colon ? g_strndup(colon + 1, strcspn(colon + 1, end)) : NULL;
}

/* Of a port that is a SCSI target already: "CHANNEL TARGET"; NULL: it is none. */
static char *
find_transport_target(const char *root, const char *host_number, const char *wwpn)
{
    g_autofree char *pattern = g_strdup_printf(TRANSPORT "/target%s:*", host_number);
    g_autoptr(GPtrArray) ports = find_ports(root, pattern, wwpn);
    char *where = ports->len > 0 ? after_colon(ports->pdata[0], "") : NULL;

    return where ? g_strdelimit(where, ":", ' ') : NULL;
}

/* The same of one that is only known to be there. */
static char *
find_remote_target(const char *root, const char *host_number, const char *wwpn)
{
    g_autofree char *pattern = g_strdup_printf(REMOTE_PORTS "/rport-%s:*", host_number);
    g_autoptr(GPtrArray) ports = find_ports(root, pattern, wwpn);
    g_autofree char *path = NULL, *id = NULL, *channel = NULL;

    if (ports->len == 0)
        return NULL;
    path = g_build_filename(ports->pdata[0], "scsi_target_id", NULL);
    channel = after_colon(ports->pdata[0], "-");
    if (!channel || !g_file_get_contents(path, &id, NULL, NULL) || strcmp(g_strstrip(id), "-1") == 0)
        return NULL;
    return g_strconcat(channel, " ", id, NULL);
}

/* NULL: the port is not known behind this adapter. */
static char *
find_target(const char *root, const char *host_number, const char *wwpn)
{
    char *where = find_transport_target(root, host_number, wwpn);

    return where ? where : find_remote_target(root, host_number, wwpn);
}

/* Of "initiator_target_map": the ports that an adapter may use. NULL: it says nothing of it. */
static const json_t *
mapped_ports(const json_t *map, const char *adapter_wwpn)
{
    const char *key;
    json_t *ports;

    json_object_foreach ((json_t *)map, key, ports)
        if (g_ascii_strcasecmp(key, adapter_wwpn) == 0)
            return ports;
    return NULL;
}

static bool
is_mapped(const json_t *ports, const char *wwpn)
{
    size_t i;
    const json_t *port;

    json_array_foreach (ports, i, port)
        if (json_is_string(port) && g_ascii_strcasecmp(json_string_value(port), wwpn) == 0)
            return true;
    return false;
}

static void
plan_adapter(const char *root, const char *folder, const json_t *map, const GPtrArray *targets, GPtrArray *narrow,
             GPtrArray *wide)
{
    g_autofree char *adapter = g_path_get_basename(folder);
    g_autofree char *name_path = g_build_filename(folder, "port_name", NULL);
    g_autofree char *wwpn = read_wwn(name_path);
    const json_t *ports = wwpn ? mapped_ports(map, wwpn) : NULL;
    bool has_map = json_object_size(map) > 0;

    if (!wwpn || (has_map && !ports))
        return;
    for (guint i = 0; i < targets->len; i++) {
        const FibreChannelTarget *target = targets->pdata[i];
        g_autofree char *where = NULL;

        if (has_map && !is_mapped(ports, target->wwpn))
            continue;
        where = find_target(root, adapter + strlen("host"), target->wwpn);
        add_scan(where ? narrow : wide, root, adapter, where ? where : "- -", target->lun);
    }
}

static bool
run_scans(const GPtrArray *scans, NovaError **err)
{
    for (guint i = 0; i < scans->len; i++) {
        const Scan *scan = scans->pdata[i];

        LOG_DEBUG("Scanning %s: %s", scan->path, scan->text);
        FAIL_POINT("scsi.scan:before", NULL);
        if (!scsi_write(scan->path, scan->text, err))
            return false;
    }
    return true;
}

bool
fibre_channel_scan(const char *root, const json_t *data, const GPtrArray *targets, NovaError **err)
{
    const json_t *map = json_object_get(data, "initiator_target_map");
    bool may_be_wide = !json_is_false(json_object_get(data, "enable_wildcard_scan"));
    g_autoptr(GPtrArray) adapters = scsi_find_paths(root, HOSTS "/host*");
    g_autoptr(GPtrArray) narrow = g_ptr_array_new_with_free_func(free_scan);
    g_autoptr(GPtrArray) wide = g_ptr_array_new_with_free_func(free_scan);

    if (adapters->len == 0)
        return nova_error_set(err, NOVA_ERROR_NO_FIBRE_CHANNEL_HOSTS_FOUND,
                              "We are unable to locate any Fibre Channel devices.");
    for (guint i = 0; i < adapters->len; i++)
        plan_adapter(root, adapters->pdata[i], map, targets, narrow, wide);
    if (narrow->len > 0)
        return run_scans(narrow, err);
    return !may_be_wide || run_scans(wide, err);
}
