/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/rpc/queue_names.h"
#include "agent/rpc/transport_settings.h"
#include "agent/rpc/transport_url.h"
#include "conf/options.h"

static const TransportHost *
host_of(const TransportUrl *url, unsigned i)
{
    return url->hosts->pdata[i];
}

static void
every_host_has_its_own_credentials(void **state)
{
    g_autoptr(TransportUrl) url = transport_url_parse(
        "rabbit://us%40er:p%3Ass@h1:5671,u2:p:2@[2001:db8::1]:99,u3:p3@h3/nova?ssl=true&a=b+c", NULL);

    (void)state;
    assert_int_equal(url->hosts->len, 3);
    assert_string_equal(host_of(url, 0)->username, "us@er");
    assert_string_equal(host_of(url, 0)->password, "p:ss");
    assert_int_equal(host_of(url, 0)->port, 5671);
    assert_string_equal(host_of(url, 1)->hostname, "2001:db8::1");
    assert_string_equal(host_of(url, 1)->password, "p:2");
    assert_int_equal(host_of(url, 1)->port, 99);
    assert_int_equal(host_of(url, 2)->port, 5672);
    assert_string_equal(url->virtual_host, "nova");
    assert_string_equal(g_hash_table_lookup(url->options, "ssl"), "true");
    assert_string_equal(g_hash_table_lookup(url->options, "a"), "b c");
}

static void
virtual_hosts_are_kombus(void **state)
{
    static const struct {
        const char *url, *virtual_host;
    } cases[] = {
        {"rabbit://u:p@h", "/"},        {"rabbit://u:p@h/", "/"},   {"rabbit://u:p@h//", "/"},
        {"rabbit://u:p@h/nova", "nova"}, {"kombu://u:p@h/a%2Fb", "a/b"}, {"rabbit://u:p@h?ssl=1", "/"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TransportUrl) url = transport_url_parse(cases[i].url, NULL);

        assert_string_equal(url->virtual_host, cases[i].virtual_host);
    }
}

static void
no_host_is_guest_at_localhost(void **state)
{
    g_autoptr(TransportUrl) url = transport_url_parse("rabbit://", NULL);

    (void)state;
    assert_string_equal(host_of(url, 0)->hostname, "localhost");
    assert_string_equal(host_of(url, 0)->username, "guest");
    assert_string_equal(host_of(url, 0)->password, "guest");
}

static void
wrong_urls_are_named_without_their_password(void **state)
{
    static const char *const urls[] = {
        "", "rabbit:", "u:secret@h", "amqp1://u:secret@h/", "rabbit://u:secret@h:port/",
        "rabbit://u:secret@h:0/", "rabbit://u:secret@h:99999/", "rabbit://u:secret@[::1/",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
        g_autoptr(NovaError) err = NULL;

        assert_null(transport_url_parse(urls[i], &err));
        assert_null(strstr(nova_error_message(err), "secret"));
    }
}

static void
the_query_overrides_options(void **state)
{
    g_autoptr(NovaError) err = NULL;
    g_autoptr(TransportSettings) settings = transport_settings_new(
        "rabbit://u:p@h/?rabbit_quorum_queue=true&heartbeat_timeout_threshold=7&ssl=yes"
        "&kombu_reconnect_delay=0.5&rabbit_login_method=EXTERNAL&kombu_failover_strategy=shuffle"
        "&rpc_conn_pool_size=3&ssl_ca_file=/ca", &err);

    (void)state;
    assert_true(settings->rabbit_quorum_queue);
    assert_true(settings->ssl);
    assert_true(settings->login_external);
    assert_true(settings->shuffle_failover);
    assert_int_equal(settings->heartbeat_timeout_threshold_s, 7);
    assert_int_equal((int)(settings->kombu_reconnect_delay_s * 10), 5);
    assert_string_equal(settings->ssl_ca_file, "/ca");
}

