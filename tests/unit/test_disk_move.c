/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "storage/disk_info.h"
#include "storage/disk_move.h"
#include "storage/disks.h"
#include "storage/qemu_img.h"
#include "tests/unit/storage_fixture.h"

#define UUID "7b2a49a0-0000-4000-8000-000000000001"

static int
set_up(void **state)
{
    StorageFixture *fixture = storage_fixture_new();
    g_autofree char *folder = disks_instance_path(&fixture->options, UUID);
    g_autofree char *disk = disks_path(&fixture->options, UUID, "disk");
    g_autofree char *swap = disks_path(&fixture->options, UUID, "disk.swap");
    g_autofree char *log = disks_path(&fixture->options, UUID, "console.log");

    assert_int_equal(g_mkdir(folder, 0755), 0);
    assert_true(qemu_img_create_overlay(disk, NULL, NULL, 1 << 20, 0, NULL));
    assert_true(g_file_set_contents(swap, "swap", -1, NULL));
    assert_true(g_file_set_contents(log, "log", -1, NULL));
    assert_true(disk_info_add(folder, disk, "qcow2", NULL));
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    storage_fixture_free(*state);
    return 0;
}

static GPtrArray *
disk_names(const char *first, const char *second)
{
    GPtrArray *names = g_ptr_array_new();

    g_ptr_array_add(names, (char *)first);
    if (second)
        g_ptr_array_add(names, (char *)second);
    return names;
}

static bool
is_there(const StorageFixture *fixture, const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(fixture->root, folder, name, NULL);

    return access(path, F_OK) == 0;
}

static void
disks_are_copied_and_all_else_stays_aside(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(GPtrArray) names = disk_names("disk", "disk.swap");

    assert_true(disk_move_put_aside(&fixture->options, UUID, names, NULL));
    assert_true(is_there(fixture, UUID, "disk"));
    assert_true(is_there(fixture, UUID, "disk.info"));
    assert_false(is_there(fixture, UUID, "disk.swap"));
    assert_false(is_there(fixture, UUID, "console.log"));
    assert_true(is_there(fixture, UUID "_resize", "disk.swap"));
}

static void
a_restored_folder_is_the_old_one(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(GPtrArray) names = disk_names("disk", NULL);
    g_autofree char *added = disks_path(&fixture->options, UUID, "new");

    assert_true(disk_move_put_aside(&fixture->options, UUID, names, NULL));
    assert_true(g_file_set_contents(added, "new", -1, NULL));
    assert_true(disk_move_restore(&fixture->options, UUID, NULL));
    assert_true(is_there(fixture, UUID, "console.log"));
    assert_false(is_there(fixture, UUID, "new"));
    assert_false(is_there(fixture, UUID "_resize", ""));
    assert_true(disk_move_restore(&fixture->options, UUID, NULL)); /* nothing aside: stays */
    assert_true(is_there(fixture, UUID, "console.log"));
}

static void
copies_are_made_again_of_what_is_aside(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(GPtrArray) names = disk_names("disk", "disk.swap");
    json_auto_t *description = json_pack("[{s:s}, {s:s}]", "path", "/there/disk", "path", "/there/disk.swap");
    g_autofree char *copy = disks_path(&fixture->options, UUID, "disk");
    g_autofree char *added = disks_path(&fixture->options, UUID, "new");
    g_autofree char *before = NULL, *after = NULL;

    assert_true(disk_move_renew(&fixture->options, UUID, description, NULL)); /* nothing aside: stays */
    assert_true(is_there(fixture, UUID, "console.log"));
    assert_true(g_file_get_contents(copy, &before, NULL, NULL));
    assert_true(disk_move_put_aside(&fixture->options, UUID, names, NULL));
    assert_true(g_file_set_contents(copy, "half converted", -1, NULL));
    assert_true(g_file_set_contents(added, "new", -1, NULL));
    assert_true(disk_move_renew(&fixture->options, UUID, description, NULL));
    assert_true(g_file_get_contents(copy, &after, NULL, NULL));
    assert_string_equal(before, after);
    assert_false(is_there(fixture, UUID, "new"));
    assert_true(is_there(fixture, UUID "_resize", "disk.swap"));
}

