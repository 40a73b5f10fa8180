/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Conditions that wait by the monotonic clock: a step of the wall clock neither shortens nor lengthens a wait. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* A deadline that is never reached. */
#define MONOTONIC_NEVER INT64_MAX

void monotonic_cond_init(pthread_cond_t *cond);

/* Now and so much, in microseconds of that clock, as g_get_monotonic_time(); less than 0 is now. */
int64_t monotonic_after_ms(int64_t milliseconds);

/* pthread_cond_timedwait() on such a condition, with 'lock' held. False once the deadline is past, else true, also
 * for no reason: ask again for what was waited for. */
bool monotonic_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t deadline_us);
