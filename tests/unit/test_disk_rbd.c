/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in a Ceph cluster, a real one: its ceph.conf is KILONOVA_CEPH_CONF, in which client.nova may write to the pools
 * vms and images. Without one these tests are skipped. Glance is a double that says where its image is. */
#include "tests/unit/cmocka_all.h"

#include "storage/ceph.h"
#include "storage/disks.h"
#include "storage/file_copy.h"
#include "storage/image_errors.h"
#include "tests/unit/storage_fixture.h"

#define MIB ((uint64_t)1 << 20)
#define IMAGE "3a4f5e0c-0c5d-4f0e-9d0f-000000000001"

typedef struct Bench {
    StorageFixture *fixture;
    Options *options;
    ImageCache *cache;
    DiskPlan plan;
    CephPool *vms, *images;
    char *uuid;
    char *source; /* Glance's file of it */
} Bench;

static Bench *bench;
static char *location;      /* Glance's, in this cluster or another; NULL: none */
static unsigned n_downloads;
static bool refuses_copies;

static void make_glance_image(void);

/* ---- doubles ---- */

json_t *
glance_show(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED, const char *image_id,
            NovaError **err G_GNUC_UNUSED)
{
    return json_pack("{s:s, s:s, s:s, s:s*}", "id", image_id, "disk_format", "raw", "stores",
                     location ? "file,ceph" : "file", "direct_url", location);
}

bool
glance_copy_to_store(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED, const char *image_id,
                     const char *store, NovaError **err)
{
    if (refuses_copies)
        return nova_error_set(err, NOVA_ERROR_IMAGE_IMPORT_IMPOSSIBLE, "Import of image %s refused", image_id);
    assert_string_equal(store, "ceph");
    make_glance_image();
    return true;
}

bool
glance_download(Glance *glance G_GNUC_UNUSED, const RequestContext *ctx G_GNUC_UNUSED,
                const char *image_id, const char *path, json_t **ret_record, NovaError **err)
{
    n_downloads++;
    if (!file_copy(bench->source, path, err))
        return false;
    *ret_record = json_pack("{s:s, s:s}", "id", image_id, "disk_format", "raw");
    return true;
}

/* ---- */

static void
make_glance_image(void)
{
    g_autofree char *fsid = ceph_fetch_fsid(bench->images, NULL);

    assert_true(ceph_import(bench->images, bench->source, IMAGE, NULL));
    assert_true(ceph_snapshot_create(bench->images, IMAGE, "snap", true, NULL));
    location = g_strdup_printf("rbd://%s/images/%s/snap", fsid, IMAGE);
}

static void
clear_pool(void)
{
    g_autoptr(GPtrArray) names = ceph_list(bench->vms, NULL);
    bool found;

    for (guint i = 0; i < names->len; i++)
        assert_true(ceph_remove(bench->vms, names->pdata[i], NULL));
    assert_true(ceph_find(bench->images, IMAGE, "snap", &found, NULL));
    if (found)
        assert_true(ceph_snapshot_remove(bench->images, IMAGE, "snap", NULL));
    assert_true(ceph_remove(bench->images, IMAGE, NULL));
}

/* 12 MiB, of which the first, the ninth and the end hold something. */
static void
make_source(void)
{
    FILE *file = fopen(bench->source, "w");

    fputs("an operating system", file);
    fseek(file, 9 * MIB + 5, SEEK_SET);
    fputs("its programs", file);
    assert_int_equal(ftruncate(fileno(file), 12 * MIB - 4), 0);
    fseek(file, 0, SEEK_END);
    fputs("end.", file);
    fclose(file);
}

