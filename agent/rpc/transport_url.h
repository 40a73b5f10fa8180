/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* transport_url: "rabbit://user:pass@host:port[,user:pass@host:port]/vhost?option=value", as
 * oslo_messaging.TransportURL.parse() and its rabbit driver read it. Pure. */

#include <glib.h>

#include "agent/base/nova_error.h"

typedef struct TransportHost {
    char *hostname; /* without brackets; "localhost" when the URL names none */
    int port;       /* 5672 unless given; TLS has no other default */
    char *username; /* decoded; "" when absent, "guest" when the URL names no host at all */
    char *password;
} TransportHost;

typedef struct TransportUrl {
    char *virtual_host;  /* "/" when the URL has none */
    GPtrArray *hosts;    /* TransportHost*, at least one */
    GHashTable *options; /* query: char* → char*; overrides [oslo_messaging_rabbit] */
} TransportUrl;

/* ValueError that never quotes the password. */
TransportUrl *transport_url_parse(const char *text, NovaError **err);
void transport_url_free(TransportUrl *url);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TransportUrl, transport_url_free)
