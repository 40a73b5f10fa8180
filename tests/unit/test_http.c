/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/http.h"
#include "tests/fakes/fake_http.h"

static const HttpSettings quick = {.connect_retry_delay_s = 0.001,
                                   .status_code_retry_delay_s = 0.001};

static HttpResponse *
get(HttpClient *client, FakeHttp *fake, const char *path, NovaError **err)
{
    g_autofree char *url = g_strconcat(fake_http_url(fake), path, NULL);
    HttpRequest request = {.method = "GET", .url = url};

    return http_client_send(client, &request, err);
}

static void
json_answers_are_parsed_and_headers_have_lower_case(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    FakeAnswer answer = {.body = "{\"a\": 1}", .headers = "X-Subject-Token:  abc \r\n"};
    g_autoptr(HttpResponse) response = NULL;

    (void)state;
    fake_http_answer(fake, &answer);
    response = get(client, fake, "/x", NULL);
    assert_non_null(response);
    assert_int_equal(response->status, 200);
    assert_int_equal(json_integer_value(json_object_get(response->json, "a")), 1);
    assert_string_equal(g_hash_table_lookup(response->headers, "x-subject-token"), "abc");
    assert_string_equal(fake_request_header(fake_http_request(fake, 0), "Accept"),
                        "application/json");
}

static void
a_json_body_is_sent_with_its_method_and_type(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    json_auto_t *body = json_pack("{s:s}", "name", "a");
    const char *headers[] = {"X-Auth-Token: t", NULL};
    HttpRequest request = {.method = "PUT", .url = fake_http_url(fake), .headers = headers,
                           .json = body};
    g_autoptr(HttpResponse) response = NULL;

    (void)state;
    fake_http_reply(fake, "PUT", "/", 204, NULL);
    response = http_client_send(client, &request, NULL);
    assert_int_equal(response->status, 204);
    assert_null(response->json);
    assert_string_equal(fake_http_request(fake, 0)->body, "{\"name\":\"a\"}");
    assert_string_equal(fake_request_header(fake_http_request(fake, 0), "content-type"),
                        "application/json");
    assert_string_equal(fake_request_header(fake_http_request(fake, 0), "x-auth-token"), "t");
}

static void
a_put_without_body_says_length_zero_and_no_type(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    HttpRequest request = {.method = "PUT", .url = fake_http_url(fake)};
    g_autoptr(HttpResponse) response = NULL;

    (void)state;
    fake_http_reply(fake, "PUT", "/", 201, NULL);
    response = http_client_send(client, &request, NULL);
    assert_int_equal(response->status, 201);
    assert_string_equal(fake_request_header(fake_http_request(fake, 0), "content-length"), "0");
    assert_null(fake_request_header(fake_http_request(fake, 0), "content-type"));
}

static void
one_connection_serves_request_after_request(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    FakeAnswer always = {.body = "{}", .times = -1};

    (void)state;
    fake_http_answer(fake, &always);
    for (int i = 0; i < 5; i++) {
        g_autoptr(HttpResponse) response = get(client, fake, "/", NULL);

        assert_non_null(response);
    }
    assert_int_equal(fake_http_n_connections(fake), 1);
}

