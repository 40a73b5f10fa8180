/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <sys/time.h>
#include <time.h>

#include "agent/objects/block_device.h"
#include "agent/objects/instance.h"
#include "storage/cache_reaper.h"
#include "storage/file_lock.h"
#include "storage/storage_users.h"
#include "tests/unit/storage_fixture.h"

#define SHA1_A "3f7b4f3f5ff7ca9a0e4b5ca9f1cf3e8f36b85f2b"
#define SHA1_B "4f7b4f3f5ff7ca9a0e4b5ca9f1cf3e8f36b85f2b"
#define SHA1_C "5f7b4f3f5ff7ca9a0e4b5ca9f1cf3e8f36b85f2b"
#define DAY_S (24 * 3600)

typedef struct Bench {
    StorageFixture *fixture;
    char *cache;
    GHashTable *used;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);
    Options *options;

    bench->fixture = storage_fixture_new();
    options = &bench->fixture->options;
    options->image_cache.remove_unused_base_images = true;
    options->image_cache.remove_unused_original_minimum_age_seconds = DAY_S;
    options->image_cache.remove_unused_resized_minimum_age_seconds = 3600;
    bench->cache = storage_fixture_path(bench->fixture, "_base");
    bench->used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_mkdir(bench->cache, 0755);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    storage_fixture_free(bench->fixture);
    g_hash_table_unref(bench->used);
    g_free(bench->cache);
    g_free(bench);
    return 0;
}

static char *
put(Bench *bench, const char *name, int age_s)
{
    char *path = g_build_filename(bench->cache, name, NULL);
    struct timeval times[2] = {{time(NULL) - age_s, 0}, {time(NULL) - age_s, 0}};

    assert_true(g_file_set_contents(path, "x", 1, NULL));
    assert_int_equal(utimes(path, times), 0);
    return path;
}

static void
kinds_follow_from_names(void **state)
{
    (void)state;
    assert_int_equal(cache_reaper_kind(SHA1_A), CACHE_FILE_IMAGE);
    assert_int_equal(cache_reaper_kind(SHA1_A "_10"), CACHE_FILE_RESIZED);
    assert_int_equal(cache_reaper_kind(SHA1_A "_sm"), CACHE_FILE_RESIZED);
    assert_int_equal(cache_reaper_kind(SHA1_A ".part"), CACHE_FILE_OTHER);
    assert_int_equal(cache_reaper_kind(SHA1_A "0"), CACHE_FILE_OTHER);
    assert_int_equal(cache_reaper_kind(SHA1_A "_x"), CACHE_FILE_OTHER);
    assert_int_equal(cache_reaper_kind("swap_512"), CACHE_FILE_SWAP);
    assert_int_equal(cache_reaper_kind("swap_"), CACHE_FILE_OTHER);
    assert_int_equal(cache_reaper_kind("ephemeral_20_40d1d2c"), CACHE_FILE_EPHEMERAL);
    assert_int_equal(cache_reaper_kind("ephemeral_20_default"), CACHE_FILE_EPHEMERAL);
    assert_int_equal(cache_reaper_kind("ephemeral_x_40d1d2c"), CACHE_FILE_OTHER);
    assert_int_equal(cache_reaper_kind(""), CACHE_FILE_OTHER);
}

static void
unused_and_old_means_removed(void **state)
{
    Bench *bench = *state;
    Options *options = &bench->fixture->options;

    assert_int_equal(cache_reaper_decide(options, SHA1_A, false, DAY_S), CACHE_REMOVE);
    assert_int_equal(cache_reaper_decide(options, SHA1_A, false, DAY_S - 1), CACHE_LEAVE);
    assert_int_equal(cache_reaper_decide(options, SHA1_A, true, DAY_S), CACHE_TOUCH);
    assert_int_equal(cache_reaper_decide(options, SHA1_A "_10", false, 3600), CACHE_REMOVE);
    assert_int_equal(cache_reaper_decide(options, "notes.txt", false, 99 * DAY_S), CACHE_LEAVE);
    options->image_cache.remove_unused_base_images = false;
    assert_int_equal(cache_reaper_decide(options, SHA1_A, false, DAY_S), CACHE_LEAVE);
}

