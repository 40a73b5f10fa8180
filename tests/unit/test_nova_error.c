/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "agent/base/nova_error.h"

static void
failure_names_the_python_class(void **state)
{
    g_autoptr(NovaError) err = NULL;
    json_auto_t *failure = NULL;

    (void)state;
    nova_error_set(&err, NOVA_ERROR_INSTANCE_NOT_FOUND, "Instance %s could not be found.", "42");
    nova_error_set_kwarg(err, "instance_id", "42");
    failure = nova_error_to_failure(err, 34);

    assert_string_equal(json_get_string(failure, "class", ""), "InstanceNotFound");
    assert_string_equal(json_get_string(failure, "module", ""), "nova.exception");
    assert_int_equal(json_integer_value(json_path(failure, "kwargs", "code", NULL)), 404);
    assert_string_equal(json_string_value(json_path(failure, "kwargs", "instance_id", NULL)), "42");
    assert_string_equal(json_string_value(json_array_get(json_object_get(failure, "args"), 0)),
                        "Instance 42 could not be found.");
}

static void
a_class_younger_than_the_control_plane_goes_out_as_its_base(void **state)
{
    g_autoptr(NovaError) err = NULL;
    json_auto_t *old = NULL;
    json_auto_t *new = NULL;

    (void)state;
    nova_error_set(&err, NOVA_ERROR_RESCHEDULED_BY_POLICY_EXCEPTION, "policy");
    old = nova_error_to_failure(err, 27);
    new = nova_error_to_failure(err, 28);
    assert_string_equal(json_get_string(old, "class", ""), "RescheduledException");
    assert_string_equal(json_get_string(new, "class", ""), "RescheduledByPolicyException");
}

static void
not_implemented_comes_from_builtins(void **state)
{
    g_autoptr(NovaError) err = NULL;
    json_auto_t *failure = NULL;

    (void)state;
    nova_error_set(&err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, " ");
    failure = nova_error_to_failure(err, 34);
    assert_string_equal(json_get_string(failure, "module", ""), "builtins");
    assert_int_equal(json_object_size(json_object_get(failure, "kwargs")), 0);
}

static void
is_follows_the_bases(void **state)
{
    g_autoptr(NovaError) err = NULL;

    (void)state;
    nova_error_set(&err, NOVA_ERROR_UNEXPECTED_DELETING_TASK_STATE_ERROR, "deleting");
    assert_true(nova_error_is(err, NOVA_ERROR_UNEXPECTED_TASK_STATE_ERROR));
    assert_true(nova_error_is(err, NOVA_ERROR_NOVA_EXCEPTION));
    assert_true(nova_error_is(err, NOVA_ERROR_EXCEPTION));
    assert_false(nova_error_is(err, NOVA_ERROR_NOT_FOUND));
    assert_false(nova_error_is(NULL, NOVA_ERROR_EXCEPTION));
}

static void
a_prefix_changes_the_details_only(void **state)
{
    g_autoptr(NovaError) err = NULL;

    (void)state;
    nova_error_set(&err, NOVA_ERROR_INVALID, "no");
    nova_error_prefix(&err, "pausing %d", 1);
    nova_error_prefix(&err, "outer");
    assert_string_equal(nova_error_message(err), "no");
    assert_string_equal(nova_error_details(err), "outer: pausing 1: no");
}

static void
a_remote_failure_comes_back_as_its_class(void **state)
{
    json_auto_t *failure = json_pack(
        "{s:s, s:s, s:s, s:[s], s:{s:s, s:i}}", "class", "InstanceNotFound_Remote", "module",
        "nova.exception_Remote", "message", "Instance 7 could not be found.\ntraceback", "args",
        "Instance 7 could not be found.", "kwargs", "instance_id", "7", "code", 404);
    g_autoptr(NovaError) err = nova_error_from_failure(failure);

    (void)state;
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_INSTANCE_NOT_FOUND);
    assert_string_equal(nova_error_message(err), "Instance 7 could not be found.");
    assert_int_equal(nova_error_code(err), 404);
}

static void
unknown_and_broken_failures_become_remote_errors(void **state)
{
    static const char *const texts[] = {
        "{\"class\": \"DBDeadlock\", \"message\": \"x\"}", "[]", "null", "3",
        "{\"class\": 3, \"args\": {}, \"kwargs\": []}",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        json_auto_t *failure = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        g_autoptr(NovaError) err = nova_error_from_failure(failure);

        assert_non_null(err);
        assert_true(nova_error_is(err, NOVA_ERROR_EXCEPTION));
        if (i == 0) {
            assert_int_equal(nova_error_kind(err), NOVA_ERROR_REMOTE);
            assert_string_equal(nova_error_class(err), "DBDeadlock");
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failure_names_the_python_class),
        cmocka_unit_test(a_class_younger_than_the_control_plane_goes_out_as_its_base),
        cmocka_unit_test(not_implemented_comes_from_builtins),
        cmocka_unit_test(is_follows_the_bases),
        cmocka_unit_test(a_prefix_changes_the_details_only),
        cmocka_unit_test(a_remote_failure_comes_back_as_its_class),
        cmocka_unit_test(unknown_and_broken_failures_become_remote_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
