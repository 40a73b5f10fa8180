/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.scsi"
#include "storage/scsi.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/log.h"

#define FLAT_ADDRESSING 16384
#define SECTOR 512
#define REMOVAL_MS 30000
#define POLL_MS 50

/* "/sys/class/scsi_host/host*" + this: the devices of a session. */
#define DEVICES "/sys/class/scsi_host/host*/device/session%s/target*/*:*:*:*/block/*"

/* ---- finding ---- */

int64_t
scsi_address_lun(int64_t lun, const char *mode)
{
    return strcmp(mode, "SAM3-flat") == 0 || (strcmp(mode, "SAM2") == 0 && lun >= 256) ? lun + FLAT_ADDRESSING : lun;
}

GPtrArray *
scsi_find_paths(const char *root, const char *pattern)
{
    g_autofree char *full = g_strconcat(root, pattern, NULL);
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    glob_t found = {0};

    if (glob(full, 0, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            g_ptr_array_add(paths, g_strdup(found.gl_pathv[i]));
    globfree(&found);
    return paths;
}

static GPtrArray *
devices_of(const char *root, const char *session)
{
    g_autofree char *pattern = g_strdup_printf(DEVICES, session);

    return scsi_find_paths(root, pattern);
}

/* Of ".../5:0:0:1/block/sdb": 1. */
static int64_t
lun_of(const char *path)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    guint n = g_strv_length(parts);
    const char *colon = n >= 3 ? strrchr(parts[n - 3], ':') : NULL;

    return colon ? g_ascii_strtoll(colon + 1, NULL, 10) : -1;
}

char *
scsi_find_device(const char *root, const char *session, int64_t lun)
{
    g_autoptr(GPtrArray) paths = devices_of(root, session);

    for (guint i = 0; i < paths->len; i++)
        if (lun_of(paths->pdata[i]) == lun)
            return g_path_get_basename(paths->pdata[i]);
    return NULL;
}

bool
scsi_has_others(const char *root, const char *session, int64_t lun)
{
    g_autoptr(GPtrArray) paths = devices_of(root, session);

    for (guint i = 0; i < paths->len; i++)
        if (lun_of(paths->pdata[i]) != lun)
            return true;
    return false;
}

/* ---- writing ---- */

static bool
os_error(const char *path, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_OS_ERROR, "[Errno %d] %s: '%s'", errno, g_strerror(errno), path);
}

bool
scsi_write(const char *path, const char *text, NovaError **err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return os_error(path, err);
    n = write(fd, text, strlen(text));
    if (n < 0)
        os_error(path, err);
    close(fd);
    return n >= 0;
}

/* "targetH:C:T" of the session → channel and target; before there is one, any. */
static char *
scan_text(const char *root, const char *host_path, int64_t lun)
{
    g_autofree char *pattern = g_strconcat(host_path + strlen(root), "/target*", NULL);
    g_autoptr(GPtrArray) targets = scsi_find_paths(root, pattern);
    g_autofree char *name = targets->len > 0 ? g_path_get_basename(targets->pdata[0]) : g_strdup("");
    g_auto(GStrv) parts = g_strsplit(name, ":", 3);

    if (g_strv_length(parts) == 3)
        return g_strdup_printf("%s %s %" G_GINT64_FORMAT, parts[1], parts[2], lun);
    return g_strdup_printf("- - %" G_GINT64_FORMAT, lun);
}

bool
scsi_scan(const char *root, const char *session, int64_t lun, NovaError **err)
{
    g_autofree char *pattern = g_strdup_printf("/sys/class/scsi_host/host*/device/session%s", session);
    g_autoptr(GPtrArray) sessions = scsi_find_paths(root, pattern);
    g_autofree char *text = NULL, *device = NULL, *host = NULL, *scan = NULL;

    if (sessions->len == 0)
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "iSCSI session %s has no host", session);
    text = scan_text(root, sessions->pdata[0], lun);
    device = g_path_get_dirname(sessions->pdata[0]);
    host = g_path_get_dirname(device);
    scan = g_build_filename(host, "scan", NULL);
    LOG_DEBUG("Scanning %s: %s", host, text);
    FAIL_POINT("scsi.scan:before", NULL);
    return scsi_write(scan, text, err);
}

bool
scsi_flush(const char *root, const char *device, NovaError **err)
{
    g_autofree char *path = g_strconcat(root, "/dev/", device, NULL);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0)
        return errno == ENOENT || os_error(path, err);
    ok = fsync(fd) == 0 && (ioctl(fd, BLKFLSBUF, 0) == 0 || errno == ENOTTY);
    if (!ok)
        os_error(path, err);
    close(fd);
    return ok;
}

static bool
wait_until_gone(const char *path)
{
    for (int waited = 0; waited < REMOVAL_MS; waited += POLL_MS) {
        if (access(path, F_OK) < 0)
            return true;
        g_usleep(POLL_MS * 1000);
    }
    return false;
}

bool
scsi_remove(const char *root, const char *device, NovaError **err)
{
    g_autofree char *delete = g_strdup_printf("%s/sys/block/%s/device/delete", root, device);
    g_autofree char *node = g_strconcat(root, "/dev/", device, NULL);

    if (access(delete, F_OK) < 0)
        return true;
    FAIL_POINT("scsi.remove:before", device);
    if (!scsi_write(delete, "1", err))
        return false;
    FAIL_POINT("scsi.remove:after", device);
    return wait_until_gone(node) ||
           nova_error_set(err, NOVA_ERROR_OS_ERROR, "Volume path %s was not removed in time.", node);
}

bool
scsi_leads_to(const char *path, const char *device)
{
    char *real = realpath(path, NULL);
    const char *name = real ? strrchr(real, '/') : NULL;
    bool leads = name && strcmp(name + 1, device) == 0;

    free(real);
    return leads;
}

bool
scsi_size(const char *root, const char *device, int64_t *ret_size, NovaError **err)
{
    g_autofree char *size = g_strdup_printf("%s/sys/block/%s/size", root, device);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(size, &text, NULL, NULL))
        return os_error(size, err);
    *ret_size = g_ascii_strtoll(text, NULL, 10) * SECTOR;
    return true;
}

bool
scsi_rescan(const char *root, const char *device, int64_t *ret_size, NovaError **err)
{
    g_autofree char *rescan = g_strdup_printf("%s/sys/block/%s/device/rescan", root, device);

    return scsi_write(rescan, "1", err) && scsi_size(root, device, ret_size, err);
}
