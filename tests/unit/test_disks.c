/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "tests/unit/cmocka_all.h"

#include "agent/base/command.h"
#include "agent/base/json.h"
#include "storage/disks.h"
#include "storage/file_copy.h"
#include "storage/image_errors.h"
#include "storage/qemu_img.h"
#include "tests/unit/storage_fixture.h"

#define UUID "70a599e0-31e7-49b7-b260-868f441e862b"
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static char *source; /* what Glance has */

bool
glance_copy_to_store(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED,
                     const char *image_id G_GNUC_UNUSED, const char *store G_GNUC_UNUSED, NovaError **err G_GNUC_UNUSED)
{
    fail();
    return false;
}

json_t *
glance_show(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED, const char *image_id,
            NovaError **err)
{
    image_errors_not_found(err, image_id);
    return NULL;
}

bool
glance_download(Glance *glance, const RequestContext *ctx, const char *image_id, const char *path,
                json_t **ret_record, NovaError **err)
{
    (void)glance;
    (void)ctx;
    if (g_str_equal(image_id, "missing"))
        return image_errors_not_found(err, image_id);
    if (!file_copy(source, path, err))
        return false;
    if (ret_record)
        *ret_record = json_pack("{s:s, s:s}", "id", image_id, "disk_format", "raw");
    return true;
}

typedef struct Bench {
    StorageFixture *fixture;
    const Options *options;
    ImageCache *cache;
    DiskPlan plan;
    char *folder;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->fixture = storage_fixture_new();
    bench->options = &bench->fixture->options;
    bench->cache = image_cache_new(bench->options, NULL);
    bench->plan.disks = g_ptr_array_new_with_free_func(g_free);
    bench->folder = disks_instance_path(bench->options, UUID);
    source = storage_fixture_path(bench->fixture, "source");
    g_file_set_contents(source, "an operating system", -1, NULL);
    assert_int_equal(truncate(source, 2 * MIB), 0);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    g_ptr_array_unref(bench->plan.disks);
    image_cache_free(bench->cache);
    storage_fixture_free(bench->fixture);
    g_free(bench->folder);
    g_free(source);
    g_free(bench);
    return 0;
}

static bool
create(Bench *bench, NovaError **err)
{
    g_autoptr(NovaError) unasked = NULL;
    bool made = disks_create(bench->options, bench->cache, NULL, UUID, &bench->plan, NULL, err ? err : &unasked);

    if (unasked)
        print_message("%s\n", nova_error_details(unasked));
    return made;
}

static void
assert_disk(Bench *bench, const char *name, const char *format, uint64_t size)
{
    g_autofree char *path = disks_path(bench->options, UUID, name);
    g_autofree char *recorded = NULL;
    g_auto(QemuImgInfo) info = {0};

    assert_true(disks_get_format(bench->options, UUID, name, false, &recorded, NULL));
    assert_string_equal(recorded, format);
    assert_true(qemu_img_info(bench->options, path, format, &info, NULL));
    assert_int_equal(info.virtual_size, size);
}

static char *
disk_info(Bench *bench)
{
    g_autofree char *path = disks_path(bench->options, UUID, "disk.info");
    char *text = NULL;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void
root_is_an_overlay_of_the_cached_image(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "disk");
    g_autofree char *expected = g_strdup_printf("{\"%s\": \"qcow2\"}\n", path);
    g_autofree char *recorded = NULL;
    g_auto(QemuImgInfo) info = {0};
    DisksMade made = {0};

    storage_fixture_plan_root(&bench->plan, GIB, "image");
    assert_true(disks_create(bench->options, bench->cache, NULL, UUID, &bench->plan, &made, NULL));
    assert_true(made.made_folder && made.made_disks);
    assert_disk(bench, "disk", "qcow2", GIB);
    assert_true(qemu_img_info(bench->options, path, "qcow2", &info, NULL));
    assert_non_null(strstr(info.backing_file, "/_base/"));
    recorded = disk_info(bench);
    assert_string_equal(recorded, expected);
}

static void
size_zero_takes_the_image_s(void **state)
{
    Bench *bench = *state;

    storage_fixture_plan_root(&bench->plan, 0, "image");
    assert_true(create(bench, NULL));
    assert_disk(bench, "disk", "qcow2", 2 * MIB);
}

static void
raw_images_are_grown_copies(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "disk");
    g_autofree char *content = NULL;

    bench->fixture->options.libvirt.images_type = (char *)"raw";
    storage_fixture_plan_root(&bench->plan, 8 * MIB, "image");
    assert_true(create(bench, NULL));
    assert_disk(bench, "disk", "raw", 8 * MIB);
    assert_true(g_file_get_contents(path, &content, NULL, NULL));
    assert_string_equal(content, "an operating system");
}

