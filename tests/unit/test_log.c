/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.test"
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/request_context.h"

static char *
logged(bool use_json, void (*write_lines)(void))
{
    g_autofree char *path = g_build_filename(g_get_tmp_dir(), "kilonova-log-XXXXXX", NULL);
    LogSettings settings = {.file = path, .use_json = use_json};
    char *error = NULL, *text = NULL;
    int fd = g_mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_true(log_init(&settings, &error));
    write_lines();
    assert_true(log_init(&(LogSettings){0}, &error));
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_unlink(path);
    return text;
}

static void
write_scoped(void)
{
    json_auto_t *message = json_pack("{s:s, s:s, s:s}", "_context_request_id", "req-9",
                                     "_context_user_identity", "u p - d d", "_context_auth_token",
                                     "sesame");
    g_autoptr(RequestContext) ctx = request_context_from_message(message, NULL);

    {
        LOG_SCOPE(ctx, "1f-uuid");
        LOG_INFO("inside %d", 1);
        LOG_DEBUG("not shown");
    }
    LOG_WARNING("outside\x01");
}

static void
lines_have_oslos_default_format(void **state)
{
    g_autofree char *text = logged(false, write_scoped);

    (void)state;
    assert_non_null(strstr(text, " INFO kilonova.test [None req-9 u p - d d] "
                                 "[instance: 1f-uuid] inside 1\n"));
    assert_non_null(strstr(text, " WARNING kilonova.test [-] outside\\x01\n"));
    assert_null(strstr(text, "not shown"));
}

static void
write_after_the_instance_is_gone(void)
{
    char *uuid = g_strdup("1f-uuid");

    LOG_SCOPE(NULL, uuid);
    memset(uuid, 'x', strlen(uuid));
    g_free(uuid);
    LOG_INFO("still there");
}

static void
a_scope_outlives_the_text_it_was_given(void **state)
{
    g_autofree char *text = logged(false, write_after_the_instance_is_gone);

    (void)state;
    assert_non_null(strstr(text, "[instance: 1f-uuid] still there\n"));
}

static void
json_lines_carry_no_token(void **state)
{
    g_autofree char *text = logged(true, write_scoped);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    json_auto_t *first = json_loads(lines[0], 0, NULL);

    (void)state;
    assert_string_equal(json_get_string(first, "message", ""), "inside 1");
    assert_string_equal(json_string_value(json_path(first, "context", "request_id", NULL)), "req-9");
    assert_null(strstr(text, "sesame"));
}

static void
masked_text_hides_secrets(void **state)
{
    static const char *const secrets[] = {
        "{\"adminPass\": \"hunter2\"}", "{\"password\" : \"hunter2\"}", "X-Auth-Token: hunter2",
        "rabbit://openstack:hunter2@host:5672/", "password = hunter2", "{\"auth_token\":\"hunter2\"}",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(secrets); i++) {
        g_autofree char *masked = log_masked(secrets[i]);

        assert_null(strstr(masked, "hunter2"));
        assert_non_null(strstr(masked, "***"));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_oslos_default_format),
        cmocka_unit_test(a_scope_outlives_the_text_it_was_given),
        cmocka_unit_test(json_lines_carry_no_token),
        cmocka_unit_test(masked_text_hides_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
