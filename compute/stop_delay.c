/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/stop_delay.h"

struct StopDelay {
    GHashTable *due; /* uuid → gint64*: when the news is told */
};

StopDelay *
stop_delay_new(void)
{
    StopDelay *delay = g_new0(StopDelay, 1);

    delay->due = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return delay;
}

void
stop_delay_free(StopDelay *delay)
{
    if (!delay)
        return;
    g_hash_table_unref(delay->due);
    g_free(delay);
}

void
stop_delay_add(StopDelay *delay, const char *uuid, gint64 now_us)
{
    gint64 *due = g_new(gint64, 1);

    *due = now_us + STOP_DELAY_US;
    g_hash_table_replace(delay->due, g_strdup(uuid), due);
}

void
stop_delay_cancel(StopDelay *delay, const char *uuid)
{
    g_hash_table_remove(delay->due, uuid);
}

void
stop_delay_run(StopDelay *delay, gint64 now_us, void (*stopped)(const char *uuid, void *user),
               void *user)
{
    GHashTableIter iter;
    void *uuid, *due;

    g_hash_table_iter_init(&iter, delay->due);
    while (g_hash_table_iter_next(&iter, &uuid, &due)) {
        if (*(gint64 *)due > now_us)
            continue;
        stopped(uuid, user);
        g_hash_table_iter_remove(&iter);
    }
}
