/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "compute/host_pci.h"
#include "compute/pci_sysfs.h"

#define DEVICES "bus/pci/devices/"

static char *root;

static void
put(const char *path, const char *text)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_true(g_file_set_contents(full, text, -1, NULL));
}

static void
put_link(const char *path, const char *target)
{
    g_autofree char *full = g_build_filename(root, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_int_equal(symlink(target, full), 0);
}

/* A physical function with two virtual ones; tests/differential/host_pci_oracle.py says the same.
 */
static int
make_sysfs(void **state G_GNUC_UNUSED)
{
    root = g_dir_make_tmp("kilonova-sysfs-XXXXXX", NULL);
    put(DEVICES "0000:06:00.0/sriov_totalvfs", "8\n");
    put(DEVICES "0000:06:00.0/net/ens6/address", "02:00:00:00:06:00\n");
    put_link(DEVICES "0000:06:00.0/virtfn2", "../0000:06:10.5");
    put_link(DEVICES "0000:06:00.0/virtfn3", "../0000:06:10.7");
    put_link(DEVICES "0000:06:10.5/physfn", "../0000:06:00.0");
    put_link(DEVICES "0000:06:10.7/physfn", "../0000:06:00.0");
    put(DEVICES "0000:06:10.7/net/ens6v1/address", "02:00:00:00:06:17\n");
    put_link("class/net/ens6/device", "../../../bus/pci/devices/0000:06:00.0");
    put_link("class/net/ens6v1/device", "../../../bus/pci/devices/0000:06:10.7");
    return 0;
}

static int
remove_sysfs(void **state G_GNUC_UNUSED)
{
    const char *command[] = {"rm", "-rf", root, NULL};

    g_spawn_sync(NULL, (char **)command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                 NULL);
    g_free(root);
    return 0;
}

static GPtrArray *
recorded_devices(void)
{
    GPtrArray *texts = g_ptr_array_new_with_free_func(g_free);
    GDir *names = g_dir_open(TEST_DATA_DIR "/host_pci", 0, NULL);
    const char *name;

    assert_non_null(names);
    while ((name = g_dir_read_name(names))) {
        g_autofree char *path = g_build_filename(TEST_DATA_DIR "/host_pci", name, NULL);
        char *text;

        if (g_str_has_suffix(name, ".xml") && g_file_get_contents(path, &text, NULL, NULL))
            g_ptr_array_add(texts, text);
    }
    g_dir_close(names);
    return texts;
}

static const json_t *
find(const json_t *list, const char *address)
{
    size_t i;
    json_t *device;

    json_array_foreach (list, i, device)
        if (!g_strcmp0(json_string_value(json_object_get(device, "address")), address))
            return device;
    return NULL;
}

static void
devices_are_told_as_nova_tells_them(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) texts = recorded_devices();
    json_auto_t *expected = json_load_file(TEST_DATA_DIR "/host_pci/expected.json", 0, NULL);
    json_auto_t *devices = host_pci_devices(texts, root);
    size_t i;
    json_t *device;

    assert_non_null(expected);
    assert_int_equal(json_array_size(devices), json_array_size(expected));
    json_array_foreach (expected, i, device) {
        const char *address = json_string_value(json_object_get(device, "address"));

        if (!json_equal(find(devices, address), device))
            fail_msg("%s is told differently", address);
    }
}

static void
text_that_is_no_device_is_left_out(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    json_auto_t *devices = NULL;

    g_ptr_array_add(texts, (char *)"");
    g_ptr_array_add(texts, (char *)"<device/>");
    g_ptr_array_add(texts, (char *)"<device><name>x</name><capability type='pci'/></device>");
    devices = host_pci_devices(texts, root);
    assert_int_equal(json_array_size(devices), 0);
}

static void
a_vdpa_device_is_found_by_its_virtual_function(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) texts = recorded_devices();
    g_autoptr(GHashTable) paths = host_pci_vdpa_paths(texts);

    assert_int_equal(g_hash_table_size(paths), 1);
    assert_string_equal(g_hash_table_lookup(paths, "0000:06:10.5"), "/dev/vhost-vdpa-0");
}

static void
specs_learn_physical_functions_and_interfaces_from_sysfs(void **state G_GNUC_UNUSED)
{
    PciSysfs sysfs = pci_sysfs_of(root);
    bool is_physical;
    g_autofree char *physical = sysfs.address_of_interface(sysfs.user, "ens6", &is_physical);
    g_autofree char *virtual = NULL;

    assert_string_equal(physical, "0000:06:00.0");
    assert_true(is_physical);
    virtual = sysfs.address_of_interface(sysfs.user, "ens6v1", &is_physical);
    assert_string_equal(virtual, "0000:06:10.7");
    assert_false(is_physical);
    assert_null(sysfs.address_of_interface(sysfs.user, "none", &is_physical));
    assert_true(sysfs.is_physical_function(sysfs.user, "0000:06:00.0"));
    assert_false(sysfs.is_physical_function(sysfs.user, "0000:06:10.7"));
    assert_false(sysfs.is_physical_function(sysfs.user, "0000:99:00.0"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_told_as_nova_tells_them),
        cmocka_unit_test(text_that_is_no_device_is_left_out),
        cmocka_unit_test(a_vdpa_device_is_found_by_its_virtual_function),
        cmocka_unit_test(specs_learn_physical_functions_and_interfaces_from_sysfs),
    };

    return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