static void
a_copy_that_fails_puts_everything_back(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(GPtrArray) names = disk_names("disk", "disk.eph0");
    g_autoptr(NovaError) error = NULL;

    assert_false(disk_move_put_aside(&fixture->options, UUID, names, &error));
    assert_string_equal(nova_error_class(error), "OSError");
    assert_true(is_there(fixture, UUID, "console.log"));
    assert_true(is_there(fixture, UUID, "disk"));
    assert_false(is_there(fixture, UUID "_resize", ""));
}

static void
what_an_earlier_move_left_is_in_nobody_s_way(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(GPtrArray) names = disk_names("disk", NULL);
    g_autofree char *old = g_build_filename(fixture->root, UUID "_resize", NULL);

    assert_int_equal(g_mkdir(old, 0755), 0);
    assert_true(disk_move_put_aside(&fixture->options, UUID, names, NULL));
    assert_true(is_there(fixture, UUID "_resize", "console.log"));
    assert_true(disk_move_forget(&fixture->options, UUID));
    assert_false(is_there(fixture, UUID "_resize", ""));
    assert_true(disk_move_forget(&fixture->options, UUID));
}

static void
the_description_is_what_nova_tells(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(GPtrArray) names = disk_names("disk", NULL);
    json_auto_t *list = disk_move_describe(&fixture->options, UUID, names, NULL);
    const json_t *disk = json_array_get(list, 0);
    int64_t size = json_get_int(disk, "virt_disk_size", -1);

    assert_string_equal(json_get_string(disk, "type", NULL), "qcow2");
    assert_int_equal(size, 1 << 20);
    assert_string_equal(json_get_string(disk, "backing_file", NULL), "");
    assert_int_equal(json_get_int(disk, "over_committed_disk_size", -1),
                     size - json_get_int(disk, "disk_size", -1));
}

static void
a_raw_disk_becomes_an_overlay_s_format(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = disks_path(&fixture->options, UUID, "disk.local");
    json_auto_t *description = json_pack("[{s:s, s:s}]", "type", "raw", "path", path);
    g_auto(QemuImgInfo) info = {0};
    char zeros[4096] = {0};

    assert_true(g_file_set_contents(path, zeros, sizeof zeros, NULL));
    assert_true(disk_move_convert(&fixture->options, UUID, description, NULL));
    assert_true(qemu_img_info(&fixture->options, path, "qcow2", &info, NULL));
    fixture->options.libvirt.images_type = (char *)"raw";
    assert_true(disk_move_convert(&fixture->options, UUID, description, NULL)); /* raw stays raw */
}

static void
only_names_of_disks_are_taken_from_another_host(void **state)
{
    StorageFixture *fixture = *state;
    static const char *const paths[] = {"", "..", "/a/..", "/a/disk.info", "/a/console.log", "/a/diskette"};

    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        json_auto_t *description = json_pack("[{s:s, s:s}]", "type", "raw", "path", paths[i]);
        g_autoptr(NovaError) failure = NULL;

        assert_false(disk_move_convert(&fixture->options, UUID, description, &failure));
        assert_int_equal(nova_error_kind(failure), NOVA_ERROR_VALUE_ERROR);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(disks_are_copied_and_all_else_stays_aside),
        TEST(a_restored_folder_is_the_old_one),
        TEST(copies_are_made_again_of_what_is_aside),
        TEST(a_copy_that_fails_puts_everything_back),
        TEST(what_an_earlier_move_left_is_in_nobody_s_way),
        TEST(the_description_is_what_nova_tells),
        TEST(a_raw_disk_becomes_an_overlay_s_format),
        TEST(only_names_of_disks_are_taken_from_another_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
