/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as logical volumes: which of LVM's programs run, in which order, and what their failures
 * become. The volumes' folder is a temporary one; command.h is replaced. */
#include "tests/unit/cmocka_all.h"

#include "agent/base/command.h"
#include "storage/disks.h"
#include "storage/file_copy.h"
#include "storage/image_errors.h"
#include "tests/unit/storage_fixture.h"

#define UUID "70a599e0-31e7-49b7-b260-868f441e862b"
#define OTHER "70a599e0-31e7-49b7-b260-868f441e862c"
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

typedef struct Bench {
    StorageFixture *fixture;
    Options *options;
    ImageCache *cache;
    DiskPlan plan;
    char *group;  /* as in /dev/<group> */
    char *folder; /* where that is */
    char *source; /* what Glance has */
} Bench;

static Bench *bench;
static GString *ran;              /* the command lines, a line each */
static const char *fails;         /* a program that fails ... */
static unsigned n_failures;       /* ... so often */
static const char *volumes;       /* what lvs answers ... */
static const char *volumes_after; /* ... and what after lvcreate, whether it failed or not */

/* ---- doubles ---- */

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
glance_download(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED,
                const char *image_id, const char *path, json_t **ret_record, NovaError **err)
{
    if (!file_copy(bench->source, path, err))
        return false;
    *ret_record = json_pack("{s:s, s:s}", "id", image_id, "disk_format", "raw");
    return true;
}

void
command_result_clear(CommandResult *result)
{
    g_free(result->out);
    g_free(result->errors);
    *result = (CommandResult){0};
}

static const char *
answer(const char *program)
{
    if (strcmp(program, "vgs") == 0)
        return "  10737418240|4294967296\n";
    if (strcmp(program, "lvs") == 0)
        return volumes;
    if (strcmp(program, "blockdev") == 0)
        return "1073741824\n";
    return strcmp(program, "qemu-img") == 0 ? "{\"format\": \"raw\", \"virtual-size\": 2097152}" : "";
}

/* What lvcreate makes is a device; here it is a file. */
static void
make_volume(const char *const *argv)
{
    for (; *argv; argv++)
        if (strcmp(*argv, "-n") == 0) {
            g_autofree char *path = g_build_filename(bench->folder, argv[1], NULL);

            g_file_set_contents(path, "", 0, NULL);
        }
}

bool
command_run_unchecked(const char *const *argv, const CommandLimits *limits G_GNUC_UNUSED,
                      CommandResult *ret_result, NovaError **err G_GNUC_UNUSED)
{
    g_autofree char *line = g_strjoinv(" ", (char **)argv);
    bool has_failed = n_failures > 0 && fails && strcmp(argv[0], fails) == 0;

    g_string_append_printf(ran, "%s\n", line);
    if (strcmp(argv[0], "lvcreate") == 0)
        volumes = volumes_after;
    if (has_failed)
        n_failures--;
    else if (strcmp(argv[0], "lvcreate") == 0)
        make_volume(argv);
    *ret_result = (CommandResult){has_failed ? 5 : 0, g_strdup(answer(argv[0])), g_strdup("")};
    return true;
}

bool
command_run(const char *const *argv, const CommandLimits *limits, CommandResult *ret_result,
            NovaError **err)
{
    if (!command_run_unchecked(argv, limits, ret_result, err))
        return false;
    if (ret_result->exit_status == 0)
        return true;
    command_result_clear(ret_result);
    return nova_error_set(err, NOVA_ERROR_PROCESS_EXECUTION_ERROR, "%s failed", argv[0]);
}

/* ---- */

static int
set_up(void **state G_GNUC_UNUSED)
{
    bench = g_new0(Bench, 1);
    bench->fixture = storage_fixture_new();
    bench->options = &bench->fixture->options;
    bench->folder = storage_fixture_path(bench->fixture, "group");
    bench->group = g_strconcat("..", bench->folder, NULL);
    bench->options->libvirt.images_type = (char *)"lvm";
    bench->options->libvirt.images_volume_group = bench->group;
    bench->options->libvirt.volume_clear = (char *)"zero";
    bench->cache = image_cache_new(bench->options, NULL);
    bench->plan.disks = g_ptr_array_new_with_free_func(g_free);
    bench->source = storage_fixture_path(bench->fixture, "source");
    g_mkdir(bench->folder, 0755);
    g_file_set_contents(bench->source, "an operating system", -1, NULL);
    assert_int_equal(truncate(bench->source, 2 * MIB), 0);
    ran = g_string_new(NULL);
    fails = NULL;
    volumes = volumes_after = "";
    return 0;
}

