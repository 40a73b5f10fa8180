/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that come and go, between a Cinder that answers from a script, a control plane that keeps one
 * mapping, and a libvirt without the guest. */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/ops/ops.h"
#include "compute/ops/steps.h"
#include "compute/volume.h"
#include "tests/fakes/fake_cloud.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define VOLUME "4859e662-60e5-4ceb-a694-36d983a5c90c"
#define ATTACHMENT "38f3f25d-0c5b-4405-8af1-8a7fec19c5e8"
#define RUNNING "6695eb01-f6a4-8304-79aa-97f2502e193f" /* libvirt's test driver has it */
#define LOCAL                                                                                               \
    "{\"driver_volume_type\": \"local\", \"data\": {\"device_path\": \"/dev/loop1\"}, \"serial\": \"" VOLUME "\"}"
#define EXPORTED                                                                                            \
    "{\"attachment\": {\"id\": \"" ATTACHMENT "\", \"connection_info\": {\"driver_volume_type\": \"local\", "  \
    "\"device_path\": \"/dev/loop1\"}}}"

typedef struct Cloud {
    FakeCloud fake;
    json_t *mapping; /* nova_object.data as the database has it; NULL: none */
    bool instance_is_gone;
} Cloud;

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Cloud *cloud = user;
    const char *asked = json_get_string(args, "objmethod", "");
    const json_t *changes = json_object_get(json_object_get(args, "objinst"), "nova_object.changes");

    (void)target;
    (void)method;
    if (strcmp(asked, "get_by_volume_and_instance") == 0) {
        if (cloud->mapping)
            return fake_object("BlockDeviceMapping", "1.21", json_incref(cloud->mapping));
        nova_error_set(err, NOVA_ERROR_VOLUME_BDM_NOT_FOUND, "No volume Block Device Mapping with id %s.", VOLUME);
        return NULL;
    }
    if (strcmp(asked, "destroy") == 0 || strcmp(asked, "save") == 0) {
        g_string_append_printf(cloud->fake.done, "%s%s%s\n", asked, json_array_size(changes) > 0 ? " " : "",
                               json_array_size(changes) > 0 ? json_string_value(json_array_get(changes, 0)) : "");
        return json_pack("[{}, n]");
    }
    if (strcmp(asked, "get_uuids_by_host") == 0)
        return json_pack("[s, s]", SERVER, "other");
    if (cloud->instance_is_gone && strcmp(asked, "get_by_uuid") == 0) {
        nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_FOUND, "Instance %s could not be found.", SERVER);
        return NULL;
    }
    return json_pack("{}");
}

static Instance *
make_instance(void)
{
    json_auto_t *primitive = fake_object(
        "Instance", "2.8",
        json_pack("{s:s, s:s, s:{}, s:[], s:n, s:n, s:n, s:n, s:n}", "uuid", SERVER, "host", "host1",
                  "system_metadata", "tags", "keypairs", "pci_devices", "pci_requests", "numa_topology",
                  "device_metadata"));
    Instance *instance = instance_from_json(primitive, NULL);

    assert_non_null(instance);
    return instance;
}

static int
set_up(void **state)
{
    static const HypervisorCallbacks nobody = {0};
    Cloud *cloud = g_new0(Cloud, 1);

    fake_cloud_set_up(&cloud->fake, answer, cloud);
    cloud->fake.host.hypervisor = hypervisor_new("test:///default", &nobody);
    cloud->fake.instance = make_instance();
    *state = cloud;
    return 0;
}

static int
tear_down(void **state)
{
    Cloud *cloud = *state;

    json_decref(cloud->mapping);
    fake_cloud_tear_down(&cloud->fake);
    g_free(cloud);
    return 0;
}

/* As reserve_block_device_name has left it, and attachment_create. */
static json_t *
mapping(const char *connection_info)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s?, s:n}", "id", 12, "instance_uuid", SERVER,
                     "source_type", "volume", "destination_type", "volume", "device_name", "/dev/vdb", "volume_id",
                     VOLUME, "attachment_id", ATTACHMENT, "no_device", 0, "connection_info", connection_info, "tag");
}

static bool
run(Cloud *cloud, bool (*method)(Operation *op, NovaError **err), json_t *args, bool is_resumed,
    NovaError **err)
{
    json_auto_t *owned = args;
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance, .args = args,
                    .is_resumed = is_resumed};
    bool ok = method(&op, err);

    json_decref(op.result);
    return ok;
}

