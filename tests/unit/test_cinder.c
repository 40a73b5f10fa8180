/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that Cinder gets, as nova-compute's were recorded, and what its refusals are called. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/control/keystone.h"
#include "conf/options.h"
#include "storage/cinder.h"
#include "tests/fakes/fake_http.h"

#define VOLUME "4859e662-60e5-4ceb-a694-36d983a5c90c"
#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define ATTACHMENT "38f3f25d-0c5b-4405-8af1-8a7fec19c5e8"
#define VOLUME_PATH "/v3/volumes/" VOLUME
#define ATTACHMENT_PATH "/v3/attachments/" ATTACHMENT

typedef struct Bench {
    FakeHttp *fake;
    Options options;
    Keystone *keystone;
    Cinder *cinder;
    RequestContext *ctx;
    char *template;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);
    json_auto_t *message = json_pack("{s:s, s:s, s:s, s:s, s:b}", "_context_auth_token", "user-token",
                                     "_context_request_id", "req-1", "_context_user_id", "u",
                                     "_context_project_id", "p", "_context_is_admin", 0);

    bench->fake = fake_http_new();
    bench->template = g_strconcat(fake_http_url(bench->fake), "/v3/", NULL);
    bench->options.cinder.endpoint_template = bench->template;
    bench->options.cinder.catalog_info = "volumev3::publicURL";
    bench->keystone = keystone_new();
    bench->cinder = cinder_new(&bench->options, bench->keystone);
    bench->ctx = request_context_from_message(message, NULL);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    cinder_free(bench->cinder);
    keystone_free(bench->keystone);
    request_context_unref(bench->ctx);
    fake_http_free(bench->fake);
    g_free(bench->template);
    g_free(bench);
    return 0;
}

static void
reply(Bench *bench, const char *method, const char *path, int status, const char *body)
{
    fake_http_reply(bench->fake, method, path, status, body);
}

static const char *
header(Bench *bench, int request, const char *name)
{
    return fake_request_header(fake_http_request(bench->fake, request), name);
}

static void
assert_body(Bench *bench, int request, const char *expected)
{
    json_auto_t *body = fake_request_json(fake_http_request(bench->fake, request));
    json_auto_t *wanted = json_loads(expected, 0, NULL);

    assert_non_null(wanted);
    assert_true(json_equal(body, wanted));
}

static void
assert_all_asked(Bench *bench)
{
    assert_int_equal(fake_http_n_unexpected(bench->fake), 0);
    assert_int_equal(fake_http_n_unused(bench->fake), 0);
}

static void
a_volume_is_asked_for_in_the_newest_form(void **state)
{
    Bench *bench = *state;
    g_autoptr(CinderVolume) volume = NULL;

    reply(bench, "GET", VOLUME_PATH, 200,
          "{\"volume\": {\"id\": \"" VOLUME "\", \"status\": \"reserved\", \"size\": 2, \"multiattach\": true, "
          "\"availability_zone\": \"nova\", \"shared_targets\": null, \"service_uuid\": \"s\", \"attachments\": ["
          "{\"server_id\": \"a\"}, {\"server_id\": \"b\"}]}}");
    volume = cinder_volume_get(bench->cinder, bench->ctx, VOLUME, NULL);
    assert_non_null(volume);
    assert_string_equal(volume->status, "reserved");
    assert_int_equal(volume->size_gib, 2);
    assert_true(volume->is_multiattach);
    assert_int_equal(volume->shared_targets, TARGETS_ALWAYS_LOCKED);
    assert_string_equal(header(bench, 0, "openstack-api-version"), "volume 3.69");
    assert_string_equal(header(bench, 0, "x-auth-token"), "user-token");
    assert_all_asked(bench);
}

static void
servers_of_a_volume_are_counted(void **state)
{
    Bench *bench = *state;
    json_auto_t *here = json_pack("[s, s]", "b", "c");
    g_autoptr(CinderVolume) volume = NULL;

    reply(bench, "GET", VOLUME_PATH, 200,
          "{\"volume\": {\"id\": \"" VOLUME "\", \"attachments\": [{\"server_id\": \"a\"}, {\"server_id\": \"b\"}]}}");
    volume = cinder_volume_get(bench->cinder, bench->ctx, VOLUME, NULL);
    assert_non_null(volume);
    assert_int_equal(cinder_volume_count_servers(volume, here), 1);
}