static void
wrong_values_and_combinations_are_refused(void **state)
{
    static const struct {
        const char *query, *text;
    } cases[] = {
        {"ssl=maybe", "ssl"},
        {"heartbeat_timeout_threshold=x", "heartbeat_timeout_threshold"},
        {"rabbit_retry_interval=0", "rabbit_retry_interval"},
        {"rabbit_login_method=KERBEROS", "rabbit_login_method"},
        {"no_such_option=1", "no option"},
        {"rabbit_stream_fanout=true", "rabbit_qos_prefetch_count"},
        {"rabbit_stream_fanout=true&rabbit_qos_prefetch_count=1", "rabbit_transient_quorum_queue"},
        {"rabbit_ha_queues=true&rabbit_quorum_queue=true", "not both"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *url = g_strdup_printf("rabbit://u:p@h/?%s", cases[i].query);
        g_autoptr(NovaError) err = NULL;

        assert_null(transport_settings_new(url, &err));
        assert_non_null(strstr(nova_error_message(err), cases[i].text));
    }
}

static void
nova_conf_is_copied_and_the_url_has_the_last_word(void **state)
{
    char url[] = "rabbit://u:p@h:1/v?rabbit_quorum_queue=false", ca[] = "/ca.pem", empty[] = "";
    char method[] = "EXTERNAL", exchange[] = "nova";
    Options options = {
        .default_group = {.transport_url = url, .control_exchange = exchange,
                          .rpc_response_timeout = 90, .rpc_ping_enabled = true},
        .oslo_messaging_rabbit = {.ssl = true, .ssl_ca_file = ca, .ssl_key_file = empty,
                                  .rabbit_login_method = method, .rabbit_quorum_queue = true,
                                  .amqp_durable_queues = true, .kombu_reconnect_delay = 0.25,
                                  .rabbit_transient_queues_ttl = 7, .rabbit_interval_max = 9},
    };
    g_autoptr(TransportSettings) settings = transport_settings_from_options(&options, NULL);

    (void)state;
    assert_string_equal(settings->url->virtual_host, "v");
    assert_string_equal(settings->control_exchange, "nova");
    assert_int_equal(settings->rpc_response_timeout_s, 90);
    assert_true(settings->rpc_ping_enabled);
    assert_true(settings->ssl);
    assert_string_equal(settings->ssl_ca_file, "/ca.pem");
    assert_null(settings->ssl_key_file);
    assert_true(settings->login_external);
    assert_false(settings->rabbit_quorum_queue);
    assert_true(settings->amqp_durable_queues);
    assert_int_equal((int)(settings->kombu_reconnect_delay_s * 100), 25);
    assert_int_equal(settings->rabbit_transient_queues_ttl_s, 7);
    assert_int_equal(settings->rabbit_interval_max_s, 9);
    assert_string_equal(settings->queue_processname, "nova-compute");
}

static void
random_names_are_32_digits(void **state)
{
    g_autoptr(TransportSettings) settings = transport_settings_new("rabbit://u:p@h/", NULL);
    g_autofree char *one = queue_names_make(settings, "reply_");
    g_autofree char *two = queue_names_make(settings, "reply_");

    (void)state;
    assert_int_equal(strlen(one), strlen("reply_") + 32);
    assert_string_not_equal(one, two);
}

static void
the_queue_manager_counts(void **state)
{
    g_autoptr(TransportSettings) settings =
        transport_settings_new("rabbit://u:p@h/?use_queue_manager=true&hostname=kn-unit", NULL);
    g_autofree char *path = NULL, *expected = NULL, *one = NULL, *two = NULL;

    (void)state;
    g_free(settings->queue_processname);
    settings->queue_processname = g_strdup_printf("test-%u", g_random_int());
    settings->lock_path = g_strdup(g_get_tmp_dir());
    path = g_strdup_printf("/dev/shm/kn-unit_%s_qmanager", settings->queue_processname);
    one = queue_names_make(settings, "reply_");
    two = queue_names_make(settings, "compute_fanout_");
    expected = g_strdup_printf("reply_kn-unit:%s:1", settings->queue_processname);
    assert_string_equal(one, expected);
    assert_true(g_str_has_prefix(two, "compute_fanout_kn-unit:test-"));
    assert_true(g_str_has_suffix(two, ":2"));
    remove(path);
    g_free(path);
    path = g_strdup_printf("%s/oslo_read_shm_kn-unit_%s", g_get_tmp_dir(), settings->queue_processname);
    remove(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_host_has_its_own_credentials),
        cmocka_unit_test(virtual_hosts_are_kombus),
        cmocka_unit_test(no_host_is_guest_at_localhost),
        cmocka_unit_test(wrong_urls_are_named_without_their_password),
        cmocka_unit_test(the_query_overrides_options),
        cmocka_unit_test(wrong_values_and_combinations_are_refused),
        cmocka_unit_test(nova_conf_is_copied_and_the_url_has_the_last_word),
        cmocka_unit_test(random_names_are_32_digits),
        cmocka_unit_test(the_queue_manager_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