static void
reply_volume(Cloud *cloud)
{
    fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes/" VOLUME, 200, "{\"volume\": {\"id\": \"" VOLUME "\", \"size\": 2}}");
}

static json_t *
detach_arguments(void)
{
    return json_pack("{s:s, s:s}", "volume_id", VOLUME, "attachment_id", ATTACHMENT);
}

static json_t *
attach_arguments(void)
{
    return json_pack("{s:o}", "bdm", fake_object("BlockDeviceMapping", "1.21", mapping(NULL)));
}

static void
a_volume_of_a_server_that_is_not_running_is_let_go(void **state)
{
    Cloud *cloud = *state;

    cloud->mapping = mapping(LOCAL);
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 200, "{\"attachments\": []}");
    assert_true(run(cloud, op_detach_volume, detach_arguments(), false, NULL));
    fake_cloud_assert_asked(&cloud->fake, "GET /v3/volumes/" VOLUME "\nDELETE /v3/attachments/" ATTACHMENT "\n");
    assert_string_equal(cloud->fake.done->str, "destroy\n");
}

static void
a_host_that_cannot_let_go_leaves_the_volume_in_use(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    cloud->mapping = mapping("{\"driver_volume_type\": \"nosuch\", \"data\": {}}");
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes/" VOLUME "/action", 202, NULL);
    assert_false(run(cloud, op_detach_volume, detach_arguments(), false, &error));
    assert_string_equal(nova_error_class(error), "VolumeDriverNotFound");
    fake_cloud_assert_asked(&cloud->fake, "GET /v3/volumes/" VOLUME "\nPOST /v3/volumes/" VOLUME "/action\n");
    assert_string_equal(cloud->fake.done->str, "");
}

/* This host cannot disconnect the volume: detaching it succeeds only where it need not. */
static void
a_volume_that_another_server_here_has_stays_connected(void **state)
{
    static const struct {
        const char *servers;
        bool stays;
    } cases[] = {
        {"{\"server_id\": \"" SERVER "\"}, {\"server_id\": \"other\"}", true},
        {"{\"server_id\": \"other\"}", true}, /* our own is not complete */
        {"{\"server_id\": \"" SERVER "\"}, {\"server_id\": \"elsewhere\"}", false},
        {"{\"server_id\": \"elsewhere\"}", false},
    };
    Cloud *cloud = *state;
    json_auto_t *info = json_loads("{\"driver_volume_type\": \"nosuch\", \"multiattach\": true, \"data\": {}, "
                                   "\"serial\": \"" VOLUME "\"}", 0, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body =
            g_strdup_printf("{\"volume\": {\"id\": \"" VOLUME "\", \"attachments\": [%s]}}", cases[i].servers);

        fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes/" VOLUME, 200, body);
        assert_int_equal(volume_disconnect(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, info, NULL, NULL),
                         cases[i].stays);
    }
}

static void
a_detach_that_was_killed_at_its_end_is_over(void **state)
{
    Cloud *cloud = *state;

    assert_true(run(cloud, op_detach_volume, detach_arguments(), true, NULL));
    fake_cloud_assert_asked(&cloud->fake, "");
}

/* This host could not disconnect it. */
static void
a_killed_detach_does_not_disconnect_what_cinder_has_closed(void **state)
{
    Cloud *cloud = *state;

    cloud->mapping = mapping("{\"driver_volume_type\": \"nosuch\", \"data\": {}}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, 404, "{}");
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 404, "{}");
    assert_true(run(cloud, op_detach_volume, detach_arguments(), true, NULL));
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
    assert_int_equal(fake_http_n_unexpected(cloud->fake.http), 0);
}

static void
a_volume_that_is_not_attached_cannot_be_detached(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    assert_false(run(cloud, op_detach_volume, detach_arguments(), false, &error));
    assert_string_equal(nova_error_class(error), "VolumeBDMNotFound");
}

