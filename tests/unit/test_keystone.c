/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/control/keystone.h"
#include "agent/control/rest.h"
#include "conf/options_load.h"
#include "tests/fakes/fake_http.h"

#define CATALOG                                                                                  \
    "[{\"type\": \"placement\", \"name\": \"placement\", \"endpoints\": ["                       \
    "{\"interface\": \"public\", \"region\": \"One\", \"region_id\": \"One\","                   \
    " \"url\": \"%s/public/\"},"                                                                 \
    "{\"interface\": \"internal\", \"region\": \"Two\", \"region_id\": \"Two\","                 \
    " \"url\": \"%s/internal\"}]}]"
#define LONG_LIFE "\"issued_at\": \"2026-11-22T15:00:00.000000Z\", "                             \
                  "\"expires_at\": \"2026-11-22T16:00:00.000000Z\""

/* A cloud of one server: Keystone under /v3, Placement where the catalog says. */
typedef struct Cloud {
    FakeHttp *fake;
    Keystone *keystone;
    Options options;
    char *auth_url;
} Cloud;

static char *interfaces[] = {"internal", "public", NULL};

static int
setup(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);
    KeystoneAuthOptions *auth = &cloud->options.placement.auth;

    cloud->fake = fake_http_new();
    cloud->keystone = keystone_new();
    cloud->auth_url = g_strconcat(fake_http_url(cloud->fake), "/v3/", NULL);
    auth->auth_type = "password";
    auth->auth_url = cloud->auth_url;
    auth->username = "nova";
    auth->password = "top-secret";
    auth->user_domain_name = "Default";
    auth->project_name = "service";
    auth->project_domain_id = "default";
    cloud->options.placement.adapter.valid_interfaces = interfaces;
    *state = cloud;
    return 0;
}

static int
teardown(void **state)
{
    Cloud *cloud = *state;

    keystone_free(cloud->keystone);
    fake_http_free(cloud->fake);
    g_free(cloud->auth_url);
    g_free(cloud);
    return 0;
}

static void
answer_with_token(Cloud *cloud, const char *token, const char *times)
{
    const char *url = fake_http_url(cloud->fake);
    g_autofree char *catalog = g_strdup_printf(CATALOG, url, url);
    g_autofree char *headers = g_strdup_printf("X-Subject-Token: %s\r\n", token);
    g_autofree char *body =
        g_strdup_printf("{\"token\": {%s, \"project\": {\"id\": \"p1\"}, \"catalog\": %s}}",
                        times, catalog);
    FakeAnswer answer = {.method = "POST", .path = "/v3/auth/tokens", .status = 201,
                         .headers = headers, .body = body};

    fake_http_answer(cloud->fake, &answer);
}

static KeystoneSession *
session_of(Cloud *cloud)
{
    return keystone_session(cloud->keystone, "placement", &cloud->options.placement.auth,
                            &cloud->options.placement.session);
}

static RestClient *
client_of(Cloud *cloud)
{
    RestSettings settings = {
        .keystone = cloud->keystone,
        .group = "placement",
        .auth = &cloud->options.placement.auth,
        .session = &cloud->options.placement.session,
        .adapter = &cloud->options.placement.adapter,
        .service_type = "placement",
        .options = &cloud->options,
    };

    return rest_client_new(&settings);
}

static RequestContext *
context_of(json_t *message)
{
    RequestContext *ctx = request_context_from_message(message, NULL);

    json_decref(message);
    assert_non_null(ctx);
    return ctx;
}

/* ---- tokens ---- */

static void
a_password_asks_as_keystoneauth_does(void **state)
{
    Cloud *cloud = *state;
    g_autofree char *token = NULL;
    json_auto_t *sent = NULL;
    json_auto_t *expected = json_loads(
        "{\"auth\": {\"identity\": {\"methods\": [\"password\"], \"password\": {\"user\": {"
        "\"password\": \"top-secret\", \"name\": \"nova\", \"domain\": {\"name\": \"Default\"}}}},"
        "\"scope\": {\"project\": {\"name\": \"service\", \"domain\": {\"id\": \"default\"}}}}}",
        0, NULL);

    answer_with_token(cloud, "t1", LONG_LIFE);
    token = keystone_session_token(session_of(cloud), NULL, NULL);
    assert_string_equal(token, "t1");
    sent = fake_request_json(fake_http_request(cloud->fake, 0));
    assert_true(json_equal(sent, expected));
}

