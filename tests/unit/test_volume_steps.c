/* SPDX-License-Identifier: Apache-2.0 */
/* A server's volumes while it is built, moved and deleted, between a Cinder that answers from a script and
 * a control plane that keeps block device mappings. */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/block_device_info.h"
#include "compute/ops/volume_steps.h"
#include "compute/tasks/tasks.h"
#include "tests/fakes/fake_cloud.h"

#define SERVER "00000000-0000-4000-8000-000000000001"
#define OTHER "00000000-0000-4000-8000-000000000002"
#define ROW "00000000-0000-4000-8000-00000000000b"
#define CONNECTION "\"connection_info\": {\"driver_volume_type\": \"rbd\", \"name\": \"p/v1\", \"hosts\": [\"h\"], \"ports\": [\"1\"]}"

typedef struct Cloud {
    FakeCloud fake;
    GPtrArray *bdms;
    NovaErrorKind failure; /* of the control plane; 0: it works */
} Cloud;

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Cloud *cloud = user;
    const char *asked = json_get_string(args, "objmethod", "");

    (void)target;
    (void)method;
    if (cloud->failure) {
        nova_error_set(err, cloud->failure, "no");
        return NULL;
    }
    if (strcmp(asked, "get_uuids_by_host") == 0)
        return json_pack("[s, s]", SERVER, OTHER);
    g_string_append_printf(cloud->fake.done, "%s ", asked);
    return json_pack("[{}, n]");
}

static int
set_up(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);

    fake_cloud_set_up(&cloud->fake, answer, cloud);
    cloud->fake.options.default_group.block_device_allocate_retries = 3;
    cloud->fake.instance = object_new(&INSTANCE_TYPE);
    OBJECT_SET_STRING(cloud->fake.instance, uuid, SERVER);
    OBJECT_SET_STRING(cloud->fake.instance, host, "host1");
    cloud->bdms = g_ptr_array_new_with_free_func((GDestroyNotify)block_device_mapping_free);
    *state = cloud;
    return 0;
}

static int
tear_down(void **state)
{
    Cloud *cloud = *state;

    g_ptr_array_unref(cloud->bdms);
    fake_cloud_tear_down(&cloud->fake);
    g_free(cloud);
    return 0;
}

/* Of the JSON of its fields besides the usual ones. */
static BlockDeviceMapping *
add_row(Cloud *cloud, const char *source, const char *fields)
{
    json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:b, s:i}", "uuid", ROW, "instance_uuid", SERVER, "source_type",
                             source, "destination_type", "volume", "no_device", 0, "boot_index", 0);
    json_auto_t *more = json_loads(fields, 0, NULL);
    json_auto_t *primitive = NULL;
    BlockDeviceMapping *bdm;

    assert_non_null(more);
    json_object_update(data, more);
    primitive = fake_object("BlockDeviceMapping", "1.21", data);
    bdm = block_device_mapping_from_json(primitive, NULL);
    assert_non_null(bdm);
    g_ptr_array_add(cloud->bdms, bdm);
    return bdm;
}

/* A new volume has a name of ours only until the journal has noted it. */
static void
reply_rename(Cloud *cloud)
{
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/volumes/v1", 200, "{\"volume\": {\"id\": \"v1\"}}");
}

static void
reply_status(Cloud *cloud, const char *status)
{
    g_autofree char *body = g_strdup_printf(
        "{\"volume\": {\"id\": \"v1\", \"status\": \"%s\", \"size\": 2, \"availability_zone\": \"az1\"}}", status);

    fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes/v1", 200, body);
}

/* Cinder's part of opening attachment a1. */
static void
reply_open(Cloud *cloud)
{
    reply_status(cloud, "reserved");
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/a1", 200,
          "{\"attachment\": {\"id\": \"a1\", \"volume_id\": \"v1\", \"status\": \"attaching\", " CONNECTION "}}");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments/a1/action", 204, NULL);
}

/* The attachment is opened. */
static void
reply_exported(Cloud *cloud, const char *attachment)
{
    g_autofree char *path = g_strconcat("/v3/attachments/", attachment, NULL);

    fake_cloud_reply(&cloud->fake, "GET", path, 200, "{\"attachment\": {\"id\": \"a\", " CONNECTION "}}");
}

static void
reply_closed(Cloud *cloud, const char *attachment)
{
    g_autofree char *path = g_strconcat("/v3/attachments/", attachment, NULL);

    fake_cloud_reply(&cloud->fake, "GET", path, 200, "{\"attachment\": {\"id\": \"a\", \"connection_info\": {}}}");
}