static void
bare_file_system_grows_with_its_raw_disk(void **state)
{
    Bench *bench = *state;
    g_autofree char *format = g_strdup_printf("mkfs.ext4 -q -F %s 8M", source);
    g_autofree char *path = disks_path(bench->options, UUID, "disk");
    g_autofree char *content = NULL;
    gsize length;

    unlink(source);
    run_tool(format);
    bench->fixture->options.libvirt.images_type = (char *)"flat";
    storage_fixture_plan_root(&bench->plan, 32 * MIB, "image");
    assert_true(create(bench, NULL));
    assert_true(g_file_get_contents(path, &content, &length, NULL));
    assert_int_equal(length, 32 * MIB);
    /* the superblock's count of blocks of 1 KiB */
    assert_int_equal(*(guint32 *)(content + 1024 + 4), 32 * 1024);
}

static void
flavor_smaller_than_the_image_leaves_nothing(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    storage_fixture_plan_root(&bench->plan, MIB, "image");
    assert_false(create(bench, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_FLAVOR_DISK_SMALLER_THAN_IMAGE);
    assert_string_equal(nova_error_message(failure),
                        "Flavor's disk is too small for requested image. Flavor disk is 1048576 "
                        "bytes, image is 2097152 bytes.");
    assert_int_equal(access(bench->folder, F_OK), -1);
}

static void
swap_and_ephemerals_are_overlays_of_empty_disks(void **state)
{
    Bench *bench = *state;

    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_DEFAULT_EPHEMERAL, .name = (char *)"disk.local",
                              .size = GIB, .base_size = 1, .label = (char *)"ephemeral0"});
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_EPHEMERAL, .name = (char *)"disk.eph0", .size = GIB,
                              .base_size = 1, .label = (char *)"ephemeral0",
                              .guest_format = (char *)"ext4"});
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_SWAP, .name = (char *)"disk.swap", .size = 4 * MIB,
                              .base_size = 4});
    assert_true(create(bench, NULL));
    assert_disk(bench, "disk.local", "qcow2", GIB);
    assert_disk(bench, "disk.eph0", "qcow2", GIB);
    assert_disk(bench, "disk.swap", "qcow2", 4 * MIB);
}

static void
flat_empty_disks_are_made_in_place(void **state)
{
    Bench *bench = *state;
    g_autofree char *cache = storage_fixture_path(bench->fixture, "_base");

    bench->fixture->options.libvirt.images_type = (char *)"raw";
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_SWAP, .name = (char *)"disk.swap", .size = 4 * MIB,
                              .base_size = 4});
    assert_true(create(bench, NULL));
    assert_disk(bench, "disk.swap", "raw", 4 * MIB);
    assert_int_equal(count_files(cache), 0);
}

static void
unknown_file_system_is_an_invalid_mapping(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_EPHEMERAL, .name = (char *)"disk.eph0", .size = GIB,
                              .base_size = 1, .guest_format = (char *)"btrfs"});
    assert_false(create(bench, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_INVALID_BDM_FORMAT);
    assert_non_null(strstr(nova_error_message(failure), "btrfs format is not supported"));
}

static void
kernel_is_a_plain_file_with_any_images_type(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "kernel");
    g_autofree char *content = NULL;

    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_KERNEL, .name = (char *)"kernel", .is_flat = true,
                              .image_id = (char *)"kernel-image"});
    assert_true(create(bench, NULL));
    assert_true(g_file_get_contents(path, &content, NULL, NULL));
    assert_string_equal(content, "an operating system");
}

static void
second_call_keeps_disks_and_grows_them(void **state)
{
    Bench *bench = *state;
    DisksMade made = {true, true};
    PlannedDisk *root;

    storage_fixture_plan_root(&bench->plan, 8 * MIB, "image");
    assert_true(create(bench, NULL));
    root = bench->plan.disks->pdata[0];
    root->size = 16 * MIB;
    assert_true(disks_create(bench->options, bench->cache, NULL, UUID, &bench->plan, &made, NULL));
    assert_false(made.made_folder || made.made_disks);
    assert_disk(bench, "disk", "qcow2", 16 * MIB);
    root->size = 8 * MIB;
    assert_true(create(bench, NULL));
    assert_disk(bench, "disk", "qcow2", 16 * MIB);
}

