/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"

static json_t *
parse(const char *text, NovaError **err)
{
    return json_parse(text, strlen(text), err);
}

static void
nesting_beyond_the_limit_is_refused(void **state)
{
    char text[2 * (JSON_MAX_DEPTH + 1) + 1];
    g_autoptr(NovaError) err = NULL;
    json_auto_t *ok = NULL;

    (void)state;
    memset(text, '[', JSON_MAX_DEPTH + 1);
    memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
    text[sizeof(text) - 1] = '\0';
    assert_null(parse(text, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_VALUE_ERROR);
    ok = json_parse(text + 1, 2 * JSON_MAX_DEPTH, NULL);
    assert_non_null(ok);
}

static void
brackets_in_strings_do_not_count(void **state)
{
    g_autoptr(GString) text = g_string_new("\"");
    json_auto_t *value = NULL;

    (void)state;
    for (int i = 0; i < 1000; i++)
        g_string_append(text, "[\\\"");
    g_string_append_c(text, '"');
    value = parse(text->str, NULL);
    assert_true(json_is_string(value));
}

static void
huge_numbers_and_garbage_are_errors(void **state)
{
    static const char *const texts[] = {"", "{", "123456789012345678901234567890", "nul", "\x80"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(NovaError) err = NULL;

        assert_null(parse(texts[i], &err));
        assert_non_null(err);
    }
}

static void
reads_of_the_wrong_type_give_the_fallback(void **state)
{
    json_auto_t *value = parse("{\"s\": 1, \"i\": \"x\", \"o\": [], \"a\": {}}", NULL);
    g_autoptr(NovaError) err = NULL;
    int64_t number = 5;

    (void)state;
    assert_string_equal(json_get_string(value, "s", "f"), "f");
    assert_int_equal(json_get_int(value, "i", 3), 3);
    assert_null(json_get_object(value, "o"));
    assert_null(json_get_array(value, "a"));
    assert_null(json_path(value, "a", "b", "c", NULL));
    assert_false(json_need_int(value, "i", "thing", &number, &err));
    assert_int_equal(number, 5);
}

static void
python_text_is_what_json_dumps_writes(void **state)
{
    json_auto_t *value = parse("{\"a\":[1,2.5,null],\"b\":\"\xc3\xa9\"}", NULL);
    g_autofree char *text = json_to_python_text(value);

    (void)state;
    assert_string_equal(text, "{\"a\": [1, 2.5, null], \"b\": \"\\u00e9\"}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(brackets_in_strings_do_not_count),
        cmocka_unit_test(huge_numbers_and_garbage_are_errors),
        cmocka_unit_test(reads_of_the_wrong_type_give_the_fallback),
        cmocka_unit_test(python_text_is_what_json_dumps_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