/* A new attachment instead of an old one. */
static void
reply_reserve(Cloud *cloud, const char *old, const char *fresh)
{
    g_autofree char *path = g_strconcat("/v3/attachments/", old, NULL);
    g_autofree char *body = g_strdup_printf("{\"attachment\": {\"id\": \"%s\"}}", fresh);

    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments", 200, body);
    fake_cloud_reply(&cloud->fake, "DELETE", path, 200, "{\"attachments\": []}");
}

/* Cinder's part of making volume v1 and reserving it by a1. */
static void
reply_make(Cloud *cloud)
{
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes", 202, "{\"volume\": {\"id\": \"v1\", \"status\": \"creating\", \"size\": 2}}");
    reply_rename(cloud);
    reply_status(cloud, "available");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments", 200, "{\"attachment\": {\"id\": \"a1\"}}");
}

static void
assert_log(Cloud *cloud, const char *expected)
{
    fake_cloud_assert_asked(&cloud->fake, expected);
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
}

static json_t *
new_volume(Cloud *cloud, int request)
{
    json_auto_t *body = fake_request_json(fake_http_request(cloud->fake.http, request));

    return json_incref(json_object_get(body, "volume"));
}

static bool
prepare(Cloud *cloud, const GPtrArray *notes, BlockDevices **ret_devices, NovaError **err)
{
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance,
                    .is_resumed = notes != NULL, .notes = notes};
    g_autoptr(BlockDevices) devices = block_device_info_make(cloud->fake.instance, cloud->bdms, VOLUMES_ALL);
    bool ok = volumes_prepare(&op, cloud->bdms, devices, err);

    if (ret_devices)
        *ret_devices = g_steal_pointer(&devices);
    return ok;
}

#define OPENED "GET /v3/volumes/v1\nPUT /v3/attachments/a1\nPOST /v3/attachments/a1/action\n"
#define MADE "POST /v3/volumes\nPUT /v3/volumes/v1\nGET /v3/volumes/v1\nPOST /v3/attachments\n"

/* ---- volumes that are made ---- */

static void
an_image_becomes_a_volume_that_is_opened_to_this_host(void **state)
{
    Cloud *cloud = *state;
    BlockDeviceMapping *bdm = add_row(cloud, "image", "{\"image_id\": \"i1\", \"volume_size\": 2, \"device_name\": \"/dev/vda\"}");
    g_autoptr(BlockDevices) devices = NULL;
    json_auto_t *asked = NULL, *kept = NULL;

    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes", 202, "{\"volume\": {\"id\": \"v1\", \"status\": \"creating\", \"size\": 2}}");
    reply_rename(cloud);
    reply_status(cloud, "creating");
    reply_status(cloud, "downloading");
    reply_status(cloud, "available");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments", 200, "{\"attachment\": {\"id\": \"a1\"}}");
    reply_open(cloud);
    assert_true(prepare(cloud, NULL, &devices, NULL));
    assert_log(cloud, "POST /v3/volumes\nPUT /v3/volumes/v1\nGET /v3/volumes/v1\nGET /v3/volumes/v1\nGET /v3/volumes/v1\n"
                      "POST /v3/attachments\n" OPENED);
    asked = new_volume(cloud, 0);
    assert_string_equal(json_get_string(asked, "imageRef", NULL), "i1");
    assert_int_equal(json_get_int(asked, "size", 0), 2);
    assert_string_equal(bdm->volume_id, "v1");
    assert_string_equal(bdm->attachment_id, "a1");
    kept = json_parse(bdm->connection_info, strlen(bdm->connection_info), NULL);
    assert_string_equal(json_get_string(kept, "serial", NULL), "v1");
    assert_string_equal(json_get_string(kept, "driver_volume_type", NULL), "rbd");
    assert_true(json_equal(kept, ((BlockDevice *)devices->volumes->pdata[0])->connection_info));
    assert_string_equal(cloud->fake.done->str, "save ");
    assert_false(object_has_changes(bdm));
}

static void
a_snapshot_s_volume_has_the_type_of_its_origin(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *asked = NULL;

    add_row(cloud, "snapshot", "{\"snapshot_id\": \"s1\", \"volume_size\": null}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/snapshots/s1", 200, "{\"snapshot\": {\"id\": \"s1\", \"volume_id\": \"v0\"}}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes/v0", 200, "{\"volume\": {\"id\": \"v0\", \"volume_type\": \"fast\"}}");
    reply_make(cloud);
    reply_open(cloud);
    assert_true(prepare(cloud, NULL, NULL, NULL));
    assert_log(cloud, "GET /v3/snapshots/s1\nGET /v3/volumes/v0\n" MADE OPENED);
    asked = new_volume(cloud, 2);
    assert_string_equal(json_get_string(asked, "snapshot_id", NULL), "s1");
    assert_string_equal(json_get_string(asked, "volume_type", NULL), "fast");
    assert_int_equal(((BlockDeviceMapping *)cloud->bdms->pdata[0])->volume_size.value, 2);
}

