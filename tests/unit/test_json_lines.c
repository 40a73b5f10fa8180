/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/json_lines.h"

/* Doubles "n"; fails without one. */
static bool
double_n(void *user, const json_t *json, json_t *answer, NovaError **err)
{
    int64_t n;

    (void)user;
    if (!json_need_int(json, "n", "a test", &n, err))
        return false;
    json_object_set_new(answer, "result", json_integer(2 * n));
    return true;
}

static char *
answers_to(const char *input)
{
    char *output = NULL;
    size_t size;
    FILE *in = fmemopen((void *)input, strlen(input), "r");
    FILE *out = open_memstream(&output, &size);

    assert_int_equal(json_lines_run(in, out, double_n, NULL), 0);
    fclose(in);
    fclose(out);
    return output;
}

static void
cases_are_answered_in_order_and_blank_lines_skipped(void **state)
{
    char *output = answers_to("{\"id\":\"a\",\"n\":1}\n\n  \t\r\n{\"id\":2,\"n\":3}");

    (void)state;
    assert_string_equal(output, "{\"id\":\"a\",\"result\":2}\n{\"id\":2,\"result\":6}\n");
    free(output);
}

static void
failing_case_tells_its_class_and_ends_nothing(void **state)
{
    char *output = answers_to("{\"id\":\"a\"}\n{\"n\":1}\n");
    char *second = strchr(output, '\n') + 1;

    (void)state;
    assert_ptr_equal(strstr(output, "{\"id\":\"a\",\"error\":\"ValueError\","), output);
    assert_string_equal(second, "{\"id\":null,\"result\":2}\n");
    free(output);
}

static void
line_that_is_no_object_has_no_id(void **state)
{
    static const char *const lines[] = {"nonsense", "42", "[1]", "{\"id\":1", "\"\xff\"", "{\"id\":1}{}"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *text = json_lines_answer(lines[i], strlen(lines[i]), double_n, NULL);

        assert_ptr_equal(strstr(text, "{\"id\":null,\"error\":\"ValueError\""), text);
    }
}

static void
too_big_number_keeps_the_id(void **state)
{
    static const char *const lines[] = {
        "{\"n\":99999999999999999999,\"id\":\"x\"}",
        "{\"a\":{\"id\":3},\"id\" : \"x\",\"n\":-99999999999999999999}",
        "{\"id\":\"x\",\"n\":1e999}",
        "{\"t\":\"\\u0000\",\"\\\"id\":5,\"id\":\"x\"}",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *text = json_lines_answer(lines[i], strlen(lines[i]), double_n, NULL);

        assert_ptr_equal(strstr(text, "{\"id\":\"x\",\"error\":\"ValueError\""), text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_are_answered_in_order_and_blank_lines_skipped),
        cmocka_unit_test(failing_case_tells_its_class_and_ends_nothing),
        cmocka_unit_test(line_that_is_no_object_has_no_id),
        cmocka_unit_test(too_big_number_keeps_the_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
