/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/objects/block_device.h"
#include "storage/disk_plan.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

static BlockDeviceMapping *
mapping(const char *destination, const char *guest_format, int64_t size)
{
    json_auto_t *primitive = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s?, s:s, s:b, s:I, s:i}}", "nova_object.name",
        "BlockDeviceMapping", "nova_object.namespace", "nova", "nova_object.version", "1.21",
        "nova_object.data", "source_type", "blank", "destination_type", destination,
        "guest_format", guest_format, "device_name", "/dev/vdb", "no_device", 0, "volume_size",
        (json_int_t)size, "boot_index", -1);

    return block_device_mapping_from_json(primitive, NULL);
}

static GPtrArray *
mappings(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)block_device_mapping_free);
}

static char *
names(const DiskPlan *plan)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < plan->disks->len; i++)
        g_string_append_printf(text, "%s ", ((PlannedDisk *)plan->disks->pdata[i])->name);
    return g_string_free(text, FALSE);
}

static void
image_gives_a_root_disk_of_the_flavor_s_size(void **state)
{
    const DiskPlanInput input = {.image_id = "i", .kernel_id = "", .root_gib = 10, .suffix = ""};
    g_autoptr(DiskPlan) plan = disk_plan_make(&input);
    const PlannedDisk *root = disk_plan_find(plan, "disk");

    (void)state;
    assert_int_equal(plan->disks->len, 1);
    assert_int_equal(root->size, 10 * GIB);
    assert_string_equal(root->image_id, "i");
    assert_false(root->is_flat);
}

static void
volume_backed_servers_have_no_local_root(void **state)
{
    const DiskPlanInput input = {.image_id = "i", .root_gib = 10, .suffix = "",
                                 .is_volume_backed = true};
    g_autoptr(DiskPlan) plan = disk_plan_make(&input);

    (void)state;
    assert_int_equal(plan->disks->len, 0);
}

static void
rescue_disk_has_the_image_s_size(void **state)
{
    const DiskPlanInput input = {.image_id = "i", .kernel_id = "k", .ramdisk_id = "r",
                                 .root_gib = 10, .suffix = ".rescue"};
    g_autoptr(DiskPlan) plan = disk_plan_make(&input);
    g_autofree char *found = names(plan);

    (void)state;
    assert_string_equal(found, "kernel.rescue ramdisk.rescue disk.rescue ");
    assert_int_equal(disk_plan_find(plan, "disk.rescue")->size, 0);
    assert_true(disk_plan_find(plan, "kernel.rescue")->is_flat);
}

static void
ramdisk_needs_a_kernel(void **state)
{
    const DiskPlanInput input = {.image_id = "i", .ramdisk_id = "r", .suffix = ""};
    g_autoptr(DiskPlan) plan = disk_plan_make(&input);

    (void)state;
    assert_null(disk_plan_find(plan, "ramdisk"));
}

static void
flavor_s_ephemeral_and_swap_serve_without_mappings(void **state)
{
    const DiskPlanInput input = {.image_id = "i", .ephemeral_gib = 5, .swap_mib = 64, .suffix = ""};
    g_autoptr(DiskPlan) plan = disk_plan_make(&input);
    const PlannedDisk *local = disk_plan_find(plan, "disk.local");
    const PlannedDisk *swap = disk_plan_find(plan, "disk.swap");

    (void)state;
    assert_int_equal(local->size, 5 * GIB);
    assert_int_equal(local->base_size, 5);
    assert_string_equal(local->label, "ephemeral0");
    assert_int_equal(swap->size, 64 * MIB);
    assert_int_equal(swap->base_size, 64);
}

static void
names_without_a_place_on_a_bus_are_left_out(void **state)
{
    const char *const mapped[] = {"disk", NULL};
    const DiskPlanInput input = {.image_id = "i", .ephemeral_gib = 5, .swap_mib = 64, .suffix = "",
                                 .mapped_names = mapped};
    g_autoptr(DiskPlan) plan = disk_plan_make(&input);

    (void)state;
    assert_int_equal(plan->disks->len, 1);
}

static void
mappings_win_over_the_flavor(void **state)
{
    g_autoptr(GPtrArray) devices = mappings();
    const DiskPlanInput input = {.image_id = "i", .ephemeral_gib = 5, .swap_mib = 64, .suffix = "",
                                 .block_devices = devices};
    g_autoptr(DiskPlan) plan = NULL;
    g_autofree char *found = NULL;

    (void)state;
    g_ptr_array_add(devices, mapping("local", "ext4", 2));
    g_ptr_array_add(devices, mapping("local", "swap", 32));
    g_ptr_array_add(devices, mapping("volume", NULL, 9));
    g_ptr_array_add(devices, mapping("local", NULL, 3));
    plan = disk_plan_make(&input);
    found = names(plan);
    assert_string_equal(found, "disk disk.eph0 disk.eph1 disk.swap ");
    assert_int_equal(disk_plan_find(plan, "disk.eph0")->size, 2 * GIB);
    assert_string_equal(disk_plan_find(plan, "disk.eph0")->guest_format, "ext4");
    assert_string_equal(disk_plan_find(plan, "disk.eph1")->label, "ephemeral1");
    assert_null(disk_plan_find(plan, "disk.eph1")->guest_format);
    assert_int_equal(disk_plan_find(plan, "disk.swap")->size, 32 * MIB);
}

static void
sizes_that_would_overflow_count_as_none(void **state)
{
    g_autoptr(GPtrArray) devices = mappings();
    const DiskPlanInput input = {.image_id = "i", .suffix = "", .block_devices = devices};
    g_autoptr(DiskPlan) plan = NULL;

    (void)state;
    g_ptr_array_add(devices, mapping("local", NULL, INT64_MAX));
    g_ptr_array_add(devices, mapping("local", "swap", -1));
    plan = disk_plan_make(&input);
    assert_int_equal(disk_plan_find(plan, "disk.eph0")->size, 0);
    assert_null(disk_plan_find(plan, "disk.swap"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_gives_a_root_disk_of_the_flavor_s_size),
        cmocka_unit_test(volume_backed_servers_have_no_local_root),
        cmocka_unit_test(rescue_disk_has_the_image_s_size),
        cmocka_unit_test(ramdisk_needs_a_kernel),
        cmocka_unit_test(flavor_s_ephemeral_and_swap_serve_without_mappings),
        cmocka_unit_test(names_without_a_place_on_a_bus_are_left_out),
        cmocka_unit_test(mappings_win_over_the_flavor),
        cmocka_unit_test(sizes_that_would_overflow_count_as_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
