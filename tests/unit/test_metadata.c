/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "storage/metadata.h"
#include "storage/network_metadata.h"

/* -- the server that tests/unit/data/metadata was recorded from with Nova's own code */

#define KEY "ssh-rsa AAAAB3Nzai....N3NtHw== someuser@somehost"

static char *
golden(const char *name)
{
    g_autofree char *path = g_build_filename(TEST_DATA_DIR, "metadata", name, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        fail_msg("cannot read %s", path);
    return g_strchomp(text);
}

static json_t *
golden_json(const char *name)
{
    g_autofree char *text = golden(name);

    return json_loads(text, 0, NULL);
}

typedef struct Server {
    MetadataInput input;
    json_t *network_info;
    json_t *foo, *baz, *trusted;
    json_t *vendor_data2;
    json_t *mapping;
    MetadataDevice devices[7];
    GPtrArray *injected;
    GBytes *user_data;
} Server;

static void
fill_devices(Server *server)
{
    MetadataDevice *devices = server->devices;

    devices[0] = (MetadataDevice){.kind = METADATA_NIC, .bus = "pci", .address = "0000:00:01.0",
                                  .tags = server->foo, .mac = "00:00:00:00:00:00"};
    devices[1] = (MetadataDevice){.kind = METADATA_DISK, .bus = "ide", .address = "0:0",
                                  .tags = server->baz, .serial = "disk-vol-2352423",
                                  .path = "/dev/sda"};
    devices[2] = devices[3] = devices[1];
    devices[2].bus = "scsi";
    devices[2].address = "05c8:021e:04a7:011b";
    devices[3].bus = "usb";
    devices[3].address = "05c8:021e";
    devices[4] = (MetadataDevice){.kind = METADATA_NIC, .bus = "pci", .address = "0000:80:01.0",
                                  .mac = "e3:a0:d0:12:c5:10", .has_vlan = true, .vlan = 1000};
    devices[5] = (MetadataDevice){.kind = METADATA_NIC, .bus = "pci", .address = "0000:00:02.0",
                                  .mac = "00:11:22:33:44:55", .is_trusted = true,
                                  .tags = server->trusted};
    devices[6] = (MetadataDevice){.kind = METADATA_SHARE,
                                  .share_id = "ca3c176e-fd5a-438b-b595-e18a358f6909",
                                  .share_tag = "my_share_tag"};
}

static int
set_up(void **state)
{
    Server *server = g_new0(Server, 1);

    server->network_info = golden_json("network_info.json");
    server->foo = json_pack("[s]", "foo");
    server->baz = json_pack("[s]", "baz");
    server->trusted = json_pack("[s]", "trusted");
    server->vendor_data2 = json_pack("{s:{}}", "static");
    server->mapping = json_pack("{s:s, s:s}", "ami", "sda1", "root", "/dev/sda1");
    server->user_data = g_bytes_new_static("#!/bin/sh\n", 10);
    server->injected = g_ptr_array_new_with_free_func((GDestroyNotify)disk_file_free);
    g_ptr_array_add(server->injected, disk_file_new("/etc/motd", g_bytes_new_static("hi", 2)));
    fill_devices(server);
    server->input = (MetadataInput){
        .uuid = "b65cee2f-8c69-4aeb-be2f-f79742548fc2", .project_id = "test", .hostname = "test",
        .dhcp_domain = "novalocal", .display_name = "my_displayname", .launch_index = 1,
        .availability_zone = "fake-az", .key_name = "key", .key_data = KEY, .keypair_name = "key",
        .keypair_type = "fake_type", .keypair_public_key = KEY, .admin_pass = "secretpw",
        .user_data = server->user_data, .injected_files = server->injected,
        .devices = server->devices, .n_devices = G_N_ELEMENTS(server->devices),
        .network_info = server->network_info, .vendor_data2 = server->vendor_data2,
        .skip_versions = "1.0 2007-01-19 2007-03-01 2007-08-29 2007-10-10 2007-12-15 2008-02-01 "
                         "2008-09-01",
        .ami_id = "ami-00000001", .instance_id = "i-00000001", .reservation_id = "r-xxxxxxxx",
        .flavor_name = "m1.small", .block_device_mapping = server->mapping,
    };
    *state = server;
    return 0;
}

static int
tear_down(void **state)
{
    Server *server = *state;

    json_decref(server->network_info);
    json_decref(server->foo);
    json_decref(server->baz);
    json_decref(server->trusted);
    json_decref(server->vendor_data2);
    json_decref(server->mapping);
    g_bytes_unref(server->user_data);
    g_ptr_array_unref(server->injected);
    g_free(server);
    return 0;
}

static const DiskFile *
find(const GPtrArray *files, const char *path)
{
    for (guint i = 0; i < files->len; i++) {
        const DiskFile *file = files->pdata[i];

        if (g_str_equal(file->path, path))
            return file;
    }
    return NULL;
}

static char *
text_of(const GPtrArray *files, const char *path)
{
    const DiskFile *file = find(files, path);
    gsize size;
    const char *data;

    assert_non_null(file);
    data = g_bytes_get_data(file->data, &size);
    return g_strndup(data, size);
}

/* The seed differs each time; what stays must be equal to the last byte. */
static char *
without_seed(const char *text)
{
    g_autoptr(GRegex) seed = g_regex_new("\"random_seed\": \"[A-Za-z0-9+/]{683}=\"", 0, 0, NULL);

    return g_regex_replace_literal(seed, text, -1, 0, "\"random_seed\": \"RANDOM\"", 0, NULL);
}

static void
assert_golden(const GPtrArray *files, const char *path, const char *name)
{
    g_autofree char *text = text_of(files, path);
    g_autofree char *stable = without_seed(text);
    g_autofree char *expected = golden(name);

    assert_string_equal(stable, expected);
}

static void
files_are_those_of_nova_in_its_order(void **state)
{
    Server *server = *state;
    g_autoptr(GPtrArray) files = metadata_make_files(&server->input);
    g_autofree char *expected = golden("files.txt");
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < files->len; i++)
        g_string_append_printf(names, "%s%s", i ? "\n" : "", ((DiskFile *)files->pdata[i])->path);
    assert_string_equal(names->str, expected);
}