static void
a_blank_volume_is_named_after_its_server(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *asked = NULL, *renamed = NULL;

    cloud->fake.options.cinder.cross_az_attach = false;
    OBJECT_SET_STRING(cloud->fake.instance, availability_zone, "az1");
    add_row(cloud, "blank", "{\"volume_size\": 2}");
    reply_make(cloud);
    reply_open(cloud);
    assert_true(prepare(cloud, NULL, NULL, NULL));
    asked = new_volume(cloud, 0);
    renamed = new_volume(cloud, 1);
    assert_string_equal(json_get_string(renamed, "name", NULL), SERVER "-blank-vol");
    assert_string_equal(json_get_string(asked, "availability_zone", NULL), "az1");
}

static void
an_existing_volume_is_only_opened(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"volume_size\": null}");
    reply_open(cloud);
    assert_true(prepare(cloud, NULL, NULL, NULL));
    assert_log(cloud, OPENED);
}

/* ---- and what goes wrong ---- */

static void
a_volume_that_does_not_come_to_be_is_told_and_deleted_with_the_server(void **state)
{
    static const struct {
        const char *row, *status, *more;
    } cases[] = {
        {"{\"delete_on_termination\": true, \"image_id\": \"i1\", \"volume_size\": 1}", "error",
         "DELETE /v3/volumes/v1\n"},
        {"{\"delete_on_termination\": false, \"image_id\": \"i1\", \"volume_size\": 1}", "error", ""},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cloud *cloud;
        BlockDeviceMapping *bdm;
        g_autoptr(NovaError) error = NULL;
        g_autofree char *log = NULL;

        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        cloud = *state;
        bdm = add_row(cloud, "image", cases[i].row);
        fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes", 202, "{\"volume\": {\"id\": \"v1\", \"status\": \"creating\"}}");
        reply_rename(cloud);
        reply_status(cloud, cases[i].status);
        if (*cases[i].more)
            fake_cloud_reply(&cloud->fake, "DELETE", "/v3/volumes/v1", 202, NULL);
        assert_false(prepare(cloud, NULL, NULL, &error));
        assert_string_equal(nova_error_class(error), "InvalidBDM");
        assert_string_equal(nova_error_message(error),
                            "Volume v1 did not finish being created even after we waited 0 seconds or 1 attempts. "
                            "And its status is error.");
        log = g_strconcat("POST /v3/volumes\nPUT /v3/volumes/v1\nGET /v3/volumes/v1\n", cases[i].more, NULL);
        assert_log(cloud, log);
        assert_null(bdm->volume_id);
    }
}

static void
waiting_for_a_volume_ends_after_as_many_looks_as_configured(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    add_row(cloud, "blank", "{\"volume_size\": 1}");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes", 202, "{\"volume\": {\"id\": \"v1\"}}");
    reply_rename(cloud);
    for (int i = 0; i < 4; i++)
        reply_status(cloud, "creating");
    assert_false(prepare(cloud, NULL, NULL, &error));
    assert_non_null(strstr(nova_error_message(error), "or 4 attempts. And its status is creating."));
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
}

static void
a_quota_that_is_exceeded_keeps_its_name(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    add_row(cloud, "blank", "{\"volume_size\": 1}");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes", 413, "{\"overLimit\": {\"code\": 413, \"message\": \"too many\"}}");
    assert_false(prepare(cloud, NULL, NULL, &error));
    assert_string_equal(nova_error_class(error), "OverQuota");
}

static void
an_attachment_that_cannot_be_opened_is_deleted(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"volume_size\": 1}");
    reply_status(cloud, "reserved");
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/a1", 400, "{\"badRequest\": {\"code\": 400, \"message\": \"no\"}}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a1", 200, "{\"attachments\": []}");
    assert_false(prepare(cloud, NULL, NULL, &error));
    assert_string_equal(nova_error_class(error), "InvalidBDM");
    assert_log(cloud, "GET /v3/volumes/v1\nPUT /v3/attachments/a1\nDELETE /v3/attachments/a1\n");
}

/* ---- after a crash ---- */

