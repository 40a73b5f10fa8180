/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/rpc/transport_settings_private.h"
#include "conf/options.h"

static void
replace(char **member, const char *text)
{
    g_free(*member);
    *member = text && text[0] ? g_strdup(text) : NULL;
}

static void
copy_tls_and_retries(TransportSettings *settings, const OptionsOsloMessagingRabbit *rabbit)
{
    settings->ssl = rabbit->ssl;
    replace(&settings->ssl_ca_file, rabbit->ssl_ca_file);
    replace(&settings->ssl_cert_file, rabbit->ssl_cert_file);
    replace(&settings->ssl_key_file, rabbit->ssl_key_file);
    replace(&settings->ssl_version, rabbit->ssl_version);
    settings->ssl_enforce_hostname_verification = rabbit->ssl_enforce_hostname_verification;
    settings->login_external = g_strcmp0(rabbit->rabbit_login_method, "EXTERNAL") == 0;
    settings->kombu_reconnect_delay_s = rabbit->kombu_reconnect_delay;
    settings->kombu_reconnect_splay_s = rabbit->kombu_reconnect_splay;
    settings->shuffle_failover = g_strcmp0(rabbit->kombu_failover_strategy, "shuffle") == 0;
    settings->kombu_missing_consumer_retry_timeout_s =
        (int)rabbit->kombu_missing_consumer_retry_timeout;
    replace(&settings->kombu_compression, rabbit->kombu_compression);
    settings->rabbit_retry_interval_s = (int)rabbit->rabbit_retry_interval;
    settings->rabbit_retry_backoff_s = (int)rabbit->rabbit_retry_backoff;
    settings->rabbit_interval_max_s = (int)rabbit->rabbit_interval_max;
    settings->heartbeat_timeout_threshold_s = (int)rabbit->heartbeat_timeout_threshold;
    settings->direct_mandatory_flag = rabbit->direct_mandatory_flag;
}

static void
copy_queues(TransportSettings *settings, const OptionsOsloMessagingRabbit *rabbit)
{
    settings->rabbit_ha_queues = rabbit->rabbit_ha_queues;
    settings->rabbit_quorum_queue = rabbit->rabbit_quorum_queue;
    settings->rabbit_transient_quorum_queue = rabbit->rabbit_transient_quorum_queue;
    settings->rabbit_stream_fanout = rabbit->rabbit_stream_fanout;
    settings->rabbit_quorum_delivery_limit = (int)rabbit->rabbit_quorum_delivery_limit;
    settings->rabbit_quorum_max_memory_length = (int)rabbit->rabbit_quorum_max_memory_length;
    settings->rabbit_quorum_max_memory_bytes = (int)rabbit->rabbit_quorum_max_memory_bytes;
    settings->rabbit_transient_queues_ttl_s = (int)rabbit->rabbit_transient_queues_ttl;
    settings->rabbit_qos_prefetch_count = (int)rabbit->rabbit_qos_prefetch_count;
    settings->enable_cancel_on_failover = rabbit->enable_cancel_on_failover;
    settings->amqp_durable_queues = rabbit->amqp_durable_queues;
    settings->amqp_auto_delete = rabbit->amqp_auto_delete;
    settings->use_queue_manager = rabbit->use_queue_manager;
    replace(&settings->queue_hostname, rabbit->hostname);
    replace(&settings->queue_processname, rabbit->processname);
}

static TransportSettings *
settings_for(const Options *options, const char *url, NovaError **err)
{
    g_autoptr(TransportSettings) settings = transport_settings_defaults();

    replace(&settings->control_exchange, options->default_group.control_exchange);
    settings->rpc_response_timeout_s = (int)options->default_group.rpc_response_timeout;
    settings->rpc_ping_enabled = options->default_group.rpc_ping_enabled;
    replace(&settings->lock_path, options->oslo_concurrency.lock_path);
    copy_tls_and_retries(settings, &options->oslo_messaging_rabbit);
    copy_queues(settings, &options->oslo_messaging_rabbit);
    if (!transport_settings_finish(settings, url, err))
        return NULL;
    return g_steal_pointer(&settings);
}

TransportSettings *
transport_settings_from_options(const Options *options, NovaError **err)
{
    return settings_for(options, options->default_group.transport_url, err);
}

TransportSettings *
transport_settings_for_notifications(const Options *options, NovaError **err)
{
    return settings_for(options, options->oslo_messaging_notifications.transport_url, err);
}