static void
an_application_credential_sends_no_scope(void **state)
{
    Cloud *cloud = *state;
    KeystoneAuthOptions *auth = &cloud->options.placement.auth;
    g_autofree char *token = NULL;
    json_auto_t *sent = NULL;

    auth->auth_type = "v3applicationcredential";
    auth->application_credential_id = "ac1";
    auth->application_credential_secret = "shh";
    answer_with_token(cloud, "t1", LONG_LIFE);
    token = keystone_session_token(session_of(cloud), NULL, NULL);
    assert_non_null(token);
    sent = fake_request_json(fake_http_request(cloud->fake, 0));
    assert_null(json_path(sent, "auth", "scope", NULL));
    assert_string_equal(json_string_value(json_path(sent, "auth", "identity",
                                                    "application_credential", "secret", NULL)),
                        "shh");
}

static void
a_token_is_kept_until_shortly_before_it_ends(void **state)
{
    Cloud *cloud = *state;
    KeystoneSession *session = session_of(cloud);
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *third = NULL;

    answer_with_token(cloud, "t1", "\"issued_at\": \"2026-11-22T15:00:00Z\", "
                                   "\"expires_at\": \"2026-11-22T15:00:01Z\"");
    answer_with_token(cloud, "t2", LONG_LIFE);
    first = keystone_session_token(session, NULL, NULL);
    assert_string_equal(first, "t1");
    g_usleep(600 * 1000); /* half of its second: renewed */
    second = keystone_session_token(session, NULL, NULL);
    third = keystone_session_token(session, NULL, NULL);
    assert_string_equal(second, "t2");
    assert_string_equal(third, "t2");
    assert_int_equal(fake_http_n_requests(cloud->fake), 2);
}

static void
equal_settings_share_one_session(void **state)
{
    Cloud *cloud = *state;
    KeystoneAuthOptions other = cloud->options.placement.auth;

    assert_ptr_equal(session_of(cloud), keystone_session(cloud->keystone, "neutron", &other,
                                                         &cloud->options.placement.session));
    other.username = "neutron";
    assert_ptr_not_equal(session_of(cloud),
                         keystone_session(cloud->keystone, "neutron", &other,
                                          &cloud->options.placement.session));
}

static void
an_unversioned_url_is_discovered(void **state)
{
    Cloud *cloud = *state;
    const char *url = fake_http_url(cloud->fake);
    g_autofree char *versions = g_strdup_printf(
        "{\"versions\": {\"values\": [{\"id\": \"v2.0\", \"status\": \"deprecated\", \"links\": "
        "[{\"rel\": \"self\", \"href\": \"%s/v2.0/\"}]}, {\"id\": \"v3.14\", \"status\": "
        "\"stable\", \"links\": [{\"rel\": \"self\", \"href\": \"%s/v3/\"}]}]}}",
        url, url);
    g_autofree char *token = NULL;

    cloud->options.placement.auth.auth_url = (char *)url;
    fake_http_reply(cloud->fake, "GET", "/", 300, versions);
    answer_with_token(cloud, "t1", LONG_LIFE);
    token = keystone_session_token(session_of(cloud), NULL, NULL);
    assert_string_equal(token, "t1");
}