static void
a_volume_that_was_made_before_the_crash_is_used(void **state)
{
    Cloud *cloud = *state;
    BlockDeviceMapping *bdm = add_row(cloud, "image", "{\"image_id\": \"i1\", \"volume_size\": 2}");
    g_autoptr(GPtrArray) notes = g_ptr_array_new();

    g_ptr_array_add(notes, (void *)"volume " ROW " v1");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments?instance_id=" SERVER, 200, "{\"attachments\": [{\"id\": \"a0\"}]}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a0", 200, "{\"attachments\": []}");
    reply_status(cloud, "available");
    reply_rename(cloud);
    reply_status(cloud, "available");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments", 200, "{\"attachment\": {\"id\": \"a1\"}}");
    reply_open(cloud);
    assert_true(prepare(cloud, notes, NULL, NULL));
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
    assert_string_equal(bdm->volume_id, "v1");
}

static void
a_volume_that_was_made_and_not_noted_is_found_by_its_name(void **state)
{
    Cloud *cloud = *state;
    BlockDeviceMapping *bdm = add_row(cloud, "image", "{\"image_id\": \"i1\", \"volume_size\": 2}");
    g_autoptr(GPtrArray) notes = g_ptr_array_new();
    json_auto_t *renamed = NULL;

    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments?instance_id=" SERVER, 200, "{\"attachments\": []}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes?name=" SERVER "-" ROW, 200, "{\"volumes\": [{\"id\": \"v1\"}]}");
    reply_rename(cloud);
    reply_status(cloud, "available");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments", 200, "{\"attachment\": {\"id\": \"a1\"}}");
    reply_open(cloud);
    assert_true(prepare(cloud, notes, NULL, NULL));
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
    assert_string_equal(bdm->volume_id, "v1");
    renamed = new_volume(cloud, 2);
    assert_string_equal(json_get_string(renamed, "name", NULL), "");
}

static void
an_attachment_that_was_opened_before_the_crash_is_kept(void **state)
{
    Cloud *cloud = *state;
    BlockDeviceMapping *bdm = add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"volume_size\": 1}");
    g_autoptr(GPtrArray) notes = g_ptr_array_new();

    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments?instance_id=" SERVER, 200, "{\"attachments\": [{\"id\": \"a1\"}]}");
    reply_status(cloud, "attaching");
    reply_exported(cloud, "a1");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments/a1/action", 204, NULL);
    assert_true(prepare(cloud, notes, NULL, NULL));
    assert_string_equal(bdm->attachment_id, "a1");
    assert_non_null(strstr(bdm->connection_info, "p/v1"));
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
    assert_int_equal(fake_http_n_unexpected(cloud->fake.http), 0);
}

static void
volumes_of_a_build_that_is_given_up_go_with_it(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(GPtrArray) notes = g_ptr_array_new();
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance, .is_resumed = true,
                    .notes = notes};

    add_row(cloud, "image", "{\"image_id\": \"i1\", \"delete_on_termination\": true}");
    add_row(cloud, "volume", "{\"volume_id\": \"v2\", \"delete_on_termination\": true}");
    g_ptr_array_add(notes, (void *)"volume " ROW " v1");
    reply_status(cloud, "available");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/volumes/v1", 202, NULL);
    volumes_discard_made(&op, cloud->bdms);
    assert_log(cloud, "GET /v3/volumes/v1\nDELETE /v3/volumes/v1\n");
}

/* ---- the end ---- */

static void
an_abandoned_server_s_own_volumes_and_rows_go(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"delete_on_termination\": true}");
    add_row(cloud, "volume", "{\"volume_id\": \"v2\", \"attachment_id\": \"a2\", \"delete_on_termination\": false}");
    add_row(cloud, "blank", "{\"delete_on_termination\": true}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a1", 200, "{\"attachments\": []}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a2", 404, "{}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/volumes/v1", 202, NULL);
    volumes_abandon(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, cloud->bdms);
    assert_log(cloud, "DELETE /v3/attachments/a1\nDELETE /v3/volumes/v1\nDELETE /v3/attachments/a2\n");
    assert_string_equal(cloud->fake.done->str, "destroy ");
}

static void
release(Cloud *cloud)
{
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance};

    volumes_release(&op, cloud->bdms);
}

static bool
close_volumes(Cloud *cloud, bool is_resumed, bool force, NovaError **err)
{
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance,
                    .is_resumed = is_resumed};

    return volumes_close(&op, cloud->bdms, force, err);
}

static void
one_attachment_that_stays_does_not_keep_the_others(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\"}");
    add_row(cloud, "volume", "{\"volume_id\": \"v2\", \"attachment_id\": \"a2\"}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a1", 409, "{\"conflictingRequest\": {\"message\": \"no\"}}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a2", 200, "{\"attachments\": []}");
    release(cloud);
    assert_log(cloud, "DELETE /v3/attachments/a1\nDELETE /v3/attachments/a2\n");
}

