/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/transport_settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rpc/transport_settings_private.h"

typedef enum SettingType { SETTING_BOOL, SETTING_INT, SETTING_DOUBLE, SETTING_TEXT } SettingType;

/* What the URL's query may say. */
typedef struct Setting {
    const char *name;
    SettingType type;
    size_t offset;
    int minimum;
} Setting;

#define AT(member) offsetof(TransportSettings, member)

/* clang-format off */
static const Setting settings_table[] = {
    {"ssl", SETTING_BOOL, AT(ssl), 0},
    {"ssl_ca_file", SETTING_TEXT, AT(ssl_ca_file), 0},
    {"ssl_cert_file", SETTING_TEXT, AT(ssl_cert_file), 0},
    {"ssl_key_file", SETTING_TEXT, AT(ssl_key_file), 0},
    {"ssl_version", SETTING_TEXT, AT(ssl_version), 0},
    {"ssl_enforce_hostname_verification", SETTING_BOOL, AT(ssl_enforce_hostname_verification), 0},
    {"kombu_reconnect_delay", SETTING_DOUBLE, AT(kombu_reconnect_delay_s), 0},
    {"kombu_reconnect_splay", SETTING_DOUBLE, AT(kombu_reconnect_splay_s), 0},
    {"kombu_missing_consumer_retry_timeout", SETTING_INT, AT(kombu_missing_consumer_retry_timeout_s), 0},
    {"kombu_compression", SETTING_TEXT, AT(kombu_compression), 0},
    {"rabbit_retry_interval", SETTING_INT, AT(rabbit_retry_interval_s), 1},
    {"rabbit_retry_backoff", SETTING_INT, AT(rabbit_retry_backoff_s), 0},
    {"rabbit_interval_max", SETTING_INT, AT(rabbit_interval_max_s), 1},
    {"heartbeat_timeout_threshold", SETTING_INT, AT(heartbeat_timeout_threshold_s), 0},
    {"direct_mandatory_flag", SETTING_BOOL, AT(direct_mandatory_flag), 0},
    {"rabbit_ha_queues", SETTING_BOOL, AT(rabbit_ha_queues), 0},
    {"rabbit_quorum_queue", SETTING_BOOL, AT(rabbit_quorum_queue), 0},
    {"rabbit_transient_quorum_queue", SETTING_BOOL, AT(rabbit_transient_quorum_queue), 0},
    {"rabbit_stream_fanout", SETTING_BOOL, AT(rabbit_stream_fanout), 0},
    {"rabbit_quorum_delivery_limit", SETTING_INT, AT(rabbit_quorum_delivery_limit), 0},
    {"rabbit_quorum_max_memory_length", SETTING_INT, AT(rabbit_quorum_max_memory_length), 0},
    {"rabbit_quorum_max_memory_bytes", SETTING_INT, AT(rabbit_quorum_max_memory_bytes), 0},
    {"rabbit_transient_queues_ttl", SETTING_INT, AT(rabbit_transient_queues_ttl_s), 0},
    {"rabbit_qos_prefetch_count", SETTING_INT, AT(rabbit_qos_prefetch_count), 0},
    {"enable_cancel_on_failover", SETTING_BOOL, AT(enable_cancel_on_failover), 0},
    {"amqp_durable_queues", SETTING_BOOL, AT(amqp_durable_queues), 0},
    {"amqp_auto_delete", SETTING_BOOL, AT(amqp_auto_delete), 0},
    {"use_queue_manager", SETTING_BOOL, AT(use_queue_manager), 0},
    {"hostname", SETTING_TEXT, AT(queue_hostname), 0},
    {"processname", SETTING_TEXT, AT(queue_processname), 0},
};
/* clang-format on */

/* Options of the group that make no difference here: pools of connections, threads, FIPS. */
static const char *const ignored[] = {
    "rpc_conn_pool_size", "conn_pool_min_size",   "conn_pool_ttl",
    "heartbeat_rate",     "heartbeat_in_pthread", "ssl_enforce_fips_mode",
    "rpc_reply_pool_size", NULL,
};

/* oslo.config's Boolean words. */
static bool
parse_bool(const char *text, bool *ret_value)
{
    static const char *const yes[] = {"true", "1", "yes", "on", NULL};
    static const char *const no[] = {"false", "0", "no", "off", NULL};
    g_autofree char *lower = g_ascii_strdown(text, -1);

    *ret_value = g_strv_contains(yes, lower);
    return *ret_value || g_strv_contains(no, lower);
}

static bool
parse_int(const char *text, int minimum, int *ret_value)
{
    char *end;
    gint64 value = g_ascii_strtoll(text, &end, 10);

    *ret_value = (int)CLAMP(value, minimum, G_MAXINT32);
    return *text != '\0' && *end == '\0' && value >= minimum && value <= G_MAXINT32;
}

static bool
parse_double(const char *text, double *ret_value)
{
    char *end;

    *ret_value = g_ascii_strtod(text, &end);
    return *text != '\0' && *end == '\0' && *ret_value >= 0 && *ret_value < 1e6;
}