static int
set_up(void **state G_GNUC_UNUSED)
{
    bench = g_new0(Bench, 1);
    bench->fixture = storage_fixture_new();
    bench->options = &bench->fixture->options;
    bench->options->libvirt.images_type = (char *)"rbd";
    bench->options->libvirt.images_rbd_pool = (char *)"vms";
    bench->options->libvirt.images_rbd_ceph_conf = (char *)g_getenv("KILONOVA_CEPH_CONF");
    bench->options->libvirt.rbd_user = (char *)"nova";
    bench->options->libvirt.rbd_connect_timeout = 20;
    bench->options->libvirt.rbd_destroy_volume_retries = 2;
    bench->options->libvirt.rbd_destroy_volume_retry_interval = 1;
    bench->cache = image_cache_new(bench->options, NULL);
    bench->plan.disks = g_ptr_array_new_with_free_func(g_free);
    bench->source = storage_fixture_path(bench->fixture, "source");
    bench->uuid = g_uuid_string_random();
    bench->vms = ceph_open(bench->options, NULL, NULL);
    bench->images = ceph_open(bench->options, "images", NULL);
    assert_non_null(bench->vms);
    assert_non_null(bench->images);
    make_source();
    n_downloads = 0;
    refuses_copies = false;
    return 0;
}

static int
tear_down(void **state G_GNUC_UNUSED)
{
    clear_pool();
    g_clear_pointer(&location, g_free);
    ceph_close(bench->vms);
    ceph_close(bench->images);
    g_ptr_array_unref(bench->plan.disks);
    image_cache_free(bench->cache);
    storage_fixture_free(bench->fixture);
    g_free(bench->source);
    g_free(bench->uuid);
    g_free(bench);
    return 0;
}

static bool
create(NovaError **err)
{
    return disks_create(bench->options, bench->cache, NULL, bench->uuid, &bench->plan, NULL, err);
}

static char *
image_of(const char *name)
{
    return g_strdup_printf("%s_%s", bench->uuid, name);
}

static uint64_t
size_of(const char *name)
{
    g_autofree char *image = image_of(name);
    uint64_t size = 0;

    assert_true(ceph_fetch_size(bench->vms, image, &size, NULL));
    return size;
}

static bool
is_there(const char *name)
{
    g_autofree char *image = image_of(name);
    bool found = false;

    assert_true(ceph_find(bench->vms, image, NULL, &found, NULL));
    return found;
}

/* What qemu reads of the disk equals what Glance has. */
static void
assert_content(const char *name)
{
    g_autofree char *path = g_strdup_printf("rbd:vms/%s_%s", bench->uuid, name);
    g_autofree char *disk = disks_qemu_source(bench->options, path);
    g_autofree char *line =
        g_strdup_printf("qemu-img compare -q -f raw -F raw %s %s", disk, bench->source);
    int status = -1;

    assert_true(g_spawn_command_line_sync(line, NULL, NULL, &status, NULL));
    assert_int_equal(status, 0);
}

static void
root_is_a_clone_of_glance_s_image(void **state G_GNUC_UNUSED)
{
    g_autofree char *image = image_of("disk");
    g_autofree char *parent = NULL;

    make_glance_image();
    storage_fixture_plan_root(&bench->plan, 64 * MIB, IMAGE);
    assert_true(create(NULL));
    assert_int_equal(n_downloads, 0);
    assert_int_equal(size_of("disk"), 64 * MIB);
    assert_content("disk");
    assert_true(ceph_fetch_parent_pool(bench->vms, image, &parent, NULL));
    assert_string_equal(parent, "images");
}

static void
image_of_another_cluster_is_downloaded_and_imported(void **state G_GNUC_UNUSED)
{
    g_autofree char *image = image_of("disk");
    g_autofree char *parent = NULL;

    location = g_strdup("rbd://00000000-0000-0000-0000-000000000000/images/" IMAGE "/snap");
    storage_fixture_plan_root(&bench->plan, 0, IMAGE);
    assert_true(create(NULL));
    assert_int_equal(n_downloads, 1);
    assert_int_equal(size_of("disk"), 12 * MIB);
    assert_content("disk");
    assert_true(ceph_fetch_parent_pool(bench->vms, image, &parent, NULL));
    assert_null(parent);
}

static void
image_of_another_store_is_copied_by_glance_and_cloned(void **state G_GNUC_UNUSED)
{
    g_autofree char *image = image_of("disk");
    g_autofree char *parent = NULL;

    bench->options->libvirt.images_rbd_glance_store_name = (char *)"ceph";
    storage_fixture_plan_root(&bench->plan, 64 * MIB, IMAGE);
    assert_true(create(NULL));
    assert_int_equal(n_downloads, 0);
    assert_content("disk");
    assert_true(ceph_fetch_parent_pool(bench->vms, image, &parent, NULL));
    assert_string_equal(parent, "images");
}

