/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of volumes in files, between a Cinder that answers from a script and a guest of libvirt's test
 * driver, whose chain of files this test makes longer and shorter itself. */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <libvirt/libvirt.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/guest_chain.h"
#include "compute/ops/ops.h"
#include "compute/volume_chain.h"
#include "storage/qemu_img.h"
#include "tests/fakes/fake_http.h"
#include "tests/fakes/fake_rpc.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define VOLUME "4859e662-60e5-4ceb-a694-36d983a5c90c"
#define SNAPSHOT "5d4ce9d1-3f0d-4f69-9b0a-60b1a3e6a0b1"
#define ATTACHMENT "38f3f25d-0c5b-4405-8af1-8a7fec19c5e8"

/* ---- the guest ---- */

static struct {
    virConnectPtr connection;
    GString *done;     /* "pull vdb volume-1\n" */
    const char *after; /* the volume's disk once a job is over; NULL: as before */
    bool no_quiesce;   /* the agent does not answer */
} world;

#define FILE_DISK(active, below)                                                                            \
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/mnt/x/" active "'/>"     \
    below "<target dev='vdb' bus='virtio'/><serial>" VOLUME "</serial></disk>"
#define BELOW(file, below)                                                                                  \
    "<backingStore type='file'><format type='qcow2'/><source file='/mnt/x/" file "'/>" below "</backingStore>"
#define END "<backingStore/>"
#define LONE FILE_DISK("volume-1", END)
#define TWO FILE_DISK("volume-1.s1", BELOW("volume-1", END))
#define THREE FILE_DISK("volume-1.s2", BELOW("volume-1.s1", BELOW("volume-1", END)))

static char *
domain_xml(const char *disk)
{
    return g_strconcat("<domain type='test'><name>snapshots</name><uuid>" SERVER "</uuid><memory>1024</memory>"
                       "<os><type>hvm</type></os><devices>"
                       "<disk type='file' device='disk'><source file='/root'/><target dev='vda'/></disk>",
                       disk, "</devices></domain>", NULL);
}

/* NULL: the guest is gone. */
static void
set_disk(const char *disk)
{
    g_autofree char *xml = disk ? domain_xml(disk) : NULL;
    virDomainPtr domain = virDomainLookupByUUIDString(world.connection, SERVER);

    if (domain) {
        assert_int_equal(virDomainDestroy(domain), 0);
        virDomainFree(domain);
    }
    domain = disk ? virDomainCreateXML(world.connection, xml, 0) : NULL;
    assert_int_equal(domain != NULL, disk != NULL);
    if (domain)
        virDomainFree(domain);
}

bool
guest_chain_grow(Guest *guest, const char *snapshot_xml, bool quiesce, NovaError **err)
{
    (void)guest;
    g_string_append_printf(world.done, "grow%s\n", quiesce ? " quiesced" : "");
    assert_non_null(strstr(snapshot_xml, "/mnt/x/volume-1.s1"));
    return !quiesce || !world.no_quiesce || nova_error_set(err, NOVA_ERROR_LIBVIRT_ERROR, "no agent");
}

bool
guest_chain_pull(Guest *guest, const char *target, const char *base, NovaError **err)
{
    (void)guest;
    (void)err;
    g_string_append_printf(world.done, "pull %s %s\n", target, base ? base : "all");
    return true;
}

bool
guest_chain_commit(Guest *guest, const char *target, const char *base, const char *top, NovaError **err)
{
    (void)guest;
    (void)err;
    g_string_append_printf(world.done, "commit %s %s into %s\n", target, top, base);
    return true;
}

bool
guest_chain_wait(Guest *guest, const char *target, NovaError **err)
{
    (void)guest;
    (void)target;
    (void)err;
    g_string_append(world.done, "wait\n");
    if (world.after)
        set_disk(world.after);
    return true;
}

/* ---- the cloud ---- */

