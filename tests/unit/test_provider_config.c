/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>

#include "agent/base/json.h"
#include "agent/base/yaml.h"
#include "conf/provider_config.h"

#define META "meta: {schema_version: '1.0'}\n"
#define NODE "identification: {uuid: $COMPUTE_NODE}"
#define FAILED "An error occurred while processing a provider config file: "

static int
set_up(void **state)
{
    *state = g_dir_make_tmp("kilonova-providers-XXXXXX", NULL);
    return *state ? 0 : -1;
}

static int
tear_down(void **state)
{
    g_autoptr(GDir) folder = g_dir_open(*state, 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(folder))) {
        g_autofree char *path = g_build_filename(*state, name, NULL);

        g_unlink(path);
    }
    g_rmdir(*state);
    g_free(*state);
    return 0;
}

static char *
put(void **state, const char *name, const char *text)
{
    char *path = g_build_filename(*state, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

/* ---- YAML ---- */

/* PyYAML's safe_load() and json.dumps() of Nova's own environment gave these. */
static void
text_without_quotes_means_what_it_means_for_nova(void **state)
{
    static const char *const cases[][2] = {
        {"[yes, No, ON, off, tRue, 'yes']", "[true, false, true, false, \"tRue\", \"yes\"]"},
        {"[~, null, '', ]", "[null, null, \"\"]"},
        {"a:", "{\"a\": null}"},
        {"[1, -1, +1, 1_000, 0x1f, 010, 0b11, -0b11, 08, 0]", "[1, -1, 1, 1000, 31, 8, 3, -3, \"08\", 0]"},
        {"[1.5, 1., .5, 1e3, 1.0e+3, 1_0.5]", "[1.5, 1.0, 0.5, \"1e3\", 1000.0, 10.5]"},
        {"a: &x {b: 1}\nc: *x\n", "{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}}"},
        {"a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\n", "{\"a\": {\"b\": 1, \"c\": 2}, \"d\": {\"b\": 3, \"c\": 2}}"},
        {"a: |\n  x\n  y\n", "{\"a\": \"x\\ny\\n\"}"},
        {"a: 1\na: 2\n", "{\"a\": 2}"},
        {"", "null"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = put(state, "a.yaml", cases[i][0]);
        g_autoptr(NovaError) error = NULL;
        json_auto_t *value = yaml_parse_file(path, &error);
        g_autofree char *text = value ? json_to_python_text(value) : NULL;

        if (g_strcmp0(text, cases[i][1]) != 0)
            fail_msg("%s: %s, %s", cases[i][0], text, error ? nova_error_message(error) : "");
    }
}

static void
what_is_no_yaml_is_refused(void **state)
{
    g_autofree char *deep = g_strnfill(500, '[');
    const char *const cases[] = {
        "a: [1", "a: *b", "a: !!python/object/apply:os.system ['true']", "a: !x 1", "a: 99999999999999999999",
        "a: .inf", "{[1]: 2}", "a: &x [*x]", "a: \xff", "\t- a", deep,
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e]\n",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = put(state, "a.yaml", cases[i]);
        g_autoptr(NovaError) error = NULL;

        if (yaml_parse_file(path, &error))
            fail_msg("%.40s was read", cases[i]);
        assert_string_equal(nova_error_class(error), "ValueError");
    }
}

/* ---- the files ---- */

static void
assert_fails(void **state, const char *text, const char *expected)
{
    g_autofree char *path = put(state, "a.yaml", text);
    g_autoptr(NovaError) error = NULL;

    if (provider_configs_load(*state, &error))
        fail_msg("%s was read", text);
    assert_string_equal(nova_error_class(error), "ProviderConfigException");
    if (!strstr(nova_error_message(error), expected) || !g_str_has_prefix(nova_error_message(error), FAILED))
        fail_msg("%s: %s", text, nova_error_message(error));
}

static void
providers_of_all_files_are_found(void **state)
{
    g_autofree char *b = put(state, "b.yaml", META "providers:\n- " NODE "\n  inventories:\n    additional:\n"
                                              "    - CUSTOM_A: {total: 5, allocation_ratio: 2}\n");
    g_autofree char *a = put(state, "a.yaml", META "providers:\n- identification: {name: node1}\n  traits: "
                                              "{additional: [CUSTOM_B]}\n- identification: {name: idle}\n");
    g_autofree char *other = put(state, "c.yml", "[");
    json_auto_t *configs = provider_configs_load(*state, NULL);
    g_autofree char *text = json_to_python_text(configs);

    assert_string_equal(text, "{\"node1\": {\"identification\": {\"name\": \"node1\"}, \"traits\": {\"additional\": "
                              "[\"CUSTOM_B\"]}, \"__source_file\": \"a.yaml\"}, \"$COMPUTE_NODE\": {\"identification\": "
                              "{\"uuid\": \"$COMPUTE_NODE\"}, \"inventories\": {\"additional\": [{\"CUSTOM_A\": "
                              "{\"total\": 5, \"allocation_ratio\": 2}}]}, \"__source_file\": \"b.yaml\"}}");
}

static void
a_folder_that_is_missing_adds_nothing(void **state)
{
    json_auto_t *configs = provider_configs_load("/nonexistent", NULL);

    (void)state;
    assert_int_equal(json_object_size(configs), 0);
    assert_non_null(configs);
}

static void
what_nova_refuses_is_refused(void **state)
{
    assert_fails(state, "a: [", "Unable to load yaml file: ");
    assert_fails(state, "", "Unable to detect schema version: None");
    assert_fails(state, "meta: {}", "Unable to detect schema version: {'meta': {}}");
    assert_fails(state, "meta: {schema_version: '1'}", "Unable to detect schema version");
    assert_fails(state, "meta: {schema_version: '2.0'}", "Unsupported schema major version: 2");
    assert_fails(state, META "providers: {}", "{} is not of type 'array'");
    assert_fails(state, META "providers: [1]", "1 is not of type 'object'");
    assert_fails(state, META "providers: [{}]", "'identification'");
    assert_fails(state, META "providers: [{identification: {}}]", "{} does not have enough properties");
    assert_fails(state, META "providers: [{identification: {host: a}}]", "('host' was unexpected)");
    assert_fails(state, META "providers: [{identification: {uuid: a, name: a}}]", "has too many properties");
    assert_fails(state, META "providers: [{identification: {uuid: a}}]", "'a' is neither a uuid");
    assert_fails(state, META "providers: [{identification: {name: 5}}]", "5 is not of type 'string'");
    assert_fails(state, META "providers: [{" NODE ", traits: {additional: [custom]}}]", "does not match");
    assert_fails(state, META "providers: [{" NODE ", traits: {additional: [HW_B, HW_A]}}]",
                 "Invalid traits, only custom traits are allowed: ['HW_A', 'HW_B']");
    assert_fails(state, META "providers: [{" NODE ", inventories: {additional: [{VCPU: {total: 1}, DISK: {total: 1}}]}}]",
                 "Invalid resource class, only custom resource classes are allowed: DISK, VCPU");
    assert_fails(state, META "providers: [{" NODE ", inventories: {additional: [{CUSTOM_A: {}}]}}]",
                 "'total' is a required property");
    assert_fails(state, META "providers: [{" NODE ", inventories: {additional: [{CUSTOM_A: {total: 1.5}}]}}]",
                 "1.5 is not of type 'integer'");
    assert_fails(state, META "providers: [{" NODE ", inventories: {additional: [{CUSTOM_A: {total: 1, x: 1}}]}}]",
                 "('x' was unexpected)");
    assert_fails(state, META "providers:\n- {" NODE ", traits: {additional: [CUSTOM_A]}}\n- {" NODE
                      ", traits: {additional: [CUSTOM_B]}}\n",
                 "Provider $COMPUTE_NODE has multiple definitions in source file(s): ['a.yaml', 'a.yaml'].");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_without_quotes_means_what_it_means_for_nova, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_yaml_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(providers_of_all_files_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_is_missing_adds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_nova_refuses_is_refused, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
