/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/instance_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/image_errors.h"

/* A server's folder holds files, and one level of folders at most (swtpm). */
#define MAX_DEPTH 32

bool
instance_folder_is_uuid(const char *name)
{
    return name && g_uuid_string_is_valid(name);
}

static bool remove_at(int parent, const char *name, unsigned depth);

/* Everything in the folder is tried even when something fails. Takes ownership of fd. */
static bool
empty_folder(int fd, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    bool is_empty = true;
    int error = 0;

    if (!dir) {
        close(fd);
        return false;
    }
    while ((entry = readdir(dir))) {
        if (g_str_equal(entry->d_name, ".") || g_str_equal(entry->d_name, ".."))
            continue;
        if (!remove_at(dirfd(dir), entry->d_name, depth + 1)) {
            error = errno;
            is_empty = false;
        }
    }
    closedir(dir);
    errno = error;
    return is_empty;
}

static bool
remove_at(int parent, const char *name, unsigned depth)
{
    int fd;

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    if (errno != EISDIR && errno != EPERM)
        return false;
    if (depth > MAX_DEPTH) {
        errno = ELOOP;
        return false;
    }
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || !empty_folder(fd, depth))
        return false;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

bool
instance_folder_remove_tree(const char *parent, const char *name, NovaError **err)
{
    g_autofree char *path = g_build_filename(parent, name, NULL);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_gone;
    int error;

    if (fd < 0)
        return errno == ENOENT || image_errors_os(err, errno, parent);
    is_gone = remove_at(fd, name, 0);
    error = errno;
    close(fd);
    return is_gone || image_errors_os(err, error, path);
}