static void
image_that_glance_does_not_copy_is_downloaded(void **state G_GNUC_UNUSED)
{
    bench->options->libvirt.images_rbd_glance_store_name = (char *)"ceph";
    refuses_copies = true;
    storage_fixture_plan_root(&bench->plan, 64 * MIB, IMAGE);
    assert_true(create(NULL));
    assert_int_equal(n_downloads, 1);
    assert_content("disk");
}

static void
download_may_be_forbidden(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    bench->options->workarounds.never_download_image_if_on_rbd = true;
    storage_fixture_plan_root(&bench->plan, 0, IMAGE);
    assert_false(create(&failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_IMAGE_UNACCEPTABLE);
    assert_int_equal(n_downloads, 0);
}

static void
flavor_smaller_than_the_image_leaves_nothing(void **state G_GNUC_UNUSED)
{
    g_autofree char *folder = disks_instance_path(bench->options, bench->uuid);
    g_autoptr(NovaError) failure = NULL;

    make_glance_image();
    storage_fixture_plan_root(&bench->plan, 8 * MIB, IMAGE);
    assert_false(create(&failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_FLAVOR_DISK_SMALLER_THAN_IMAGE);
    assert_false(is_there("disk"));
    assert_int_equal(access(folder, F_OK), -1);
}

static void
second_call_keeps_disks_and_grows_them(void **state G_GNUC_UNUSED)
{
    PlannedDisk *root;

    storage_fixture_plan_root(&bench->plan, 16 * MIB, IMAGE);
    assert_true(create(NULL));
    root = bench->plan.disks->pdata[0];
    root->size = 32 * MIB;
    assert_true(create(NULL));
    assert_int_equal(n_downloads, 1);
    assert_int_equal(size_of("disk"), 32 * MIB);
}

static void
swap_is_imported(void **state G_GNUC_UNUSED)
{
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_SWAP, .name = (char *)"disk.swap", .size = 8 * MIB, .base_size = 8});
    assert_true(create(NULL));
    assert_int_equal(size_of("disk.swap"), 8 * MIB);
}

static void
deletion_removes_the_server_s_images_and_their_snapshot(void **state G_GNUC_UNUSED)
{
    g_autofree char *image = image_of("disk");

    storage_fixture_plan_root(&bench->plan, 0, IMAGE);
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_SWAP, .name = (char *)"disk.swap", .size = MIB, .base_size = 1});
    assert_true(create(NULL));
    assert_true(ceph_import(bench->vms, bench->source, "another", NULL));
    assert_true(ceph_snapshot_create(bench->vms, image, "nova-resize", false, NULL));
    assert_true(disks_remove_volumes(bench->options, bench->uuid, NULL));
    assert_false(is_there("disk"));
    assert_false(is_there("disk.swap"));
    {
        g_autoptr(GPtrArray) left = ceph_list(bench->vms, NULL);

        assert_int_equal(left->len, 1);
    }
}

static void
unrescue_removes_the_rescue_disk_only(void **state G_GNUC_UNUSED)
{
    storage_fixture_plan_root(&bench->plan, 0, IMAGE);
    storage_fixture_plan(&bench->plan, (PlannedDisk){.kind = DISK_ROOT, .name = (char *)"disk.rescue", .image_id = (char *)IMAGE});
    assert_true(create(NULL));
    disks_remove_rescue(bench->options, bench->uuid);
    assert_true(is_there("disk"));
    assert_false(is_there("disk.rescue"));
}

static void
config_drive_moves_into_the_pool(void **state G_GNUC_UNUSED)
{
    g_autofree char *folder = disks_instance_path(bench->options, bench->uuid);
    g_autofree char *path = disks_path(bench->options, bench->uuid, "disk.config");
    bool found = true;

    g_mkdir(folder, 0755);
    assert_true(disks_find_config_drive(bench->options, bench->uuid, "disk.config", &found, NULL));
    assert_false(found);
    assert_true(file_copy(bench->source, path, NULL));
    assert_true(disks_store_config_drive(bench->options, bench->uuid, "disk.config", NULL));
    assert_int_equal(access(path, F_OK), -1);
    assert_true(disks_find_config_drive(bench->options, bench->uuid, "disk.config", &found, NULL));
    assert_true(found);
    assert_content("disk.config");
}

