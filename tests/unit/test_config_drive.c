/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control/keystone.h"
#include "agent/objects/block_device.h"
#include "agent/objects/instance.h"
#include "conf/options_load.h"
#include "storage/config_drive.h"
#include "storage/format_inspector.h"
#include "storage/instance_folder.h"
#include "storage/instance_metadata.h"
#include "tests/fakes/fake_http.h"

#define UUID "b65cee2f-8c69-4aeb-be2f-f79742548fc2"

/* -- a server with everything that is shown */

static const char server_text[] =
    "{'nova_object.name': 'Instance', 'nova_object.namespace': 'nova', 'nova_object.version': '2.8',"
    " 'nova_object.data': {'uuid': '" UUID "', 'hostname': 'web', 'display_name': 'web', "
    " 'project_id': 'p', 'launch_index': 0, 'availability_zone': 'nova', 'image_ref': 'i',"
    " 'reservation_id': 'r-1', 'root_device_name': '/dev/vda', 'key_name': 'k', 'key_data': 'ssh x',"
    " 'user_data': 'aGVsbG8=', 'metadata': {'z': '1', 'a': '2'}, 'system_metadata':"
    " {'boot_roles': 'member'}, 'ec2_ids': {'nova_object.name': 'EC2Ids', 'nova_object.data':"
    " {'instance_id': 'i-1', 'ami_id': 'ami-1', 'kernel_id': null, 'ramdisk_id': null}},"
    " 'numa_topology': {'nova_object.name': 'InstanceNUMATopology', 'nova_object.namespace': 'nova',"
    " 'nova_object.version': '1.3', 'nova_object.data': {'cells': [{'nova_object.name':"
    " 'InstanceNUMACell', 'nova_object.namespace': 'nova', 'nova_object.version': '1.6',"
    " 'nova_object.data': {'id': 0, 'pcpuset': [3, 1]}}]}},"
    " 'keypairs': {'nova_object.name': 'KeyPairList', 'nova_object.namespace': 'nova',"
    " 'nova_object.version': '1.3', 'nova_object.data': {'objects': [{'nova_object.name': 'KeyPair',"
    " 'nova_object.namespace': 'nova', 'nova_object.version': '1.4', 'nova_object.data': {'name':"
    " 'k', 'type': 'ssh', 'public_key': 'ssh x'}}]}},"
    " 'device_metadata': {'nova_object.name': 'InstanceDeviceMetadata', 'nova_object.namespace':"
    " 'nova', 'nova_object.version': '1.0', 'nova_object.data': {'devices': ["
    "{'nova_object.name': 'NetworkInterfaceMetadata', 'nova_object.data': {'mac': 'fa:16:3e:0:0:1',"
    " 'tags': ['t'], 'vlan': 7, 'vf_trusted': true, 'bus': {'nova_object.name': 'PCIDeviceBus',"
    " 'nova_object.data': {'address': '0000:00:03.0'}}}},"
    "{'nova_object.name': 'DiskMetadata', 'nova_object.data': {'serial': 's', 'bus':"
    " {'nova_object.name': 'TapeBus', 'nova_object.data': {}}}},"
    "{'nova_object.name': 'DiskMetadata', 'nova_object.data': {'path': '/dev/vdb', 'tags': ['d'],"
    " 'bus': {'nova_object.name': 'SCSIDeviceBus', 'nova_object.data': {}}}},"
    "{'nova_object.name': 'TapeMetadata', 'nova_object.data': {}}]}}}}";

static json_t *
parse(const char *text)
{
    g_autofree char *quoted = g_strdelimit(g_strdup(text), "'", '"');
    json_t *value = json_loads(quoted, JSON_DECODE_ANY, NULL);

    if (!value)
        fail_msg("bad test data: %s", text);
    return value;
}

static Instance *
server(void)
{
    json_auto_t *primitive = parse(server_text);
    g_autoptr(NovaError) failure = NULL;
    Instance *instance = instance_from_json(primitive, &failure);

    if (!instance)
        fail_msg("%s", nova_error_message(failure));
    return instance;
}

typedef struct Bench {
    Options *options;
    Keystone *keystone;
    Instance *instance;
    char *folder;
    char *path;
} Bench;

static Options *
load(const char *const *overrides)
{
    OptionsArguments arguments = {.sources = g_ptr_array_new(), .overrides = g_ptr_array_new()};
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *error = NULL;
    Options *options = NULL;

    g_ptr_array_add(arguments.sources, (char *)"file:/dev/null");
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

    bench->options = load((const char *const[]){NULL});
    bench->keystone = keystone_new();
    bench->instance = server();
    bench->folder = g_dir_make_tmp("kilonova-drive-XXXXXX", NULL);
    bench->path = g_build_filename(bench->folder, "disk.config", NULL);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;
    g_autofree char *parent = g_path_get_dirname(bench->folder);
    g_autofree char *name = g_path_get_basename(bench->folder);

    instance_folder_remove_tree(parent, name, NULL);
    instance_free(bench->instance);
    keystone_free(bench->keystone);
    options_free(bench->options);
    g_free(bench->folder);
    g_free(bench->path);
    g_free(bench);
    return 0;
}

