/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/device_wait.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/monotonic.h"

struct DeviceWaits {
    pthread_mutex_t mutex;
    pthread_cond_t told; /* on the monotonic clock */
    GPtrArray *waits;    /* with mutex; of DeviceWait, which are their waiters' */
};

struct DeviceWait {
    DeviceWaits *waits;
    char *uuid;
    char *alias;
    DeviceOutcome outcome; /* with the mutex of waits */
};

DeviceWaits *
device_waits_new(void)
{
    DeviceWaits *waits = g_new0(DeviceWaits, 1);

    pthread_mutex_init(&waits->mutex, NULL);
    monotonic_cond_init(&waits->told);
    waits->waits = g_ptr_array_new();
    return waits;
}

void
device_waits_free(DeviceWaits *waits)
{
    if (!waits)
        return;
    g_ptr_array_unref(waits->waits);
    pthread_cond_destroy(&waits->told);
    pthread_mutex_destroy(&waits->mutex);
    g_free(waits);
}

DeviceWait *
device_wait_begin(DeviceWaits *waits, const char *uuid, const char *alias)
{
    DeviceWait *wait = g_new0(DeviceWait, 1);

    wait->waits = waits;
    wait->uuid = g_strdup(uuid);
    wait->alias = g_strdup(alias);
    pthread_mutex_lock(&waits->mutex);
    g_ptr_array_add(waits->waits, wait);
    pthread_mutex_unlock(&waits->mutex);
    return wait;
}

DeviceOutcome
device_wait_end(DeviceWait *wait, int timeout_ms)
{
    DeviceWaits *waits = wait->waits;
    int64_t deadline = monotonic_after_ms(timeout_ms);
    DeviceOutcome outcome;

    pthread_mutex_lock(&waits->mutex);
    while (wait->outcome == DEVICE_SAYS_NOTHING && monotonic_cond_wait(&waits->told, &waits->mutex, deadline))
        continue;
    outcome = wait->outcome;
    g_ptr_array_remove_fast(waits->waits, wait);
    pthread_mutex_unlock(&waits->mutex);
    g_free(wait->uuid);
    g_free(wait->alias);
    g_free(wait);
    return outcome;
}

void
device_waits_tell(DeviceWaits *waits, const char *uuid, const char *alias, DeviceOutcome outcome)
{
    pthread_mutex_lock(&waits->mutex);
    for (guint i = 0; i < waits->waits->len; i++) {
        DeviceWait *wait = waits->waits->pdata[i];

        if (strcmp(wait->uuid, uuid) == 0 && (!alias || strcmp(wait->alias, alias) == 0) &&
            wait->outcome == DEVICE_SAYS_NOTHING)
            wait->outcome = outcome;
    }
    pthread_cond_broadcast(&waits->told);
    pthread_mutex_unlock(&waits->mutex);
}
