/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "storage/file_copy.h"
#include "storage/image_cache.h"
#include "storage/image_errors.h"
#include "tests/unit/storage_fixture.h"

/* -- Glance, as this test wants it: the file 'source' under any id, declared as 'format' */

static struct {
    char *source;
    const char *format;
    int delay_ms;
    bool fails;
    atomic_int n_downloads;
} fake;

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
    atomic_fetch_add(&fake.n_downloads, 1);
    g_usleep((gulong)fake.delay_ms * 1000);
    if (fake.fails)
        return image_errors_not_found(err, image_id);
    unlink(path);
    if (!file_copy(fake.source, path, err))
        return false;
    if (ret_record)
        *ret_record = json_pack("{s:s, s:s?}", "id", image_id, "disk_format", fake.format);
    return true;
}

#define IMAGE_ID "70a599e0-31e7-49b7-b260-868f441e862b"

static int
set_up(void **state)
{
    StorageFixture *fixture = storage_fixture_new();

    memset(&fake, 0, sizeof fake);
    fake.source = storage_fixture_path(fixture, "source");
    fake.format = "raw";
    g_file_set_contents(fake.source, "plain bytes, longer than a few", -1, NULL);
    *state = fixture;
    return 0;
}

static int
tear_down(void **state)
{
    g_free(fake.source);
    storage_fixture_free(*state);
    return 0;
}

static char *
base_path(StorageFixture *fixture)
{
    g_autofree char *name = image_cache_image_name(IMAGE_ID);

    return g_build_filename(fixture->root, "_base", name, NULL);
}

/* Nothing but the source and the lock file may be there. */
static void
assert_nothing_cached(StorageFixture *fixture)
{
    g_autofree char *folder = storage_fixture_path(fixture, "_base");

    assert_int_equal(count_files(folder), 0);
}

static void
assert_refused(StorageFixture *fixture, NovaErrorKind kind, const char *message)
{
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autoptr(NovaError) failure = NULL;
    g_auto(BaseImage) base = {0};

    assert_false(image_cache_get_image(cache, NULL, IMAGE_ID, &base, &failure));
    assert_int_equal(nova_error_kind(failure), kind);
    assert_non_null(strstr(nova_error_message(failure), message));
}

static void
names_are_those_of_nova(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *image = image_cache_image_name("155d900f-4e14-4e4c-a73d-069cbf4541e6");
    g_autofree char *ephemeral = image_cache_ephemeral_name(&fixture->options, 20, "linux");
    g_autofree char *configured = NULL;
    g_autofree char *swap = image_cache_swap_name(512);

    /* sha1 of the id; md5("vfat") and md5("ext4"), seven digits */
    assert_string_equal(image, "f2d1a8250ed3d4b744a8250dab8f6840179d502a");
    assert_string_equal(ephemeral, "ephemeral_20_0706d66");
    fixture->options.default_group.default_ephemeral_format = (char *)"ext4";
    configured = image_cache_ephemeral_name(&fixture->options, 20, "linux");
    assert_string_equal(configured, "ephemeral_20_40d1d2c");
    assert_string_equal(swap, "swap_512");
}

static void
raw_image_is_fetched_once_and_kept(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autofree char *path = base_path(fixture);

    for (int i = 0; i < 2; i++) {
        g_auto(BaseImage) base = {0};

        assert_true(image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL));
        assert_string_equal(base.path, path);
        assert_string_equal(base.format, "raw");
        assert_int_equal(base.virtual_size, 512); /* whole sectors */
        assert_int_equal(base.was_cached, i == 1);
    }
    assert_int_equal(fake.n_downloads, 1);
}

static void *
get_in_thread(void *cache)
{
    g_auto(BaseImage) base = {0};

    return image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL) ? cache : NULL;
}

static void
many_threads_make_one_download(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    pthread_t threads[12];

    fake.delay_ms = 100;
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_create(&threads[i], NULL, get_in_thread, cache);
    for (unsigned i = 0; i < G_N_ELEMENTS(threads); i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_ptr_equal(result, cache);
    }
    assert_int_equal(fake.n_downloads, 1);
}

static void
failed_download_leaves_nothing_and_the_next_tries_again(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_auto(BaseImage) base = {0};

    fake.fails = true;
    assert_refused(fixture, NOVA_ERROR_IMAGE_NOT_FOUND, IMAGE_ID);
    assert_nothing_cached(fixture);
    fake.fails = false;
    assert_true(image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL));
}

static void
make_source(const char *format_string)
{
    g_autofree char *line = g_strdup_printf(format_string, fake.source);

    run_tool(line);
}