static void
set_options(Bench *bench, const char *const *overrides)
{
    options_free(bench->options);
    bench->options = load(overrides);
}

static GPtrArray *
make(Bench *bench, NovaError **err)
{
    const ConfigDriveInput input = {.instance = bench->instance, .admin_pass = "pw"};

    return config_drive_make_files(bench->options, bench->keystone, &input, err);
}

static json_t *
json_of(const GPtrArray *files, const char *path)
{
    for (guint i = 0; i < files->len; i++) {
        const DiskFile *file = files->pdata[i];
        gsize size;
        const char *data = g_bytes_get_data(file->data, &size);

        if (g_str_equal(file->path, path))
            return json_loadb(data, size, 0, NULL);
    }
    return NULL;
}

static void
assert_json(const GPtrArray *files, const char *path, const char *member, const char *expected)
{
    json_auto_t *value = json_of(files, path);
    json_auto_t *wanted = parse(expected);
    g_autofree char *got = json_dumps(json_object_get(value, member), JSON_ENCODE_ANY);
    g_autofree char *text = json_dumps(wanted, JSON_ENCODE_ANY);

    assert_string_equal(got ? got : "(nothing)", text);
}

#define LATEST "openstack/latest/meta_data.json"

static void
records_of_a_server_become_its_metadata(void **state)
{
    g_autoptr(GPtrArray) files = make(*state, NULL);

    assert_non_null(files);
    assert_json(files, LATEST, "meta", "{'z': '1', 'a': '2'}");
    assert_json(files, LATEST, "keys", "[{'name': 'k', 'type': 'ssh', 'data': 'ssh x'}]");
    assert_json(files, LATEST, "dedicated_cpus", "[1, 3]");
    assert_json(files, LATEST, "devices",
                "[{'vlan': 7, 'vf_trusted': true, 'type': 'nic', 'mac': 'fa:16:3e:0:0:1', 'bus': "
                "'pci', 'address': '0000:00:03.0', 'tags': ['t']}, {'type': 'disk', 'path': "
                "'/dev/vdb', 'bus': 'scsi', 'address': 'none', 'tags': ['d']}]");
    assert_json(files, "ec2/latest/meta-data.json", "block-device-mapping",
                "{'ami': 'vda', 'root': '/dev/vda'}");
    assert_json(files, "ec2/latest/meta-data.json", "placement", "{'availability-zone': 'nova'}");
}

static BlockDeviceMapping *
mapping(const char *source, const char *destination, const char *guest_format, const char *name)
{
    json_auto_t *primitive = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s?, s:s?, s:b}}", "nova_object.name", "BlockDeviceMapping",
        "nova_object.namespace", "nova", "nova_object.version", "1.21", "nova_object.data",
        "source_type", source, "destination_type", destination, "guest_format", guest_format,
        "device_name", name, "no_device", 0);

    return block_device_mapping_from_json(primitive, NULL);
}

static void
ec2_mapping_numbers_volumes_by_name(void **state)
{
    Bench *bench = *state;
    g_autoptr(GPtrArray) devices =
        g_ptr_array_new_with_free_func((GDestroyNotify)block_device_mapping_free);
    json_auto_t *made = NULL;
    json_auto_t *expected = parse("{'ami': 'vda', 'root': '/dev/vda', 'ebs0': null, 'ebs1': "
                                  "'/dev/vdd', 'ebs2': '/dev/vde', 'swap': '/dev/vdc', "
                                  "'ephemeral0': '/dev/vdb'}");

    g_ptr_array_add(devices, mapping("volume", "volume", NULL, "/dev/vde"));
    g_ptr_array_add(devices, mapping("volume", "volume", NULL, "/dev/vdd"));
    g_ptr_array_add(devices, mapping("volume", "volume", NULL, NULL));
    g_ptr_array_add(devices, mapping("blank", "local", NULL, "/dev/vdb"));
    g_ptr_array_add(devices, mapping("blank", "local", "swap", "/dev/vdc"));
    g_ptr_array_add(devices, mapping("image", "local", NULL, "/dev/vda"));
    made = instance_metadata_block_mapping(bench->instance, devices);
    assert_true(json_equal(made, expected));
}