static void
a_failed_attach_leaves_neither_attachment_nor_mapping(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/" ATTACHMENT, 200,
          "{\"attachment\": {\"id\": \"" ATTACHMENT "\", \"connection_info\": {\"driver_volume_type\": \"local\", "
          "\"device_path\": \"/dev/loop1\"}}}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 200, "{\"attachments\": []}");
    assert_false(run(cloud, op_attach_volume, attach_arguments(), false, &error));
    assert_string_equal(nova_error_class(error), "InstanceNotFound"); /* libvirt has no such guest */
    fake_cloud_assert_asked(&cloud->fake, "GET /v3/volumes/" VOLUME "\nPUT /v3/attachments/" ATTACHMENT "\nDELETE /v3/attachments/"
                        ATTACHMENT "\n");
    assert_string_equal(cloud->fake.done->str, "destroy\n");
}

static void
an_attach_that_cinder_refuses_is_undone(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/" ATTACHMENT, 400, "{\"badRequest\": {\"message\": \"no\"}}");
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 404, "{}");
    assert_false(run(cloud, op_attach_volume, attach_arguments(), false, &error));
    assert_string_equal(nova_error_class(error), "InvalidInput");
    assert_string_equal(cloud->fake.done->str, "destroy\n");
}

static void
a_killed_attach_goes_on_from_what_cinder_exports(void **state)
{
    static const struct {
        int status;
        const char *body, *more, *class;
    } cases[] = {
        {404, "{}", "", "VolumeAttachmentNotFound"},
        {200, "{\"attachment\": {\"id\": \"" ATTACHMENT "\", \"connection_info\": {}}}",
         "PUT /v3/attachments/" ATTACHMENT "\n", "InvalidInput"},
        {200, EXPORTED, "", "InstanceNotFound"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cloud *cloud;
        g_autoptr(NovaError) error = NULL;
        g_autofree char *log = NULL;

        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        cloud = *state;
        cloud->mapping = mapping(LOCAL);
        reply_volume(cloud);
        fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, cases[i].status, cases[i].body);
        if (*cases[i].more)
            fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/" ATTACHMENT, 400, "{\"badRequest\": {\"message\": \"no\"}}");
        fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, cases[i].status, cases[i].body);
        reply_volume(cloud);
        fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 404, "{}");
        assert_false(run(cloud, op_attach_volume, attach_arguments(), true, &error));
        assert_string_equal(nova_error_class(error), cases[i].class);
        log = g_strconcat("GET /v3/volumes/" VOLUME "\nGET /v3/attachments/" ATTACHMENT "\n", cases[i].more,
                          /* and given back */
                          "GET /v3/attachments/" ATTACHMENT "\nGET /v3/volumes/" VOLUME
                          "\nDELETE /v3/attachments/" ATTACHMENT "\n", NULL);
        fake_cloud_assert_asked(&cloud->fake, log);
        assert_true(g_str_has_prefix(cloud->fake.done->str, "destroy"));
    }
}

/* The killed process may have plugged the disk before the mapping said so. */
static void
a_killed_attach_whose_guest_cannot_be_asked_keeps_its_mapping(void **state)
{
    static const HypervisorCallbacks nobody = {0};
    Cloud *cloud = *state;

    hypervisor_free(cloud->fake.host.hypervisor);
    cloud->fake.host.hypervisor = hypervisor_new("nonexistent:///", &nobody);
    cloud->mapping = mapping(NULL);
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, 200, EXPORTED);
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, 200, EXPORTED);
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes/" VOLUME "/action", 202, NULL);
    assert_false(run(cloud, op_attach_volume, attach_arguments(), true, NULL));
    assert_int_equal(fake_http_n_unexpected(cloud->fake.http), 0); /* the attachment stays */
    assert_string_equal(cloud->fake.done->str, "");
}

static void
an_attach_to_a_server_that_is_gone_frees_the_volume(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    cloud->instance_is_gone = true;
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 200, "{\"attachments\": []}");
    assert_false(run(cloud, op_attach_volume, attach_arguments(), false, &error));
    assert_string_equal(nova_error_class(error), "InstanceNotFound");
    fake_cloud_assert_asked(&cloud->fake, "DELETE /v3/attachments/" ATTACHMENT "\n");
    assert_string_equal(cloud->fake.done->str, "destroy\n");
}

static void
a_killed_attach_to_a_server_that_is_gone_is_detached_first(void **state)
{
    Cloud *cloud = *state;

    cloud->instance_is_gone = true;
    cloud->mapping = mapping(LOCAL);
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, 200, EXPORTED);
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/" ATTACHMENT, 200, "{\"attachments\": []}");
    assert_false(run(cloud, op_attach_volume, attach_arguments(), true, NULL));
    fake_cloud_assert_asked(&cloud->fake, "GET /v3/attachments/" ATTACHMENT "\nGET /v3/volumes/" VOLUME "\nDELETE /v3/attachments/"
                        ATTACHMENT "\n");
    assert_string_equal(cloud->fake.done->str, "destroy\n");
}

