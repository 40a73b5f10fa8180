/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "agent/base/request_context.h"

static void
unknown_keys_survive_the_round_trip(void **state)
{
    json_auto_t *message = json_pack("{s:s, s:s, s:b, s:{s:i}}", "method", "ping",
                                     "_context_request_id", "req-1", "_context_is_admin", 1,
                                     "_context_future", "x", 1);
    g_autoptr(RequestContext) ctx = request_context_from_message(message, NULL);
    json_auto_t *out = json_object();

    (void)state;
    assert_string_equal(ctx->request_id, "req-1");
    assert_true(ctx->is_admin);
    request_context_to_message(ctx, out);
    assert_int_equal(json_integer_value(json_path(out, "_context_future", "x", NULL)), 1);
    assert_null(json_object_get(out, "method"));
}

static void
elevated_adds_admin_once_and_leaves_the_original(void **state)
{
    json_auto_t *message = json_pack("{s:[s], s:b}", "_context_roles", "member",
                                     "_context_is_admin", 0);
    g_autoptr(RequestContext) ctx = request_context_from_message(message, NULL);
    g_autoptr(RequestContext) once = request_context_elevated(ctx, "yes");
    g_autoptr(RequestContext) twice = request_context_elevated(once, NULL);

    (void)state;
    assert_false(ctx->is_admin);
    assert_int_equal(json_array_size(json_object_get(ctx->values, "roles")), 1);
    assert_int_equal(json_array_size(json_object_get(twice->values, "roles")), 2);
    assert_string_equal(json_get_string(twice->values, "read_deleted", ""), "yes");
}

static void
what_novas_constructor_refuses_is_refused(void **state)
{
    static const struct {
        const char *key, *value;
        bool ok;
    } cases[] = {
        {"_context_read_deleted", "maybe", false},
        {"_context_read_deleted", "only", true},
        {"_context_timestamp", "2026-01-02T03:04:05.000001", true},
        {"_context_timestamp", "2026-01-02T03:04:05Z", false},
        {"_context_timestamp", "2026-01-02T03:04:05", false},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        json_auto_t *message = json_pack("{s:s}", cases[i].key, cases[i].value);
        g_autoptr(NovaError) err = NULL;
        g_autoptr(RequestContext) ctx = request_context_from_message(message, &err);

        assert_int_equal(ctx != NULL, cases[i].ok);
        assert_int_equal(err == NULL, cases[i].ok);
    }
}

static void
wrong_types_are_read_as_absent(void **state)
{
    json_auto_t *message = json_pack("{s:i, s:[], s:s}", "_context_request_id", 1,
                                     "_context_auth_token", "_context_is_admin", "yes");
    g_autoptr(RequestContext) ctx = request_context_from_message(message, NULL);

    (void)state;
    assert_string_equal(ctx->request_id, "");
    assert_string_equal(ctx->auth_token, "");
    assert_false(ctx->is_admin);
}

static void
an_admin_context_has_a_fresh_request_id(void **state)
{
    g_autoptr(RequestContext) a = request_context_new_admin();
    g_autoptr(RequestContext) b = request_context_new_admin();

    (void)state;
    assert_true(a->is_admin);
    assert_true(g_str_has_prefix(a->request_id, "req-"));
    assert_string_not_equal(a->request_id, b->request_id);
    assert_true(json_is_null(json_object_get(a->values, "user_id")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys_survive_the_round_trip),
        cmocka_unit_test(elevated_adds_admin_once_and_leaves_the_original),
        cmocka_unit_test(what_novas_constructor_refuses_is_refused),
        cmocka_unit_test(wrong_types_are_read_as_absent),
        cmocka_unit_test(an_admin_context_has_a_fresh_request_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