static int
tear_down(void **state G_GNUC_UNUSED)
{
    g_string_free(ran, TRUE);
    g_ptr_array_unref(bench->plan.disks);
    image_cache_free(bench->cache);
    storage_fixture_free(bench->fixture);
    g_free(bench->group);
    g_free(bench->folder);
    g_free(bench->source);
    g_free(bench);
    return 0;
}

static bool
create(NovaError **err)
{
    return disks_create(bench->options, bench->cache, NULL, UUID, &bench->plan, NULL, err);
}

/* VG and DIR in 'expected' are the group and its folder's path; the image's own check is left out. */
static void
assert_ran(const char *expected)
{
    g_auto(GStrv) lines = g_strsplit(ran->str, "\n", -1);
    g_autoptr(GString) got = g_string_new(NULL);
    g_autofree char *dev = g_build_filename("/dev", bench->group, NULL);

    for (char **line = lines; *line; line++)
        if (**line && !g_str_has_prefix(*line, "qemu-img info"))
            g_string_append_printf(got, "%s\n", *line);
    g_string_replace(got, "-t writeback", "-t none", 0); /* as the file system can */
    g_string_replace(got, dev, "DIR", 0);
    g_string_replace(got, bench->group, "VG", 0);
    g_string_replace(got, bench->fixture->root, "ROOT", 0);
    assert_string_equal(got->str, expected);
}

#define VGS "vgs --noheadings --nosuffix --separator | --units b -o vg_size,vg_free VG\n"
#define LVS "lvs --noheadings -o lv_name VG\n"
#define BASE "ROOT/_base/0e76292794888d4f1fa75fb3aff4ca27c58f56a6"

static void
root_is_a_volume_with_the_image_in_it(void **state G_GNUC_UNUSED)
{
    storage_fixture_plan_root(&bench->plan, GIB, "image");
    assert_true(create(NULL));
    assert_ran(LVS VGS "lvcreate -y -L 1073741824b -n " UUID "_disk VG\n"
               "qemu-img convert -t none -O raw -f raw " BASE " DIR/" UUID "_disk\n");
}

static void
size_zero_takes_the_image_s(void **state G_GNUC_UNUSED)
{
    storage_fixture_plan_root(&bench->plan, 0, "image");
    assert_true(create(NULL));
    assert_non_null(strstr(ran->str, "lvcreate -y -L 2097152b -n"));
}

static void
sparse_volume_takes_little_at_once(void **state G_GNUC_UNUSED)
{
    bench->options->libvirt.sparse_logical_volumes = true;
    storage_fixture_plan_root(&bench->plan, 9 * GIB, "image");
    assert_true(create(NULL));
    assert_non_null(strstr(ran->str, "lvcreate -y -L 67108864b --virtualsize 9663676416b -n " UUID));
}

static void
full_group_is_said_with_its_numbers(void **state G_GNUC_UNUSED)
{
    g_autofree char *folder = disks_instance_path(bench->options, UUID);
    g_autoptr(NovaError) failure = NULL;

    storage_fixture_plan_root(&bench->plan, 5 * GIB, "image");
    assert_false(create(&failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_RUNTIME_ERROR);
    assert_non_null(strstr(nova_error_message(failure),
                           "Only 4294967296b available, but 5368709120 bytes required by volume " UUID
                           "_disk."));
    assert_null(strstr(ran->str, "lvcreate"));
    assert_int_equal(access(folder, F_OK), -1);
}

static void
file_system_is_made_on_the_volume_and_swap_copied(void **state G_GNUC_UNUSED)
{
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_EPHEMERAL, .name = (char *)"disk.eph0", .size = GIB, .base_size = 1,
                       .label = (char *)"ephemeral0", .guest_format = (char *)"ext4"});
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_SWAP, .name = (char *)"disk.swap", .size = MIB, .base_size = 1});
    assert_true(create(NULL));
    assert_ran(LVS VGS "lvcreate -y -L 1073741824b -n " UUID "_disk.eph0 VG\n"
               "mkfs -t ext4 -F -L ephemeral0 DIR/" UUID "_disk.eph0\n"
               LVS "mkswap ROOT/_base/swap_1.part\n" VGS "lvcreate -y -L 1048576b -n " UUID "_disk.swap VG\n"
               "qemu-img convert -t none -O raw -f raw ROOT/_base/swap_1 DIR/" UUID "_disk.swap\n");
}

