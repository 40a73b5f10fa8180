/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "agent/control/keystone.h"
#include "conf/options_load.h"
#include "storage/glance.h"
#include "tests/fakes/fake_http.h"

#define ID "70a599e0-31e7-49b7-b260-868f441e862b"
#define SHOW "/v2/images/" ID
#define DATA "/v2/images/" ID "/file"
#define OCTETS "Content-Type: application/octet-stream\r\n"

typedef struct Bench {
    FakeHttp *fake;
    Options *options;
    Keystone *keystone;
    Glance *glance;
    RequestContext *ctx;
    char *folder;
    char *path;
} Bench;

static Options *
load(const char *const *overrides)
{
    OptionsArguments arguments = {.sources = g_ptr_array_new(), .overrides = g_ptr_array_new()};
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *error = NULL;
    g_autofree char *nothing = g_strdup("file:/dev/null");
    Options *options = NULL;

    g_ptr_array_add(arguments.sources, nothing);
    for (; *overrides; overrides++)
        g_ptr_array_add(arguments.overrides, (char *)*overrides);
    if (!options_load(&arguments, &options, warnings, &error))
        fail_msg("%s", error);
    g_ptr_array_unref(arguments.sources);
    g_ptr_array_unref(arguments.overrides);
    return options;
}

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);
    json_auto_t *message = json_pack("{s:s, s:s, s:s, s:s, s:b}", "_context_auth_token",
                                     "user-token", "_context_request_id", "req-1",
                                     "_context_user_id", "u", "_context_project_id", "p",
                                     "_context_is_admin", 0);
    g_autofree char *servers = NULL;

    bench->fake = fake_http_new();
    servers = g_strdup_printf("glance.api_servers=%s/v2/", fake_http_url(bench->fake));
    bench->options = load((const char *const[]){servers, "glance.num_retries=1", NULL});
    bench->keystone = keystone_new();
    bench->glance = glance_new(bench->options, bench->keystone);
    bench->ctx = request_context_from_message(message, NULL);
    bench->folder = g_dir_make_tmp("kilonova-glance-XXXXXX", NULL);
    bench->path = g_build_filename(bench->folder, "image.part", NULL);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    glance_free(bench->glance);
    keystone_free(bench->keystone);
    options_free(bench->options);
    request_context_unref(bench->ctx);
    fake_http_free(bench->fake);
    unlink(bench->path);
    g_rmdir(bench->folder);
    g_free(bench->folder);
    g_free(bench->path);
    g_free(bench);
    return 0;
}

static void
data(Bench *bench, int status, const char *body)
{
    const FakeAnswer answer = {.method = "GET", .path = DATA, .status = status, .body = body,
                               .headers = OCTETS};

    fake_http_answer(bench->fake, &answer);
}

static char *
record(const char *algorithm, const char *value)
{
    return g_strdup_printf("{\"id\": \"" ID "\", \"disk_format\": \"raw\", \"checksum\": "
                           "\"not looked at\", \"os_hash_algo\": \"%s\", \"os_hash_value\": "
                           "\"%s\"}",
                           algorithm, value);
}

static void
show(Bench *bench, const char *body)
{
    fake_http_reply(bench->fake, "GET", SHOW, 200, body);
}

static bool
download(Bench *bench, NovaError **err)
{
    return glance_download(bench->glance, bench->ctx, ID, bench->path, NULL, err);
}

static void
assert_fails(Bench *bench, NovaErrorKind kind)
{
    g_autoptr(NovaError) failure = NULL;

    assert_false(download(bench, &failure));
    assert_int_equal(nova_error_kind(failure), kind);
    assert_int_equal(access(bench->path, F_OK), -1);
    assert_int_equal(fake_http_n_unexpected(bench->fake), 0);
}

static void
image_is_downloaded_with_the_user_s_token_and_its_hash_checked(void **state)
{
    Bench *bench = *state;
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA512, "image data", -1);
    g_autofree char *good = record("sha512", sum);
    g_autofree char *content = NULL;

    show(bench, good);
    data(bench, 200, "image data");
    assert_true(download(bench, NULL));
    assert_true(g_file_get_contents(bench->path, &content, NULL, NULL));
    assert_string_equal(content, "image data");
    assert_string_equal(fake_request_header(fake_http_request(bench->fake, 1), "x-auth-token"),
                        "user-token");
}

