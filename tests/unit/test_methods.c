/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/methods.h"
#include "agent/service.h"

static void
assert_args(const char *method, const char *args, const char *expected_error)
{
    json_auto_t *json = json_loads(args, 0, NULL);
    g_autoptr(NovaError) error = NULL;
    bool ok = method_check_args(method_find(method), json, &error);

    assert_int_equal(ok, expected_error == NULL);
    if (expected_error) {
        assert_string_equal(nova_error_class(error), "TypeError");
        assert_non_null(strstr(nova_error_message(error), expected_error));
    }
}

static void
arguments_are_checked_as_python_does(void **state G_GNUC_UNUSED)
{
    assert_args("terminate_instance", "{\"instance\": 1, \"bdms\": null}", NULL);
    assert_args("terminate_instance", "{\"instance\": 1}",
                "missing 1 required positional argument: 'bdms'");
    assert_args("get_host_uptime", "{\"host\": \"a\"}", "unexpected keyword argument 'host'");
    assert_args("get_host_uptime", "{}", NULL);
    assert_args("build_and_run_instance",
                "{\"instance\": 1, \"image\": 1, \"request_spec\": 1, \"filter_properties\": 1, \"accel_uuids\": []}", NULL);
    assert_args("build_and_run_instance",
                "{\"instance\": 1, \"image\": 1, \"request_spec\": 1, \"filter_properties\": 1, \"accel_uuids\": [], \"list\": 1}",
                "unexpected keyword argument 'list'"); /* a part of host_list is not its name */
}

static void
every_row_is_found_and_complete(void **state G_GNUC_UNUSED)
{
    size_t n;
    const Method *methods = method_table(&n);

    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(method_find(methods[i].name), &methods[i]);
        assert_non_null(methods[i].handler);
        assert_true(methods[i].lane < N_LANES);
    }
    assert_null(method_find("no_such_method"));
    assert_null(method_find(""));
}

static void
each_release_has_its_service_version(void **state G_GNUC_UNUSED)
{
    assert_int_equal(service_version_of_release(26), 64);
    assert_int_equal(service_version_of_release(27), 66);
    assert_int_equal(service_version_of_release(34), 74);
    assert_int_equal(service_version_of_release(35), 74);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_are_checked_as_python_does),
        cmocka_unit_test(every_row_is_found_and_complete),
        cmocka_unit_test(each_release_has_its_service_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