static bool
set_from_text(TransportSettings *settings, const Setting *setting, const char *text)
{
    char *member = (char *)settings + setting->offset;

    switch (setting->type) {
    case SETTING_BOOL:
        return parse_bool(text, (bool *)(void *)member);
    case SETTING_INT:
        return parse_int(text, setting->minimum, (int *)(void *)member);
    case SETTING_DOUBLE:
        return parse_double(text, (double *)(void *)member);
    case SETTING_TEXT:
        g_free(*(char **)(void *)member);
        *(char **)(void *)member = text[0] ? g_strdup(text) : NULL;
        return true;
    }
    return false;
}

/* The words of two options that are no text for us. */
static bool
set_choice(TransportSettings *settings, const char *name, const char *text, bool *ret_is_known)
{
    static const char *const methods[] = {"PLAIN", "AMQPLAIN", "EXTERNAL", "RABBIT-CR-DEMO", NULL};

    *ret_is_known = true;
    if (strcmp(name, "rabbit_login_method") == 0) {
        settings->login_external = strcmp(text, "EXTERNAL") == 0;
        return g_strv_contains(methods, text);
    }
    if (strcmp(name, "kombu_failover_strategy") == 0) {
        settings->shuffle_failover = strcmp(text, "shuffle") == 0;
        return settings->shuffle_failover || strcmp(text, "round-robin") == 0;
    }
    *ret_is_known = g_strv_contains(ignored, name);
    return *ret_is_known;
}

static bool
apply_query_option(TransportSettings *settings, const char *name, const char *text, NovaError **err)
{
    bool is_known = false, is_right = false;

    for (unsigned i = 0; i < G_N_ELEMENTS(settings_table) && !is_known; i++) {
        is_known = strcmp(settings_table[i].name, name) == 0;
        if (is_known)
            is_right = set_from_text(settings, &settings_table[i], text);
    }
    if (!is_known)
        is_right = set_choice(settings, name, text, &is_known);
    if (is_right)
        return true;
    if (!is_known)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "transport_url: '%s' is no option of [oslo_messaging_rabbit]", name);
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                          "transport_url: '%s' is no value for %s", text, name);
}

static bool
apply_query(TransportSettings *settings, NovaError **err)
{
    GHashTableIter iter;
    gpointer name, text;

    g_hash_table_iter_init(&iter, settings->url->options);
    while (g_hash_table_iter_next(&iter, &name, &text))
        if (!apply_query_option(settings, name, text, err))
            return false;
    return true;
}

/* impl_rabbit.Connection's and _get_queue_arguments()'s "Configuration Error"s. */
static bool
check_combinations(const TransportSettings *settings, NovaError **err)
{
    const char *wrong = NULL;

    if (settings->rabbit_stream_fanout && settings->rabbit_qos_prefetch_count <= 0)
        wrong = "rabbit_stream_fanout needs rabbit_qos_prefetch_count to be set to a value greater "
                "than 0";
    else if (settings->rabbit_stream_fanout && !settings->rabbit_transient_quorum_queue)
        wrong = "rabbit_stream_fanout needs rabbit_transient_quorum_queue to be set to true";
    else if (settings->rabbit_ha_queues &&
             (settings->rabbit_quorum_queue || settings->rabbit_transient_quorum_queue))
        wrong = "rabbit_quorum_queue and rabbit_ha_queues both enabled, queue type is quorum or HA "
                "(mirrored) not both";
    return !wrong || nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "[oslo_messaging_rabbit]: %s", wrong);
}

bool
transport_settings_finish(TransportSettings *settings, const char *url, NovaError **err)
{
    settings->url = transport_url_parse(url, err);
    if (!settings->url || !apply_query(settings, err))
        return false;
    if (!settings->queue_hostname)
        settings->queue_hostname = g_strdup(g_get_host_name());
    if (!settings->queue_processname)
        settings->queue_processname = g_strdup(settings->program);
    return check_combinations(settings, err);
}

TransportSettings *
transport_settings_defaults(void)
{
    TransportSettings *settings = g_new0(TransportSettings, 1);

    settings->program = g_strdup("nova-compute");
    settings->control_exchange = g_strdup("nova");
    settings->rpc_response_timeout_s = 60;
    settings->release = 34;
    settings->ssl_enforce_hostname_verification = true;
    settings->kombu_reconnect_delay_s = 1.0;
    settings->kombu_missing_consumer_retry_timeout_s = 60;
    settings->rabbit_retry_interval_s = 1;
    settings->rabbit_retry_backoff_s = 2;
    settings->rabbit_interval_max_s = 30;
    settings->heartbeat_timeout_threshold_s = 60;
    settings->direct_mandatory_flag = true;
    settings->rabbit_transient_queues_ttl_s = 1800;
    return settings;
}

TransportSettings *
transport_settings_new(const char *url, NovaError **err)
{
    g_autoptr(TransportSettings) settings = transport_settings_defaults();

    if (!transport_settings_finish(settings, url, err))
        return NULL;
    return g_steal_pointer(&settings);
}

void
transport_settings_free(TransportSettings *settings)
{
    if (!settings)
        return;
    transport_url_free(settings->url);
    g_free(settings->program);
    g_free(settings->control_exchange);
    g_free(settings->ssl_ca_file);
    g_free(settings->ssl_cert_file);
    g_free(settings->ssl_key_file);
    g_free(settings->ssl_version);
    g_free(settings->kombu_compression);
    g_free(settings->queue_hostname);
    g_free(settings->queue_processname);
    g_free(settings->lock_path);
    g_free(settings);
}
