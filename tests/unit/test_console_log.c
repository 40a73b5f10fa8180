/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <string.h>

#include "compute/console_log.h"

static void
assert_text(const char *log, json_t *tail_length, const char *expected)
{
    g_autoptr(GString) whole = g_string_new(log);
    json_auto_t *length = tail_length, *text = console_log_text(whole, length);

    assert_string_equal(json_string_value(text), expected);
}

static void
the_end_of_the_last_line_counts_as_a_line(void **state)
{
    (void)state;
    assert_text("a\nb\nc\n", json_integer(3), "b\nc\n");
    assert_text("a\nb\nc\n", json_integer(1), "");
    assert_text("a\nb\nc", json_integer(2), "b\nc");
}

static void
a_tail_longer_than_the_log_is_all_of_it(void **state)
{
    (void)state;
    assert_text("a\nb\n", json_integer(3), "a\nb\n");
    assert_text("", json_integer(3), "");
    assert_text("a\nb\n", json_null(), "a\nb\n");
}

static void
lengths_are_what_python_makes_of_them(void **state)
{
    (void)state;
    assert_text("a\nb\nc\n", json_string("3"), "b\nc\n");
    assert_text("a\nb\nc\n", json_integer(0), "");
    assert_text("a\nb\nc\n", json_string("no number"), "");
    assert_text("a\nb\nc\n", json_integer(-1), "b\nc\n");
    assert_text("a\nb\nc\n", json_integer(-9), "");
}

static void
bytes_that_are_not_ascii_are_replaced_and_nul_is_kept(void **state)
{
    g_autoptr(GString) log = g_string_new_len("a\0b\xc3\n", 5);
    json_auto_t *text = console_log_text(log, NULL);

    (void)state;
    assert_int_equal(json_string_length(text), 7);
    assert_memory_equal(json_string_value(text), "a\0b\xef\xbf\xbd\n", 7);
}

static void
write_text(const char *folder, const char *name, size_t size, char byte)
{
    g_autofree char *path = g_build_filename(folder, name, NULL), *text = g_strnfill(size, byte);

    assert_true(g_file_set_contents(path, text, size, NULL));
}

static void
rotated_files_come_first_and_the_oldest_is_cut(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("kilonova-console-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "console.log", NULL);
    g_autoptr(GString) log = NULL;

    (void)state;
    write_text(folder, "console.log", 10, 'c');
    write_text(folder, "console.log.0", 20, 'b');
    write_text(folder, "console.log.1", 200 * 1024, 'a');
    log = console_log_read(path);

    assert_int_equal(log->len, 100 * 1024);
    assert_int_equal(strspn(log->str, "a"), 100 * 1024 - 30);
    assert_string_equal(log->str + log->len - 30, "bbbbbbbbbbbbbbbbbbbbcccccccccc");
    for (const char *const *name = (const char *const[]){"", ".0", ".1", NULL}; *name; name++) {
        g_autofree char *file = g_strconcat(path, *name, NULL);
        g_unlink(file);
    }
    g_rmdir(folder);
}

static void
a_log_that_is_not_there_yet_is_empty(void **state)
{
    g_autoptr(GString) log = console_log_read("/nonexistent/console.log");

    (void)state;
    assert_int_equal(log->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_the_last_line_counts_as_a_line),
        cmocka_unit_test(a_tail_longer_than_the_log_is_all_of_it),
        cmocka_unit_test(lengths_are_what_python_makes_of_them),
        cmocka_unit_test(bytes_that_are_not_ascii_are_replaced_and_nul_is_kept),
        cmocka_unit_test(rotated_files_come_first_and_the_oldest_is_cut),
        cmocka_unit_test(a_log_that_is_not_there_yet_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