static void
a_killed_attach_that_cannot_be_detached_keeps_its_mapping(void **state)
{
    Cloud *cloud = *state;

    cloud->instance_is_gone = true;
    cloud->mapping = mapping("{\"driver_volume_type\": \"nosuch\", \"data\": {}}");
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, 200, EXPORTED);
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes/" VOLUME "/action", 202, NULL);
    assert_false(run(cloud, op_attach_volume, attach_arguments(), true, NULL));
    fake_cloud_assert_asked(&cloud->fake, "GET /v3/attachments/" ATTACHMENT "\nGET /v3/volumes/" VOLUME "\nPOST /v3/volumes/" VOLUME "/action\n");
    assert_string_equal(cloud->fake.done->str, "");
}

static void
a_volume_to_boot_from_is_only_exported(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *primitive = fake_object("BlockDeviceMapping", "1.21", mapping(NULL));
    g_autoptr(BlockDeviceMapping) bdm = block_device_mapping_from_json(primitive, NULL);
    json_auto_t *info = NULL;

    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/" ATTACHMENT, 200,
          "{\"attachment\": {\"id\": \"" ATTACHMENT "\", \"connection_info\": {\"driver_volume_type\": \"rbd\", "
          "\"name\": \"volumes/v\"}}}");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments/" ATTACHMENT "/action", 204, NULL);
    assert_true(volume_attach(&cloud->fake.host, cloud->fake.ctx, cloud->fake.instance, bdm, &(VolumeAttach){0}, NULL));
    info = volume_connection_info(bdm);
    assert_string_equal(json_get_string(info, "serial", ""), VOLUME);
    assert_int_equal(bdm->volume_size.value, 2);
    assert_string_equal(cloud->fake.done->str, "save volume_size\n");
    assert_int_equal(fake_http_n_unexpected(cloud->fake.http), 0);
}

static void
an_event_about_a_strange_volume_is_ignored(void **state)
{
    Cloud *cloud = *state;

    assert_true(run(cloud, op_extend_volume, json_pack("{s:s}", "extended_volume_id", VOLUME), false, NULL));
    fake_cloud_assert_asked(&cloud->fake, "");
}

static void
a_local_volume_is_not_extended_but_its_size_is_known(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    cloud->mapping = mapping(LOCAL);
    reply_volume(cloud);
    assert_false(run(cloud, op_extend_volume, json_pack("{s:s}", "extended_volume_id", VOLUME), false, &error));
    assert_string_equal(nova_error_class(error), "ExtendVolumeNotSupported");
    assert_string_equal(cloud->fake.done->str, "save volume_size\n");
}

static void
a_connection_that_cinder_no_longer_has_is_kept(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *primitive = fake_object("BlockDeviceMapping", "1.21", mapping(NULL));
    g_autoptr(BlockDeviceMapping) bdm = block_device_mapping_from_json(primitive, NULL);

    OBJECT_SET_STRING(bdm, connection_info, LOCAL);
    fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/" ATTACHMENT, 200, "{\"attachment\": {\"id\": \"" ATTACHMENT "\"}}");
    assert_true(volume_refresh(&cloud->fake.host, cloud->fake.ctx, bdm, NULL));
    assert_string_equal(bdm->connection_info, LOCAL);
}

static void
a_swap_that_fails_gives_both_volumes_back(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;
    g_autofree char *log = NULL;

    cloud->mapping = mapping(LOCAL);
    reply_volume(cloud);
    fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes/new", 200, "{\"volume\": {\"id\": \"new\", \"size\": 3}}");
    fake_cloud_reply(&cloud->fake, "PUT", "/v3/attachments/other", 200,
          "{\"attachment\": {\"id\": \"other\", \"connection_info\": {\"driver_volume_type\": \"local\", "
          "\"device_path\": \"/dev/loop2\"}}}");
    fake_cloud_reply(&cloud->fake, "POST", "/v3/volumes/" VOLUME "/action", 202, NULL);
    fake_cloud_reply(&cloud->fake, "DELETE", "/v3/attachments/other", 200, "{}");
    assert_false(run(cloud, op_swap_volume,
                     json_pack("{s:s, s:s, s:s}", "old_volume_id", VOLUME, "new_volume_id", "new",
                               "new_attachment_id", "other"), false, &error));
    assert_string_equal(nova_error_class(error), "InstanceNotFound");
    fake_cloud_assert_asked(&cloud->fake, "GET /v3/volumes/" VOLUME "\nGET /v3/volumes/new\nPUT /v3/attachments/other\n"
                        "POST /v3/volumes/" VOLUME "/action\nDELETE /v3/attachments/other\n");
    assert_string_equal(cloud->fake.done->str, "");
}

