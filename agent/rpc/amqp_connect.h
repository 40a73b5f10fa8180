/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The socket under a link: plain TCP, or TLS with the checks that oslo.messaging makes: the
 * certificate when ssl_ca_file is set, and then the host's name only when the URL has one host. */

#include <amqp.h>

#include "agent/rpc/transport_settings.h"

/* Connects 'connection' to 'host', which takes 'timeout_s' at most, the resolver's time apart.
 * False with *ret_reason (g_free it). */
bool amqp_connect(amqp_connection_state_t connection, const TransportSettings *settings,
                  const TransportHost *host, int timeout_s, char **ret_reason);
