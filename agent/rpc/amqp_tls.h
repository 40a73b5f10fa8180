/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The socket under a link: plain TCP, or TLS with the checks that oslo.messaging makes: the
 * certificate when ssl_ca_file is set, and then the host's name only when the URL has one host. */

#include <amqp.h>

#include "agent/rpc/transport_settings.h"

/* Belongs to the connection. NULL with *ret_reason (g_free it) when a file cannot be used. */
amqp_socket_t *amqp_tls_socket_new(amqp_connection_state_t connection,
                                   const TransportSettings *settings, const TransportHost *host,
                                   char **ret_reason);

/* librabbitmq's text for a status, with OpenSSL's reason where there is one; g_free(). */
char *amqp_tls_describe(int status);
