/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/rpc/rpc_message.h"

/* Bodies as nova 34.0.0 and oslo.messaging 18.3.1 put them on the wire, trimmed. */
static char *
recorded(const char *name)
{
    const char *folder = g_getenv("KILONOVA_TEST_DATA");
    g_autofree char *path = g_build_filename(folder ? folder : TEST_DATA_DIR, "rpc", name, NULL);
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

/* The message within a body of our own making. */
static json_t *
opened(const char *body)
{
    json_auto_t *outer = json_parse(body, strlen(body), NULL);
    const char *inner = json_get_string(outer, "oslo.message", "");

    assert_string_equal(json_get_string(outer, "oslo.version", ""), "2.0");
    return json_parse(inner, strlen(inner), NULL);
}

static void
recorded_call_has_all_its_parts(void **state)
{
    g_autofree char *body = recorded("call.json");
    g_autoptr(NovaError) err = NULL;
    g_autoptr(RpcRequest) request = rpc_request_parse(body, strlen(body), &err);

    (void)state;
    assert_non_null(request);
    assert_null(request->defect);
    assert_string_equal(request->method, "get_console_output");
    assert_string_equal(request->version, "6.0");
    assert_null(request->namespace);
    assert_int_equal(strlen(request->unique_id), 32);
    assert_int_equal(strlen(request->msg_id), 32);
    assert_true(g_str_has_prefix(request->reply_q, "reply_"));
    assert_int_equal(request->timeout_s, -1);
    assert_true(g_str_has_prefix(request->ctx->request_id, "req-"));
    assert_non_null(json_get_object(request->args, "instance"));
}

static void
recorded_cast_wants_no_reply(void **state)
{
    g_autofree char *body = recorded("cast.json");
    g_autoptr(RpcRequest) request = rpc_request_parse(body, strlen(body), NULL);

    (void)state;
    assert_string_equal(request->method, "external_instance_event");
    assert_null(request->msg_id);
    assert_null(request->reply_q);
}

static void
recorded_reply_and_failure_are_read(void **state)
{
    g_autofree char *good = recorded("reply.json"), *bad = recorded("failure.json");
    g_autoptr(RpcReply) reply = rpc_reply_parse(good, strlen(good), NULL);
    g_autoptr(RpcReply) failure = rpc_reply_parse(bad, strlen(bad), NULL);

    (void)state;
    assert_true(reply->is_ending);
    assert_null(reply->failure);
    assert_true(json_is_string(reply->result));
    assert_true(failure->is_ending);
    assert_true(nova_error_is(failure->failure, NOVA_ERROR_UNEXPECTED_TASK_STATE_ERROR));
    assert_string_equal(nova_error_class(failure->failure), "UnexpectedDeletingTaskStateError");
}

static void
bare_dictionaries_of_version_1_are_accepted(void **state)
{
    const char *body = "{\"method\":\"ping\",\"args\":{\"a\":1}}";
    g_autoptr(RpcRequest) request = rpc_request_parse(body, strlen(body), NULL);

    (void)state;
    assert_string_equal(request->method, "ping");
    assert_string_equal(request->version, "1.0");
    assert_null(request->unique_id);
}

static void
what_is_no_message_is_an_error(void **state)
{
    static const char *const bodies[] = {
        "", "{", "null", "[]", "7", "\"x\"",
        "{\"oslo.version\":\"3.0\",\"oslo.message\":\"{}\"}",
        "{\"oslo.version\":2.0,\"oslo.message\":\"{}\"}",
        "{\"oslo.version\":\"2.0\",\"oslo.message\":{}}",
        "{\"oslo.version\":\"2.0\",\"oslo.message\":\"[]\"}",
        "{\"oslo.version\":\"2.0\",\"oslo.message\":\"{\"}",
        "{\"method\":\"m\",\"args\":{\"n\":99999999999999999999999999}}",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autoptr(NovaError) err = NULL;

        assert_null(rpc_request_parse(bodies[i], strlen(bodies[i]), &err));
        assert_non_null(err);
    }
}

static void
deep_nesting_is_an_error_at_both_levels(void **state)
{
    g_autofree char *nest = g_strnfill(200, '[');
    g_autofree char *inner = g_strdup_printf("{\\\"method\\\":\\\"m\\\",\\\"args\\\":%s", nest);
    g_autofree char *body = g_strdup_printf("{\"oslo.version\":\"2.0\",\"oslo.message\":\"%s\"}", inner);
    g_autoptr(NovaError) err = NULL, err2 = NULL;

    (void)state;
    assert_null(rpc_request_parse(nest, strlen(nest), &err));
    assert_non_null(strstr(nova_error_message(err), "deeper"));
    assert_null(rpc_request_parse(body, strlen(body), &err2));
    assert_non_null(strstr(nova_error_message(err2), "deeper"));
}

/* The caller of a broken request is still told. */
static void
a_defect_keeps_the_way_back(void **state)
{
    static const struct {
        const char *body;
        NovaErrorKind kind;
    } cases[] = {
        {"{\"_msg_id\":\"m\",\"_reply_q\":\"q\",\"args\":{}}", NOVA_ERROR_NO_SUCH_METHOD},
        {"{\"_msg_id\":\"m\",\"_reply_q\":\"q\",\"method\":[]}", NOVA_ERROR_NO_SUCH_METHOD},
        {"{\"_msg_id\":\"m\",\"_reply_q\":\"q\",\"method\":\"a\",\"args\":[]}", NOVA_ERROR_TYPE_ERROR},
        {"{\"_msg_id\":\"m\",\"_reply_q\":\"q\",\"method\":\"a\",\"_context_read_deleted\":\"x\"}",
         NOVA_ERROR_VALUE_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(RpcRequest) request = rpc_request_parse(cases[i].body, strlen(cases[i].body), NULL);

        assert_non_null(request->defect);
        assert_int_equal(nova_error_kind(request->defect), cases[i].kind);
        assert_string_equal(request->reply_q, "q");
    }
}

static void
timeouts_of_any_type_are_seconds_or_none(void **state)
{
    static const struct {
        const char *json;
        int seconds;
    } cases[] = {
        {"null", -1}, {"60", 60}, {"1.5", 1}, {"\"60\"", -1}, {"-3", -1}, {"0", -1}, {"true", -1},
        {"1e300", 86400 * 365},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf("{\"method\":\"m\",\"_timeout\":%s}", cases[i].json);
        g_autoptr(RpcRequest) request = rpc_request_parse(body, strlen(body), NULL);

        assert_int_equal(request->timeout_s, cases[i].seconds);
    }
}

static void
what_we_send_we_can_read(void **state)
{
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    json_auto_t *args = json_pack("{s:s}", "name", "\xc3\xbc\"\\\n");
    g_autofree char *body = rpc_message_make_request(ctx, "compute_task", "1.19", "build", args,
                                                     "id", "queue", 30);
    g_autoptr(RpcRequest) request = rpc_request_parse(body, strlen(body), NULL);

    (void)state;
    assert_string_equal(request->namespace, "compute_task");
    assert_string_equal(request->version, "1.19");
    assert_string_equal(request->msg_id, "id");
    assert_string_equal(request->reply_q, "queue");
    assert_int_equal(request->timeout_s, 30);
    assert_true(json_equal(request->args, args));
    assert_true(json_equal(request->ctx->values, ctx->values));
}

static void
calls_without_monitor_say_null(void **state)
{
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    g_autofree char *call = rpc_message_make_request(ctx, NULL, "3.0", "m", NULL, "id", "q", -1);
    g_autofree char *cast = rpc_message_make_request(ctx, NULL, "3.0", "m", NULL, NULL, NULL, -1);
    json_auto_t *call_message = opened(call), *cast_message = opened(cast);

    (void)state;
    assert_true(json_is_null(json_object_get(call_message, "_timeout")));
    assert_null(json_object_get(call_message, "namespace"));
    assert_null(json_object_get(cast_message, "_timeout"));
    assert_null(json_object_get(cast_message, "_msg_id"));
    assert_true(json_is_object(json_object_get(cast_message, "args")));
    assert_int_equal(strlen(json_get_string(cast_message, "_unique_id", "")), 32);
}

static void
replies_have_the_keys_oslo_messaging_reads(void **state)
{
    g_autofree char *body = rpc_message_make_reply("id", NULL);
    g_autofree char *alive = rpc_message_make_keepalive("id");
    json_auto_t *message = opened(body), *keepalive = opened(alive);

    (void)state;
    assert_int_equal(json_object_size(message), 5);
    assert_true(json_is_null(json_object_get(message, "result")));
    assert_true(json_is_null(json_object_get(message, "failure")));
    assert_true(json_is_true(json_object_get(message, "ending")));
    assert_string_equal(json_get_string(message, "_msg_id", ""), "id");
    assert_true(json_is_false(json_object_get(keepalive, "ending")));
    assert_true(json_is_null(json_object_get(keepalive, "result")));
}

static void
a_failure_is_text_within_text(void **state)
{
    g_autoptr(NovaError) err = NULL;
    g_autofree char *body = NULL;
    json_auto_t *message = NULL, *failure = NULL;
    g_autoptr(RpcReply) reply = NULL;

    (void)state;
    nova_error_set(&err, NOVA_ERROR_INSTANCE_NOT_FOUND, "Instance %s could not be found.", "42");
    body = rpc_message_make_failure("id", err, 34);
    message = opened(body);
    failure = json_loads(json_get_string(message, "failure", ""), 0, NULL);
    assert_string_equal(json_get_string(failure, "class", ""), "InstanceNotFound");
    assert_string_equal(json_get_string(failure, "module", ""), "nova.exception");
    reply = rpc_reply_parse(body, strlen(body), NULL);
    assert_int_equal(nova_error_kind(reply->failure), NOVA_ERROR_INSTANCE_NOT_FOUND);
}

static void
replies_need_their_id_and_survive_the_rest(void **state)
{
    const char *none = "{\"result\":1,\"ending\":true}";
    const char *odd = "{\"_msg_id\":\"m\",\"failure\":\"{\",\"ending\":\"yes\"}";
    g_autoptr(NovaError) err = NULL;
    g_autoptr(RpcReply) reply = rpc_reply_parse(odd, strlen(odd), NULL);

    (void)state;
    assert_null(rpc_reply_parse(none, strlen(none), &err));
    assert_non_null(err);
    assert_non_null(reply->failure);
    assert_false(reply->is_ending);
    assert_true(json_is_null(reply->result));
}

static void
notifications_look_like_the_notifiers(void **state)
{
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    json_auto_t *payload = json_pack("{s:i}", "p", 1);
    RpcNotification notification = {.publisher_id = "compute.h", .event_type = "compute.x.start",
                                    .priority = "info", .payload = payload};
    g_autofree char *body = rpc_message_make_notification(ctx, &notification);
    json_auto_t *message = opened(body);
    const char *timestamp = json_get_string(message, "timestamp", "");

    (void)state;
    assert_string_equal(json_get_string(message, "priority", ""), "INFO");
    assert_string_equal(json_get_string(message, "publisher_id", ""), "compute.h");
    assert_true(json_equal(json_object_get(message, "payload"), payload));
    assert_int_equal(strlen(timestamp), strlen("2026-01-02 03:04:05.678901"));
    assert_int_equal(timestamp[19], '.');
    assert_int_equal(strlen(json_get_string(message, "message_id", "")), 36);
}

static void
notifications_show_no_token(void **state)
{
    const char *text = "{\"_context_auth_token\": \"secret\", \"_context_remote_address\": \"192.0.2.1\", "
                       "\"_context_service_catalog\": [{}], \"_context_request_id\": \"req-1\"}";
    json_auto_t *request = json_loads(text, 0, NULL);
    g_autoptr(RequestContext) ctx = request_context_from_message(request, NULL);
    json_auto_t *payload = json_object();
    RpcNotification notification = {.publisher_id = "compute.h", .event_type = "e",
                                    .priority = "INFO", .payload = payload, .is_bare = true};
    g_autofree char *body = rpc_message_make_notification(ctx, &notification);
    json_auto_t *message = json_loads(body, 0, NULL);

    (void)state;
    assert_true(json_is_null(json_object_get(message, "_context_auth_token")));
    assert_true(json_is_null(json_object_get(message, "_context_remote_address")));
    assert_int_equal(json_array_size(json_object_get(message, "_context_service_catalog")), 0);
    assert_string_equal(json_get_string(message, "_context_request_id", ""), "req-1");
    assert_string_equal(json_get_string(message, "event_type", ""), "e"); /* bare: no envelope */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_call_has_all_its_parts),
        cmocka_unit_test(recorded_cast_wants_no_reply),
        cmocka_unit_test(recorded_reply_and_failure_are_read),
        cmocka_unit_test(bare_dictionaries_of_version_1_are_accepted),
        cmocka_unit_test(what_is_no_message_is_an_error),
        cmocka_unit_test(deep_nesting_is_an_error_at_both_levels),
        cmocka_unit_test(a_defect_keeps_the_way_back),
        cmocka_unit_test(timeouts_of_any_type_are_seconds_or_none),
        cmocka_unit_test(what_we_send_we_can_read),
        cmocka_unit_test(calls_without_monitor_say_null),
        cmocka_unit_test(replies_have_the_keys_oslo_messaging_reads),
        cmocka_unit_test(a_failure_is_text_within_text),
        cmocka_unit_test(replies_need_their_id_and_survive_the_rest),
        cmocka_unit_test(notifications_look_like_the_notifiers),
        cmocka_unit_test(notifications_show_no_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
