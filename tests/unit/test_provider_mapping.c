/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "compute/ops/provider_mapping.h"

/* A node, and two bridges of which one is of another physical network. */
#define ALLOCATIONS                                                                  \
    "{\"node\": {\"resources\": {\"VCPU\": 2}}, \"one\": {\"resources\": {\"BW\": 5}}," \
    " \"two\": {\"resources\": {\"BW\": 3, \"PPS\": 7}}}"
#define TRAITS "{\"node\": [], \"one\": [\"NET_1\"], \"two\": [\"NET_1\", \"NET_2\"]}"
#define GROUP(id, resources, traits, more)                                                                   \
    "{\"nova_object.data\": {\"requester_id\": \"" id "\", \"resources\": " resources ", \"required_traits\": " traits more "}}"

static char *
mapping_of(const char *groups_text, NovaError **err)
{
    json_auto_t *groups = json_loads(groups_text, 0, NULL);
    json_auto_t *allocations = json_loads(ALLOCATIONS, 0, NULL);
    json_auto_t *traits = json_loads(TRAITS, 0, NULL);
    json_auto_t *mapping = NULL;

    assert_non_null(groups);
    mapping = provider_mapping_find(groups, allocations, traits, err);
    return mapping ? json_dumps(mapping, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
}

static void
each_group_gets_the_provider_that_has_its_resources(void **state G_GNUC_UNUSED)
{
    g_autofree char *found = mapping_of("[" GROUP("a", "{\"BW\": 3}", "[]", "") ", " GROUP("b", "{\"BW\": 5}", "[\"NET_1\"]", "")
                                        ", " GROUP("c", "{\"PPS\": 7}", "[\"NET_2\"]", "") "]", NULL);

    assert_string_equal(found, "{\"a\":[\"two\"],\"b\":[\"one\"],\"c\":[\"two\"]}");
}

/* The first that would do leaves nothing for the second: another is tried. */
static void
traits_decide_between_two(void **state G_GNUC_UNUSED)
{
    g_autofree char *found = mapping_of("[" GROUP("a", "{\"BW\": 2}", "[]", "") ", " GROUP("b", "{\"BW\": 3}", "[\"NET_2\"]", "")
                                        ", " GROUP("c", "{\"BW\": 3}", "[]", "") "]", NULL);

    assert_string_equal(found, "{\"a\":[\"one\"],\"b\":[\"two\"],\"c\":[\"one\"]}");
}

static void
nothing_is_mapped_when_no_assignment_fits(void **state G_GNUC_UNUSED)
{
    g_autofree char *too_much = mapping_of("[" GROUP("a", "{\"BW\": 9}", "[]", "") "]", NULL);
    g_autofree char *no_trait = mapping_of("[" GROUP("a", "{\"BW\": 5}", "[\"NET_3\"]", "") "]", NULL);
    g_autofree char *left_over = mapping_of("[" GROUP("a", "{\"BW\": 5}", "[]", "") "]", NULL);
    g_autofree char *none = mapping_of("[]", NULL);

    assert_string_equal(too_much, "{}");
    assert_string_equal(no_trait, "{}");
    assert_string_equal(left_over, "{}"); /* what "two" has of BW is nobody's */
    assert_string_equal(none, "{}");
}

static void
groups_that_nova_does_not_map_are_refused(void **state G_GNUC_UNUSED)
{
    static const char *const more[] = {
        "[" GROUP("a", "{}", "[]", ", \"use_same_provider\": false") "]",
        "[" GROUP("a", "{}", "[]", ", \"aggregates\": [[\"x\"]]") "]",
        "[" GROUP("a", "{}", "[]", ", \"forbidden_traits\": [\"T\"]") "]",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(more); i++) {
        g_autoptr(NovaError) error = NULL;

        assert_null(mapping_of(more[i], &error));
        assert_string_equal(nova_error_class(error), "NotImplementedError");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_group_gets_the_provider_that_has_its_resources),
        cmocka_unit_test(traits_decide_between_two),
        cmocka_unit_test(nothing_is_mapped_when_no_assignment_fits),
        cmocka_unit_test(groups_that_nova_does_not_map_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