static void
resize_is_reverted_and_confirmed(void **state G_GNUC_UNUSED)
{
    g_autofree char *image = image_of("disk");
    bool found = true;

    storage_fixture_plan_root(&bench->plan, 16 * MIB, IMAGE);
    assert_true(create(NULL));
    for (int attempt = 0; attempt < 2; attempt++)
        assert_true(disks_mark(bench->options, bench->uuid, DISK_MARK_SET, NULL));
    assert_true(ceph_resize(bench->vms, image, 32 * MIB, NULL));
    for (int attempt = 0; attempt < 2; attempt++)
        assert_true(disks_mark(bench->options, bench->uuid, DISK_MARK_RETURN, NULL));
    assert_int_equal(size_of("disk"), 16 * MIB);
    assert_content("disk");
    assert_true(disks_mark(bench->options, bench->uuid, DISK_MARK_SET, NULL));
    assert_true(disks_mark(bench->options, bench->uuid, DISK_MARK_FORGET, NULL));
    assert_true(ceph_find(bench->vms, image, CEPH_RESIZE_SNAPSHOT, &found, NULL));
    assert_false(found);
}

static void
snapshot_becomes_an_image_of_its_own(void **state G_GNUC_UNUSED)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *url = NULL, *expected = NULL, *parent = NULL;
    g_autofree char *fsid = ceph_fetch_fsid(bench->images, NULL);
    bool found = false;
    uint64_t size = 0;

    make_glance_image();
    storage_fixture_plan_root(&bench->plan, 16 * MIB, IMAGE);
    assert_true(create(NULL));
    assert_true(disks_snapshot_in_store(bench->options, bench->uuid, id, NULL, &url, NULL));
    expected = g_strdup_printf("rbd://%s/images/%s/snap", fsid, id);
    assert_string_equal(url, expected);
    assert_true(ceph_find(bench->images, id, "snap", &found, NULL));
    assert_true(found);
    assert_true(ceph_fetch_size(bench->images, id, &size, NULL));
    assert_int_equal(size, 16 * MIB);
    assert_true(ceph_fetch_parent_pool(bench->images, id, &parent, NULL));
    assert_null(parent);
    disks_end_snapshots(bench->options, bench->uuid, NULL); /* Glance has taken it */
    assert_true(disks_remove_volumes(bench->options, bench->uuid, NULL)); /* which no snapshot keeps */
    assert_true(ceph_find(bench->images, id, "snap", &found, NULL));
    assert_true(found);
    assert_true(ceph_snapshot_remove(bench->images, id, "snap", NULL));
    assert_true(ceph_remove(bench->images, id, NULL));
}

/* A process was killed when it had cloned the disk's snapshot: that cannot go before the clone. */
static void
half_a_copy_does_not_keep_the_disk(void **state G_GNUC_UNUSED)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *snapshot = g_strdup_printf("kilonova-copy-%s-images", id);
    g_autofree char *image = NULL;
    bool found;

    storage_fixture_plan_root(&bench->plan, 16 * MIB, IMAGE);
    assert_true(create(NULL));
    image = g_strdup_printf("%s_disk", bench->uuid);
    assert_true(ceph_snapshot_create(bench->vms, image, snapshot, true, NULL));
    assert_true(ceph_clone(bench->vms, image, snapshot, bench->images, id, NULL));
    assert_true(disks_remove_volumes(bench->options, bench->uuid, NULL));
    assert_true(ceph_find(bench->vms, image, NULL, &found, NULL));
    assert_false(found);
    assert_true(ceph_find(bench->images, id, NULL, &found, NULL));
    assert_false(found);
}

static void
a_copy_that_glance_does_not_take_goes(void **state G_GNUC_UNUSED)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *url = NULL;
    bool found;

    make_glance_image();
    storage_fixture_plan_root(&bench->plan, 16 * MIB, IMAGE);
    assert_true(create(NULL));
    for (int i = 0; i < 2; i++) { /* the second finds what a killed one has left */
        g_clear_pointer(&url, g_free);
        assert_true(disks_snapshot_in_store(bench->options, bench->uuid, id, NULL, &url, NULL));
    }
    disks_end_snapshots(bench->options, bench->uuid, id);
    assert_true(ceph_find(bench->images, id, NULL, &found, NULL));
    assert_false(found);
    assert_true(disks_remove_volumes(bench->options, bench->uuid, NULL));
}