static void
lost_base_is_fetched_again(void **state)
{
    Bench *bench = *state;
    g_autofree char *name = image_cache_image_name("image");
    g_autofree char *base = g_build_filename(bench->fixture->root, "_base", name, NULL);

    storage_fixture_plan_root(&bench->plan, 8 * MIB, "image");
    assert_true(create(bench, NULL));
    unlink(base);
    assert_true(create(bench, NULL));
    assert_int_equal(access(base, F_OK), 0);
    assert_disk(bench, "disk", "qcow2", 8 * MIB);
}

static void
cached_image_costs_one_program(void **state)
{
    Bench *bench = *state;
    g_auto(BaseImage) base = {0};
    uint64_t before;

    assert_true(image_cache_get_image(bench->cache, NULL, "image", &base, NULL));
    storage_fixture_plan_root(&bench->plan, 8 * MIB, "image");
    before = command_count();
    assert_true(create(bench, NULL));
    assert_int_equal(command_count() - before, 1);
}

static void
failure_half_way_undoes_only_this_call(void **state)
{
    Bench *bench = *state;
    g_autofree char *kept = disks_path(bench->options, UUID, "disk.config");
    g_autofree char *root = disks_path(bench->options, UUID, "disk");
    g_autofree char *recorded = NULL;

    g_mkdir_with_parents(bench->folder, 0755);
    g_file_set_contents(kept, "x", 1, NULL);
    storage_fixture_plan_root(&bench->plan, GIB, "image");
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_KERNEL, .name = (char *)"kernel", .is_flat = true,
                              .image_id = (char *)"missing"});
    assert_false(create(bench, NULL));
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(access(root, F_OK), -1);
    recorded = disk_info(bench);
    assert_string_equal(recorded, "{}\n");
}

static void
trusted_certificates_are_refused_not_ignored(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    storage_fixture_plan_root(&bench->plan, GIB, "image");
    bench->plan.needs_certificates = true;
    assert_false(create(bench, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_NOT_IMPLEMENTED_ERROR);
    assert_int_equal(access(bench->folder, F_OK), -1);
}

/* A guest writes a qcow2 header onto its raw disk: it stays raw. */
static void
recorded_format_wins_over_the_content(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "disk");
    g_autofree char *line = g_strdup_printf("qemu-img create -q -f qcow2 %s 1M", path);
    g_autofree char *format = NULL;

    bench->fixture->options.libvirt.images_type = (char *)"raw";
    storage_fixture_plan_root(&bench->plan, 8 * MIB, "image");
    assert_true(create(bench, NULL));
    run_tool(line);
    assert_true(disks_get_format(bench->options, UUID, "disk", false, &format, NULL));
    assert_string_equal(format, "raw");
}

static void
damaged_disk_info_is_an_error(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "disk.info");
    g_autoptr(NovaError) failure = NULL;
    g_autofree char *format = NULL;

    g_mkdir_with_parents(bench->folder, 0755);
    g_file_set_contents(path, "{\"half", -1, NULL);
    assert_false(disks_get_format(bench->options, UUID, "disk", false, &format, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_INVALID_DISK_INFO);
}

static void
config_drive_is_raw_and_never_probed(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "disk.config");
    g_autofree char *format = NULL;
    g_autofree char *recorded = NULL;

    g_mkdir_with_parents(bench->folder, 0755);
    g_file_set_contents(path, "x", 1, NULL);
    assert_true(disks_get_format(bench->options, UUID, "disk.config", false, &format, NULL));
    assert_string_equal(format, "raw");
    recorded = disk_info(bench);
    assert_non_null(strstr(recorded, "disk.config\": \"raw\""));
}

static void
console_log_is_made_and_kept(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = disks_path(bench->options, UUID, "console.log");
    g_autofree char *content = NULL;

    g_mkdir_with_parents(bench->folder, 0755);
    assert_true(disks_ensure_console_log(bench->options, UUID, NULL));
    g_file_set_contents(path, "boot\n", -1, NULL);
    assert_true(disks_ensure_console_log(bench->options, UUID, NULL));
    assert_true(g_file_get_contents(path, &content, NULL, NULL));
    assert_string_equal(content, "boot\n");
}