static void
refused_credentials_are_unauthorized_and_unnamed(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    fake_http_reply(cloud->fake, "POST", "/v3/auth/tokens", 401,
                    "{\"error\": {\"code\": 401, \"message\": \"Could not recognize you\"}}");
    assert_null(keystone_session_token(session_of(cloud), NULL, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_UNAUTHORIZED);
    assert_null(strstr(nova_error_details(err), "top-secret"));
    assert_non_null(strstr(nova_error_message(err), "[placement]"));
}

static void
an_absent_keystone_is_asked_again_by_the_next_request(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;
    g_autoptr(NovaError) busy = NULL;
    g_autofree char *token = NULL;
    FakeAnswer broken = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"};

    fake_http_answer(cloud->fake, &broken);
    assert_null(keystone_session_token(session_of(cloud), NULL, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_CONNECT_FAILURE);
    fake_http_reply(cloud->fake, "POST", "/v3/auth/tokens", 503, "down");
    assert_null(keystone_session_token(session_of(cloud), NULL, &busy));
    assert_int_equal(nova_error_kind(busy), NOVA_ERROR_CONNECT_FAILURE);
    answer_with_token(cloud, "t1", LONG_LIFE);
    token = keystone_session_token(session_of(cloud), NULL, NULL);
    assert_string_equal(token, "t1");
}

static void
garbage_instead_of_a_token_is_an_error(void **state)
{
    static const char *const bodies[] = {"", "[]", "{\"token\": []}", "{\"token\": 3}", "null",
                                         "{\"token\": {\"catalog\": {}}}"};
    Cloud *cloud = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autoptr(NovaError) err = NULL;

        fake_http_reply(cloud->fake, "POST", "/v3/auth/tokens", 201, bodies[i]);
        assert_null(keystone_session_token(session_of(cloud), NULL, &err));
        assert_int_equal(nova_error_kind(err), NOVA_ERROR_DISCOVERY_FAILURE);
    }
}

static void
a_group_without_auth_type_says_so(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    cloud->options.placement.auth.auth_type = NULL;
    assert_null(keystone_session_token(session_of(cloud), NULL, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_MISSING_AUTH_PLUGIN);
}

static void
auth_section_reads_all_auth_options_of_another_group(void **state)
{
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("kilonova-XXXXXX.conf", &path, NULL);
    g_autofree char *source = g_strconcat("file:", path, NULL);
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *error = NULL;
    OptionsArguments arguments = {.sources = sources};
    Options *options = NULL;

    (void)state;
    assert_true(fd >= 0);
    assert_true(g_file_set_contents(path,
                                    "[neutron]\nauth_section = keystone_authtoken\n"
                                    "username = left-over\nproject_name = left-over\n"
                                    "[keystone_authtoken]\nauth_type = password\n"
                                    "user_name = neutron\n"
                                    "[placement]\nauth_plugin = password\ntenant-name = service\n",
                                    -1, NULL));
    g_ptr_array_add(sources, source);
    assert_true(options_load(&arguments, &options, warnings, &error));
    assert_string_equal(options->neutron.auth.auth_type, "password");
    assert_string_equal(options->neutron.auth.username, "neutron");
    assert_null(options->neutron.auth.project_name);
    assert_string_equal(options->placement.auth.auth_type, "password");
    assert_string_equal(options->placement.auth.project_name, "service");
    options_free(options);
    unlink(path);
    close(fd);
}

/* ---- endpoints ---- */

static void
interfaces_are_tried_in_order_within_the_region(void **state)
{
    static const char *const both[] = {"internal", "public", NULL};
    static const char *const admin[] = {"admin", NULL};
    json_auto_t *catalog = json_loads(
        "[{\"type\": \"volumev3\", \"name\": \"cinder\", \"endpoints\": ["
        "{\"interface\": \"public\", \"region\": \"One\", \"url\": \"http://one/\"},"
        "{\"interface\": \"internal\", \"region\": \"Two\", \"url\": \"http://two\"}]},"
        "{\"type\": \"image\", \"endpoints\": [{\"publicURL\": \"http://v2\", \"region\": \"One\"}"
        "]}, 7, {\"type\": \"network\", \"endpoints\": 3}]",
        0, NULL);
    EndpointFilter filter = {.service_type = "block-storage", .interfaces = both};
    g_autofree char *any = keystone_endpoint_from_catalog(catalog, &filter);
    g_autofree char *in_one = NULL;
    g_autofree char *version2 = NULL;

    (void)state;
    assert_string_equal(any, "http://two");
    filter.region_name = "One";
    in_one = keystone_endpoint_from_catalog(catalog, &filter);
    assert_string_equal(in_one, "http://one");
    filter.service_type = "image";
    version2 = keystone_endpoint_from_catalog(catalog, &filter);
    assert_string_equal(version2, "http://v2");
    filter.interfaces = admin;
    assert_null(keystone_endpoint_from_catalog(catalog, &filter));
    filter.service_type = "network";
    assert_null(keystone_endpoint_from_catalog(catalog, &filter));
    assert_null(keystone_endpoint_from_catalog(NULL, &filter));
}

static void
a_service_missing_in_the_catalog_is_endpoint_not_found(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(RestClient) client = NULL;
    g_autoptr(NovaError) err = NULL;

    cloud->options.placement.adapter.region_name = "Three";
    client = client_of(cloud);
    answer_with_token(cloud, "t1", LONG_LIFE);
    assert_null(rest_client_endpoint(client, NULL, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_ENDPOINT_NOT_FOUND);
}

/* ---- requests ---- */

static void
a_request_carries_token_version_and_request_id(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(RestClient) client = client_of(cloud);
    g_autoptr(RequestContext) ctx = context_of(
        json_pack("{s:s, s:s}", "_context_request_id", "req-1", "_context_auth_token", "user"));
    RestRequest request = {.ctx = ctx, .as_admin = true, .method = "GET", .path = "/x?a=b",
                           .microversion = "placement 1.14"};
    g_autoptr(HttpResponse) response = NULL;
    const FakeRequest *sent;

    answer_with_token(cloud, "t1", LONG_LIFE);
    fake_http_reply(cloud->fake, "GET", "/internal/x?a=b", 200, "{}");
    response = rest_send(client, &request, NULL);
    assert_int_equal(response->status, 200);
    sent = fake_http_request(cloud->fake, -1);
    assert_string_equal(fake_request_header(sent, "X-Auth-Token"), "t1");
    assert_string_equal(fake_request_header(sent, "OpenStack-API-Version"), "placement 1.14");
    assert_string_equal(fake_request_header(sent, "X-OpenStack-Request-ID"), "req-1");
    assert_null(fake_request_header(sent, "X-Service-Token"));
}

static void
our_own_token_is_renewed_once_after_401(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(RestClient) client = client_of(cloud);
    RestRequest request = {.method = "GET", .path = "/x"};
    g_autoptr(HttpResponse) good = NULL;
    g_autoptr(HttpResponse) bad = NULL;

    answer_with_token(cloud, "t1", LONG_LIFE);
    answer_with_token(cloud, "t2", LONG_LIFE);
    answer_with_token(cloud, "t3", LONG_LIFE);
    fake_http_reply(cloud->fake, "GET", "/internal/x", 401, "{}");
    fake_http_reply(cloud->fake, "GET", "/internal/x", 200, "{}");
    good = rest_send(client, &request, NULL);
    assert_int_equal(good->status, 200);
    assert_string_equal(fake_request_header(fake_http_request(cloud->fake, -1), "x-auth-token"),
                        "t2");
    fake_http_reply(cloud->fake, "GET", "/internal/x", 401, "{}");
    fake_http_reply(cloud->fake, "GET", "/internal/x", 401, "{}");
    bad = rest_send(client, &request, NULL);
    assert_int_equal(bad->status, 401);
    assert_int_equal(fake_http_n_unused(cloud->fake), 0);
}

static void *
send_many(void *client)
{
    RestRequest request = {.method = "GET", .path = "/x"};

    for (int i = 0; i < 20; i++) {
        g_autoptr(HttpResponse) response = rest_send(client, &request, NULL);

        if (!response || response->status != 200)
            return client;
    }
    return NULL;
}

static void
threads_share_one_token(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(RestClient) client = client_of(cloud);
    FakeAnswer always = {.method = "GET", .path = "/internal/x", .body = "{}", .times = -1};
    pthread_t threads[8];

    answer_with_token(cloud, "t1", LONG_LIFE);
    fake_http_answer(cloud->fake, &always);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_create(&threads[i], NULL, send_many, client);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(fake_http_n_requests(cloud->fake), 161);
    assert_true(fake_http_n_connections(cloud->fake) < 60); /* kept open, most of the time */
}

static void
a_user_token_goes_with_the_service_token_and_its_own_catalog(void **state)
{
    Cloud *cloud = *state;
    const char *url = fake_http_url(cloud->fake);
    g_autoptr(RestClient) client = NULL;
    g_autoptr(RequestContext) ctx = NULL;
    RestRequest request = {.method = "GET", .path = "/x"};
    g_autoptr(HttpResponse) response = NULL;
    const FakeRequest *sent;

    cloud->options.service_user.send_service_user_token = true;
    cloud->options.service_user.auth = cloud->options.placement.auth;
    client = client_of(cloud);
    ctx = context_of(json_pack("{s:s, s:s, s:[{s:s, s:[{s:s}]}]}", "_context_request_id", "req-1",
                               "_context_auth_token", "user", "_context_service_catalog", "type",
                               "placement", "endpoints", "internalURL", url));
    request.ctx = ctx;
    answer_with_token(cloud, "service", LONG_LIFE);
    fake_http_reply(cloud->fake, "GET", "/x", 200, "{}");
    response = rest_send(client, &request, NULL);
    assert_int_equal(response->status, 200);
    sent = fake_http_request(cloud->fake, -1);
    assert_string_equal(fake_request_header(sent, "X-Auth-Token"), "user");
    assert_string_equal(fake_request_header(sent, "X-Service-Token"), "service");
}

static void
a_request_without_any_token_is_not_sent(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(RestClient) client = client_of(cloud);
    g_autoptr(RequestContext) ctx =
        context_of(json_pack("{s:s}", "_context_request_id", "req-1"));
    RestRequest request = {.ctx = ctx, .method = "GET", .path = "/x"};
    g_autoptr(NovaError) err = NULL;

    assert_null(rest_send(client, &request, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_UNAUTHORIZED);
    assert_int_equal(fake_http_n_requests(cloud->fake), 0);
}

static void
a_line_break_in_a_message_never_becomes_a_header(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(RestClient) client = client_of(cloud);
    g_autoptr(RequestContext) ctx =
        context_of(json_pack("{s:s}", "_context_request_id", "req-1\r\nX-Evil: 1"));
    RestRequest request = {.ctx = ctx, .as_admin = true, .method = "GET", .path = "/x"};
    g_autoptr(HttpResponse) response = NULL;

    answer_with_token(cloud, "t1", LONG_LIFE);
    response = rest_send(client, &request, NULL);
    assert_non_null(response);
    assert_null(fake_request_header(fake_http_request(cloud->fake, -1), "x-evil"));
}

static void
an_endpoint_override_is_used_as_it_is(void **state)
{
    Cloud *cloud = *state;
    g_autofree char *override =
        g_strconcat(fake_http_url(cloud->fake), "/own/%(project_id)s/", NULL);
    g_autoptr(RestClient) client = NULL;
    RestRequest request = {.method = "GET", .path = "/x"};
    g_autoptr(HttpResponse) response = NULL;

    cloud->options.placement.adapter.endpoint_override = override;
    client = client_of(cloud);
    answer_with_token(cloud, "t1", LONG_LIFE);
    fake_http_reply(cloud->fake, "GET", "/own/p1/x", 200, "{}");
    response = rest_send(client, &request, NULL);
    assert_int_equal(response->status, 200);
}

static char *
error_text_of(const char *body)
{
    HttpResponse response = {.status = 400, .body = (char *)body, .length = strlen(body)};
    char *text;

    response.json = json_parse(body, strlen(body), NULL);
    text = rest_error_text(&response);
    json_decref(response.json);
    return text;
}

static void
every_service_s_error_text_is_found(void **state)
{
    static const char *const cases[][2] = {
        {"{\"errors\": [{\"detail\": \"in\\nuse\", \"code\": \"c\"}]}", "in use"},
        {"{\"NeutronError\": {\"type\": \"T\", \"message\": \"no\"}}", "no"},
        {"{\"NeutronError\": \"plain\"}", "plain"},
        {"{\"error\": {\"message\": \"key\"}}", "key"},
        {"{\"errors\": 7, \"error\": []}", "{\"errors\": 7, \"error\": []}"},
        {"<html>\xff</html>", "<html>\xef\xbf\xbd</html>"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = error_text_of(cases[i][0]);

        assert_string_equal(text, cases[i][1]);
    }
}

#define CLOUD_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOUD_TEST(a_password_asks_as_keystoneauth_does),
        CLOUD_TEST(an_application_credential_sends_no_scope),
        CLOUD_TEST(a_token_is_kept_until_shortly_before_it_ends),
        CLOUD_TEST(equal_settings_share_one_session),
        CLOUD_TEST(an_unversioned_url_is_discovered),
        CLOUD_TEST(refused_credentials_are_unauthorized_and_unnamed),
        CLOUD_TEST(an_absent_keystone_is_asked_again_by_the_next_request),
        CLOUD_TEST(garbage_instead_of_a_token_is_an_error),
        CLOUD_TEST(a_group_without_auth_type_says_so),
        cmocka_unit_test(auth_section_reads_all_auth_options_of_another_group),
        cmocka_unit_test(interfaces_are_tried_in_order_within_the_region),
        CLOUD_TEST(a_service_missing_in_the_catalog_is_endpoint_not_found),
        CLOUD_TEST(a_request_carries_token_version_and_request_id),
        CLOUD_TEST(our_own_token_is_renewed_once_after_401),
        CLOUD_TEST(threads_share_one_token),
        CLOUD_TEST(a_user_token_goes_with_the_service_token_and_its_own_catalog),
        CLOUD_TEST(a_request_without_any_token_is_not_sent),
        CLOUD_TEST(a_line_break_in_a_message_never_becomes_a_header),
        CLOUD_TEST(an_endpoint_override_is_used_as_it_is),
        cmocka_unit_test(every_service_s_error_text_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
