/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/key_lock.h"

#include <glib.h>
#include <pthread.h>

struct KeyLock {
    pthread_mutex_t mutex; /* of 'held' */
    pthread_cond_t released;
    GHashTable *held; /* set of names */
};

KeyLock *
key_lock_new(void)
{
    KeyLock *lock = g_new0(KeyLock, 1);

    pthread_mutex_init(&lock->mutex, NULL);
    pthread_cond_init(&lock->released, NULL);
    lock->held = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return lock;
}

void
key_lock_free(KeyLock *lock)
{
    if (!lock)
        return;
    g_hash_table_unref(lock->held);
    pthread_cond_destroy(&lock->released);
    pthread_mutex_destroy(&lock->mutex);
    g_free(lock);
}

void
key_lock_take(KeyLock *lock, const char *name)
{
    pthread_mutex_lock(&lock->mutex);
    while (g_hash_table_contains(lock->held, name))
        pthread_cond_wait(&lock->released, &lock->mutex);
    g_hash_table_add(lock->held, g_strdup(name));
    pthread_mutex_unlock(&lock->mutex);
}

void
key_lock_release(KeyLock *lock, const char *name)
{
    pthread_mutex_lock(&lock->mutex);
    g_hash_table_remove(lock->held, name);
    pthread_cond_broadcast(&lock->released);
    pthread_mutex_unlock(&lock->mutex);
}
