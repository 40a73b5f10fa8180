/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.node_id"
#include "compute/node_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/log.h"

#define FILE_NAME "compute_id"
#define READ_BYTES 40 /* Nova reads no more */

static bool
invalid(NovaError **err, const char *reason)
{
    nova_error_set(err, NOVA_ERROR_INVALID_NODE_CONFIGURATION, "Invalid node identity configuration: %s",
                   reason);
    if (err)
        nova_error_set_kwarg(*err, "reason", reason);
    return false;
}

/* -1: no such file; else the number of bytes. */
static ssize_t
read_start(const char *path, char *buffer, NovaError **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    g_autofree char *reason = NULL;
    ssize_t n;

    if (fd < 0 && errno == ENOENT)
        return -1;
    n = fd < 0 ? -1 : read(fd, buffer, READ_BYTES);
    if (n < 0) {
        reason = g_strdup_printf("Unable to read %s: %s", path, g_strerror(errno));
        invalid(err, reason);
    }
    if (fd >= 0)
        close(fd);
    return n;
}

static bool
read_one(const char *folder, char **ret_uuid, NovaError **err)
{
    g_autofree char *path = g_build_filename(folder, FILE_NAME, NULL);
    char buffer[READ_BYTES + 1];
    NovaError *error = NULL;
    ssize_t n = read_start(path, buffer, &error);
    g_autofree char *reason = NULL;

    if (error)
        return nova_error_propagate(err, error);
    if (n < 0)
        return true;
    buffer[n] = '\0';
    g_strstrip(buffer);
    if (!g_uuid_string_is_valid(buffer)) {
        reason = g_strdup_printf("Unable to parse UUID from %s", path);
        return invalid(err, reason);
    }
    if (*ret_uuid && g_ascii_strcasecmp(*ret_uuid, buffer) != 0) {
        reason = g_strdup_printf("UUID %s in %s differs from %s", buffer, path, *ret_uuid);
        return invalid(err, reason);
    }
    if (!*ret_uuid) {
        LOG_INFO("Determined node identity %s from %s", buffer, path);
        *ret_uuid = g_ascii_strdown(buffer, -1);
    }
    return true;
}

bool
node_id_read(const char *const *folders, char **ret_uuid, NovaError **err)
{
    g_autofree char *uuid = NULL;

    for (; *folders; folders++)
        if (!read_one(*folders, &uuid, err))
            return false;
    *ret_uuid = g_steal_pointer(&uuid);
    return true;
}

static bool
write_whole(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok;

    if (fd < 0)
        return false;
    ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
    close(fd);
    return ok;
}

bool
node_id_write(const char *folder, const char *uuid, NovaError **err)
{
    g_autofree char *path = g_build_filename(folder, FILE_NAME, NULL);
    g_autofree char *new_path = g_strdup_printf("%s.new-%d", path, (int)getpid());
    g_autofree char *reason = NULL;
    bool ok = write_whole(new_path, uuid) && link(new_path, path) == 0;

    if (!ok)
        reason = g_strdup_printf("Unable to write identity to %s: %s", path, g_strerror(errno));
    unlink(new_path);
    if (!ok)
        return invalid(err, reason);
    LOG_INFO("Wrote node identity %s to %s", uuid, path);
    return true;
}