static void
an_old_cinder_is_asked_in_older_forms_once(void **state)
{
    Bench *bench = *state;
    const FakeAnswer always = {.method = "GET", .path = VOLUME_PATH, .times = 2,
                               .body = "{\"volume\": {\"id\": \"" VOLUME "\", \"shared_targets\": true}}"};

    reply(bench, "GET", VOLUME_PATH, 406, "{}");
    fake_http_answer(bench->fake, &always);
    for (int i = 0; i < 2; i++) {
        g_autoptr(CinderVolume) volume = cinder_volume_get(bench->cinder, bench->ctx, VOLUME, NULL);

        assert_non_null(volume);
        assert_int_equal(volume->shared_targets, TARGETS_SHARED);
    }
    assert_string_equal(header(bench, 1, "openstack-api-version"), "volume 3.48");
    assert_int_equal(fake_http_n_requests(bench->fake), 3);
}

static void
a_connection_is_kept_in_the_form_of_mappings(void **state)
{
    Bench *bench = *state;
    json_auto_t *connector = json_pack("{s:s}", "host", "anchor1");
    json_auto_t *info = NULL;
    json_auto_t *expected = json_loads(
        "{\"driver_volume_type\": \"rbd\", \"data\": {\"name\": \"volumes/v\", \"hosts\": [\"h\"]}, "
        "\"status\": \"attaching\", \"instance\": \"" SERVER "\", \"attached_at\": \"t\", "
        "\"detached_at\": null, \"volume_id\": \"" VOLUME "\"}", 0, NULL);

    reply(bench, "PUT", ATTACHMENT_PATH, 200,
          "{\"attachment\": {\"id\": \"" ATTACHMENT "\", \"status\": \"attaching\", \"instance\": \"" SERVER "\", "
          "\"volume_id\": \"" VOLUME "\", \"attached_at\": \"t\", \"detached_at\": null, \"attach_mode\": \"rw\", "
          "\"connection_info\": {\"driver_volume_type\": \"rbd\", \"attachment_id\": \"" ATTACHMENT "\", "
          "\"name\": \"volumes/v\", \"hosts\": [\"h\"]}}}");
    info = cinder_attachment_update(bench->cinder, bench->ctx, ATTACHMENT, connector, "/dev/vdb", NULL);
    assert_non_null(info);
    assert_true(json_equal(info, expected));
    assert_string_equal(header(bench, 0, "openstack-api-version"), "volume 3.44");
    assert_body(bench, 0, "{\"attachment\": {\"connector\": {\"host\": \"anchor1\", \"mountpoint\": \"/dev/vdb\"}}}");
    assert_null(json_object_get(connector, "mountpoint"));
    assert_all_asked(bench);
}

static void
completion_and_deletion_are_as_recorded(void **state)
{
    Bench *bench = *state;

    reply(bench, "POST", ATTACHMENT_PATH "/action", 204, NULL);
    reply(bench, "DELETE", ATTACHMENT_PATH, 200, "{\"attachments\": []}");
    assert_true(cinder_attachment_complete(bench->cinder, bench->ctx, ATTACHMENT, NULL));
    assert_true(cinder_attachment_delete(bench->cinder, bench->ctx, ATTACHMENT, NULL));
    assert_body(bench, 0, "{\"os-complete\": null}");
    assert_all_asked(bench);
}

static void
an_attachment_is_created_without_a_host(void **state)
{
    Bench *bench = *state;
    g_autofree char *id = NULL;

    reply(bench, "POST", "/v3/attachments", 200, "{\"attachment\": {\"id\": \"" ATTACHMENT "\"}}");
    id = cinder_attachment_create(bench->cinder, bench->ctx, VOLUME, SERVER, NULL, NULL, NULL);
    assert_string_equal(id, ATTACHMENT);
    assert_body(bench, 0, "{\"attachment\": {\"volume_uuid\": \"" VOLUME "\", \"connector\": null, "
                          "\"instance_uuid\": \"" SERVER "\"}}");
}

static void
a_failing_cinder_is_asked_five_times(void **state)
{
    Bench *bench = *state;
    const FakeAnswer failing = {.method = "DELETE", .path = ATTACHMENT_PATH, .status = 504, .times = 5};
    g_autoptr(NovaError) error = NULL;

    fake_http_answer(bench->fake, &failing);
    assert_false(cinder_attachment_delete(bench->cinder, bench->ctx, ATTACHMENT, &error));
    assert_string_equal(nova_error_class(error), "ClientException");
    assert_int_equal(fake_http_n_requests(bench->fake), 5);
    assert_all_asked(bench);
}