#define CONNECTED "\"connection_info\": \"{\\\"driver_volume_type\\\": \\\"nosuch\\\", \\\"data\\\": {}}\""

static void
released_volumes_have_neither_attachment_nor_connection(void **state)
{
    Cloud *cloud = *state;
    const BlockDeviceMapping *bdm =
        add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", " CONNECTED "}");

    add_row(cloud, "image", "{\"destination_type\": \"local\"}");
    reply_exported(cloud, "a1");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a1", 200, "{\"attachments\": []}");
    release(cloud); /* this host cannot disconnect it */
    assert_log(cloud, "GET /v3/attachments/a1\nDELETE /v3/attachments/a1\n");
    assert_null(bdm->connection_info);
    assert_string_equal(cloud->fake.done->str, "save ");
}

/* This host can disconnect none of them: closing succeeds only where it need not. */
static void
only_what_cinder_exports_is_disconnected(void **state)
{
    static const struct {
        int status;
        const char *body;
        bool is_exported;
    } cases[] = {
        {404, "{}", false},
        {200, "{\"attachment\": {\"id\": \"a1\", \"connection_info\": {}}}", false},
        {200, "{\"attachment\": {\"id\": \"a1\", " CONNECTION "}}", true},
        {500, "{}", true}, /* it cannot be told */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cloud *cloud;
        g_autoptr(NovaError) error = NULL;

        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        cloud = *state;
        add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", " CONNECTED "}");
        fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/a1", cases[i].status, cases[i].body);
        if (!cases[i].is_exported)
            reply_reserve(cloud, "a1", "a2");
        assert_int_equal(close_volumes(cloud, false, false, &error), !cases[i].is_exported);
        if (cases[i].is_exported)
            assert_string_equal(nova_error_class(error), "VolumeDriverNotFound");
        assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
    }
}

static void
a_volume_that_cannot_be_disconnected_is_reserved_anew_by_force_only(void **state)
{
    Cloud *cloud = *state;
    const BlockDeviceMapping *bdm =
        add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", " CONNECTED "}");

    reply_exported(cloud, "a1");
    assert_false(close_volumes(cloud, false, false, NULL));
    assert_string_equal(bdm->attachment_id, "a1");
    reply_exported(cloud, "a1");
    reply_reserve(cloud, "a1", "a2");
    assert_true(close_volumes(cloud, false, true, NULL));
    assert_string_equal(bdm->attachment_id, "a2");
    assert_non_null(bdm->connection_info); /* what the next host opens anew */
}

#define SHARED                                                                                              \
    "\"connection_info\": \"{\\\"driver_volume_type\\\": \\\"local\\\", \\\"data\\\": {}, "                 \
    "\\\"serial\\\": \\\"v1\\\", \\\"multiattach\\\": true}\""

typedef struct Deletion {
    Operation op;
    GPtrArray *bdms;
} Deletion;

static void *
delete_server(void *user)
{
    Deletion *deletion = user;

    volumes_release(&deletion->op, deletion->bdms);
    return NULL;
}

/* Answers to the look at one attachment, at who has the volume, and to the end of the attachment. */
static void
reply_shared(Cloud *cloud, const char *attachment)
{
    g_autofree char *path = g_strconcat("/v3/attachments/", attachment, NULL);
    const FakeAnswer look = {.method = "GET", .path = path, .delay_ms = 100,
                             .body = "{\"attachment\": {\"id\": \"a\", " CONNECTION "}}"};
    const FakeAnswer who = {.method = "GET", .path = "/v3/volumes/v1", .delay_ms = 100,
                            .body = "{\"volume\": {\"id\": \"v1\", \"attachments\": [{\"server_id\": \"" SERVER "\"}]}}"};

    fake_http_answer(cloud->fake.http, &look);
    fake_http_answer(cloud->fake.http, &who);
    fake_cloud_reply(&cloud->fake, "DELETE", path, 200, "{\"attachments\": []}");
}

