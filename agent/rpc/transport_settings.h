/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the message bus needs to know: transport_url, [oslo_messaging_rabbit] and its neighbours,
 * with the URL's query on top. Immutable once made; must outlive every link made from it. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/rpc/transport_url.h"

typedef struct Options Options;

typedef struct TransportSettings {
    TransportUrl *url;
    char *program;          /* for connection names and queue names: "nova-compute" */
    char *control_exchange; /* "nova" */
    int rpc_response_timeout_s;
    bool rpc_ping_enabled;
    int release;            /* control plane's Nova major version: failures name no younger class */

    bool ssl;
    char *ssl_ca_file;      /* these: NULL when unset */
    char *ssl_cert_file;
    char *ssl_key_file;
    char *ssl_version;
    bool ssl_enforce_hostname_verification;
    bool login_external;    /* rabbit_login_method EXTERNAL; PLAIN and AMQPLAIN both log in as PLAIN */

    double kombu_reconnect_delay_s;
    double kombu_reconnect_splay_s;
    bool shuffle_failover;  /* kombu_failover_strategy = shuffle */
    int kombu_missing_consumer_retry_timeout_s;
    char *kombu_compression; /* NULL, "gzip" or "bz2" */
    int rabbit_retry_interval_s;
    int rabbit_retry_backoff_s;
    int rabbit_interval_max_s;
    int heartbeat_timeout_threshold_s; /* 0: no heartbeats */
    bool direct_mandatory_flag;

    bool rabbit_ha_queues;
    bool rabbit_quorum_queue;
    bool rabbit_transient_quorum_queue;
    bool rabbit_stream_fanout;
    int rabbit_quorum_delivery_limit;
    int rabbit_quorum_max_memory_length;
    int rabbit_quorum_max_memory_bytes;
    int rabbit_transient_queues_ttl_s; /* 0: queues do not expire */
    int rabbit_qos_prefetch_count;     /* 0: unlimited */
    bool enable_cancel_on_failover;
    bool amqp_durable_queues;
    bool amqp_auto_delete;
    bool use_queue_manager;
    char *queue_hostname;    /* [oslo_messaging_rabbit]hostname */
    char *queue_processname; /* [oslo_messaging_rabbit]processname */
    char *lock_path;         /* [oslo_concurrency]lock_path; may be NULL */
} TransportSettings;

/* A wrong URL, a wrong query value, or combinations that oslo.messaging refuses: ValueError. */
TransportSettings *transport_settings_from_options(const Options *options, NovaError **err);
/* The same for [oslo_messaging_notifications]transport_url, which must be set. */
TransportSettings *transport_settings_for_notifications(const Options *options, NovaError **err);

/* Library defaults for 'url'; what tests and small tools use. */
TransportSettings *transport_settings_new(const char *url, NovaError **err);
void transport_settings_free(TransportSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TransportSettings, transport_settings_free)