static void
a_deleted_attachment_is_no_failure(void **state)
{
    Bench *bench = *state;

    reply(bench, "DELETE", ATTACHMENT_PATH, 404, "{\"itemNotFound\": {\"code\": 404, \"message\": \"no\"}}");
    assert_true(cinder_attachment_delete(bench->cinder, bench->ctx, ATTACHMENT, NULL));
}

static void
refusals_have_novas_classes(void **state)
{
    static const struct {
        int status;
        const char *class, *message;
    } cases[] = {
        {400, "InvalidInput", "Invalid input received: no way (HTTP 400)"},
        {403, "Forbidden", "no way (HTTP 403)"},
        {404, "VolumeNotFound", "Volume " VOLUME " could not be found."},
        {409, "ClientException", "no way (HTTP 409)"},
        {413, "OverQuota", "no way (HTTP 413)"},
    };
    Bench *bench = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(NovaError) error = NULL;

        reply(bench, "POST", VOLUME_PATH "/action", cases[i].status, "{\"x\": {\"message\": \"no way\"}}");
        assert_false(cinder_roll_detaching(bench->cinder, bench->ctx, VOLUME, &error));
        assert_string_equal(nova_error_class(error), cases[i].class);
        assert_string_equal(nova_error_message(error), cases[i].message);
    }
}

static void
a_404_about_nothing_that_was_named_says_what_cinder_says(void **state)
{
    Bench *bench = *state;
    const CinderNewVolume what = {.size_gib = 1, .name = "n", .image_id = "i"};
    g_autoptr(NovaError) error = NULL, other = NULL;
    g_autofree char *id = NULL;

    reply(bench, "GET", "/v3/volumes?name=n", 404, "{\"itemNotFound\": {\"message\": \"no way\"}}");
    assert_false(cinder_volume_find(bench->cinder, bench->ctx, "n", &id, &error));
    assert_string_equal(nova_error_class(error), "NotFound");
    assert_string_equal(nova_error_message(error), "no way (HTTP 404)");
    reply(bench, "POST", "/v3/volumes", 404, "{\"itemNotFound\": {\"message\": \"no image\"}}");
    assert_null(cinder_volume_create(bench->cinder, bench->ctx, &what, &other));
    assert_string_equal(nova_error_class(other), "NotFound");
    assert_string_equal(nova_error_message(other), "no image (HTTP 404)");
    assert_all_asked(bench);
}

static void
a_cinder_that_is_away_is_a_failed_connection(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) error = NULL;

    fake_http_stop(bench->fake);
    assert_null(cinder_attachment_get(bench->cinder, bench->ctx, ATTACHMENT, &error));
    assert_string_equal(nova_error_class(error), "CinderConnectionFailed");
}

static void
answers_without_what_was_asked_for_are_failures(void **state)
{
    static const char *const bodies[] = {"{}", "[]", "{\"volume\": 1}", "{\"volume\": {}}", "{\"volume\": {\"id\": 3}}"};
    Bench *bench = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autoptr(NovaError) error = NULL;

        reply(bench, "GET", VOLUME_PATH, 200, bodies[i]);
        assert_null(cinder_volume_get(bench->cinder, bench->ctx, VOLUME, &error));
        assert_non_null(error);
    }
}

static void
an_id_is_no_path(void **state)
{
    Bench *bench = *state;

    reply(bench, "DELETE", "/v3/volumes/..%2Fattachments%2Fx", 202, NULL);
    assert_true(cinder_volume_delete(bench->cinder, bench->ctx, "../attachments/x", NULL));
    assert_all_asked(bench);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_volume_is_asked_for_in_the_newest_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(servers_of_a_volume_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_cinder_is_asked_in_older_forms_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_is_kept_in_the_form_of_mappings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(completion_and_deletion_are_as_recorded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_attachment_is_created_without_a_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failing_cinder_is_asked_five_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_attachment_is_no_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_have_novas_classes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_404_about_nothing_that_was_named_says_what_cinder_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cinder_that_is_away_is_a_failed_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_without_what_was_asked_for_are_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_id_is_no_path, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