static void
latest_files_equal_those_that_nova_wrote(void **state)
{
    Server *server = *state;
    g_autoptr(GPtrArray) files = metadata_make_files(&server->input);
    g_autofree char *content = text_of(files, "openstack/content/0000");

    assert_golden(files, "openstack/latest/meta_data.json", "meta_data.json");
    assert_golden(files, "openstack/latest/network_data.json", "network_data.json");
    assert_golden(files, "openstack/latest/vendor_data.json", "vendor_data.json");
    assert_golden(files, "openstack/latest/vendor_data2.json", "vendor_data2.json");
    assert_golden(files, "ec2/latest/meta-data.json", "ec2-meta-data.json");
    assert_string_equal(content, "hi");
}

static json_t *
json_of(const GPtrArray *files, const char *path)
{
    g_autofree char *text = text_of(files, path);

    return json_loads(text, 0, NULL);
}

static void
older_versions_know_less(void **state)
{
    Server *server = *state;
    g_autoptr(GPtrArray) files = metadata_make_files(&server->input);
    json_auto_t *folsom = json_of(files, "openstack/2012-08-10/meta_data.json");
    json_auto_t *havana = json_of(files, "openstack/2013-10-17/meta_data.json");
    json_auto_t *newton = json_of(files, "openstack/2016-10-06/meta_data.json");
    json_auto_t *ocata = json_of(files, "openstack/2017-02-22/meta_data.json");
    json_auto_t *victoria = json_of(files, "openstack/2020-10-14/meta_data.json");

    assert_null(json_object_get(folsom, "random_seed"));
    assert_non_null(json_object_get(havana, "random_seed"));
    assert_null(json_object_get(havana, "project_id"));
    /* no vlan, no trust: the untagged NIC has nothing to show; the share is too young */
    assert_int_equal(json_array_size(json_object_get(newton, "devices")), 5);
    assert_null(json_object_get(newton, "dedicated_cpus"));
    assert_int_equal(json_array_size(json_object_get(ocata, "devices")), 6);
    assert_int_equal(json_array_size(json_object_get(victoria, "devices")), 6);
    assert_non_null(json_object_get(victoria, "dedicated_cpus"));
}

static void
seeds_differ_from_version_to_version(void **state)
{
    Server *server = *state;
    g_autoptr(GPtrArray) files = metadata_make_files(&server->input);
    json_auto_t *one = json_of(files, "openstack/2020-10-14/meta_data.json");
    json_auto_t *other = json_of(files, "openstack/latest/meta_data.json");

    assert_string_not_equal(json_string_value(json_object_get(one, "random_seed")),
                            json_string_value(json_object_get(other, "random_seed")));
}

static void
what_is_not_there_is_left_out_or_null(void **state)
{
    Server *server = *state;
    const MetadataInput bare = {.uuid = server->input.uuid, .hostname = "test"};
    g_autoptr(GPtrArray) files = metadata_make_files(&bare);
    g_autofree char *text = text_of(files, "openstack/latest/meta_data.json");
    g_autofree char *stable = without_seed(text);
    g_autofree char *ec2 = text_of(files, "ec2/1.0/meta-data.json");

    assert_string_equal(stable,
                        "{\"uuid\": \"b65cee2f-8c69-4aeb-be2f-f79742548fc2\", "
                        "\"hostname\": \"test\", \"name\": null, \"launch_index\": 0, \"availability_zone\": null, "
                        "\"random_seed\": \"RANDOM\", \"project_id\": null, \"devices\": [], "
                        "\"dedicated_cpus\": []}");
    assert_null(find(files, "openstack/latest/user_data"));
    assert_string_equal(ec2, "{\"ami-id\": null, \"ami-launch-index\": 0, \"ami-manifest-path\": "
                             "\"FIXME\", \"instance-id\": null, \"hostname\": \"test\", "
                             "\"local-ipv4\": null, \"reservation-id\": null, "
                             "\"security-groups\": []}");
}