/* Or each would see the other's attachment, and neither let go of the device. */
static void
one_of_two_servers_lets_go_of_their_volume_after_the_other(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(Instance) other = object_new(&INSTANCE_TYPE);
    Deletion deletions[2];
    pthread_t threads[2];
    g_autofree char *log = NULL;

    OBJECT_SET_STRING(other, uuid, OTHER);
    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", " SHARED "}");
    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a2\", " SHARED "}");
    reply_shared(cloud, "a1");
    reply_shared(cloud, "a2");
    for (int i = 0; i < 2; i++) {
        deletions[i].op = (Operation){.host = &cloud->fake.host, .ctx = cloud->fake.ctx,
                                      .instance = i == 0 ? cloud->fake.instance : other};
        deletions[i].bdms = g_ptr_array_new();
        g_ptr_array_add(deletions[i].bdms, cloud->bdms->pdata[i]);
        assert_int_equal(pthread_create(&threads[i], NULL, delete_server, &deletions[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        g_ptr_array_unref(deletions[i].bdms);
    }
    log = fake_http_log(cloud->fake.http);
    assert_true(strcmp(log, "GET /v3/attachments/a1\nGET /v3/volumes/v1\nDELETE /v3/attachments/a1\n"
                            "GET /v3/attachments/a2\nGET /v3/volumes/v1\nDELETE /v3/attachments/a2\n") == 0 ||
                strcmp(log, "GET /v3/attachments/a2\nGET /v3/volumes/v1\nDELETE /v3/attachments/a2\n"
                            "GET /v3/attachments/a1\nGET /v3/volumes/v1\nDELETE /v3/attachments/a1\n") == 0);
}

/* ---- moves and agreement ---- */

static void
the_old_attachment_goes_once_the_row_has_the_new_one(void **state)
{
    Cloud *cloud = *state;
    BlockDeviceMapping *bdm = add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\"}");

    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments", 200, "{\"attachment\": {\"id\": \"a2\"}}");
    cloud->failure = NOVA_ERROR_MESSAGING_TIMEOUT;
    assert_false(close_volumes(cloud, false, false, NULL));
    assert_log(cloud, "POST /v3/attachments\n");

    OBJECT_SET_STRING(bdm, attachment_id, "a1");
    cloud->failure = 0;
    reply_reserve(cloud, "a1", "a3");
    assert_true(close_volumes(cloud, false, false, NULL));
    assert_string_equal(bdm->attachment_id, "a3");
    assert_string_equal(cloud->fake.done->str, "save ");
}

static void
an_attachment_whose_row_is_gone_goes(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\"}");
    reply_reserve(cloud, "a2", "a2");
    cloud->failure = NOVA_ERROR_INSTANCE_NOT_FOUND;
    assert_false(close_volumes(cloud, false, false, NULL));
    assert_log(cloud, "POST /v3/attachments\nDELETE /v3/attachments/a2\n");
}

static void
a_close_that_was_killed_between_two_attachments_deletes_the_lost_one(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", " CONNECTED "}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments?instance_id=" SERVER, 200,
                     "{\"attachments\": [{\"id\": \"a1\"}, {\"id\": \"a0\"}]}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a0", 200, "{\"attachments\": []}");
    reply_closed(cloud, "a1");
    reply_reserve(cloud, "a1", "a2");
    assert_true(close_volumes(cloud, true, false, NULL));
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
}

static bool
open_volumes(Cloud *cloud, bool is_resumed, NovaError **err)
{
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance,
                    .is_resumed = is_resumed};
    g_autoptr(BlockDevices) devices =
        block_device_info_make(cloud->fake.instance, cloud->bdms, VOLUMES_CONNECTED);

    return volumes_open(&op, cloud->bdms, devices, err);
}

/* Another server here, which lets go meanwhile, sees that it is not the last. */
static void
an_opened_volume_is_in_use_before_the_host_is_connected(void **state)
{
    Cloud *cloud = *state;
    const BlockDeviceMapping *bdm =
        add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"volume_size\": 1, " CONNECTED "}");

    cloud->fake.options.cinder.cross_az_attach = false; /* which is asked of new servers only */
    reply_open(cloud);
    assert_true(open_volumes(cloud, false, NULL));
    assert_log(cloud, OPENED);
    assert_non_null(strstr(bdm->connection_info, "p/v1"));
    assert_string_equal(cloud->fake.done->str, "save ");
}

static void
a_server_that_moves_keeps_an_attachment_that_cannot_be_opened(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"volume_size\": 1, " CONNECTED "}");
    reply_status(cloud, "reserved");
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/a1", 400, "{\"badRequest\": {\"code\": 400, \"message\": \"no\"}}");
    assert_false(open_volumes(cloud, false, NULL));
    assert_log(cloud, "GET /v3/volumes/v1\nPUT /v3/attachments/a1\n");
}

