/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.multipath"
#include "storage/multipath.h"

#include <string.h>

#include "agent/base/command.h"
#include "agent/base/fail_point.h"
#include "agent/base/log.h"

#define WAIT_MS 10000
#define POLL_MS 200
#define FLUSH_ATTEMPTS 3
#define FLUSH_TIMEOUT_S 300
#define RESIZE_TIMEOUT_S 120
#define SECTOR 512

static char *
read_text(const char *root, const char *device, const char *file)
{
    g_autofree char *path = g_strdup_printf("%s/sys/block/%s/%s", root, device, file);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? g_strstrip(text) : NULL;
}

/* ---- finding ---- */

static char *
holder_of(const char *root, const char *device)
{
    g_autofree char *folder = g_strdup_printf("%s/sys/block/%s/holders", root, device);
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    char *holder = NULL;

    while (dir && !holder && (name = g_dir_read_name(dir)))
        if (g_str_has_prefix(name, "dm-"))
            holder = g_strdup(name);
    if (dir)
        g_dir_close(dir);
    return holder;
}

char *
multipath_find(const char *root, const GPtrArray *devices)
{
    char *dm = NULL;

    for (guint i = 0; i < devices->len && !dm; i++)
        dm = holder_of(root, devices->pdata[i]);
    return dm;
}

char *
multipath_identity(const char *root, const char *dm)
{
    g_autofree char *uuid = read_text(root, dm, "dm/uuid");

    return uuid && g_str_has_prefix(uuid, "mpath-") ? g_strdup(uuid + strlen("mpath-")) : NULL;
}

/* ---- programs ---- */

static bool
run(const char *const *argv, int timeout_s, NovaError **err)
{
    const CommandLimits limits = {.timeout_s = timeout_s};
    g_auto(CommandResult) result = {0};

    return command_run(argv, &limits, &result, err);
}

bool
multipath_is_running(void)
{
    const char *const argv[] = {"multipathd", "show", "status", NULL};
    g_auto(CommandResult) result = {0};

    /* Old ones say on stdout that they cannot, and exit with 0. */
    return command_run(argv, &(CommandLimits){.timeout_s = 30}, &result, NULL) && !g_str_has_prefix(result.out, "error receiving packet");
}

static void
try_to(const char *const *argv)
{
    g_autoptr(NovaError) error = NULL;

    if (!run(argv, 0, &error))
        LOG_DEBUG("%s", nova_error_details(error));
}

/* As udev names it: the kind of the identifier is a digit. */
static char *
disk_identity(const char *root, const char *device)
{
    static const char *const kinds[][2] = {{"t10.", "1"}, {"eui.", "2"}, {"naa.", "3"}};
    g_autofree char *text = read_text(root, device, "device/wwid");

    for (size_t i = 0; text && i < G_N_ELEMENTS(kinds); i++)
        if (g_str_has_prefix(text, kinds[i][0]))
            return g_strconcat(kinds[i][1], text + strlen(kinds[i][0]), NULL);
    return text && strlen(text) > 4 ? g_strconcat("8", text + 4, NULL) : NULL;
}

/* With find_multipaths it makes none of a disk of which it has seen one path, unless told. */
static void
hint(const char *root, const GPtrArray *devices)
{
    g_autofree char *identity = disk_identity(root, devices->pdata[0]);
    const char *const remember[] = {"multipath", "-a", identity, NULL};

    if (identity)
        try_to(remember);
    for (guint i = 0; i < devices->len; i++) {
        g_autofree char *path = g_strconcat("/dev/", devices->pdata[i], NULL);
        const char *const add[] = {"multipathd", "add", "path", path, NULL};

        try_to(add);
    }
}

char *
multipath_wait(const char *root, const GPtrArray *devices)
{
    char *dm = multipath_find(root, devices);

    if (!dm)
        hint(root, devices);
    for (int waited = 0; !dm && waited < WAIT_MS; waited += POLL_MS) {
        dm = multipath_find(root, devices);
        if (!dm)
            g_usleep(POLL_MS * 1000);
    }
    return dm;
}

bool
multipath_flush(const char *root, const char *dm, NovaError **err)
{
    g_autofree char *name = read_text(root, dm, "dm/name");
    const char *const argv[] = {"multipath", "-f", name, NULL};
    NovaError *error = NULL;

    if (!name)
        return true;
    FAIL_POINT("multipath.flush:before", NULL);
    for (int attempt = 1; !run(argv, FLUSH_TIMEOUT_S, &error); attempt++) {
        if (attempt == FLUSH_ATTEMPTS)
            return nova_error_propagate(err, error);
        g_clear_pointer(&error, nova_error_free);
        g_usleep(1000 * 1000);
    }
    return true;
}

bool
multipath_resize(const char *root, const char *dm, int64_t *ret_size, NovaError **err)
{
    g_autofree char *name = read_text(root, dm, "dm/name");
    const char *const reconfigure[] = {"multipathd", "reconfigure", NULL};
    const char *const resize[] = {"multipathd", "resize", "map", name, NULL};
    g_autofree char *sectors = NULL;

    if (!name)
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "%s has no name", dm);
    if (!run(reconfigure, 0, err) || !run(resize, RESIZE_TIMEOUT_S, err))
        return false;
    sectors = read_text(root, dm, "size");
    *ret_size = sectors ? g_ascii_strtoll(sectors, NULL, 10) * SECTOR : 0;
    return *ret_size > 0 || nova_error_set(err, NOVA_ERROR_OS_ERROR, "%s has no size", dm);
}