static void
nobody_listening_is_a_connect_failure_that_names_the_url(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    HttpSettings settings = quick;
    g_autoptr(HttpClient) client = NULL;
    g_autoptr(NovaError) err = NULL;

    (void)state;
    settings.connect_retries = 2;
    client = http_client_new(&settings);
    fake_http_stop(fake);
    assert_null(get(client, fake, "/x", &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_CONNECT_FAILURE);
    assert_non_null(strstr(nova_error_message(err), fake_http_url(fake)));
}

static void
status_503_is_retried_as_often_as_configured(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    HttpSettings settings = quick;
    g_autoptr(HttpClient) client = NULL;
    g_autoptr(HttpResponse) good = NULL;
    g_autoptr(HttpResponse) bad = NULL;
    FakeAnswer busy = {.status = 503, .times = -1};

    (void)state;
    settings.status_code_retries = 2;
    client = http_client_new(&settings);
    fake_http_reply(fake, "GET", "/a", 503, NULL);
    fake_http_reply(fake, "GET", "/a", 503, NULL);
    fake_http_reply(fake, "GET", "/a", 200, "{}");
    good = get(client, fake, "/a", NULL);
    assert_int_equal(good->status, 200);
    fake_http_answer(fake, &busy);
    bad = get(client, fake, "/b", NULL);
    assert_int_equal(bad->status, 503);
    assert_int_equal(fake_http_n_requests(fake), 6);
}

static void
a_broken_answer_is_retried_only_when_that_does_no_harm(void **state)
{
    static const char truncated[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                    "Content-Length: 100\r\n\r\n{\"a\":";
    g_autoptr(FakeHttp) fake = fake_http_new();
    HttpSettings settings = quick;
    g_autoptr(HttpClient) client = NULL;
    FakeAnswer broken = {.path = "/get", .raw = truncated};
    FakeAnswer always_broken = {.path = "/post", .raw = truncated, .times = -1};
    g_autofree char *url = g_strconcat(fake_http_url(fake), "/post", NULL);
    HttpRequest post = {.method = "POST", .url = url, .not_idempotent = true};
    g_autoptr(HttpResponse) response = NULL;
    g_autoptr(NovaError) err = NULL;

    (void)state;
    settings.connect_retries = 1;
    client = http_client_new(&settings);
    fake_http_answer(fake, &broken);
    fake_http_reply(fake, "GET", "/get", 200, "{}");
    response = get(client, fake, "/get", NULL);
    assert_int_equal(response->status, 200);
    fake_http_answer(fake, &always_broken);
    assert_null(http_client_send(client, &post, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_CONNECT_FAILURE);
    assert_int_equal(fake_http_n_requests(fake), 3);
}

static void
garbage_is_an_error_and_garbage_json_is_no_json(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    FakeAnswer noise = {.path = "/noise", .raw = "\x01\x02 what is this\r\n\r\n"};
    g_autoptr(NovaError) err = NULL;
    g_autoptr(HttpResponse) half = NULL;
    g_autoptr(HttpResponse) deep = NULL;
    g_autofree char *nested = g_strnfill(5000, '[');

    (void)state;
    fake_http_answer(fake, &noise);
    fake_http_reply(fake, "GET", "/half", 200, "{\"ports\": [");
    fake_http_reply(fake, "GET", "/deep", 200, nested);
    assert_null(get(client, fake, "/noise", &err));
    half = get(client, fake, "/half", NULL);
    assert_null(half->json);
    assert_string_equal(half->body, "{\"ports\": [");
    deep = get(client, fake, "/deep", NULL);
    assert_null(deep->json);
}

static void
a_slow_answer_ends_at_the_timeout(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    FakeAnswer slow = {.body = "{}", .delay_ms = 1500};
    HttpRequest request = {.method = "GET", .url = fake_http_url(fake), .timeout_s = 1};
    g_autoptr(NovaError) err = NULL;

    (void)state;
    fake_http_answer(fake, &slow);
    assert_null(http_client_send(client, &request, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_CONNECT_FAILURE);
    assert_non_null(strstr(nova_error_message(err), "timed out"));
}

static bool
collect(const char *data, size_t length, void *user, NovaError **err)
{
    GString *text = user;

    if (memchr(data, '!', length))
        return nova_error_set(err, NOVA_ERROR_INVALID_INPUT, "no shouting");
    g_string_append_len(text, data, (gssize)length);
    return true;
}

static void
a_sink_gets_success_only_and_its_own_error_comes_back(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    g_autoptr(GString) text = g_string_new(NULL);
    HttpRequest request = {.method = "GET", .url = fake_http_url(fake), .sink = collect,
                           .user = text};
    g_autoptr(HttpResponse) missing = NULL;
    g_autoptr(HttpResponse) found = NULL;
    g_autoptr(NovaError) err = NULL;

    (void)state;
    fake_http_reply(fake, "GET", NULL, 404, "{\"x\": 1}");
    fake_http_reply(fake, "GET", NULL, 200, "image bytes");
    fake_http_reply(fake, "GET", NULL, 200, "bad!");
    missing = http_client_send(client, &request, NULL);
    assert_int_equal(missing->status, 404);
    assert_string_equal(missing->body, "{\"x\": 1}");
    found = http_client_send(client, &request, NULL);
    assert_int_equal(found->status, 200);
    assert_string_equal(text->str, "image bytes");
    assert_null(http_client_send(client, &request, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_INVALID_INPUT);
}

typedef struct Pieces {
    int left;
} Pieces;

static ssize_t
next_piece(char *buffer, size_t size, void *user, NovaError **err)
{
    Pieces *pieces = user;

    if (pieces->left < 0) {
        nova_error_set(err, NOVA_ERROR_OS_ERROR, "disk gone");
        return -1;
    }
    if (pieces->left-- == 0)
        return 0;
    assert_true(size >= 5);
    memcpy(buffer, "piece", 5);
    return 5;
}

static void
a_source_is_streamed_and_its_error_comes_back(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    Pieces pieces = {3};
    HttpRequest request = {.method = "PUT", .url = fake_http_url(fake), .source = next_piece,
                           .user = &pieces};
    g_autoptr(HttpResponse) response = NULL;
    g_autoptr(NovaError) err = NULL;

    (void)state;
    fake_http_reply(fake, "PUT", NULL, 204, NULL);
    response = http_client_send(client, &request, NULL);
    assert_int_equal(response->status, 204);
    assert_string_equal(fake_http_request(fake, 0)->body, "piecepiecepiece");
    pieces.left = -1;
    assert_null(http_client_send(client, &request, &err));
    assert_string_equal(nova_error_message(err), "disk gone");
}

static void
a_redirect_is_followed_and_only_its_last_answer_counts(void **state)
{
    g_autoptr(FakeHttp) fake = fake_http_new();
    g_autoptr(HttpClient) client = http_client_new(&quick);
    g_autofree char *location = g_strdup_printf("Location: %s/new\r\n", fake_http_url(fake));
    FakeAnswer moved = {.path = "/old", .status = 302, .headers = location, .body = "moved"};
    g_autoptr(HttpResponse) response = NULL;

    (void)state;
    fake_http_answer(fake, &moved);
    fake_http_reply(fake, "GET", "/new", 200, "{\"here\": true}");
    response = get(client, fake, "/old", NULL);
    assert_int_equal(response->status, 200);
    assert_string_equal(response->body, "{\"here\": true}");
    assert_null(g_hash_table_lookup(response->headers, "location"));
}

static void
queries_are_encoded_and_leave_out_absent_values(void **state)
{
    g_autofree char *query = http_query("id", "a/b", "none", NULL, "device_owner", "network:dhcp",
                                        NULL);
    g_autofree char *empty = http_query("id", NULL, NULL);

    (void)state;
    assert_string_equal(query, "?id=a%2Fb&device_owner=network%3Adhcp");
    assert_string_equal(empty, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_answers_are_parsed_and_headers_have_lower_case),
        cmocka_unit_test(a_json_body_is_sent_with_its_method_and_type),
        cmocka_unit_test(a_put_without_body_says_length_zero_and_no_type),
        cmocka_unit_test(one_connection_serves_request_after_request),
        cmocka_unit_test(nobody_listening_is_a_connect_failure_that_names_the_url),
        cmocka_unit_test(status_503_is_retried_as_often_as_configured),
        cmocka_unit_test(a_broken_answer_is_retried_only_when_that_does_no_harm),
        cmocka_unit_test(garbage_is_an_error_and_garbage_json_is_no_json),
        cmocka_unit_test(a_slow_answer_ends_at_the_timeout),
        cmocka_unit_test(a_sink_gets_success_only_and_its_own_error_comes_back),
        cmocka_unit_test(a_source_is_streamed_and_its_error_comes_back),
        cmocka_unit_test(a_redirect_is_followed_and_only_its_last_answer_counts),
        cmocka_unit_test(queries_are_encoded_and_leave_out_absent_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
