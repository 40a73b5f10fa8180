/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"

#define SERVER "00000000-0000-4000-8000-000000000001"

/* Ports: one that is up, in the network "private"; one that is not, of another kind, in "public". */
static const char ports[] =
    "[{\"id\": \"p1\", \"active\": true, \"vnic_type\": \"normal\", \"network\": {\"id\": \"n1\", \"label\": \"private\", "
    "\"subnets\": [{\"cidr\": \"10.0.0.0/8\", \"ips\": [{\"address\": \"10.0.0.1\", \"type\": \"fixed\", \"version\": 4}, "
    "{\"address\": \"10.0.0.2\", \"type\": \"fixed\", \"version\": 4}]}, "
    "{\"cidr\": \"fd00::/8\", \"ips\": [{\"address\": \"fd00::1\", \"type\": \"fixed\", \"version\": 6}]}]}}, "
    "{\"id\": \"p2\", \"active\": false, \"vnic_type\": \"direct\", \"network\": {\"id\": \"n2\", \"label\": \"public\", "
    "\"subnets\": [{\"cidr\": \"192.0.2.0/24\", \"ips\": [{\"address\": \"192.0.2.1\", \"type\": \"fixed\", \"version\": 4}]}]}}]";

typedef struct Site {
    Options options;
    Host host;
    Instance *instance;
    NetworkInfo *network;
} Site;

static int
set_up(void **state)
{
    Site *site = g_new0(Site, 1);

    site->options.default_group.vif_plugging_timeout = 300;
    site->host = (Host){.options = &site->options, .events = instance_events_new()};
    site->instance = object_new(&INSTANCE_TYPE);
    OBJECT_SET_STRING(site->instance, uuid, SERVER);
    site->network = network_info_from_text(ports, NULL);
    assert_non_null(site->network);
    *state = site;
    return 0;
}

static int
tear_down(void **state)
{
    Site *site = *state;

    network_info_free(site->network);
    instance_free(site->instance);
    instance_events_free(site->host.events);
    g_free(site);
    return 0;
}

/* ---- access addresses ---- */

static void
addresses_of_the_named_network_are_the_server_s(void **state)
{
    Site *site = *state;

    spawn_note_access_ips(site->instance, site->network, "private");
    assert_string_equal(site->instance->access_ip_v4, "10.0.0.1");
    assert_string_equal(site->instance->access_ip_v6, "fd00::1");
}

/* The site has no conductor that could be asked. */
static void
a_new_device_that_tells_nothing_asks_nobody(void **state)
{
    Site *site = *state;

    assert_true(step_note_new_device(&site->host, NULL, site->instance, false, NULL));
    assert_null(site->instance->device_metadata);
}

static void
addresses_that_the_user_gave_stay(void **state)
{
    Site *site = *state;

    OBJECT_SET_STRING(site->instance, access_ip_v6, "fd00::99");
    spawn_note_access_ips(site->instance, site->network, "private");
    assert_null(site->instance->access_ip_v4);
    assert_string_equal(site->instance->access_ip_v6, "fd00::99");
}

static void
without_the_network_there_are_none(void **state)
{
    Site *site = *state;

    spawn_note_access_ips(site->instance, site->network, NULL);
    spawn_note_access_ips(site->instance, site->network, "none-such");
    assert_null(site->instance->access_ip_v4);
    assert_null(site->instance->access_ip_v6);
}

/* ---- whose wiring is waited for ---- */

static bool
is_waited_for(Site *site, const char *port)
{
    return instance_events_deliver(site->host.events, SERVER, "network-vif-plugged", port, "completed");
}

static void
ports_that_are_up_are_not_waited_for(void **state)
{
    Site *site = *state;
    g_autoptr(EventWaiter) waiter = step_expect_plugs(&site->host, site->instance, site->network, NULL);

    assert_non_null(waiter);
    assert_false(is_waited_for(site, "p1"));
    assert_true(is_waited_for(site, "p2"));
}

static void
ports_of_the_named_kinds_are_waited_for_though_they_are_up(void **state)
{
    Site *site = *state;
    char *kinds[] = {"normal", NULL};
    g_autoptr(EventWaiter) waiter = step_expect_plugs(&site->host, site->instance, site->network, kinds);

    assert_non_null(waiter);
    assert_true(is_waited_for(site, "p1"));
    assert_false(is_waited_for(site, "p2"));
}

static void
without_a_time_out_nobody_waits(void **state)
{
    Site *site = *state;

    site->options.default_group.vif_plugging_timeout = 0;
    assert_null(step_expect_plugs(&site->host, site->instance, site->network, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(addresses_of_the_named_network_are_the_server_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_device_that_tells_nothing_asks_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_that_the_user_gave_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_network_there_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ports_that_are_up_are_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ports_of_the_named_kinds_are_waited_for_though_they_are_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_time_out_nobody_waits, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
