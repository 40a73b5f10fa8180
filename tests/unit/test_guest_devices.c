/* SPDX-License-Identifier: Apache-2.0 */
/* Devices that come and go: where they are in the XML, what the metadata tells of them, who waits. */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/objects/block_device.h"
#include "agent/objects/virtual_interface.h"
#include "compute/device_metadata.h"
#include "compute/device_wait.h"
#include "compute/guest_xml.h"

#define UUID "5a5a5a5a-0000-4000-8000-000000000001"

static const char domain_xml[] =
    "<domain><devices>"
    "<disk type='file'><target dev='vda' bus='virtio'/>"
    "<address type='pci' domain='0x0000' bus='0x00' slot='0x04' function='0x0'/></disk>"
    "<disk type='file'><target dev='sda' bus='scsi'/>"
    "<address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>"
    "<interface type='bridge'><mac address='fa:16:3e:00:00:01'/><target dev='tap1'/><alias name='net0'/>"
    "<address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>"
    "<interface type='bridge'><mac address='fa:16:3e:00:00:02'/><target dev='tap2'/><alias name='net1'/>"
    "<address type='pci' domain='0x0000' bus='0x01' slot='0x1f' function='0x7'/></interface>"
    "</devices></domain>";

/* ---- finding ---- */

static void
test_interface_is_found_by_its_address(void **state G_GNUC_UNUSED)
{
    g_autofree char *alias = NULL;
    g_autofree char *text = guest_xml_find_interface(domain_xml, "FA:16:3E:00:00:02", &alias);

    assert_non_null(text);
    assert_string_equal(alias, "net1");
    assert_non_null(strstr(text, "tap2"));
    assert_null(strstr(text, "tap1"));
}

static void
test_interface_that_is_not_there(void **state G_GNUC_UNUSED)
{
    char *alias = NULL;

    assert_null(guest_xml_find_interface(domain_xml, "fa:16:3e:00:00:03", &alias));
    assert_null(alias);
    assert_null(guest_xml_find_interface("no XML", "fa:16:3e:00:00:01", &alias));
    assert_null(guest_xml_find_interface("<domain/>", "fa:16:3e:00:00:01", &alias));
}

/* libvirt writes addresses in several ways. */
static void
test_host_device_is_found_by_its_address(void **state G_GNUC_UNUSED)
{
    static const char xml[] =
        "<domain><devices><hostdev mode='subsystem' type='usb'><source/></hostdev>"
        "<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x06' slot='0x10' "
        "function='0x1'/></source><alias name='hostdev1'/></hostdev></devices></domain>";
    g_autofree char *alias = NULL, *none = NULL;
    g_autofree char *text = guest_xml_find_hostdev(xml, "0000:06:10.1", &alias);

    assert_non_null(text);
    assert_string_equal(alias, "hostdev1");
    assert_null(guest_xml_find_hostdev(xml, "0000:06:10.2", &none));
    assert_null(guest_xml_find_hostdev(xml, "no address", &none));
    assert_null(guest_xml_find_hostdev("no XML", "0000:06:10.1", &none));
}

static void
test_disk_is_found_by_target_or_alias(void **state G_GNUC_UNUSED)
{
    static const char xml[] =
        "<domain><devices><disk><target dev='vda'/></disk>"
        "<disk><target dev='vdb'/><serial>v1</serial><alias name='ua-v1'/></disk></devices></domain>";
    g_autofree char *alias = NULL, *none = NULL;
    g_autofree char *by_alias = guest_xml_find_disk(xml, NULL, "ua-v1", &alias);
    g_autofree char *by_target = guest_xml_find_disk(xml, "vda", NULL, &none);
    g_autofree char *target = guest_xml_target_of_serial(xml, "v1");
    char *nothing = NULL;

    assert_non_null(strstr(by_alias, "vdb"));
    assert_string_equal(alias, "ua-v1");
    assert_non_null(strstr(by_target, "vda"));
    assert_null(none);
    assert_string_equal(target, "vdb");
    assert_null(guest_xml_find_disk(xml, "vdc", "ua-v2", &nothing));
    assert_null(guest_xml_target_of_serial(xml, "v2"));
}