static void
corrupt_data_is_fetched_again(void **state)
{
    Bench *bench = *state;
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "image data", -1);
    g_autofree char *good = record("sha256", sum);

    show(bench, good);
    data(bench, 200, "image dada");
    data(bench, 200, "image data");
    assert_true(download(bench, NULL));
    assert_int_equal(fake_http_n_unused(bench->fake), 0);
}

static void
data_that_stays_corrupt_is_an_error_and_gone(void **state)
{
    Bench *bench = *state;
    g_autofree char *bad = record("sha512", "00");

    show(bench, bad);
    data(bench, 200, "image data");
    data(bench, 200, "image data");
    assert_fails(bench, NOVA_ERROR_GLANCE_CONNECTION_FAILED);
}

static void
md5_counts_when_there_is_no_better_hash(void **state)
{
    Bench *bench = *state;
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_MD5, "image data", -1);
    g_autofree char *body = g_strdup_printf("{\"id\": \"x\", \"checksum\": \"%s\"}", sum);

    show(bench, body);
    data(bench, 200, "image data");
    assert_true(download(bench, NULL));
}

static void
unknown_hash_is_refused(void **state)
{
    Bench *bench = *state;
    g_autofree char *odd = record("sha0", "00");

    show(bench, odd);
    assert_fails(bench, NOVA_ERROR_VALUE_ERROR);
}

