/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/command.h"

static void
output_and_status_come_back(void **state)
{
    const char *const argv[] = {"sh", "-c", "printf out; printf err >&2; exit 3", NULL};
    g_auto(CommandResult) result = {0};
    uint64_t before = command_count();

    (void)state;
    assert_true(command_run_unchecked(argv, NULL, &result, NULL));
    assert_int_equal(result.exit_status, 3);
    assert_string_equal(result.out, "out");
    assert_string_equal(result.errors, "err");
    assert_int_equal(command_count(), before + 1);
}

static void
a_failing_program_is_an_error_that_quotes_it(void **state)
{
    const char *const argv[] = {"sh", "-c", "echo why >&2; exit 1", NULL};
    g_auto(CommandResult) result = {0};
    g_autoptr(NovaError) err = NULL;

    (void)state;
    assert_false(command_run(argv, NULL, &result, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_PROCESS_EXECUTION_ERROR);
    assert_non_null(strstr(nova_error_message(err), "why"));
}

static void
a_missing_program_is_an_error(void **state)
{
    const char *const argv[] = {"kilonova-no-such-program", NULL};
    g_auto(CommandResult) result = {0};
    g_autoptr(NovaError) err = NULL;

    (void)state;
    assert_false(command_run(argv, NULL, &result, &err));
    assert_non_null(err);
}

static void
a_program_that_hangs_is_killed_with_its_children(void **state)
{
    const char *const argv[] = {"sh", "-c", "sleep 100 & sleep 100", NULL};
    CommandLimits limits = {.timeout_s = 1};
    g_auto(CommandResult) result = {0};
    gint64 start = g_get_monotonic_time();

    (void)state;
    assert_true(command_run_unchecked(argv, &limits, &result, NULL));
    assert_int_equal(result.exit_status, -1);
    assert_true(g_get_monotonic_time() - start < 5000000);
}

static void
nothing_of_ours_is_inherited(void **state)
{
    const char *const argv[] = {"sh", "-c", "ls /proc/self/fd | wc -l; echo $LC_ALL", NULL};
    g_auto(CommandResult) result = {0};

    (void)state;
    assert_true(command_run(argv, NULL, &result, NULL));
    assert_string_equal(result.out, "4\nC\n"); /* 0, 1, 2 and ls's own directory */
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void
the_address_space_limit_holds(void **state)
{
    const char *const argv[] = {"python3", "-c", "x = bytearray(1 << 30)", NULL};
    CommandLimits limits = {.address_space = 256 * 1024 * 1024};
    g_auto(CommandResult) result = {0};

    (void)state;
    assert_true(command_run_unchecked(argv, &limits, &result, NULL));
    assert_int_not_equal(result.exit_status, 0);
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_status_come_back),
        cmocka_unit_test(a_failing_program_is_an_error_that_quotes_it),
        cmocka_unit_test(a_missing_program_is_an_error),
        cmocka_unit_test(a_program_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(nothing_of_ours_is_inherited),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(the_address_space_limit_holds),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