static void
volume_that_is_there_is_activated_and_left_alone(void **state G_GNUC_UNUSED)
{
    volumes = "  " UUID "_disk\n"; /* which has no path */
    storage_fixture_plan_root(&bench->plan, GIB, "image");
    assert_true(create(NULL));
    assert_ran(LVS "lvchange -ay VG/" UUID "_disk\n");
}

static void
volume_that_cannot_be_activated_stays(void **state G_GNUC_UNUSED)
{
    volumes = "  " UUID "_disk\n";
    fails = "lvchange";
    n_failures = 3;
    storage_fixture_plan_root(&bench->plan, GIB, "image");
    assert_false(create(NULL));
    assert_null(strstr(ran->str, "lvremove"));
}

static void
volume_that_was_not_made_here_stays(void **state G_GNUC_UNUSED)
{
    storage_fixture_plan_root(&bench->plan, GIB, "image");
    fails = "lvcreate"; /* somebody else has made it meanwhile */
    n_failures = 3;
    volumes_after = UUID "_disk\n";
    assert_false(create(NULL));
    assert_null(strstr(ran->str, "lvremove"));
}

static void
failed_copy_takes_the_volume_back(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_SWAP, .name = (char *)"disk.swap", .size = MIB, .base_size = 1});
    fails = "qemu-img";
    n_failures = 1;
    volumes_after = "  " UUID "_disk.swap\n  " UUID "_disk\n  " OTHER "_disk.swap\n  root\n";
    assert_false(create(&failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_IMAGE_UNACCEPTABLE);
    assert_non_null(strstr(ran->str, "/" UUID "_disk.swap\nlvs"));
    assert_non_null(strstr(ran->str, "lvremove -f "));
    assert_null(strstr(strstr(ran->str, "lvs"), "/" UUID "_disk\n"));
    assert_null(strstr(strstr(ran->str, "lvs"), OTHER));
}

static void
add_active(const char *name)
{
    g_autofree char *path = g_build_filename(bench->folder, name, NULL);

    g_file_set_contents(path, "", 0, NULL);
}

static void
deletion_clears_and_removes_the_server_s_volumes_only(void **state G_GNUC_UNUSED)
{
    add_active(UUID "_disk");
    add_active(UUID "_disk.swap");
    volumes = "  " UUID "_disk\n  " OTHER "_disk\n  " UUID "x_disk\n  " UUID "_disk.swap\n";
    assert_true(disks_remove_volumes(bench->options, UUID, NULL));
    assert_ran(LVS "blockdev --getsize64 DIR/" UUID "_disk\nshred -n0 -z -s1073741824 DIR/" UUID "_disk\n"
               "lvremove -f DIR/" UUID "_disk\nblockdev --getsize64 DIR/" UUID "_disk.swap\n"
               "shred -n0 -z -s1073741824 DIR/" UUID "_disk.swap\nlvremove -f DIR/" UUID "_disk.swap\n");
}

static void
a_volume_that_is_not_active_is_cleared_all_the_same(void **state G_GNUC_UNUSED)
{
    volumes = UUID "_disk\n";
    assert_true(disks_remove_volumes(bench->options, UUID, NULL));
    assert_ran(LVS "lvchange -ay VG/" UUID "_disk\nblockdev --getsize64 DIR/" UUID "_disk\n"
               "shred -n0 -z -s1073741824 DIR/" UUID "_disk\nlvremove -f DIR/" UUID "_disk\n");
}