static void
snapshot_of_an_imported_disk_goes_where_its_image_is(void **state G_GNUC_UNUSED)
{
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *url = NULL;
    g_autoptr(NovaError) failure = NULL;
    json_auto_t *base = NULL;

    storage_fixture_plan_root(&bench->plan, 0, IMAGE);
    assert_true(create(NULL));
    assert_false(disks_snapshot_in_store(bench->options, bench->uuid, id, NULL, &url, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_IMAGE_UNACCEPTABLE);
    make_glance_image();
    base = glance_show(NULL, NULL, IMAGE, NULL);
    assert_true(disks_snapshot_in_store(bench->options, bench->uuid, id, base, &url, NULL));
    disks_end_snapshots(bench->options, bench->uuid, id);
}

static void
cluster_tells_its_monitors_and_its_space(void **state G_GNUC_UNUSED)
{
    g_auto(GStrv) hosts = NULL, ports = NULL;
    StoreSpace space = {0};

    assert_true(disks_fetch_monitors(bench->options, &hosts, &ports, NULL));
    assert_int_equal(g_strv_length(hosts), g_strv_length(ports));
    assert_true(g_strv_length(hosts) > 0);
    assert_true(g_ascii_strtoll(ports[0], NULL, 10) > 0);
    assert_true(disks_fetch_space(bench->options, &space, NULL));
    assert_true(space.total > 0 && space.free > 0);
}

static void
unknown_pool_is_a_storage_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;
    g_autoptr(CephPool) pool = ceph_open(bench->options, "nowhere", &failure);

    assert_null(pool);
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_STORAGE_ERROR);
    assert_non_null(strstr(nova_error_message(failure), "nowhere"));
}

/* Without the time-out librados tries for five minutes. */
static void
dead_cluster_is_given_up(void **state G_GNUC_UNUSED)
{
    g_autofree char *conf = storage_fixture_path(bench->fixture, "ceph.conf");
    g_autoptr(NovaError) failure = NULL;
    gint64 began = g_get_monotonic_time();
    g_autoptr(CephPool) pool = NULL;

    g_file_set_contents(conf, "[global]\nmon host = 127.0.0.1:1\nauth client required = none\n", -1, NULL);
    bench->options->libvirt.images_rbd_ceph_conf = conf;
    bench->options->libvirt.rbd_connect_timeout = 1;
    pool = ceph_open(bench->options, NULL, &failure);
    assert_null(pool);
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_STORAGE_ERROR);
    assert_true(g_get_monotonic_time() - began < 120 * G_USEC_PER_SEC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(root_is_a_clone_of_glance_s_image),
        TEST(image_of_another_cluster_is_downloaded_and_imported),
        TEST(image_of_another_store_is_copied_by_glance_and_cloned),
        TEST(image_that_glance_does_not_copy_is_downloaded),
        TEST(download_may_be_forbidden),
        TEST(flavor_smaller_than_the_image_leaves_nothing),
        TEST(second_call_keeps_disks_and_grows_them),
        TEST(swap_is_imported),
        TEST(deletion_removes_the_server_s_images_and_their_snapshot),
        TEST(unrescue_removes_the_rescue_disk_only),
        TEST(config_drive_moves_into_the_pool),
        TEST(resize_is_reverted_and_confirmed),
        TEST(snapshot_becomes_an_image_of_its_own),
        TEST(half_a_copy_does_not_keep_the_disk),
        TEST(a_copy_that_glance_does_not_take_goes),
        TEST(snapshot_of_an_imported_disk_goes_where_its_image_is),
        TEST(cluster_tells_its_monitors_and_its_space),
        TEST(unknown_pool_is_a_storage_error),
        TEST(dead_cluster_is_given_up),
    };

    if (!g_getenv("KILONOVA_CEPH_CONF"))
        return 77;
    return cmocka_run_group_tests_name("disk_rbd", tests, NULL, NULL);
}
