/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for Glance's copy of an image, with doubles for Glance. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "conf/options.h"
#include "storage/image_copy.h"

#define IMAGE "3a4f5e0c-0c5d-4f0e-9d0f-000000000001"

static NovaErrorKind refusal; /* of the request for a copy; NOVA_ERROR_NOVA_EXCEPTION: none */
static const char *const *answers; /* Glance's records one after the other, the last one for ever */
static unsigned n_shown;

bool
glance_copy_to_store(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED, const char *image_id,
                     const char *store, NovaError **err)
{
    assert_string_equal(image_id, IMAGE);
    assert_string_equal(store, "ceph");
    return refusal == NOVA_ERROR_NOVA_EXCEPTION || nova_error_set(err, refusal, "refused");
}

json_t *
glance_show(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED, const char *image_id G_GNUC_UNUSED,
            NovaError **err G_GNUC_UNUSED)
{
    json_t *record = json_loads(answers[0], 0, NULL);

    n_shown++;
    if (answers[1])
        answers++;
    assert_non_null(record);
    return record;
}

static json_t *
copy(const char *const *records, NovaErrorKind kind, NovaError **err)
{
    static const Options options = {
        .libvirt = {.images_rbd_glance_store_name = (char *)"ceph", .images_rbd_glance_copy_poll_interval = 1,
                    .images_rbd_glance_copy_timeout = 2},
    };

    answers = records;
    refusal = kind;
    n_shown = 0;
    return image_copy_to_store(&options, NULL, NULL, IMAGE, err);
}

static void
a_copy_is_waited_for(void **state G_GNUC_UNUSED)
{
    static const char *const records[] = {
        "{\"stores\": \"file\", \"os_glance_importing_to_stores\": \"ceph\", \"os_glance_failed_import\": \"\"}",
        "{\"stores\": \"file,ceph\", \"os_glance_importing_to_stores\": \"ceph\"}",
        "{\"stores\": \"file,ceph\", \"os_glance_importing_to_stores\": \"\", \"id\": \"done\"}", NULL};
    json_auto_t *record = copy(records, NOVA_ERROR_NOVA_EXCEPTION, NULL);

    assert_string_equal(json_string_value(json_object_get(record, "id")), "done");
    assert_int_equal(n_shown, 3);
}

static void
a_copy_that_another_host_asked_for_is_as_good(void **state G_GNUC_UNUSED)
{
    static const char *const records[] = {"{\"stores\": \"ceph,file\"}", NULL};
    json_auto_t *record = copy(records, NOVA_ERROR_IMAGE_BAD_REQUEST, NULL);

    assert_non_null(record);
}

static void
one_that_is_being_made_is_waited_for(void **state G_GNUC_UNUSED)
{
    static const char *const records[] = {"{\"os_glance_importing_to_stores\": \"ceph\"}", "{\"stores\": \"ceph\"}", NULL};
    json_auto_t *record = copy(records, NOVA_ERROR_IMAGE_IMPORT_IMPOSSIBLE, NULL);

    assert_non_null(record);
}

static void
expect_failure(const char *answer, NovaErrorKind kind, const char *class, const char *text)
{
    const char *const records[] = {answer, NULL};
    g_autoptr(NovaError) error = NULL;

    assert_null(copy(records, kind, &error));
    assert_string_equal(nova_error_class(error), class);
    assert_non_null(strstr(nova_error_message(error), text));
}

static void
what_goes_wrong_is_told(void **state G_GNUC_UNUSED)
{
    expect_failure("{\"stores\": \"file\", \"os_glance_failed_import\": \"ceph\"}", NOVA_ERROR_NOVA_EXCEPTION,
                   "ImageUnacceptable", "Copy to store ceph unsuccessful because: failed import");
    expect_failure("{\"stores\": \"cephalopod\"}", NOVA_ERROR_NOVA_EXCEPTION, "ImageUnacceptable",
                   "Copy to store ceph timed out");
    expect_failure("{\"stores\": 7}", NOVA_ERROR_IMAGE_IMPORT_IMPOSSIBLE, "ImageUnacceptable", "refused");
    assert_int_equal(n_shown, 1);
    expect_failure("{}", NOVA_ERROR_IMAGE_NOT_AUTHORIZED, "ImageNotAuthorized", "refused");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_waited_for),
        cmocka_unit_test(a_copy_that_another_host_asked_for_is_as_good),
        cmocka_unit_test(one_that_is_being_made_is_waited_for),
        cmocka_unit_test(what_goes_wrong_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
