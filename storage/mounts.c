/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.mounts"
#include "storage/mounts.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "agent/base/key_lock.h"
#include "agent/base/log.h"

struct Mounts {
    KeyLock *points;    /* whoever mounts or unmounts there holds it */
    pthread_mutex_t lock;
    GHashTable *users;  /* guarded by lock: point → GHashTable of "server/volume" */
};

static void
free_set(void *set)
{
    g_hash_table_unref(set);
}

Mounts *
mounts_new(void)
{
    Mounts *mounts = g_new0(Mounts, 1);

    mounts->points = key_lock_new();
    pthread_mutex_init(&mounts->lock, NULL);
    mounts->users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_set);
    return mounts;
}

void
mounts_free(Mounts *mounts)
{
    if (!mounts)
        return;
    key_lock_free(mounts->points);
    pthread_mutex_destroy(&mounts->lock);
    g_hash_table_unref(mounts->users);
    g_free(mounts);
}

bool
mounts_is_mounted(const char *point)
{
    g_autofree char *above = g_build_filename(point, "..", NULL);
    struct stat here, there;

    return stat(point, &here) == 0 && stat(above, &there) == 0 && here.st_dev != there.st_dev;
}

/* ---- who uses what ---- */

static void
note_user(Mounts *mounts, const char *point, const char *volume_name, const char *instance_uuid)
{
    GHashTable *set;

    pthread_mutex_lock(&mounts->lock);
    set = g_hash_table_lookup(mounts->users, point);
    if (!set) {
        set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_hash_table_insert(mounts->users, g_strdup(point), set);
    }
    g_hash_table_add(set, g_strconcat(instance_uuid, "/", volume_name, NULL));
    pthread_mutex_unlock(&mounts->lock);
}

/* Is anybody left? */
static bool
forget_user(Mounts *mounts, const MountRequest *request)
{
    g_autofree char *user = g_strconcat(request->instance_uuid, "/", request->volume_name, NULL);
    GHashTable *set;
    bool known, is_used;

    pthread_mutex_lock(&mounts->lock);
    set = g_hash_table_lookup(mounts->users, request->point);
    known = set && g_hash_table_remove(set, user);
    is_used = set && g_hash_table_size(set) > 0;
    if (set && !is_used)
        g_hash_table_remove(mounts->users, request->point);
    pthread_mutex_unlock(&mounts->lock);
    if (!known)
        LOG_WARNING("Request to remove attachment (%s from %s), but we don't think it's in use.",
                    request->volume_name, request->point);
    return is_used;
}

void
mounts_note_file(Mounts *mounts, const char *path, const char *instance_uuid)
{
    g_autofree char *point = g_path_get_dirname(path);
    g_autofree char *name = g_path_get_basename(path);

    if (mounts_is_mounted(point))
        note_user(mounts, point, name, instance_uuid);
}

/* ---- mounting ---- */

static bool
run_mount(const MountRequest *request, NovaError **err)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    const CommandLimits limits = {0};
    g_auto(CommandResult) result = {0};

    g_ptr_array_add(argv, "mount");
    g_ptr_array_add(argv, "-t");
    g_ptr_array_add(argv, (char *)request->type);
    for (char *const *option = request->options; option && *option; option++)
        g_ptr_array_add(argv, *option);
    g_ptr_array_add(argv, (char *)request->export);
    g_ptr_array_add(argv, (char *)request->point);
    g_ptr_array_add(argv, NULL);
    return command_run((const char *const *)argv->pdata, &limits, &result, err);
}

static bool
mount_point(const MountRequest *request, NovaError **err)
{
    NovaError *error = NULL;

    if (mounts_is_mounted(request->point))
        return true;
    if (g_mkdir_with_parents(request->point, 0777) != 0)
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "[Errno %d] %s: '%s'", errno, g_strerror(errno),
                              request->point);
    if (run_mount(request, &error))
        return true;
    if (!mounts_is_mounted(request->point))
        return nova_error_propagate(err, error);
    LOG_ERROR("Error mounting %s export %s on %s. Continuing because mountpount is mounted despite this.",
              request->type, request->export, request->point);
    nova_error_free(error);
    return true;
}

bool
mounts_add(Mounts *mounts, const MountRequest *request, NovaError **err)
{
    bool ok;

    key_lock_take(mounts->points, request->point);
    ok = mount_point(request, err);
    if (ok)
        note_user(mounts, request->point, request->volume_name, request->instance_uuid);
    key_lock_release(mounts->points, request->point);
    return ok;
}

static void
unmount(const char *point)
{
    const char *const argv[] = {"umount", point, NULL};
    const CommandLimits limits = {0};
    g_auto(CommandResult) result = {0};
    g_autoptr(NovaError) error = NULL;

    if (!command_run(argv, &limits, &result, &error))
        LOG_ERROR("Couldn't unmount %s: %s", point, nova_error_details(error));
    if (!mounts_is_mounted(point) && rmdir(point) < 0)
        LOG_WARNING("Removing %s: %s", point, g_strerror(errno));
}

void
mounts_remove(Mounts *mounts, const MountRequest *request)
{
    key_lock_take(mounts->points, request->point);
    if (!forget_user(mounts, request) && mounts_is_mounted(request->point))
        unmount(request->point);
    key_lock_release(mounts->points, request->point);
}