static void
a_swap_that_was_killed_after_its_last_step_is_over(void **state)
{
    Cloud *cloud = *state;

    assert_true(run(cloud, op_swap_volume,
                    json_pack("{s:s, s:s, s:s}", "old_volume_id", VOLUME, "new_volume_id", "new",
                              "new_attachment_id", "other"), true, NULL));
    fake_cloud_assert_asked(&cloud->fake, "");
}

/* Cinder has swapped the two, and deletes the new id. */
static void
a_swap_that_was_killed_after_the_completion_keeps_the_old_id(void **state)
{
    static const char *const cases[][2] = {{"keeps the old id", "null"},
                                           {"completes the migration", "\"success\""},
                                           {"completes the migration", "\"completing\""}};

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Cloud *cloud;
        g_autofree char *volume = g_strdup_printf(
            "{\"volume\": {\"id\": \"" VOLUME "\", \"size\": 2, \"migration_status\": %s}}", cases[i][1]);
        g_autoptr(GPtrArray) notes = g_ptr_array_new();
        json_auto_t *args = json_pack("{s:s, s:s, s:s}", "old_volume_id", VOLUME, "new_volume_id", "new",
                                      "new_attachment_id", "other");
        Operation op = {.args = args, .is_resumed = true, .notes = notes};

        if (i > 0) {
            tear_down(state);
            set_up(state);
        }
        cloud = *state;
        cloud->mapping = mapping(LOCAL);
        op.host = &cloud->fake.host;
        op.ctx = cloud->fake.ctx;
        op.instance = cloud->fake.instance;
        g_ptr_array_add(notes, (void *)cases[i][0]);
        fake_cloud_reply(&cloud->fake, "GET", "/v3/volumes/" VOLUME, 200, volume);
        fake_cloud_reply(&cloud->fake, "GET", "/v3/attachments/other", 200, EXPORTED);
        fake_cloud_reply(&cloud->fake, "POST", "/v3/attachments/other/action", 204, NULL);
        assert_true(op_swap_volume(&op, NULL));
        fake_cloud_assert_asked(&cloud->fake, "GET /v3/volumes/" VOLUME "\nGET /v3/attachments/other\n"
                                              "POST /v3/attachments/other/action\n");
        assert_non_null(strstr(cloud->fake.done->str, "save"));
    }
}

static void
a_guest_that_libvirt_says_nothing_of_may_still_run(void **state)
{
    static const HypervisorCallbacks nobody = {0};
    Cloud *cloud = *state;

    assert_true(step_undo_guest(&cloud->fake.host, cloud->fake.instance, NULL)); /* there is none */
    hypervisor_free(cloud->fake.host.hypervisor);
    cloud->fake.host.hypervisor = hypervisor_new("nonexistent:///", &nobody);
    assert_false(step_undo_guest(&cloud->fake.host, cloud->fake.instance, NULL));
}

/* The one domain that libvirt's test driver has, with a port that no provider was chosen for. */
static Instance *
make_running_instance(void)
{
    json_t *request = fake_object("InstancePCIRequest", "1.4", json_pack("{s:s, s:i, s:[]}", "requester_id", "port1",
                                                                    "count", 1, "spec"));
    json_t *requests = fake_object("InstancePCIRequests", "1.1",
                              json_pack("{s:s, s:[o]}", "instance_uuid", RUNNING, "requests", request));
    json_auto_t *primitive = fake_object(
        "Instance", "2.8",
        json_pack("{s:s, s:s, s:{}, s:n, s:b, s:n, s:o}", "uuid", RUNNING, "host", "host1", "system_metadata",
                  "key_data", "auto_disk_config", 0, "image_ref", "pci_requests", requests));
    Instance *instance = instance_from_json(primitive, NULL);

    assert_non_null(instance);
    return instance;
}