static void
text_that_is_no_base64_is_an_error(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;
    json_auto_t *files = parse("[['/etc/motd', 'abc']]");
    const ConfigDriveInput input = {.instance = bench->instance, .injected_files = files};

    assert_null(config_drive_make_files(bench->options, bench->keystone, &input, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_VALUE_ERROR);
    OBJECT_SET_STRING(bench->instance, user_data, "abc");
    assert_null(make(bench, NULL));
}

/* -- vendor data */

static void
vendor_data_comes_from_file_and_services(void **state)
{
    Bench *bench = *state;
    g_autoptr(FakeHttp) fake = fake_http_new();
    const FakeAnswer failing = {.method = "POST", .path = "/bad", .status = 500, .times = -1};
    g_autofree char *file = g_build_filename(bench->folder, "vendor.json", NULL);
    g_autofree char *path = g_strconcat("api.vendordata_jsonfile_path=", file, NULL);
    g_autofree char *targets =
        g_strdup_printf("api.vendordata_dynamic_targets=one@%s/good,two@%s/bad,nameless",
                        fake_http_url(fake), fake_http_url(fake));
    g_autoptr(GPtrArray) files = NULL;
    json_auto_t *asked = NULL;

    g_file_set_contents(file, "{\"cloud\": \"x\"}", -1, NULL);
    fake_http_reply(fake, "POST", "/good", 200, "{\"a\": 1}");
    fake_http_answer(fake, &failing);
    set_options(bench, (const char *const[]){"api.vendordata_providers=StaticJSON,DynamicJSON", path,
                                             targets, NULL});
    files = make(bench, NULL);
    assert_non_null(files);
    assert_json(files, "openstack/latest/vendor_data.json", "cloud", "'x'");
    assert_json(files, "openstack/latest/vendor_data2.json", "static", "{'cloud': 'x'}");
    assert_json(files, "openstack/latest/vendor_data2.json", "one", "{'a': 1}");
    assert_json(files, "openstack/latest/vendor_data2.json", "two", "{}");
    asked = fake_request_json(fake_http_request(fake, 0));
    assert_string_equal(json_string_value(json_object_get(asked, "instance-id")), UUID);
    assert_string_equal(json_string_value(json_object_get(asked, "boot-roles")), "member");
    assert_string_equal(json_string_value(json_object_get(asked, "user-data")), "aGVsbG8=");
}

static void
vendor_data_that_must_not_fail_fails_the_drive(void **state)
{
    Bench *bench = *state;

    set_options(bench,
                (const char *const[]){"api.vendordata_providers=DynamicJSON",
                                      "api.vendordata_dynamic_targets=one@http://127.0.0.1:1/",
                                      "api.vendordata_dynamic_failure_fatal=true", NULL});
    assert_null(make(bench, NULL));
    set_options(bench, (const char *const[]){"api.vendordata_jsonfile_path=/nowhere", NULL});
    assert_null(make(bench, NULL));
}

/* -- the disk */

static bool
create(Bench *bench, NovaError **err)
{
    const ConfigDriveInput input = {.instance = bench->instance};

    return config_drive_create(bench->options, bench->keystone, &input, bench->path, err);
}

static unsigned
n_files(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir))
        n++;
    return n;
}

static void
iso_is_written_once(void **state)
{
    Bench *bench = *state;
    struct stat first, second;
    FormatVerdict verdict;

    assert_true(create(bench, NULL));
    assert_int_equal(stat(bench->path, &first), 0);
    assert_true(format_inspector_inspect_file(bench->path, &verdict, NULL));
    assert_int_equal(verdict.format, IMAGE_FORMAT_ISO);
    assert_true(create(bench, NULL));
    assert_int_equal(stat(bench->path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    assert_int_equal(n_files(bench->folder), 1);
}

static void
vfat_holds_the_files_and_the_label(void **state)
{
    Bench *bench = *state;
    g_autofree char *show =
        g_strdup_printf("mtype -i %s ::/openstack/latest/user_data", bench->path);
    g_autofree char *label = g_strdup_printf("mlabel -s -i %s ::", bench->path);
    g_autofree char *content = NULL;
    g_autofree char *volume = NULL;
    struct stat status;

    set_options(bench, (const char *const[]){"DEFAULT.config_drive_format=vfat", NULL});
    assert_true(create(bench, NULL));
    assert_int_equal(stat(bench->path, &status), 0);
    assert_int_equal(status.st_size, 64 << 20);
    assert_true(g_spawn_command_line_sync(show, &content, NULL, NULL, NULL));
    assert_string_equal(content, "hello");
    assert_true(g_spawn_command_line_sync(label, &volume, NULL, NULL, NULL));
    assert_non_null(strstr(volume, "config-2"));
    assert_int_equal(n_files(bench->folder), 1);
}

static void
failure_leaves_no_file(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    g_free(bench->path);
    bench->path = g_strdup("/proc/self/nothing/disk.config");
    assert_false(create(bench, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_OS_ERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_of_a_server_become_its_metadata),
        TEST(ec2_mapping_numbers_volumes_by_name),
        TEST(text_that_is_no_base64_is_an_error),
        TEST(vendor_data_comes_from_file_and_services),
        TEST(vendor_data_that_must_not_fail_fails_the_drive),
        TEST(iso_is_written_once),
        TEST(vfat_holds_the_files_and_the_label),
        TEST(failure_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
