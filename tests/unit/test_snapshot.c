/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/guest_xml.h"
#include "compute/ops/snapshot.h"

#define DOMAIN(devices) "<domain type='qemu'><name>a</name><devices>" devices "</devices></domain>"
#define ROOT(mirror)                                                                                \
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/i/disk'/>"   \
    mirror "<target dev='vda' bus='virtio'/></disk>"
#define DRIVE                                                                                       \
    "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='/i/disk.config'/>" \
    "<target dev='hda' bus='ide'/></disk>"

static void
the_first_disk_is_the_root(void **state G_GNUC_UNUSED)
{
    g_auto(RootDisk) disk = {0};

    assert_true(guest_xml_root_disk(DOMAIN("<emulator>/q</emulator>" ROOT("") DRIVE), &disk, NULL));
    assert_string_equal(disk.path, "/i/disk");
    assert_string_equal(disk.format, "qcow2");
    assert_string_equal(disk.target, "vda");
}

static void
a_domain_without_disk_is_an_error(void **state G_GNUC_UNUSED)
{
    static const char *const texts[] = {DOMAIN(""), "<domain/>", "", "<dom"};

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(NovaError) error = NULL;
        g_auto(RootDisk) disk = {0};

        assert_false(guest_xml_root_disk(texts[i], &disk, &error));
        assert_string_equal(nova_error_class(error), "RuntimeError");
    }
}

static void
a_mirror_is_ready_when_libvirt_says_so_of_that_disk(void **state G_GNUC_UNUSED)
{
    assert_true(guest_xml_is_mirror_ready(DOMAIN(DRIVE ROOT("<mirror job='copy' ready='yes'/>")), "vda"));
    assert_false(guest_xml_is_mirror_ready(DOMAIN(ROOT("<mirror job='copy' ready='abort'/>")), "vda"));
    assert_false(guest_xml_is_mirror_ready(DOMAIN(ROOT("<mirror job='copy'/>")), "vda"));
    assert_false(guest_xml_is_mirror_ready(DOMAIN(ROOT("")), "vda"));
    assert_false(guest_xml_is_mirror_ready(DOMAIN(ROOT("<mirror job='copy' ready='yes'/>")), "vdb"));
}

static Instance *
instance_with(const char *kernel, const char *os_type)
{
    Instance *instance = object_new(&INSTANCE_TYPE);

    OBJECT_SET_STRING(instance, project_id, "p");
    OBJECT_SET_STRING(instance, kernel_id, kernel);
    OBJECT_SET_STRING(instance, ramdisk_id, "");
    OBJECT_SET_STRING(instance, os_type, os_type);
    return instance;
}

static void
the_image_gets_what_nova_gives_it(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) plain = instance_with("", NULL);
    g_autoptr(Instance) linux_kernel = instance_with("k", "linux");
    json_auto_t *first = snapshot_attributes(plain, NULL, "qcow2");
    json_auto_t *second = snapshot_attributes(linux_kernel, "ovf", "raw");
    json_auto_t *expected_first =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "image_location", "snapshot", "image_state", "available",
                  "owner_id", "p", "disk_format", "qcow2", "container_format", "bare");
    json_auto_t *expected_second =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "image_location", "snapshot", "image_state",
                  "available", "owner_id", "p", "kernel_id", "k", "os_type", "linux", "disk_format", "raw",
                  "container_format", "ovf");

    assert_true(json_equal(first, expected_first));
    assert_true(json_equal(second, expected_second));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_disk_is_the_root),
        cmocka_unit_test(a_domain_without_disk_is_an_error),
        cmocka_unit_test(a_mirror_is_ready_when_libvirt_says_so_of_that_disk),
        cmocka_unit_test(the_image_gets_what_nova_gives_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
