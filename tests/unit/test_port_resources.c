/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "compute/ops/port_resources.h"

#define ALLOCATIONS                                                                            \
    "{\"node\": {\"resources\": {\"VCPU\": 2, \"MEMORY_MB\": 64}},"                            \
    " \"agent\": {\"resources\": {\"NET_PACKET_RATE_KILOPACKET_PER_SEC\": 30}},"               \
    " \"bridge\": {\"resources\": {\"NET_BW_EGR_KILOBIT_PER_SEC\": 1500,"                      \
    " \"NET_BW_IGR_KILOBIT_PER_SEC\": 500}}}"

static char *
excess(const char *held_text)
{
    json_auto_t *allocations = json_loads(ALLOCATIONS, 0, NULL);
    json_auto_t *held = json_loads(held_text, 0, NULL);
    json_auto_t *more = port_resources_excess(allocations, held);

    assert_non_null(held);
    return json_to_text(more);
}

static void
nothing_is_too_much_when_the_ports_account_for_it(void **state)
{
    g_autofree char *text =
        excess("{\"agent\": {\"resources\": {\"NET_PACKET_RATE_KILOPACKET_PER_SEC\": 30}},"
               " \"bridge\": {\"resources\": {\"NET_BW_EGR_KILOBIT_PER_SEC\": 1500,"
               " \"NET_BW_IGR_KILOBIT_PER_SEC\": 700}}}");

    (void)state;
    assert_string_equal(text, "{}");
}

static void
what_no_port_has_is_too_much(void **state)
{
    g_autofree char *some = excess("{\"bridge\": {\"resources\": {\"NET_BW_EGR_KILOBIT_PER_SEC\": 1000,"
                                   " \"NET_BW_IGR_KILOBIT_PER_SEC\": 500}}}");
    g_autofree char *all = excess("{}");

    (void)state;
    assert_string_equal(some, "{\"agent\":{\"resources\":{\"NET_PACKET_RATE_KILOPACKET_PER_SEC\":30}},"
                              "\"bridge\":{\"resources\":{\"NET_BW_EGR_KILOBIT_PER_SEC\":500}}}");
    assert_string_equal(all, "{\"agent\":{\"resources\":{\"NET_PACKET_RATE_KILOPACKET_PER_SEC\":30}},"
                             "\"bridge\":{\"resources\":{\"NET_BW_EGR_KILOBIT_PER_SEC\":1500,"
                             "\"NET_BW_IGR_KILOBIT_PER_SEC\":500}}}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_too_much_when_the_ports_account_for_it),
        cmocka_unit_test(what_no_port_has_is_too_much),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
