/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "network/virtual_function.h"

/* A /sys with one switchdev card: physical function 0000:06:00.1 (enp6), its virtual functions 06:01.0 and 06:01.1, a
 * representor of each, one of another function's and one of another card's. */
static char *sysfs;

static void
add_file(const char *path, const char *text)
{
    g_autofree char *full = g_build_filename(sysfs, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_true(g_file_set_contents(full, text, -1, NULL));
}

static void
add_link(const char *path, const char *target)
{
    g_autofree char *full = g_build_filename(sysfs, path, NULL);
    g_autofree char *folder = g_path_get_dirname(full);

    assert_int_equal(g_mkdir_with_parents(folder, 0700), 0);
    assert_int_equal(symlink(target, full), 0);
}

static void
add_device(const char *name, const char *switch_id, const char *port)
{
    g_autofree char *id_path = g_build_filename("class/net", name, "phys_switch_id", NULL);
    g_autofree char *port_path = g_build_filename("class/net", name, "phys_port_name", NULL);

    add_file(id_path, switch_id);
    add_file(port_path, port);
}

static int
make_sysfs(void **state G_GNUC_UNUSED)
{
    sysfs = g_dir_make_tmp("sysfs-XXXXXX", NULL);
    add_file("bus/pci/devices/0000:06:00.1/net/enp6/mtu", "1500\n");
    add_link("bus/pci/devices/0000:06:00.1/virtfn0", "../0000:06:01.0");
    add_link("bus/pci/devices/0000:06:00.1/virtfn1", "../0000:06:01.1");
    add_file("bus/pci/devices/0000:06:01.0/net/enp6v0/mtu", "1500\n");
    add_link("bus/pci/devices/0000:06:01.0/physfn", "../0000:06:00.1");
    add_link("bus/pci/devices/0000:06:01.1/physfn", "../0000:06:00.1");
    add_device("enp6", "aa01\n", "p1\n");
    add_device("rep_other_pf", "aa01\n", "pf0vf1\n");
    add_device("rep_other_card", "bb02\n", "pf1vf1\n");
    add_device("rep0", "aa01\n", "pf1vf0\n");
    add_device("rep1", "aa01\n", "c1pf1vf1\n");
    return sysfs ? 0 : -1;
}

static int
remove_sysfs(void **state G_GNUC_UNUSED)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", sysfs);

    return system(command);
}

static void
a_function_knows_its_parent_and_number(void **state G_GNUC_UNUSED)
{
    g_auto(VirtualFunction) function = {0};
    g_autofree char *device = virtual_function_device(sysfs, "0000:06:01.0", NULL);

    assert_true(virtual_function_find(sysfs, "0000:06:01.1", &function, NULL));
    assert_string_equal(function.parent, "enp6");
    assert_int_equal(function.index, 1);
    assert_string_equal(device, "enp6v0");
}

static void
a_representor_is_its_card_s_and_its_parent_s(void **state G_GNUC_UNUSED)
{
    g_autofree char *first = virtual_function_representor(sysfs, "0000:06:01.0", NULL);
    g_autofree char *second = virtual_function_representor(sysfs, "0000:06:01.1", NULL);

    assert_string_equal(first, "rep0");
    assert_string_equal(second, "rep1");
}

static void
what_is_not_there_is_not_found(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) error = NULL;
    g_auto(VirtualFunction) function = {0};

    assert_false(virtual_function_find(sysfs, "0000:07:00.0", &function, &error));
    assert_string_equal(nova_error_class(error), "PciDeviceNotFoundById");
    assert_null(virtual_function_device(sysfs, "0000:06:01.1", NULL)); /* the guest's driver has it */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_knows_its_parent_and_number),
        cmocka_unit_test(a_representor_is_its_card_s_and_its_parent_s),
        cmocka_unit_test(what_is_not_there_is_not_found),
    };

    return cmocka_run_group_tests(tests, make_sysfs, remove_sysfs);
}