typedef struct Cloud {
    FakeHttp *cinder;
    char *endpoint;
    Options options;
    Keystone *keystone;
    Host host;
    RequestContext *ctx;
    Instance *instance;
} Cloud;

/* An object that has no changes. Takes ownership of 'data'. */
static json_t *
stored(const char *name, const char *version, json_t *data)
{
    json_t *primitive = object_new_primitive(name, version, data);

    json_object_del(primitive, "nova_object.changes");
    return primitive;
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    const char *asked = json_get_string(args, "objmethod", "");

    (void)target;
    (void)method;
    (void)user;
    (void)err;
    if (strcmp(asked, "get_by_volume_and_instance") == 0)
        return stored("BlockDeviceMapping", "1.21",
                      json_pack("{s:i, s:s, s:s, s:s, s:s}", "id", 12, "instance_uuid", SERVER, "volume_id", VOLUME,
                                "attachment_id", ATTACHMENT, "connection_info",
                                "{\"driver_volume_type\": \"nfs\", \"data\": {\"name\": \"volume-1\"}}"));
    if (strcmp(asked, "save") == 0)
        g_string_append_printf(world.done, "save %s\n",
                               json_get_string(json_object_get(json_object_get(args, "objinst"), "nova_object.data"),
                                               "connection_info", ""));
    return strcmp(asked, "save") == 0 ? json_pack("[{}, n]") : json_pack("{}");
}

static Instance *
make_instance(bool has_agent)
{
    json_auto_t *primitive = stored(
        "Instance", "2.8",
        json_pack("{s:s, s:s, s:o, s:[], s:n, s:n, s:n, s:n, s:n}", "uuid", SERVER, "host", "host1",
                  "system_metadata",
                  has_agent ? json_pack("{s:s}", "image_hw_qemu_guest_agent", "yes") : json_object(), "tags",
                  "keypairs", "pci_devices", "pci_requests", "numa_topology", "device_metadata"));
    Instance *instance = instance_from_json(primitive, NULL);

    assert_non_null(instance);
    return instance;
}

static int
set_up(void **state)
{
    static const HypervisorCallbacks nobody = {0};
    Cloud *cloud = g_new0(Cloud, 1);

    world.done = g_string_new(NULL);
    world.after = NULL;
    world.no_quiesce = false;
    cloud->cinder = fake_http_new();
    cloud->endpoint = g_strconcat(fake_http_url(cloud->cinder), "/v3", NULL);
    cloud->keystone = keystone_new();
    cloud->options.cinder.auth.auth_type = "none";
    cloud->options.cinder.endpoint_template = cloud->endpoint;
    cloud->options.cinder.catalog_info = "volumev3::publicURL";
    cloud->options.libvirt.virt_type = "kvm";
    cloud->ctx = request_context_new_admin();
    cloud->instance = make_instance(false);
    cloud->host = (Host){
        .options = &cloud->options,
        .name = "host1",
        .conductor = conductor_new(NULL),
        .cinder = cinder_new(&cloud->options, cloud->keystone),
        .hypervisor = hypervisor_new("test:///default", &nobody),
    };
    fake_rpc_reset(answer, cloud);
    world.connection = virConnectOpen("test:///default"); /* libvirt forgets its guests with the last one */
    set_disk(LONE);
    *state = cloud;
    return 0;
}

static int
tear_down(void **state)
{
    Cloud *cloud = *state;

    virConnectClose(world.connection);
    hypervisor_free(cloud->host.hypervisor);
    cinder_free(cloud->host.cinder);
    conductor_free(cloud->host.conductor);
    keystone_free(cloud->keystone);
    fake_http_free(cloud->cinder);
    request_context_unref(cloud->ctx);
    instance_free(cloud->instance);
    g_string_free(world.done, TRUE);
    g_free(cloud->endpoint);
    g_free(cloud);
    return 0;
}

static bool
run(Cloud *cloud, bool (*method)(Operation *op, NovaError **err), json_t *args, bool is_resumed, NovaError **err)
{
    json_auto_t *owned = args;
    Operation op = {.host = &cloud->host, .ctx = cloud->ctx, .method = "test", .instance = cloud->instance,
                    .args = args, .is_resumed = is_resumed};

    return method(&op, err);
}

