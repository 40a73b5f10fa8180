/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A domain that reboots stops and starts: the news that it stopped waits, and is forgotten when
 * something else happens to the domain meanwhile (Nova does so for 15 s). Pure; one thread. */

#include <glib.h>

#define STOP_DELAY_US (15 * G_USEC_PER_SEC)

typedef struct StopDelay StopDelay;

StopDelay *stop_delay_new(void);
void stop_delay_free(StopDelay *delay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StopDelay, stop_delay_free)

void stop_delay_add(StopDelay *delay, const char *uuid, gint64 now_us);
void stop_delay_cancel(StopDelay *delay, const char *uuid);
/* Calls 'stopped' for each domain that has been off for long enough, once. */
void stop_delay_run(StopDelay *delay, gint64 now_us, void (*stopped)(const char *uuid, void *user),
                    void *user);
