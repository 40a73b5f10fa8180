/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/storage_users.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "storage/file_lock.h"
#include "storage/image_errors.h"

#define LOG_NAME "kilonova.storage.storage_users"

#define DAY_S (24 * 3600)

static json_t *
load(const char *path)
{
    g_autofree char *text = NULL;
    json_t *users = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return json_object();
    users = json_parse(text, strlen(text), NULL);
    if (json_is_object(users))
        return users;
    json_decref(users);
    LOG_WARNING("Cannot decode JSON from %s", path);
    return json_object();
}

/* Replaced, not rewritten, so that no reader ever sees half of it. */
static bool
store(const char *path, const json_t *users, NovaError **err)
{
    g_autofree char *text = json_to_python_text(users);

    return g_file_set_contents(path, text, -1, NULL) || image_errors_os(err, errno, path);
}

static GPtrArray *
recent(const json_t *users, int64_t now)
{
    GPtrArray *hosts = g_ptr_array_new_with_free_func(g_free);
    const char *host;
    json_t *noticed;

    json_object_foreach((json_t *)users, host, noticed) {
        if ((double)now - json_number_value(noticed) < DAY_S)
            g_ptr_array_add(hosts, g_strdup(host));
    }
    return hosts;
}

GPtrArray *
storage_users_register(const char *instances_path, const char *host, int64_t now, NovaError **err)
{
    g_autofree char *path = g_build_filename(instances_path, "compute_nodes", NULL);
    FileLocks *locks = file_locks_new(instances_path);
    FileLock *lock = file_locks_take(locks, "storage-registry-lock", err);
    json_auto_t *users = NULL;
    bool is_stored = false;

    if (lock) {
        users = load(path);
        json_object_set_new(users, host, json_real((double)now));
        is_stored = store(path, users, err);
        file_lock_release(lock);
    }
    file_locks_free(locks);
    return is_stored ? recent(users, now) : NULL;
}