static bool
create(Cloud *cloud, const char *type, bool is_resumed, NovaError **err)
{
    return run(cloud, op_volume_snapshot_create,
               json_pack("{s:s, s:{s:s, s:s, s:s}}", "volume_id", VOLUME, "create_info", "type", type, "snapshot_id",
                         SNAPSHOT, "new_file", "volume-1.s1"), is_resumed, err);
}

static bool
delete(Cloud *cloud, const char *file, const char *target, bool is_resumed, NovaError **err)
{
    return run(cloud, op_volume_snapshot_delete,
               json_pack("{s:s, s:s, s:{s:s, s:s?, s:s?}}", "volume_id", VOLUME, "snapshot_id", SNAPSHOT,
                         "delete_info", "type", "qcow2", "file_to_merge", file, "merge_target_file", target),
               is_resumed, err);
}

static void
reply_to_status(Cloud *cloud)
{
    fake_http_reply(cloud->cinder, "POST", "/v3/snapshots/" SNAPSHOT "/action", 202, NULL);
}

static void
reply_export(Cloud *cloud)
{
    fake_http_reply(cloud->cinder, "GET", "/v3/attachments/" ATTACHMENT, 200,
                    "{\"attachment\": {\"id\": \"" ATTACHMENT "\", \"connection_info\": "
                    "{\"driver_volume_type\": \"nfs\", \"name\": \"volume-1.s1\"}}}");
}

static void
assert_status(Cloud *cloud, int index, const char *expected)
{
    json_auto_t *body = fake_request_json(fake_http_request(cloud->cinder, index));

    assert_string_equal(json_get_string(json_object_get(body, "os-update_snapshot_status"), "status", ""), expected);
}

static void
assert_saved_the_new_file(void)
{
    const char *saved = strstr(world.done->str, "save ");

    assert_non_null(saved);
    assert_non_null(strstr(saved, "volume-1.s1"));
}

/* ---- create ---- */

static void
a_snapshot_waits_for_cinder_and_keeps_its_connection(void **state)
{
    Cloud *cloud = *state;

    reply_to_status(cloud);
    fake_http_reply(cloud->cinder, "GET", "/v3/snapshots/" SNAPSHOT, 200, "{\"snapshot\": {\"status\": \"creating\"}}");
    fake_http_reply(cloud->cinder, "GET", "/v3/snapshots/" SNAPSHOT, 200, "{\"snapshot\": {\"status\": \"available\"}}");
    reply_export(cloud);
    assert_true(create(cloud, "qcow2", false, NULL));
    assert_true(g_str_has_prefix(world.done->str, "grow\nsave "));
    assert_status(cloud, 0, "creating");
    assert_saved_the_new_file();
    assert_int_equal(fake_http_n_unused(cloud->cinder), 0);
}

static void
a_guest_with_an_agent_is_held_still(void **state)
{
    Cloud *cloud = *state;

    for (int answers = 1; answers >= 0; answers--) {
        g_string_truncate(world.done, 0);
        world.no_quiesce = !answers;
        instance_free(cloud->instance);
        cloud->instance = make_instance(true);
        reply_to_status(cloud);
        fake_http_reply(cloud->cinder, "GET", "/v3/snapshots/" SNAPSHOT, 200, "{\"snapshot\": {\"status\": \"error\"}}");
        reply_export(cloud);
        assert_true(create(cloud, "qcow2", false, NULL));
        assert_true(g_str_has_prefix(world.done->str, answers ? "grow quiesced\nsave " : "grow quiesced\ngrow\nsave "));
    }
}

static void
cinder_is_told_of_a_failure(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    set_disk(""); /* the volume is not there */
    reply_to_status(cloud);
    assert_false(create(cloud, "qcow2", false, &error));
    assert_string_equal(nova_error_message(error), "Found no disk to snapshot.");
    assert_status(cloud, 0, "error");
    assert_string_equal(world.done->str, "");
}

