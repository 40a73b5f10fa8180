/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/image_errors.h"

struct FileLocks {
    char *folder;
    pthread_mutex_t lock;
    pthread_cond_t released;
    GHashTable *held; /* set of names; guarded by lock */
};

struct FileLock {
    FileLocks *locks;
    char *name;
    char *path;
    int fd;
};

FileLocks *
file_locks_new(const char *instances_path)
{
    FileLocks *locks = g_new0(FileLocks, 1);

    locks->folder = g_build_filename(instances_path, "locks", NULL);
    pthread_mutex_init(&locks->lock, NULL);
    pthread_cond_init(&locks->released, NULL);
    locks->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return locks;
}

void
file_locks_free(FileLocks *locks)
{
    if (!locks)
        return;
    g_hash_table_unref(locks->held);
    pthread_cond_destroy(&locks->released);
    pthread_mutex_destroy(&locks->lock);
    g_free(locks->folder);
    g_free(locks);
}

/* Against the other threads of this process. */
static bool
take_name(FileLocks *locks, const char *name, bool may_wait)
{
    bool is_free;

    pthread_mutex_lock(&locks->lock);
    while (may_wait && g_hash_table_contains(locks->held, name))
        pthread_cond_wait(&locks->released, &locks->lock);
    is_free = g_hash_table_add(locks->held, g_strdup(name));
    pthread_mutex_unlock(&locks->lock);
    return is_free;
}

static void
release_name(FileLocks *locks, const char *name)
{
    pthread_mutex_lock(&locks->lock);
    g_hash_table_remove(locks->held, name);
    pthread_cond_broadcast(&locks->released);
    pthread_mutex_unlock(&locks->lock);
}

/* Locks of the open file, not of the process: they conflict with oslo's all the same, and closing
 * another descriptor of the file does not drop them. */
static bool
lock_file(int fd, bool may_wait)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;

    do
        result = fcntl(fd, may_wait ? F_OFD_SETLKW : F_OFD_SETLK, &whole);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

static bool
is_still_there(int fd, const char *path)
{
    struct stat ours, current;

    return fstat(fd, &ours) == 0 && stat(path, &current) == 0 && ours.st_ino == current.st_ino &&
           ours.st_dev == current.st_dev;
}

/* -1 with errno set. A file that was removed while we waited for its lock protects nothing. */
static int
open_locked(const char *path, bool may_wait)
{
    for (;;) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        int error;

        if (fd < 0)
            return -1;
        if (!lock_file(fd, may_wait)) {
            error = errno;
            close(fd);
            errno = error;
            return -1;
        }
        if (is_still_there(fd, path))
            return fd;
        close(fd);
    }
}

static FileLock *
take(FileLocks *locks, const char *name, bool may_wait, NovaError **err)
{
    g_autofree char *base = g_strconcat("nova-", name, NULL);
    g_autofree char *path = g_build_filename(locks->folder, base, NULL);
    FileLock *lock;
    int fd;

    if (g_mkdir_with_parents(locks->folder, 0777) < 0) {
        image_errors_os(err, errno, locks->folder);
        return NULL;
    }
    if (!take_name(locks, name, may_wait))
        return NULL;
    fd = open_locked(path, may_wait);
    if (fd < 0) {
        image_errors_os(err, errno, path);
        release_name(locks, name);
        return NULL;
    }
    lock = g_new0(FileLock, 1);
    *lock = (FileLock){locks, g_strdup(name), g_steal_pointer(&path), fd};
    return lock;
}

FileLock *
file_locks_take(FileLocks *locks, const char *name, NovaError **err)
{
    return take(locks, name, true, err);
}

FileLock *
file_locks_try(FileLocks *locks, const char *name)
{
    return take(locks, name, false, NULL);
}

void
file_lock_release(FileLock *lock)
{
    if (!lock)
        return;
    close(lock->fd);
    release_name(lock->locks, lock->name);
    g_free(lock->name);
    g_free(lock->path);
    g_free(lock);
}

void
file_lock_release_and_remove(FileLock *lock)
{
    if (lock)
        unlink(lock->path);
    file_lock_release(lock);
}