static void
qcow2_with_a_backing_file_is_refused(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *line = g_strdup_printf(
        "qemu-img create -q -f qcow2 -o backing_file=/etc/passwd,backing_fmt=raw %s", fake.source);

    unlink(fake.source);
    run_tool(line);
    fake.format = "qcow2";
    assert_refused(fixture, NOVA_ERROR_IMAGE_UNACCEPTABLE, "Image does not pass safety check");
    assert_nothing_cached(fixture);
}

static void
qcow2_declared_raw_is_refused(void **state)
{
    StorageFixture *fixture = *state;

    make_source("qemu-img create -q -f qcow2 %s 1M");
    assert_refused(fixture, NOVA_ERROR_IMAGE_UNACCEPTABLE, "Image not in a supported format");
    assert_nothing_cached(fixture);
}

static void
text_declared_qcow2_is_refused(void **state)
{
    StorageFixture *fixture = *state;

    fake.format = "qcow2";
    assert_refused(fixture, NOVA_ERROR_IMAGE_UNACCEPTABLE, "Image not in a supported format");
    fake.format = NULL;
    assert_refused(fixture, NOVA_ERROR_IMAGE_UNACCEPTABLE, "Image not in a supported format");
    assert_nothing_cached(fixture);
}

/* qemu would take it for a Parallels disk; the inspector sees raw bytes. */
static void
format_that_only_qemu_knows_is_refused(void **state)
{
    StorageFixture *fixture = *state;

    make_source("qemu-img create -q -f parallels %s 8M");
    assert_refused(fixture, NOVA_ERROR_IMAGE_UNACCEPTABLE,
                   "Image content does not match disk_format");
    assert_nothing_cached(fixture);
}

static void
vmdk_type_that_is_not_allowed_is_refused(void **state)
{
    StorageFixture *fixture = *state;

    make_source("qemu-img create -q -f vmdk -o subformat=monolithicSparse %s 8M");
    fake.format = "vmdk";
    fixture->options.compute.vmdk_allowed_types = storage_fixture_no_strings;
    assert_refused(fixture, NOVA_ERROR_IMAGE_UNACCEPTABLE, "Invalid VMDK create-type specified");
    assert_nothing_cached(fixture);
}

static void
qcow2_becomes_raw(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autofree char *folder = storage_fixture_path(fixture, "_base");
    g_auto(BaseImage) base = {0};
    struct stat status;

    make_source("qemu-img create -q -f qcow2 %s 3M");
    fake.format = "qcow2";
    assert_true(image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL));
    assert_string_equal(base.format, "raw");
    assert_int_equal(base.virtual_size, 3 << 20);
    assert_int_equal(stat(base.path, &status), 0);
    assert_int_equal(status.st_size, 3 << 20);
    assert_int_equal(count_files(folder), 1);
}

static void
qcow2_stays_without_force_raw_images(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_auto(BaseImage) base = {0};

    make_source("qemu-img create -q -f qcow2 -o cluster_size=4096 %s 3M");
    fake.format = "qcow2";
    fixture->options.default_group.force_raw_images = false;
    assert_true(image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL));
    assert_string_equal(base.format, "qcow2");
    assert_int_equal(base.virtual_size, 3 << 20);
    assert_int_equal(base.cluster_size, 4096);
}

static void
base_that_turned_bad_is_not_used(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = base_path(fixture);
    g_autofree char *folder = storage_fixture_path(fixture, "_base");
    g_autofree char *line = g_strdup_printf(
        "qemu-img create -q -f qcow2 -o backing_file=/etc/passwd,backing_fmt=raw %s", path);

    g_mkdir(folder, 0755);
    run_tool(line);
    assert_refused(fixture, NOVA_ERROR_INVALID_DISK_INFO, "Base image failed safety check");
    assert_int_equal(fake.n_downloads, 0);
}

static void
kernel_is_kept_as_it_came(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_auto(BaseImage) base = {0};

    make_source("qemu-img create -q -f qcow2 %s 3M");
    fake.format = "aki";
    assert_true(image_cache_get_raw_image(cache, NULL, IMAGE_ID, &base, NULL));
    assert_string_equal(base.format, "raw");
    assert_true(base.virtual_size < 3 << 20);
}

/* A child that holds a lock as oslo.concurrency does: fcntl on the process. */
static pid_t
lock_in_other_process(const char *root, const char *name)
{
    g_autofree char *folder = g_build_filename(root, "locks", NULL);
    g_autofree char *file = g_strconcat("nova-", name, NULL);
    g_autofree char *path = g_build_filename(folder, file, NULL);
    int ready[2];
    char byte;
    pid_t pid;

    g_mkdir(folder, 0755);
    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR | O_CREAT, 0644);

        if (fcntl(fd, F_SETLKW, &whole) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        usleep(400 * 1000);
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

static void
another_process_that_fetches_is_waited_for(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autofree char *name = image_cache_image_name(IMAGE_ID);
    pid_t pid = lock_in_other_process(fixture->root, name);
    gint64 start = g_get_monotonic_time();
    g_auto(BaseImage) base = {0};

    assert_true(image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL));
    assert_true(g_get_monotonic_time() - start > 200 * 1000);
    waitpid(pid, NULL, 0);
}