static void
a_type_that_is_not_known_is_nobodys_failure(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    assert_false(create(cloud, "raw", false, &error));
    assert_string_equal(nova_error_class(error), "InternalError");
    assert_int_equal(fake_http_n_requests(cloud->cinder), 0);
}

static void
a_server_that_is_gone_is_no_failure(void **state)
{
    Cloud *cloud = *state;

    set_disk(NULL);
    assert_true(create(cloud, "qcow2", false, NULL));
    assert_int_equal(fake_http_n_requests(cloud->cinder), 0);
    reply_to_status(cloud);
    assert_true(delete(cloud, NULL, NULL, false, NULL));
    assert_status(cloud, 0, "error_deleting");
}

static void
a_killed_create_does_not_snapshot_twice(void **state)
{
    Cloud *cloud = *state;

    set_disk(TWO);
    reply_to_status(cloud);
    fake_http_reply(cloud->cinder, "GET", "/v3/snapshots/" SNAPSHOT, 200, "{\"snapshot\": {\"status\": \"available\"}}");
    reply_export(cloud);
    assert_true(create(cloud, "qcow2", true, NULL));
    assert_true(g_str_has_prefix(world.done->str, "save "));
}

/* ---- delete ---- */

static void
files_are_merged_upwards_or_downwards(void **state)
{
    static const struct {
        const char *before, *file, *target, *after, *done;
    } cases[] = {
        {TWO, NULL, NULL, FILE_DISK("volume-1.s1", END), "pull vdb all\nwait\n"},
        {THREE, "volume-1", NULL, FILE_DISK("volume-1.s2", BELOW("volume-1", END)), "pull vdb volume-1\nwait\n"},
        {THREE, "volume-1.s1", "volume-1", FILE_DISK("volume-1.s2", BELOW("volume-1", END)),
         "commit vdb volume-1.s1 into volume-1\nwait\n"},
    };
    Cloud *cloud = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_string_truncate(world.done, 0);
        set_disk(cases[i].before);
        world.after = cases[i].after;
        reply_to_status(cloud);
        reply_export(cloud);
        assert_true(delete(cloud, cases[i].file, cases[i].target, false, NULL));
        assert_true(g_str_has_prefix(world.done->str, cases[i].done));
        assert_saved_the_new_file();
        assert_status(cloud, -2, "deleting");
    }
}

static void
a_job_that_merged_nothing_is_a_failure(void **state)
{
    static const char *const targets[] = {NULL, "volume-1"};
    Cloud *cloud = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
        g_autoptr(NovaError) error = NULL;

        set_disk(THREE);
        reply_to_status(cloud);
        assert_false(delete(cloud, targets[i] ? "volume-1.s1" : NULL, targets[i], false, &error));
        assert_string_equal(nova_error_class(error), "InternalError");
        assert_status(cloud, -1, "error_deleting");
    }
    assert_null(strstr(world.done->str, "save"));
}

static void
a_killed_delete_waits_for_the_job_of_before(void **state)
{
    Cloud *cloud = *state;

    set_disk(TWO);
    world.after = FILE_DISK("volume-1.s1", END);
    reply_to_status(cloud);
    reply_export(cloud);
    assert_true(delete(cloud, NULL, NULL, true, NULL));
    assert_true(g_str_has_prefix(world.done->str, "wait\nsave "));
}

/* ---- a server that is off ---- */