static void
user_text_is_escaped_as_python_does(void **state)
{
    Server *server = *state;
    json_auto_t *meta = json_pack("{s:s}", "k\xc3\xa4", "\"\xf0\x9f\x98\x80\n");
    MetadataInput input = {.uuid = server->input.uuid, .meta = meta};
    g_autoptr(GPtrArray) files = metadata_make_files(&input);
    g_autofree char *text = text_of(files, "openstack/2012-08-10/meta_data.json");

    assert_non_null(strstr(text, "\"meta\": {\"k\\u00e4\": \"\\\"\\ud83d\\ude00\\n\"}"));
}

/* -- network_data.json */

static json_t *
subnet_of(json_t *network_info)
{
    json_t *vif = json_array_get(network_info, 0);

    return json_array_get(json_object_get(json_object_get(vif, "network"), "subnets"), 0);
}

static void
assert_network_data(const json_t *network_info, const char *expected)
{
    json_auto_t *made = network_metadata_make(network_info);
    g_autofree char *text = json_dumps(made, JSON_COMPACT);
    json_auto_t *wanted = json_loads(expected, 0, NULL);
    g_autofree char *wanted_text = json_dumps(wanted, JSON_COMPACT);

    assert_string_equal(text, wanted_text);
}

static void
static_addresses_come_with_routes(void **state)
{
    Server *server = *state;
    json_t *subnet = subnet_of(server->network_info);
    g_autofree char *expected = golden("network_data-static.json");

    json_object_set_new(subnet, "meta", json_object());
    json_object_set_new(subnet, "routes",
                        json_pack("[{s:s, s:{s:s}}]", "cidr", "192.168.9.0/24", "gateway",
                                  "address", "10.0.0.254"));
    assert_network_data(server->network_info, expected);
}

static void
dhcp_without_a_server_address_is_dhcp(void **state)
{
    Server *server = *state;
    json_t *meta = json_object_get(subnet_of(server->network_info), "meta");
    json_auto_t *made = NULL;

    json_object_del(meta, "dhcp_server");
    made = network_metadata_make(server->network_info);
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(made, "networks"), 0), "type")),
        "ipv4_dhcp");
    assert_int_equal(json_integer_value(json_object_get(
                         json_array_get(json_object_get(made, "links"), 0), "mtu")),
                     1442);
}

static void
ipv6_tells_its_address_mode_and_a_netmask_as_address(void **state)
{
    Server *server = *state;
    json_t *vif = json_array_get(server->network_info, 0);
    json_t *subnets = json_object_get(json_object_get(vif, "network"), "subnets");

    json_array_clear(subnets);
    json_array_append_new(
        subnets, json_pack("{s:s, s:i, s:[{s:s, s:i}], s:{s:s}, s:[], s:[], s:{s:s, s:b}}", "cidr",
                           "2001:db8:1::/64", "version", 6, "ips", "address", "2001:db8:1::5",
                           "version", 6, "gateway", "address", "2001:db8:1::1", "routes", "dns",
                           "meta", "ipv6_address_mode", "slaac", "enable_dhcp", 1));
    json_object_set_new(vif, "devname", json_null());
    json_object_set_new(vif, "type", json_string("unbound"));
    assert_network_data(
        server->network_info,
        "{\"links\": [{\"id\": \"interface0\", \"vif_id\": "
        "\"11111111-2222-4333-8444-555555555555\", \"type\": \"phy\", \"mtu\": 1442, "
        "\"ethernet_mac_address\": \"fa:16:3e:00:00:01\"}], \"networks\": [{\"id\": \"network0\", "
        "\"type\": \"ipv6_slaac\", \"link\": \"interface0\", \"ip_address\": \"2001:db8:1::5\", "
        "\"netmask\": \"ffff:ffff:ffff:ffff::\", \"routes\": [{\"network\": \"::\", \"netmask\": "
        "\"::\", \"gateway\": \"2001:db8:1::1\"}], \"network_id\": "
        "\"d32019d3-bc6e-4319-9c1d-6722fc136a22\", \"services\": []}], \"services\": []}");
}

static void
no_network_is_an_empty_object_and_bare_vifs_are_left_out(void **state)
{
    json_auto_t *none = json_array();
    json_auto_t *bare = json_pack("[{s:s, s:{s:s, s:[]}}, {s:n}]", "id", "x", "network", "id", "y",
                                  "subnets", "network");

    (void)state;
    assert_network_data(NULL, "{}");
    assert_network_data(none, "{}");
    assert_network_data(bare, "{\"links\": [], \"networks\": [], \"services\": []}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_those_of_nova_in_its_order),
        TEST(latest_files_equal_those_that_nova_wrote),
        TEST(older_versions_know_less),
        TEST(seeds_differ_from_version_to_version),
        TEST(what_is_not_there_is_left_out_or_null),
        TEST(user_text_is_escaped_as_python_does),
        TEST(static_addresses_come_with_routes),
        TEST(dhcp_without_a_server_address_is_dhcp),
        TEST(ipv6_tells_its_address_mode_and_a_netmask_as_address),
        TEST(no_network_is_an_empty_object_and_bare_vifs_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