static void
put(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    assert_true(g_file_set_contents(path, "half", -1, NULL));
}

static void
leftovers_of_dead_processes_go_and_those_of_living_ones_stay(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autofree char *folder = storage_fixture_path(fixture, "_base");
    pid_t pid = lock_in_other_process(fixture->root, "alive");

    g_mkdir(folder, 0755);
    put(folder, "dead.part");
    put(folder, "dead.converted");
    put(folder, "alive.part");
    put(folder, "whole");
    image_cache_remove_leftovers(cache);
    assert_int_equal(count_files(folder), 2);
    waitpid(pid, NULL, 0);
}

static void
swap_and_ephemeral_are_made_once(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autofree char *folder = storage_fixture_path(fixture, "_base");
    char *commands[] = {(char *)"default=cp /etc/hostname %(target)s.%(fs_label)s", NULL};

    for (int i = 0; i < 2; i++) {
        g_auto(BaseImage) swap = {0};
        g_auto(BaseImage) ephemeral = {0};

        assert_true(image_cache_get_swap(cache, 2, &swap, NULL));
        assert_int_equal(swap.virtual_size, 2 << 20);
        assert_true(image_cache_get_ephemeral(cache, 1, "linux", NULL, "ephemeral0", &ephemeral,
                                              NULL));
        assert_string_equal(ephemeral.format, "raw");
        assert_int_equal(ephemeral.virtual_size, 1 << 30);
        assert_int_equal(ephemeral.was_cached, i == 1);
    }
    assert_int_equal(count_files(folder), 2);
    fixture->options.default_group.virt_mkfs = commands;
    {
        g_auto(BaseImage) custom = {0};

        assert_true(image_cache_get_ephemeral(cache, 1, NULL, NULL, "ephemeral0", &custom, NULL));
    }
    assert_int_equal(count_files(folder), 4);
}

static void
failed_mkfs_leaves_nothing(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    char *commands[] = {(char *)"default=false", NULL};
    g_autoptr(NovaError) failure = NULL;
    g_auto(BaseImage) base = {0};

    fixture->options.default_group.virt_mkfs = commands;
    assert_false(image_cache_get_ephemeral(cache, 1, NULL, NULL, NULL, &base, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_PROCESS_EXECUTION_ERROR);
    assert_nothing_cached(fixture);
}

static void
usage_counts_what_the_files_occupy(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_auto(BaseImage) base = {0};

    assert_int_equal(image_cache_disk_usage(cache), 0);
    assert_true(image_cache_get_image(cache, NULL, IMAGE_ID, &base, NULL));
    assert_true(image_cache_disk_usage(cache) >= 512);
}

static void
precache_says_what_it_found(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(ImageCache) cache = image_cache_new(&fixture->options, NULL);
    g_autoptr(NovaError) failure = NULL;

    assert_string_equal(image_cache_precache(cache, NULL, IMAGE_ID, NULL), "cached");
    assert_string_equal(image_cache_precache(cache, NULL, IMAGE_ID, NULL), "existing");
    fake.fails = true;
    assert_string_equal(image_cache_precache(cache, NULL, "other", &failure), "error");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_those_of_nova),
        TEST(raw_image_is_fetched_once_and_kept),
        TEST(many_threads_make_one_download),
        TEST(failed_download_leaves_nothing_and_the_next_tries_again),
        TEST(qcow2_with_a_backing_file_is_refused),
        TEST(qcow2_declared_raw_is_refused),
        TEST(text_declared_qcow2_is_refused),
        TEST(format_that_only_qemu_knows_is_refused),
        TEST(vmdk_type_that_is_not_allowed_is_refused),
        TEST(qcow2_becomes_raw),
        TEST(qcow2_stays_without_force_raw_images),
        TEST(base_that_turned_bad_is_not_used),
        TEST(kernel_is_kept_as_it_came),
        TEST(another_process_that_fetches_is_waited_for),
        TEST(leftovers_of_dead_processes_go_and_those_of_living_ones_stay),
        TEST(swap_and_ephemeral_are_made_once),
        TEST(failed_mkfs_leaves_nothing),
        TEST(usage_counts_what_the_files_occupy),
        TEST(precache_says_what_it_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