static void
run_tool(const char *folder, const char *line)
{
    int status = 0;
    g_auto(GStrv) argv = g_strsplit(line, " ", -1);

    assert_true(g_spawn_sync(folder, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
}

/* The guest had written the head of a qcow2 into its raw volume, with a file of the host's below it. */
static void
a_volume_of_a_server_that_is_off_stays_on_the_format_it_was_said_to_have(void **state)
{
    static const char *const tools[] = {
        "qemu-img create -q -f qcow2 -F raw -b /dev/null a 1M",
        "qemu-img create -q -f qcow2 -F raw -b a b",
        "qemu-img create -q -f qcow2 -F qcow2 -b b c",
    };
    Cloud *cloud = *state;
    g_autofree char *folder = g_dir_make_tmp("kilonova-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "c", NULL);
    g_autofree char *disk = g_strdup_printf("<disk type='file'><source file='%s'/><target dev='vdb'/><serial>"
                                            VOLUME "</serial></disk>", path);
    g_autofree char *xml = domain_xml(disk);
    g_auto(QemuImgInfo) info = {0};
    virDomainPtr domain;

    for (size_t i = 0; i < G_N_ELEMENTS(tools); i++)
        run_tool(folder, tools[i]);
    set_disk(NULL);
    domain = virDomainDefineXML(world.connection, xml);
    assert_non_null(domain);
    reply_to_status(cloud);
    reply_export(cloud);
    assert_true(delete(cloud, "a", NULL, false, NULL));
    assert_true(qemu_img_info(&cloud->options, path, "qcow2", &info, NULL));
    assert_string_equal(info.backing_file, "a");
    assert_string_equal(info.backing_format, "raw");
    virDomainUndefine(domain);
    virDomainFree(domain);
    run_tool(folder, "rm a b c");
    assert_int_equal(g_rmdir(folder), 0);
}

/* ---- chains ---- */

static void
a_snapshot_names_all_disks_and_moves_one(void **state)
{
    g_autofree char *domain = domain_xml(LONE);
    g_autofree char *xml = volume_chain_make_snapshot(domain, VOLUME, "volume-1.s1", NULL);
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_string_equal(xml, "<domainsnapshot>\n"
                             "  <disks>\n"
                             "    <disk name=\"vda\" snapshot=\"no\"/>\n"
                             "    <disk name=\"/mnt/x/volume-1\" snapshot=\"external\" type=\"file\">\n"
                             "      <source file=\"/mnt/x/volume-1.s1\"/>\n"
                             "    </disk>\n"
                             "  </disks>\n"
                             "</domainsnapshot>\n");
    assert_null(volume_chain_make_snapshot(domain, VOLUME, "../../etc/passwd", &error));
    assert_string_equal(nova_error_class(error), "InternalError");
}

static void
files_on_the_network_are_named_by_their_place(void **state)
{
    g_autofree char *domain = domain_xml(
        "<disk type='network'><source protocol='gluster' name='vol/c'/>"
        "<backingStore type='network' index='7'><source protocol='gluster' name='vol/b'/>"
        "<backingStore type='network' index='9'><source protocol='gluster' name='vol/a'/><backingStore/></backingStore>"
        "</backingStore><target dev='vdb'/><serial>" VOLUME "</serial></disk>");
    static const char *const references[][2] = {{"c", "vdb[0]"}, {"b", "vdb[7]"}, {"a", "vdb[9]"}};
    g_auto(VolumeChain) chain = {0};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_true(volume_chain_find(domain, VOLUME, &chain, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(references); i++) {
        g_autofree char *reference = volume_chain_reference(&chain, references[i][0], NULL);

        assert_string_equal(reference, references[i][1]);
    }
    assert_null(volume_chain_reference(&chain, "d", &error));
    assert_string_equal(nova_error_message(error), "no match found for d");
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_waits_for_cinder_and_keeps_its_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guest_with_an_agent_is_held_still, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cinder_is_told_of_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_type_that_is_not_known_is_nobodys_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_is_gone_is_no_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_create_does_not_snapshot_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_merged_upwards_or_downwards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_merged_nothing_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_killed_delete_waits_for_the_job_of_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_volume_of_a_server_that_is_off_stays_on_the_format_it_was_said_to_have,
                                        set_up, tear_down),
        cmocka_unit_test(a_snapshot_names_all_disks_and_moves_one),
        cmocka_unit_test(files_on_the_network_are_named_by_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