static void
attachments_that_one_side_forgot_are_forgotten(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\"}");
    add_row(cloud, "volume", "{\"volume_id\": \"v2\", \"attachment_id\": \"a2\"}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments?instance_id=" SERVER, 200,
          "{\"attachments\": [{\"id\": \"a1\"}, {\"id\": \"a9\"}]}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/a2", 404, "{}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/a1", 200, "{\"attachment\": {\"id\": \"a1\", " CONNECTION "}}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a9", 200, "{\"attachments\": []}");
    volumes_forget_dangling(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, cloud->bdms);
    assert_int_equal(cloud->bdms->len, 1);
    assert_string_equal(cloud->fake.done->str, "destroy ");
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
}

static void
nothing_is_forgotten_while_cinder_does_not_answer(void **state)
{
    Cloud *cloud = *state;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\"}");
    fake_http_stop(cloud->fake.http);
    volumes_forget_dangling(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, cloud->bdms);
    assert_int_equal(cloud->bdms->len, 1);
    assert_string_equal(cloud->fake.done->str, "");
}

static void
a_refresh_follows_cinder_or_keeps_what_is_known(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(BlockDevices) devices = NULL;
    const BlockDevice *first, *second;

    add_row(cloud, "volume", "{\"volume_id\": \"v1\", \"attachment_id\": \"a1\", \"connection_info\": "
                             "\"{\\\"data\\\": {\\\"name\\\": \\\"old\\\", \\\"multipath_id\\\": \\\"m\\\"}, \\\"multiattach\\\": true}\"}");
    add_row(cloud, "volume", "{\"volume_id\": \"v2\", \"attachment_id\": \"a2\", \"connection_info\": "
                             "\"{\\\"data\\\": {\\\"name\\\": \\\"old\\\"}}\"}");
    devices = block_device_info_make(cloud->fake.instance, cloud->bdms, VOLUMES_CONNECTED);
    first = devices->volumes->pdata[0];
    second = devices->volumes->pdata[1];
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/a1", 200, "{\"attachment\": {\"id\": \"a1\", \"volume_id\": \"v1\", " CONNECTION "}}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/a2", 404, "{}");
    volumes_try_refresh(&cloud->fake.host, cloud->fake.ctx, devices);
    assert_string_equal(json_get_string(json_get_object(first->connection_info, "data"), "name", NULL), "p/v1");
    assert_string_equal(json_get_string(json_get_object(first->connection_info, "data"), "multipath_id", NULL), "m");
    assert_true(json_is_true(json_object_get(first->connection_info, "multiattach")));
    assert_string_equal(json_get_string(json_get_object(second->connection_info, "data"), "name", NULL), "old");
}

/* ---- a server that runs although it is deleted ---- */

static json_t *
list_of(const char *name, json_t *object)
{
    return fake_object(name, "1.0", json_pack("{s:[o]}", "objects", object));
}

static json_t *
row_of_volume(const char *volume, const char *attachment)
{
    return fake_object("BlockDeviceMapping", "1.21",
                       json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:b, s:n}", "instance_uuid", SERVER, "source_type",
                                 "volume", "destination_type", "volume", "no_device", 0, "volume_id", volume,
                                 "attachment_id", attachment, "delete_on_termination", 1, "connection_info"));
}

static json_t *
answer_of_deleted(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    const char *asked = json_get_string(args, "objmethod", "");

    if (strcmp(asked, "get_uuids_by_host") == 0)
        return json_array();
    if (strcmp(asked, "get_by_filters") == 0) {
        json_t *cache = fake_object("InstanceInfoCache", "1.5", json_pack("{s:s, s:s}", "instance_uuid", SERVER,
                                                                          "network_info", "[]"));

        return list_of("InstanceList",
                       fake_object("Instance", "2.8", json_pack("{s:s, s:s, s:s, s:{}, s:o}", "uuid", SERVER, "host",
                                                                "host1", "deleted_at", "2020-01-01T00:00:00Z",
                                                                "system_metadata", "info_cache", cache)));
    }
    if (strcmp(asked, "get_by_instance_uuid") == 0) {
        json_t *list = list_of("BlockDeviceMappingList", row_of_volume("v1", "a1"));

        json_array_append_new(json_object_get(json_object_get(list, "nova_object.data"), "objects"),
                              row_of_volume("v2", "a2"));
        return list;
    }
    return answer(target, method, args, user, err);
}

static void
work_now(Host *host, const char *name, void (*work)(Host *, RequestContext *, Instance *), RequestContext *ctx,
         Instance *instance)
{
    (void)name;
    work(host, ctx, instance);
    instance_free(instance);
}