static void
test_source_of_a_disk(void **state G_GNUC_UNUSED)
{
    static const char *const cases[][2] = {
        {"<disk><source file='/mnt/v'/></disk>", "/mnt/v"},
        {"<disk><source dev='/dev/sdb'/></disk>", "/dev/sdb"},
        {"<disk><source protocol='rbd' name='volumes/v'><host name='h'/></source></disk>", "volumes/v"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *source = guest_xml_disk_source(cases[i][0]);

        assert_string_equal(source, cases[i][1]);
    }
    assert_null(guest_xml_disk_source("<disk/>"));
    assert_null(guest_xml_disk_source("no XML"));
}

static void
test_files_of_a_guest(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) files = guest_xml_disk_files(
        "<domain><devices><disk><source file='/a'/></disk><disk><source dev='/b'/></disk></devices></domain>");
    g_autoptr(GPtrArray) none = guest_xml_disk_files("<domain/>");

    assert_int_equal(files->len, 1);
    assert_string_equal(files->pdata[0], "/a");
    assert_int_equal(none->len, 0);
}

static void
test_next_scsi_unit_is_after_the_highest(void **state G_GNUC_UNUSED)
{
    assert_int_equal(guest_xml_next_scsi_unit(domain_xml), 1);
    assert_int_equal(guest_xml_next_scsi_unit("<domain/>"), 0);
    assert_int_equal(guest_xml_next_scsi_unit("<domain><devices><disk><target bus='ide'/>"
                                              "<address type='drive' unit='7'/></disk></devices></domain>"), 0);
}

/* ---- metadata ---- */

typedef struct Fixture {
    VirtualInterface rows[2];
    BlockDeviceMapping bdms[2];
    NetworkInfo *network;
    GPtrArray *row_list, *bdm_list;
    DeviceMetadataInput input;
} Fixture;

static int
setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    json_auto_t *vifs = json_loads(
        "[{\"id\": \"p1\", \"address\": \"fa:16:3e:00:00:01\", \"network\": {}},"
        " {\"id\": \"p2\", \"address\": \"fa:16:3e:00:00:02\", \"network\": {}, \"details\": {\"vlan\": \"7\"},"
        "  \"profile\": {\"trusted\": \"True\"}}]", 0, NULL);

    f->network = network_info_from_json(vifs, NULL);
    f->row_list = g_ptr_array_new();
    f->bdm_list = g_ptr_array_new();
    f->rows[0].address = (char *)"fa:16:3e:00:00:01";
    f->rows[1].address = (char *)"fa:16:3e:00:00:02";
    f->bdms[0].device_name = (char *)"/dev/vda";
    f->bdms[1].device_name = (char *)"/dev/sda";
    for (int i = 0; i < 2; i++) {
        g_ptr_array_add(f->row_list, &f->rows[i]);
        g_ptr_array_add(f->bdm_list, &f->bdms[i]);
    }
    f->input = (DeviceMetadataInput){domain_xml, f->network, f->row_list, f->bdm_list};
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    Fixture *f = *state;

    network_info_free(f->network);
    g_ptr_array_unref(f->row_list);
    g_ptr_array_unref(f->bdm_list);
    g_free(f);
    return 0;
}

/* The only device is of that class, on that bus, and has these fields besides. */
static void
assert_device(const json_t *metadata, const char *class, const char *bus, const char *address,
              const char *fields_text)
{
    const json_t *devices = json_path(metadata, "nova_object.data", "devices", NULL);
    const json_t *device = json_array_get(devices, 0);
    const json_t *bus_object = json_path(device, "nova_object.data", "bus", NULL);
    json_auto_t *fields = json_copy(json_object_get(device, "nova_object.data"));
    json_auto_t *expected = json_loads(fields_text, 0, NULL);

    assert_int_equal(json_array_size(devices), 1);
    assert_string_equal(json_get_string(device, "nova_object.name", ""), class);
    assert_string_equal(json_get_string(bus_object, "nova_object.name", ""), bus);
    if (address)
        assert_string_equal(json_get_string(json_object_get(bus_object, "nova_object.data"), "address", ""),
                            address);
    json_object_del(fields, "bus");
    assert_true(json_equal(fields, expected));
}

static void
test_tagged_port(void **state)
{
    Fixture *f = *state;
    json_auto_t *metadata = NULL;

    g_ptr_array_set_size(f->network->vifs, 1);
    f->rows[0].tag = (char *)"public";
    assert_true(device_metadata_is_needed(&f->input));
    metadata = device_metadata_make(&f->input);
    assert_device(metadata, "NetworkInterfaceMetadata", "PCIDeviceBus", "0000:00:03.0",
                  "{\"mac\": \"fa:16:3e:00:00:01\", \"vf_trusted\": false, \"tags\": [\"public\"]}");
}