static json_t *
unshelve_arguments(const Instance *instance)
{
    json_t *group = fake_object("RequestGroup", "1.3", json_pack("{s:s, s:[]}", "requester_id", "port1", "provider_uuids"));

    return json_pack("{s:o, s:o}", "instance", object_to_json(instance), "request_spec",
                     fake_object("RequestSpec", "1.14", json_pack("{s:[o]}", "requested_resources", group)));
}

/* libvirt's test driver stops a guest, and shall not undefine it. */
int
virDomainUndefineFlags(virDomainPtr domain, unsigned flags)
{
    (void)domain;
    (void)flags;
    return -1;
}

int
virDomainUndefine(virDomainPtr domain)
{
    (void)domain;
    return -1;
}

static void
a_killed_unshelve_that_fails_keeps_a_guest_that_it_cannot_remove(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    instance_free(cloud->fake.instance);
    cloud->fake.instance = make_running_instance();
    cloud->fake.options.default_group.instances_path = "/nonexistent";
    cloud->fake.options.libvirt.images_type = "default";
    cloud->fake.options.placement.auth.auth_type = "none";
    cloud->fake.options.placement.adapter.endpoint_override = (char *)fake_http_url(cloud->fake.http);
    cloud->fake.host.placement = placement_new(cloud->fake.keystone, &cloud->fake.options);
    assert_false(run(cloud, op_unshelve_instance, unshelve_arguments(cloud->fake.instance), true, &error));
    assert_string_equal(nova_error_class(error), "BuildAbortException");
    fake_cloud_assert_asked(&cloud->fake, ""); /* neither Cinder nor Placement */
    assert_non_null(cloud->fake.instance->host);
    placement_free(cloud->fake.host.placement);
}

/* Its disks may be in use. */
static void
what_a_killed_unshelve_made_stays_with_a_guest_that_cannot_be_removed(void **state)
{
    static const HypervisorCallbacks nobody = {0};
    Cloud *cloud = *state;
    g_autofree char *instances = g_dir_make_tmp("kilonova-unshelve-XXXXXX", NULL);
    g_autofree char *folder = g_build_filename(instances, RUNNING, NULL);

    instance_free(cloud->fake.instance);
    cloud->fake.instance = make_running_instance();
    cloud->fake.options.default_group.instances_path = instances;
    cloud->fake.options.libvirt.images_type = "default";
    assert_int_equal(g_mkdir(folder, 0700), 0);
    hypervisor_free(cloud->fake.host.hypervisor);
    cloud->fake.host.hypervisor = hypervisor_new("nonexistent:///", &nobody);
    assert_false(run(cloud, op_unshelve_instance, unshelve_arguments(cloud->fake.instance), true, NULL));
    fake_cloud_assert_asked(&cloud->fake, "");
    assert_int_equal(g_rmdir(folder), 0);
    assert_int_equal(g_rmdir(instances), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_volume_of_a_server_that_is_not_running_is_let_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_host_that_cannot_let_go_leaves_the_volume_in_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_volume_that_another_server_here_has_stays_connected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_detach_that_was_killed_at_its_end_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_detach_does_not_disconnect_what_cinder_has_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_volume_that_is_not_attached_cannot_be_detached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_attach_leaves_neither_attachment_nor_mapping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_attach_that_cinder_refuses_is_undone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_attach_goes_on_from_what_cinder_exports, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_attach_whose_guest_cannot_be_asked_keeps_its_mapping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_attach_to_a_server_that_is_gone_frees_the_volume, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_attach_to_a_server_that_is_gone_is_detached_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_attach_that_cannot_be_detached_keeps_its_mapping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_volume_to_boot_from_is_only_exported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_event_about_a_strange_volume_is_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_local_volume_is_not_extended_but_its_size_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_connection_that_cinder_no_longer_has_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_swap_that_fails_gives_both_volumes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_swap_that_was_killed_after_its_last_step_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_unshelve_that_fails_keeps_a_guest_that_it_cannot_remove, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_killed_unshelve_made_stays_with_a_guest_that_cannot_be_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_swap_that_was_killed_after_the_completion_keeps_the_old_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guest_that_libvirt_says_nothing_of_may_still_run, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