/* v2 had been detached from it, and is somebody's. */
static void
a_deleted_server_that_is_reaped_lets_go_of_its_volumes(void **state)
{
    static const HypervisorCallbacks nobody = {0};
    Cloud *cloud = *state;
    Host *host = &cloud->fake.host;
    Options *options = &cloud->fake.options;

    fake_rpc_reset(answer_of_deleted, cloud);
    options->default_group.running_deleted_instance_action = "reap";
    options->default_group.instances_path = "/nonexistent";
    options->libvirt.images_type = "default";
    options->neutron.auth.auth_type = "none";
    options->neutron.adapter.endpoint_override = (char *)fake_http_url(cloud->fake.http);
    host->queue_work = work_now;
    host->hypervisor = hypervisor_new("test:///default", &nobody);
    host->neutron = neutron_new(cloud->fake.keystone, host->conductor, options);
    host->events = instance_events_new();
    host->ovsdb = ovsdb_new(&(OvsdbSettings){.connection = "unix:/nonexistent"});
    reply_exported(cloud, "a1");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/a2", 404, "{}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/a1", 200, "{\"attachments\": []}");
    fake_http_answer(cloud->fake.http, &(FakeAnswer){.method = "GET", .path = "/v2.0/*", .body = "{\"ports\": []}", .times = -1});
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/volumes/v1", 202, NULL);
    task_cleanup_running_deleted_instances(host, cloud->fake.ctx);
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
    assert_int_equal(fake_http_n_unexpected(cloud->fake.http), 0);
    ovsdb_free(host->ovsdb);
    instance_events_free(host->events);
    neutron_free(host->neutron);
}

static void
images_have_no_business_with_cinder(void **state)
{
    Cloud *cloud = *state;
    BlockDeviceMapping *bdm = add_row(cloud, "image", "{\"destination_type\": \"local\", \"delete_on_termination\": true}");
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance, .is_resumed = true};
    g_autoptr(BlockDevices) devices = block_device_info_make(cloud->fake.instance, cloud->bdms, VOLUMES_ALL);

    (void)bdm;
    assert_true(volumes_prepare(&op, cloud->bdms, devices, NULL));
    assert_true(volumes_connect(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, devices, NULL));
    assert_true(volumes_disconnect(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, devices, NULL));
    assert_true(volumes_close(&op, cloud->bdms, false, NULL));
    assert_true(volumes_open(&op, cloud->bdms, devices, NULL));
    volumes_release(&op, cloud->bdms);
    volumes_abandon(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, cloud->bdms);
    assert_int_equal(fake_http_n_requests(cloud->fake.http), 0);
    assert_string_equal(cloud->fake.done->str, "");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_image_becomes_a_volume_that_is_opened_to_this_host),
        CASE(a_snapshot_s_volume_has_the_type_of_its_origin),
        CASE(a_blank_volume_is_named_after_its_server),
        CASE(an_existing_volume_is_only_opened),
        CASE(a_volume_that_does_not_come_to_be_is_told_and_deleted_with_the_server),
        CASE(waiting_for_a_volume_ends_after_as_many_looks_as_configured),
        CASE(a_quota_that_is_exceeded_keeps_its_name),
        CASE(an_attachment_that_cannot_be_opened_is_deleted),
        CASE(a_volume_that_was_made_before_the_crash_is_used),
        CASE(a_volume_that_was_made_and_not_noted_is_found_by_its_name),
        CASE(an_attachment_that_was_opened_before_the_crash_is_kept),
        CASE(volumes_of_a_build_that_is_given_up_go_with_it),
        CASE(an_abandoned_server_s_own_volumes_and_rows_go),
        CASE(one_attachment_that_stays_does_not_keep_the_others),
        CASE(released_volumes_have_neither_attachment_nor_connection),
        CASE(the_old_attachment_goes_once_the_row_has_the_new_one),
        CASE(an_attachment_whose_row_is_gone_goes),
        CASE(only_what_cinder_exports_is_disconnected),
        CASE(a_volume_that_cannot_be_disconnected_is_reserved_anew_by_force_only),
        CASE(one_of_two_servers_lets_go_of_their_volume_after_the_other),
        CASE(a_close_that_was_killed_between_two_attachments_deletes_the_lost_one),
        CASE(an_opened_volume_is_in_use_before_the_host_is_connected),
        CASE(a_server_that_moves_keeps_an_attachment_that_cannot_be_opened),
        CASE(attachments_that_one_side_forgot_are_forgotten),
        CASE(nothing_is_forgotten_while_cinder_does_not_answer),
        CASE(a_refresh_follows_cinder_or_keeps_what_is_known),
        CASE(a_deleted_server_that_is_reaped_lets_go_of_its_volumes),
        CASE(images_have_no_business_with_cinder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
