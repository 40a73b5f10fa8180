/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/monotonic.h"

#include <glib.h>
#include <time.h>

void
monotonic_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

int64_t
monotonic_after_ms(int64_t milliseconds)
{
    int64_t now = g_get_monotonic_time();

    return milliseconds > (MONOTONIC_NEVER - now) / 1000 ? MONOTONIC_NEVER : now + MAX(milliseconds, 0) * 1000;
}

bool
monotonic_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_us)
{
    struct timespec deadline = {deadline_us / G_USEC_PER_SEC, deadline_us % G_USEC_PER_SEC * 1000};

    return pthread_cond_timedwait(cond, lock, &deadline) == 0;
}