static void
pass_removes_touches_and_leaves(void **state)
{
    Bench *bench = *state;
    g_autofree char *unused = put(bench, SHA1_A, 2 * DAY_S);
    g_autofree char *used = put(bench, SHA1_B, 2 * DAY_S);
    g_autofree char *used_resized = put(bench, SHA1_B "_10", 2 * DAY_S);
    g_autofree char *young = put(bench, SHA1_C, 60);
    g_autofree char *swap = put(bench, "swap_9", 2 * DAY_S);
    struct stat status;

    g_hash_table_add(bench->used, g_strdup(SHA1_B));
    assert_int_equal(cache_reaper_run(&bench->fixture->options, bench->used), 2);
    assert_int_equal(access(unused, F_OK), -1);
    assert_int_equal(access(swap, F_OK), -1);
    assert_int_equal(access(young, F_OK), 0);
    assert_int_equal(access(used_resized, F_OK), 0);
    assert_int_equal(stat(used, &status), 0);
    assert_true(time(NULL) - status.st_mtime < 60);
}

static void
backing_file_of_a_disk_is_in_use(void **state)
{
    Bench *bench = *state;
    g_autofree char *base = put(bench, SHA1_A, 2 * DAY_S);
    g_autofree char *folder =
        storage_fixture_path(bench->fixture, "70a599e0-31e7-49b7-b260-868f441e862b");
    g_autofree char *line = g_strdup_printf(
        "qemu-img create -q -f qcow2 -o backing_file=%s,backing_fmt=raw %s/disk", base, folder);

    g_mkdir(folder, 0755);
    run_tool(line);
    assert_int_equal(cache_reaper_run(&bench->fixture->options, bench->used), 0);
    assert_int_equal(access(base, F_OK), 0);
}

static void
file_being_fetched_is_left(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = put(bench, SHA1_A, 2 * DAY_S);
    FileLocks *locks = file_locks_new(bench->fixture->root);
    FileLock *lock = file_locks_take(locks, SHA1_A, NULL);

    assert_int_equal(cache_reaper_run(&bench->fixture->options, bench->used), 0);
    assert_int_equal(access(path, F_OK), 0);
    file_lock_release(lock);
    assert_int_equal(cache_reaper_run(&bench->fixture->options, bench->used), 1);
    file_locks_free(locks);
}

static void
servers_use_what_they_were_made_from(void **state)
{
    Bench *bench = *state;
    json_auto_t *server = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "nova_object.name", "Instance",
        "nova_object.namespace", "nova", "nova_object.version", "2.8", "nova_object.data", "uuid",
        "u", "image_ref", "image", "kernel_id", "");
    json_auto_t *swap = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:i}}", "nova_object.name", "BlockDeviceMapping",
        "nova_object.namespace", "nova", "nova_object.version", "1.21", "nova_object.data",
        "source_type", "blank", "destination_type", "local", "guest_format", "swap", "volume_size",
        64);
    g_autoptr(Instance) instance = instance_from_json(server, NULL);
    g_autoptr(GPtrArray) devices =
        g_ptr_array_new_with_free_func((GDestroyNotify)block_device_mapping_free);

    g_ptr_array_add(devices, block_device_mapping_from_json(swap, NULL));
    cache_reaper_add_instance(&bench->fixture->options, instance, devices, bench->used);
    assert_int_equal(g_hash_table_size(bench->used), 2);
    assert_true(g_hash_table_contains(bench->used, "swap_64"));
    /* sha1("image") */
    assert_true(g_hash_table_contains(bench->used, "0e76292794888d4f1fa75fb3aff4ca27c58f56a6"));
}

static void
hosts_that_gave_notice_lately_share_the_storage(void **state)
{
    Bench *bench = *state;
    g_autofree char *path = storage_fixture_path(bench->fixture, "compute_nodes");
    g_autoptr(GPtrArray) hosts = NULL;
    g_autoptr(GPtrArray) fresh = NULL;

    g_file_set_contents(path, "{\"old\": 1000.5, \"near\": 99000.25}", -1, NULL);
    hosts = storage_users_register(bench->fixture->root, "us", 100000, NULL);
    assert_int_equal(hosts->len, 2);
    assert_string_equal(hosts->pdata[0], "near");
    assert_string_equal(hosts->pdata[1], "us");
    g_file_set_contents(path, "{half", -1, NULL);
    fresh = storage_users_register(bench->fixture->root, "us", 100000, NULL);
    assert_int_equal(fresh->len, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(kinds_follow_from_names),
        TEST(unused_and_old_means_removed),
        TEST(pass_removes_touches_and_leaves),
        TEST(backing_file_of_a_disk_is_in_use),
        TEST(file_being_fetched_is_left),
        TEST(servers_use_what_they_were_made_from),
        TEST(hosts_that_gave_notice_lately_share_the_storage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