static void
deleting_follows_no_symbolic_link(void **state)
{
    Bench *bench = *state;
    g_autofree char *outside = storage_fixture_path(bench->fixture, "outside");
    g_autofree char *precious = g_build_filename(outside, "precious", NULL);
    g_autofree char *link = disks_path(bench->options, UUID, "link");
    g_autofree char *nested = disks_path(bench->options, UUID, "swtpm/tpm2");
    g_autofree char *older = g_strconcat(bench->folder, "_del", NULL);
    g_autofree char *resized = g_strconcat(bench->folder, "_resize", NULL);
    g_autoptr(GPtrArray) left = NULL;

    g_mkdir_with_parents(nested, 0755);
    g_mkdir(outside, 0755);
    g_file_set_contents(precious, "x", 1, NULL);
    assert_int_equal(symlink(outside, link), 0);
    g_mkdir(older, 0755);
    assert_int_equal(symlink(outside, resized), 0);
    assert_true(disks_delete(bench->options, UUID));
    assert_int_equal(access(precious, F_OK), 0);
    left = disks_list_folders(bench->options);
    assert_int_equal(left->len, 0);
    assert_true(disks_delete(bench->options, UUID)); /* nothing there any more */
}

static void
only_uuids_become_paths(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;
    g_autofree char *base = storage_fixture_path(bench->fixture, "_base");

    g_mkdir(base, 0755);
    assert_false(disks_delete(bench->options, "_base"));
    assert_false(disks_delete(bench->options, "../x"));
    assert_false(disks_delete(bench->options, NULL));
    assert_int_equal(access(base, F_OK), 0);
    storage_fixture_plan_root(&bench->plan, 0, "image");
    assert_false(disks_create(bench->options, bench->cache, NULL, "../../etc", &bench->plan, NULL,
                              &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_VALUE_ERROR);
}

static void
folders_of_servers_are_listed(void **state)
{
    Bench *bench = *state;
    g_autofree char *deleted = g_strconcat(bench->folder, "_del", NULL);
    g_autofree char *other = g_strconcat(bench->folder, "_other", NULL);
    g_autofree char *base = storage_fixture_path(bench->fixture, "_base");
    g_autoptr(GPtrArray) folders = NULL;

    g_mkdir(bench->folder, 0755);
    g_mkdir(deleted, 0755);
    g_mkdir(other, 0755);
    g_mkdir(base, 0755);
    folders = disks_list_folders(bench->options);
    assert_int_equal(folders->len, 2);
}

static void
backends_of_later_are_refused_at_start(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    bench->fixture->options.compute.max_disk_devices_to_attach = -1;
    assert_true(disks_check_options(bench->options, NULL));
    bench->fixture->options.libvirt.images_type = (char *)"rbd";
    assert_false(disks_check_options(bench->options, &failure));
    assert_non_null(strstr(nova_error_message(failure), "rbd"));
}

static void
guests_without_disks_are_refused_at_start(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) failure = NULL;

    bench->fixture->options.compute.max_disk_devices_to_attach = 0;
    assert_false(disks_check_options(bench->options, &failure));
    assert_string_equal(nova_error_class(failure), "InvalidConfiguration");
    assert_non_null(strstr(nova_error_message(failure), "max_disk_devices_to_attach"));
}

static void
only_a_pool_of_ceph_is_other_hosts_too(void **state)
{
    static const char *const own[] = {"qcow2", "raw", "lvm"};
    Bench *bench = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(own); i++) {
        bench->fixture->options.libvirt.images_type = (char *)own[i];
        assert_false(disks_are_shared(bench->options));
    }
#ifdef HAVE_RBD
    bench->fixture->options.libvirt.images_type = (char *)"rbd";
    assert_true(disks_are_shared(bench->options));
#endif
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(root_is_an_overlay_of_the_cached_image),
        TEST(size_zero_takes_the_image_s),
        TEST(raw_images_are_grown_copies),
        TEST(bare_file_system_grows_with_its_raw_disk),
        TEST(flavor_smaller_than_the_image_leaves_nothing),
        TEST(swap_and_ephemerals_are_overlays_of_empty_disks),
        TEST(flat_empty_disks_are_made_in_place),
        TEST(unknown_file_system_is_an_invalid_mapping),
        TEST(kernel_is_a_plain_file_with_any_images_type),
        TEST(second_call_keeps_disks_and_grows_them),
        TEST(lost_base_is_fetched_again),
        TEST(cached_image_costs_one_program),
        TEST(failure_half_way_undoes_only_this_call),
        TEST(trusted_certificates_are_refused_not_ignored),
        TEST(recorded_format_wins_over_the_content),
        TEST(damaged_disk_info_is_an_error),
        TEST(config_drive_is_raw_and_never_probed),
        TEST(console_log_is_made_and_kept),
        TEST(deleting_follows_no_symbolic_link),
        TEST(only_uuids_become_paths),
        TEST(folders_of_servers_are_listed),
        TEST(backends_of_later_are_refused_at_start),
        TEST(guests_without_disks_are_refused_at_start),
        TEST(only_a_pool_of_ceph_is_other_hosts_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
