/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names of fanout and reply queues: random, or from oslo.messaging's queue manager, whose counter
 * lies in shared memory so that a restarted service finds its queues again
 * (amqpdriver.QManager). */

#include "agent/rpc/transport_settings.h"

/* "<prefix><32 hex digits>" or "<prefix><host>:<process>:<n>"; g_free(). */
char *queue_names_make(const TransportSettings *settings, const char *prefix);
