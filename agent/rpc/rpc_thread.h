/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Threads that own a link. */

#include <pthread.h>

#include "agent/rpc/amqp_link.h"

/* All signals blocked, a stack of 256 KiB, named for debuggers; aborts when it cannot be started. */
pthread_t rpc_thread_start(const char *name, void *(*run)(void *data), void *data);

/* Joins; a thread that has not ended in time has its link broken under it first. */
void rpc_thread_join(pthread_t thread, int timeout_ms, AmqpLink *link);