static void
test_port_with_vlan_and_trust_needs_no_tag(void **state)
{
    Fixture *f = *state;
    json_auto_t *metadata = NULL;

    assert_true(device_metadata_is_needed(&f->input));
    metadata = device_metadata_make(&f->input);
    assert_device(metadata, "NetworkInterfaceMetadata", "PCIDeviceBus", "0000:01:1f.7",
                  "{\"mac\": \"fa:16:3e:00:00:02\", \"vf_trusted\": true, \"vlan\": 7}");
}

static void
test_tagged_disk_on_a_bus_without_a_text(void **state)
{
    Fixture *f = *state;
    json_auto_t *metadata = NULL;

    f->input.network = NULL;
    f->input.vif_rows = NULL;
    f->bdms[1].tag = (char *)"data";
    f->bdms[1].volume_id = (char *)"v1";
    assert_true(device_metadata_is_needed(&f->input));
    metadata = device_metadata_make(&f->input);
    assert_device(metadata, "DiskMetadata", "SCSIDeviceBus", NULL,
                  "{\"tags\": [\"data\"], \"serial\": \"v1\"}");
}

static void
test_nothing_to_tell(void **state)
{
    Fixture *f = *state;

    f->input.network = NULL;
    assert_false(device_metadata_is_needed(&f->input));
    assert_null(device_metadata_make(&f->input));
    f->input.domain_xml = "<domain";
    assert_null(device_metadata_make(&f->input));
}

/* ---- waiting ---- */

static void
test_outcome_that_came_before_the_wait(void **state G_GNUC_UNUSED)
{
    DeviceWaits *waits = device_waits_new();
    DeviceWait *mine = device_wait_begin(waits, UUID, "net0");
    DeviceWait *other = device_wait_begin(waits, UUID, "net1");

    device_waits_tell(waits, UUID, "net0", DEVICE_REMOVAL_FAILED);
    device_waits_tell(waits, UUID, "net0", DEVICE_REMOVED); /* the first word counts */
    assert_int_equal(device_wait_end(mine, 60000), DEVICE_REMOVAL_FAILED);
    assert_int_equal(device_wait_end(other, 0), DEVICE_SAYS_NOTHING);
    device_waits_tell(waits, UUID, "net1", DEVICE_REMOVED); /* nobody waits any more */
    device_waits_free(waits);
}

static void
test_guest_that_stops_ends_all_its_waits(void **state G_GNUC_UNUSED)
{
    DeviceWaits *waits = device_waits_new();
    DeviceWait *mine = device_wait_begin(waits, UUID, "net0");
    DeviceWait *other = device_wait_begin(waits, "5a5a5a5a-0000-4000-8000-000000000002", "net0");

    device_waits_tell(waits, UUID, NULL, DEVICE_GUEST_STOPPED);
    assert_int_equal(device_wait_end(mine, 60000), DEVICE_GUEST_STOPPED);
    assert_int_equal(device_wait_end(other, 0), DEVICE_SAYS_NOTHING);
    device_waits_free(waits);
}

static void *
tell_later(void *waits)
{
    g_usleep(20000);
    device_waits_tell(waits, UUID, "net0", DEVICE_REMOVED);
    return NULL;
}

static void
test_wait_ends_with_the_event(void **state G_GNUC_UNUSED)
{
    DeviceWaits *waits = device_waits_new();
    DeviceWait *mine = device_wait_begin(waits, UUID, "net0");
    pthread_t thread;

    pthread_create(&thread, NULL, tell_later, waits);
    assert_int_equal(device_wait_end(mine, 60000), DEVICE_REMOVED);
    pthread_join(thread, NULL);
    device_waits_free(waits);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interface_is_found_by_its_address),
        cmocka_unit_test(test_interface_that_is_not_there),
        cmocka_unit_test(test_host_device_is_found_by_its_address),
        cmocka_unit_test(test_disk_is_found_by_target_or_alias),
        cmocka_unit_test(test_source_of_a_disk),
        cmocka_unit_test(test_files_of_a_guest),
        cmocka_unit_test(test_next_scsi_unit_is_after_the_highest),
        cmocka_unit_test_setup_teardown(test_tagged_port, setup, teardown),
        cmocka_unit_test_setup_teardown(test_port_with_vlan_and_trust_needs_no_tag, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tagged_disk_on_a_bus_without_a_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_to_tell, setup, teardown),
        cmocka_unit_test(test_outcome_that_came_before_the_wait),
        cmocka_unit_test(test_guest_that_stops_ends_all_its_waits),
        cmocka_unit_test(test_wait_ends_with_the_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
