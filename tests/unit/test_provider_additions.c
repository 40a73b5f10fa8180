/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "compute/provider_additions.h"

#define NODE "0c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define CHILD "1c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f"

typedef struct Fixture {
    ProviderTree *tree;
    GHashTable *absent;
} Fixture;

static int
set_up(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);
    json_auto_t *inventory = json_pack("{s:{s:i}}", "VCPU", "total", 2);

    fixture->tree = provider_tree_new();
    fixture->absent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    provider_set_inventory(provider_tree_add(fixture->tree, NODE, "node1", NULL), inventory);
    provider_add_trait(provider_tree_find(fixture->tree, NODE), "COMPUTE_NODE");
    provider_tree_add(fixture->tree, CHILD, "node1_card", NODE);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    Fixture *fixture = *state;

    provider_tree_free(fixture->tree);
    g_hash_table_unref(fixture->absent);
    g_free(fixture);
    return 0;
}

/* 'class' may be NULL. New reference. */
static json_t *
config(const char *class, int total, const char *trait, const char *file)
{
    json_t *one = class ? json_pack("[{s:{s:i}}]", class, "total", total) : json_array();

    return json_pack("{s:{s:o}, s:{s:[s]}, s:s}", "inventories", "additional", one, "traits", "additional", trait,
                     "__source_file", file);
}

static bool
merge(Fixture *fixture, json_t *configs, NovaError **err)
{
    json_auto_t *owned = configs;

    return provider_additions_merge(fixture->tree, owned, fixture->absent, err);
}

static void
assert_inventory(Fixture *fixture, const char *uuid, const char *expected)
{
    g_autofree char *text = json_to_python_text(provider_tree_find(fixture->tree, uuid)->inventory);

    assert_string_equal(text, expected);
}

static bool
has(Fixture *fixture, const char *uuid, const char *trait)
{
    return provider_has_trait(provider_tree_find(fixture->tree, uuid), trait);
}

static void
the_node_gets_what_is_for_every_node(void **state)
{
    assert_true(merge(*state, json_pack("{s:o}", "$COMPUTE_NODE", config("CUSTOM_A", 5, "CUSTOM_B", "a.yaml")), NULL));
    assert_inventory(*state, NODE, "{\"VCPU\": {\"total\": 2}, \"CUSTOM_A\": {\"total\": 5}}");
    assert_true(has(*state, NODE, "CUSTOM_B") && has(*state, NODE, "OWNER_NOVA"));
    assert_inventory(*state, CHILD, "{}");
    assert_false(has(*state, CHILD, "OWNER_NOVA"));
}

static void
an_entry_of_its_own_counts_instead(void **state)
{
    assert_true(merge(*state, json_pack("{s:o, s:o}", "$COMPUTE_NODE", config("CUSTOM_A", 5, "CUSTOM_B", "a.yaml"),
                                        "node1", config(NULL, 0, "CUSTOM_C", "b.yaml")), NULL));
    assert_inventory(*state, NODE, "{\"VCPU\": {\"total\": 2}}");
    assert_true(has(*state, NODE, "CUSTOM_C"));
    assert_false(has(*state, NODE, "CUSTOM_B"));
}

static void
a_child_keeps_it_when_it_is_asked_again(void **state)
{
    for (int i = 0; i < 2; i++)
        assert_true(merge(*state, json_pack("{s:o}", CHILD, config("CUSTOM_A", 5, "CUSTOM_B", "a.yaml")), NULL));
    assert_inventory(*state, CHILD, "{\"CUSTOM_A\": {\"total\": 5}}");
}

static void
what_somebody_else_reports_is_not_overwritten(void **state)
{
    g_autoptr(NovaError) error = NULL;

    assert_false(merge(*state, json_pack("{s:o}", NODE, config("VCPU", 5, "CUSTOM_B", "a.yaml")), &error));
    assert_string_equal(nova_error_class(error), "ValueError");
    assert_string_equal(nova_error_message(error),
                        "Provider config 'a.yaml' attempts to define an inventory that is owned by the virt driver. Invalid "
                        "inventories 'VCPU' must be removed from 'a.yaml'.");
}

static void
a_provider_has_one_entry(void **state)
{
    g_autoptr(NovaError) error = NULL;

    assert_false(merge(*state, json_pack("{s:o, s:o}", NODE, config(NULL, 0, "CUSTOM_B", "a.yaml"), "node1",
                                         config(NULL, 0, "CUSTOM_B", "b.yaml")), &error));
    assert_string_equal(nova_error_message(error),
                        "Provider config 'b.yaml' conflicts with provider config 'a.yaml'. The same provider is specified "
                        "using both name 'node1' and uuid '" NODE "'.");
}

static void
one_that_is_missing_is_told_once_until_it_is_back(void **state)
{
    Fixture *fixture = *state;

    for (int i = 0; i < 2; i++)
        assert_true(merge(fixture, json_pack("{s:o}", "card2", config(NULL, 0, "CUSTOM_B", "a.yaml")), NULL));
    assert_true(g_hash_table_contains(fixture->absent, "card2"));
    provider_tree_add(fixture->tree, "2c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f", "card2", NODE);
    assert_true(merge(fixture, json_pack("{s:o}", "card2", config(NULL, 0, "CUSTOM_B", "a.yaml")), NULL));
    assert_int_equal(g_hash_table_size(fixture->absent), 0);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_node_gets_what_is_for_every_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_entry_of_its_own_counts_instead, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_child_keeps_it_when_it_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_somebody_else_reports_is_not_overwritten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_provider_has_one_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_missing_is_told_once_until_it_is_back, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