static void
truncated_data_is_fetched_again(void **state)
{
    Bench *bench = *state;
    const FakeAnswer cut = {.method = "GET", .path = DATA,
                            .raw = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nimage"};

    show(bench, "{\"id\": \"x\"}");
    fake_http_answer(bench->fake, &cut);
    data(bench, 200, "image data");
    assert_true(download(bench, NULL));
}

static void
statuses_become_nova_s_errors(void **state)
{
    static const struct {
        int status;
        NovaErrorKind kind;
    } rows[] = {
        {404, NOVA_ERROR_IMAGE_NOT_FOUND},      {403, NOVA_ERROR_IMAGE_NOT_AUTHORIZED},
        {401, NOVA_ERROR_IMAGE_NOT_AUTHORIZED}, {400, NOVA_ERROR_IMAGE_BAD_REQUEST},
        {413, NOVA_ERROR_IMAGE_QUOTA_EXCEEDED}, {500, NOVA_ERROR_REMOTE}, /* glanceclient.exc.HTTPInternalServerError */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        fake_http_reply(((Bench *)*state)->fake, "GET", SHOW, rows[i].status, "{}");
        assert_fails(*state, rows[i].kind);
    }
}

static void
image_without_data_is_unacceptable(void **state)
{
    Bench *bench = *state;

    show(bench, "{\"id\": \"x\"}");
    fake_http_reply(bench->fake, "GET", DATA, 204, NULL);
    assert_fails(bench, NOVA_ERROR_IMAGE_UNACCEPTABLE);
}

static void
busy_and_garbage_answers_are_retried(void **state)
{
    Bench *bench = *state;
    json_auto_t *image = NULL;

    fake_http_reply(bench->fake, "GET", SHOW, 503, "{}");
    show(bench, "{\"id\": \"x\"}");
    image = glance_show(bench->glance, bench->ctx, ID, NULL);
    assert_non_null(image);
    show(bench, "[1]");
    show(bench, "{\"id\": \"x\"");
    assert_fails(bench, NOVA_ERROR_GLANCE_CONNECTION_FAILED);
}

static void
nobody_listening_is_a_failed_connection(void **state)
{
    Bench *bench = *state;

    fake_http_stop(bench->fake);
    assert_fails(bench, NOVA_ERROR_GLANCE_CONNECTION_FAILED);
}

static void
file_that_cannot_be_written_is_no_reason_to_retry(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    show(bench, "{\"id\": \"x\"}");
    assert_false(glance_download(bench->glance, bench->ctx, ID, "/dev/full/x", NULL, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_OS_ERROR);
    assert_int_equal(fake_http_n_requests(bench->fake), 1);
}

static void
hostile_ids_are_not_sent(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    assert_null(glance_show(bench->glance, bench->ctx, "../../v3/tokens", &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_IMAGE_NOT_FOUND);
    assert_int_equal(fake_http_n_requests(bench->fake), 0);
}

static void
translated_record_has_custom_members_as_properties(void **state)
{
    Bench *bench = *state;
    json_auto_t *image = NULL;
    json_auto_t *expected = NULL;

    show(bench, "{\"id\": \"x\", \"name\": \"cirros\", \"visibility\": \"public\", \"size\": null, "
                "\"tags\": [], \"self\": \"/v2\", \"hw_disk_bus\": \"scsi\", \"mappings\": "
                "\"[{\\\"device\\\": \\\"vda\\\"}]\", \"min_disk\": 1}");
    image = glance_show_translated(bench->glance, bench->ctx, ID, NULL);
    expected = json_loads("{\"id\": \"x\", \"name\": \"cirros\", \"is_public\": true, \"size\": 0, "
                          "\"min_disk\": 1, \"deleted\": false, \"deleted_at\": null, "
                          "\"disk_format\": null, \"container_format\": null, \"checksum\": null, "
                          "\"properties\": {\"hw_disk_bus\": \"scsi\", \"mappings\": [{\"device\": "
                          "\"vda\"}]}}",
                          0, NULL);
    assert_true(json_equal(image, expected));
}

/* ---- writing ---- */

static json_t *
sent_patch(Bench *bench)
{
    const FakeRequest *request = fake_http_request(bench->fake, -1);

    assert_string_equal(request->method, "PATCH");
    assert_string_equal(fake_request_header(request, "content-type"),
                        "application/openstack-images-v2.1-json-patch");
    return fake_request_json(request);
}

static void
an_update_sends_only_what_differs(void **state)
{
    Bench *bench = *state;
    json_auto_t *attributes = json_pack("{s:s, s:s, s:s, s:n}", "disk_format", "qcow2",
                                        "container_format", "bare", "image_state", "available",
                                        "kernel_id");
    json_auto_t *expected = json_loads("[{\"op\": \"replace\", \"path\": \"/disk_format\", \"value\": "
                                       "\"qcow2\"}, {\"op\": \"add\", \"path\": \"/image_state\", "
                                       "\"value\": \"available\"}, {\"op\": \"add\", \"path\": "
                                       "\"/kernel_id\", \"value\": null}]", 0, NULL);
    json_auto_t *patch = NULL;

    show(bench, "{\"id\": \"x\", \"disk_format\": null, \"container_format\": \"bare\"}");
    fake_http_reply(bench->fake, "PATCH", SHOW, 200, "{}");
    assert_true(glance_update(bench->glance, bench->ctx, ID, attributes, NULL));
    patch = sent_patch(bench);
    assert_true(json_equal(patch, expected));
}

static void
an_update_that_changes_nothing_sends_nothing(void **state)
{
    Bench *bench = *state;
    json_auto_t *attributes = json_pack("{s:s}", "disk_format", "raw");

    show(bench, "{\"id\": \"x\", \"disk_format\": \"raw\"}");
    assert_true(glance_update(bench->glance, bench->ctx, ID, attributes, NULL));
    assert_int_equal(fake_http_n_requests(bench->fake), 1);
}

static void
a_location_is_added_by_the_new_call_or_the_old(void **state)
{
    Bench *bench = *state;
    json_auto_t *expected = json_loads("[{\"op\": \"add\", \"path\": \"/locations/-\", \"value\": "
                                       "{\"url\": \"rbd://a/b/c/snap\", \"metadata\": {}}}]", 0, NULL);
    json_auto_t *body = json_pack("{s:s, s:{}}", "url", "rbd://a/b/c/snap", "validation_data");
    json_auto_t *sent = NULL, *patch = NULL;

    fake_http_reply(bench->fake, "POST", SHOW "/locations", 202, "{}");
    assert_true(glance_add_location(bench->glance, bench->ctx, ID, "rbd://a/b/c/snap", NULL));
    sent = json_loads(fake_http_request(bench->fake, -1)->body, 0, NULL);
    assert_true(json_equal(sent, body));
    fake_http_reply(bench->fake, "POST", SHOW "/locations", 404, "{}");
    fake_http_reply(bench->fake, "PATCH", SHOW, 200, "{}");
    assert_true(glance_add_location(bench->glance, bench->ctx, ID, "rbd://a/b/c/snap", NULL));
    patch = sent_patch(bench);
    assert_true(json_equal(patch, expected));
}

static void
a_location_that_is_not_ours_to_add_is_not_authorized(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    fake_http_reply(bench->fake, "POST", SHOW "/locations", 403, "{}");
    assert_false(glance_add_location(bench->glance, bench->ctx, ID, "rbd://a/b/c/snap", &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_IMAGE_NOT_AUTHORIZED);
}

static void
a_copy_in_another_store_is_asked_for(void **state)
{
    static const struct {
        int status;
        const char *class;
    } rows[] = {{403, "ImageNotAuthorized"}, {404, "ImageNotFound"}, {409, "ImageImportImpossible"}, {400, "ImageBadRequest"}};
    Bench *bench = *state;
    json_auto_t *body = json_pack("{s:{s:s}, s:[s]}", "method", "name", "copy-image", "stores", "ceph");
    json_auto_t *sent = NULL;

    fake_http_reply(bench->fake, "POST", SHOW "/import", 202, NULL);
    assert_true(glance_copy_to_store(bench->glance, bench->ctx, ID, "ceph", NULL));
    sent = json_loads(fake_http_request(bench->fake, -1)->body, 0, NULL);
    assert_true(json_equal(sent, body));
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(NovaError) failure = NULL;

        fake_http_reply(bench->fake, "POST", SHOW "/import", rows[i].status, "{}");
        assert_false(glance_copy_to_store(bench->glance, bench->ctx, ID, "ceph", &failure));
        assert_string_equal(nova_error_class(failure), rows[i].class);
    }
}

static void
a_file_is_uploaded_in_chunks_and_anew_when_glance_is_busy(void **state)
{
    Bench *bench = *state;
    const FakeRequest *request;

    assert_true(g_file_set_contents(bench->path, "disk data", -1, NULL));
    fake_http_reply(bench->fake, "PUT", DATA, 503, NULL);
    fake_http_reply(bench->fake, "PUT", DATA, 204, NULL);
    assert_true(glance_upload(bench->glance, bench->ctx, ID, bench->path, NULL));
    request = fake_http_request(bench->fake, -1);
    assert_string_equal(request->body, "disk data");
    assert_string_equal(fake_request_header(request, "content-type"), "application/octet-stream");
    assert_string_equal(fake_request_header(request, "transfer-encoding"), "chunked");
}

static void
assert_upload_fails(Bench *bench, int status, NovaErrorKind kind, const char *class)
{
    g_autoptr(NovaError) failure = NULL;

    fake_http_reply(bench->fake, "PUT", DATA, status, "{}");
    assert_false(glance_upload(bench->glance, bench->ctx, ID, bench->path, &failure));
    assert_int_equal(nova_error_kind(failure), kind);
    assert_string_equal(nova_error_class(failure), class);
}

static void
a_refused_upload_says_why(void **state)
{
    Bench *bench = *state;

    assert_true(g_file_set_contents(bench->path, "disk data", -1, NULL));
    assert_upload_fails(bench, 404, NOVA_ERROR_IMAGE_NOT_FOUND, "ImageNotFound");
    assert_upload_fails(bench, 410, NOVA_ERROR_IMAGE_NOT_FOUND, "ImageNotFound");
    assert_upload_fails(bench, 413, NOVA_ERROR_IMAGE_QUOTA_EXCEEDED, "ImageQuotaExceeded");
    assert_upload_fails(bench, 500, NOVA_ERROR_REMOTE, "HTTPInternalServerError");
}

static void
images_are_listed_page_by_page(void **state)
{
    static const char query[] = "image_type=backup&limit=200&sort_key=created_at&sort_dir=desc";
    Bench *bench = *state;
    g_autofree char *first = g_strconcat("/v2/images?", query, NULL);
    json_auto_t *properties = json_pack("{s:s}", "image_type", "backup");
    json_auto_t *images = NULL;

    fake_http_reply(bench->fake, "GET", first, 200,
                    "{\"images\": [{\"id\": \"a\"}], \"next\": \"/v2/images?marker=a\"}");
    fake_http_reply(bench->fake, "GET", "/v2/images?marker=a", 200, "{\"images\": [{\"id\": \"b\"}]}");
    images = glance_list(bench->glance, bench->ctx, properties, NULL);
    assert_int_equal(json_array_size(images), 2);
    assert_int_equal(fake_http_n_unexpected(bench->fake), 0);
}

static void
a_deletion_tells_absence_from_conflict(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) absent = NULL, conflict = NULL;

    fake_http_reply(bench->fake, "DELETE", SHOW, 204, NULL);
    assert_true(glance_delete(bench->glance, bench->ctx, ID, NULL));
    fake_http_reply(bench->fake, "DELETE", SHOW, 404, NULL);
    assert_false(glance_delete(bench->glance, bench->ctx, ID, &absent));
    assert_int_equal(nova_error_kind(absent), NOVA_ERROR_IMAGE_NOT_FOUND);
    fake_http_reply(bench->fake, "DELETE", SHOW, 409, NULL);
    assert_false(glance_delete(bench->glance, bench->ctx, ID, &conflict));
    assert_int_equal(nova_error_kind(conflict), NOVA_ERROR_IMAGE_DELETE_CONFLICT);
}

static void
show_by(Bench *bench, const char *suffix, const char *path)
{
    g_autofree char *servers = g_strdup_printf("glance.api_servers=%s%s", fake_http_url(bench->fake), suffix);
    Options *options = load((const char *const[]){servers, "glance.num_retries=0", NULL});
    Glance *glance = glance_new(options, bench->keystone);
    json_auto_t *image = NULL;

    fake_http_reply(bench->fake, "GET", path, 200, "{\"id\": \"x\"}");
    image = glance_show(glance, bench->ctx, ID, NULL);
    assert_non_null(image);
    glance_free(glance);
    options_free(options);
}

static void
version_of_an_endpoint_is_not_said_twice(void **state)
{
    static const char *const suffixes[] = {"", "/", "/v2", "/v2/", "/v1", "/v2.1/", "/v2//"};

    for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++)
        show_by(*state, suffixes[i], SHOW);
    show_by(*state, "/image/v2", "/image" SHOW);
    show_by(*state, "/v2.", "/v2." SHOW);
    show_by(*state, "/v2.x", "/v2.x" SHOW);
    show_by(*state, "/value", "/value" SHOW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(image_is_downloaded_with_the_user_s_token_and_its_hash_checked),
        TEST(corrupt_data_is_fetched_again),
        TEST(data_that_stays_corrupt_is_an_error_and_gone),
        TEST(md5_counts_when_there_is_no_better_hash),
        TEST(unknown_hash_is_refused),
        TEST(truncated_data_is_fetched_again),
        TEST(statuses_become_nova_s_errors),
        TEST(image_without_data_is_unacceptable),
        TEST(busy_and_garbage_answers_are_retried),
        TEST(nobody_listening_is_a_failed_connection),
        TEST(file_that_cannot_be_written_is_no_reason_to_retry),
        TEST(hostile_ids_are_not_sent),
        TEST(version_of_an_endpoint_is_not_said_twice),
        TEST(translated_record_has_custom_members_as_properties),
        TEST(an_update_sends_only_what_differs),
        TEST(an_update_that_changes_nothing_sends_nothing),
        TEST(a_location_is_added_by_the_new_call_or_the_old),
        TEST(a_location_that_is_not_ours_to_add_is_not_authorized),
        TEST(a_copy_in_another_store_is_asked_for),
        TEST(a_copy_in_another_store_is_asked_for),
        TEST(a_file_is_uploaded_in_chunks_and_anew_when_glance_is_busy),
        TEST(a_refused_upload_says_why),
        TEST(images_are_listed_page_by_page),
        TEST(a_deletion_tells_absence_from_conflict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
