/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Threads that own a link, and conditions that wait on the monotonic clock. */

#include <pthread.h>
#include <time.h>

#include "agent/rpc/amqp_link.h"

/* All signals blocked, a stack of 256 KiB, named for debuggers; aborts when it cannot be started. */
pthread_t rpc_thread_start(const char *name, void *(*run)(void *data), void *data);

/* Joins; a thread that has not ended in time has its link broken under it first. */
void rpc_thread_join(pthread_t thread, int timeout_ms, AmqpLink *link);

void rpc_cond_init(pthread_cond_t *cond);
/* For pthread_cond_timedwait() on such a condition. */
struct timespec rpc_deadline(double seconds_from_now);