/* Nobody would look for the disks again. */
static void
a_group_that_is_missing_fails_the_deletion(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    assert_int_equal(g_rmdir(bench->folder), 0); /* as /dev/<group> */
    assert_true(disks_remove_volumes(bench->options, UUID, NULL)); /* no volume of the group is active */
    fails = "lvs";
    n_failures = 3;
    assert_false(disks_remove_volumes(bench->options, UUID, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_PROCESS_EXECUTION_ERROR);
}

static void
clearing_follows_the_options(void **state G_GNUC_UNUSED)
{
    volumes = UUID "_disk\n";
    bench->options->libvirt.volume_clear = (char *)"none";
    assert_true(disks_remove_volumes(bench->options, UUID, NULL));
    assert_ran(LVS "lvremove -f DIR/" UUID "_disk\n");
    g_string_truncate(ran, 0);
    bench->options->libvirt.volume_clear = (char *)"shred";
    bench->options->libvirt.volume_clear_size = 3;
    assert_true(disks_remove_volumes(bench->options, UUID, NULL));
    assert_non_null(strstr(ran->str, "shred -n3 -s3145728 "));
}

static void
volume_that_stays_fails_the_deletion_after_all_were_tried(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    volumes = UUID "_disk\n" UUID "_disk.eph0\n";
    fails = "lvremove";
    n_failures = 3;
    assert_false(disks_remove_volumes(bench->options, UUID, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_VOLUMES_NOT_REMOVED);
    assert_string_equal(nova_error_message(failure), "Failed to remove volume(s): (lvremove failed)");
    assert_non_null(strstr(ran->str, "_disk.eph0\n"));
}

static void
busy_programs_are_tried_again(void **state G_GNUC_UNUSED)
{
    StoreSpace space;

    fails = "vgs";
    n_failures = 2;
    assert_true(disks_fetch_space(bench->options, &space, NULL));
    assert_int_equal(space.total, 10 * GIB);
    assert_int_equal(space.free, 4 * GIB);
    assert_int_equal(space.used, 6 * GIB);
}

static void
unrescue_removes_the_rescue_disk_only(void **state G_GNUC_UNUSED)
{
    g_autofree char *folder = disks_instance_path(bench->options, UUID);

    g_mkdir(folder, 0755);
    volumes = UUID "_disk\n" UUID "_disk.rescue\n";
    disks_remove_rescue(bench->options, UUID);
    assert_non_null(strstr(ran->str, UUID "_disk.rescue\n"));
    assert_null(strstr(ran->str, UUID "_disk\n"));
}

static void
name_that_is_no_uuid_removes_nothing(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    volumes = "x_disk\n";
    assert_false(disks_remove_volumes(bench->options, "x", &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_VALUE_ERROR);
    assert_ran("");
}

static void
group_must_be_configured(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    bench->options->compute.max_disk_devices_to_attach = -1;
    assert_true(disks_check_options(bench->options, NULL));
    bench->options->libvirt.images_volume_group = NULL;
    assert_false(disks_check_options(bench->options, &failure));
    assert_string_equal(nova_error_message(failure),
                        "You should specify images_volume_group flag to use LVM images.");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(root_is_a_volume_with_the_image_in_it),
        TEST(size_zero_takes_the_image_s),
        TEST(sparse_volume_takes_little_at_once),
        TEST(full_group_is_said_with_its_numbers),
        TEST(file_system_is_made_on_the_volume_and_swap_copied),
        TEST(volume_that_is_there_is_activated_and_left_alone),
        TEST(volume_that_cannot_be_activated_stays),
        TEST(volume_that_was_not_made_here_stays),
        TEST(failed_copy_takes_the_volume_back),
        TEST(deletion_clears_and_removes_the_server_s_volumes_only),
        TEST(a_volume_that_is_not_active_is_cleared_all_the_same),
        TEST(a_group_that_is_missing_fails_the_deletion),
        TEST(clearing_follows_the_options),
        TEST(volume_that_stays_fails_the_deletion_after_all_were_tried),
        TEST(busy_programs_are_tried_again),
        TEST(unrescue_removes_the_rescue_disk_only),
        TEST(name_that_is_no_uuid_removes_nothing),
        TEST(group_must_be_configured),
    };

    return cmocka_run_group_tests_name("disk_lvm", tests, NULL, NULL);
}
