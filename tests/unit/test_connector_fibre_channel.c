/* SPDX-License-Identifier: Apache-2.0 */
/* Fibre Channel in a tree of its own: two adapters, and a kernel that brings LUN 3 of one port when asked for it. */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "conf/options.h"
#include "storage/connector.h"
#include "storage/fibre_channel.h"
#include "tests/unit/tree.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define PORT "50060e801049cfd1"
#define OTHER_PORT "50060e801049cfd2"
#define LINK "/dev/disk/by-path/pci-0000:05:00.3-fc-0x" PORT "-lun-3"
#define SCAN "/sys/class/scsi_host/host6/scan"
#define OTHER_SCAN "/sys/class/scsi_host/host7/scan"
#define LUN_FOLDER "/sys/class/fc_remote_ports/rport-6:0-1/device/target6:0:2/6:0:2:3"

typedef struct Bench {
    char *root;
    Options options;
    Connectors *connectors;
    const char *awaited; /* what the kernel is to be asked for */
    pthread_t kernel;
    atomic_bool stops;
} Bench;

static char *
read_file(Bench *bench, const char *path)
{
    g_autofree char *full = g_strconcat(bench->root, path, NULL);
    char *text = NULL;

    return g_file_get_contents(full, &text, NULL, NULL) ? text : g_strdup("");
}

static void
put_link(Bench *bench)
{
    g_autofree char *link = g_strconcat(bench->root, LINK, NULL);
    g_autofree char *folder = g_path_get_dirname(link);

    assert_int_equal(g_mkdir_with_parents(folder, 0755), 0);
    assert_int_equal(symlink("../../sdb", link), 0);
}

static void
put_disk(Bench *bench)
{
    tree_put(bench->root, "/sys/block/sdb/device/delete", "");
    tree_put(bench->root, "/sys/block/sdb/device/rescan", "");
    tree_put(bench->root, "/sys/block/sdb/size", "4096\n");
    tree_put(bench->root, "/dev/sdb", "");
    put_link(bench);
    tree_put(bench->root, LUN_FOLDER "/block/sdb/x", "");
}

static void
remove_disk(Bench *bench)
{
    g_autofree char *folder = g_strconcat(bench->root, LUN_FOLDER, NULL);
    g_autofree char *aside = g_strconcat(bench->root, "/gone", NULL);
    g_autofree char *node = g_strconcat(bench->root, "/dev/sdb", NULL);
    g_autofree char *link = g_strconcat(bench->root, LINK, NULL);

    g_rename(folder, aside);
    g_unlink(node);
    g_unlink(link);
}

static void *
be_the_kernel(void *user)
{
    Bench *bench = user;
    bool is_there = false;

    while (!atomic_load(&bench->stops)) {
        g_autofree char *scan = read_file(bench, SCAN);
        g_autofree char *delete = read_file(bench, "/sys/block/sdb/device/delete");

        if (!is_there && bench->awaited && strcmp(scan, bench->awaited) == 0) {
            put_disk(bench);
            is_there = true;
        }
        if (*delete == '1')
            remove_disk(bench);
        g_usleep(5000);
    }
    return NULL;
}

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->root = g_dir_make_tmp("kilonova-fc-XXXXXX", NULL);
    bench->options.libvirt.num_volume_scan_tries = 1;
    bench->connectors = connectors_new(&bench->options, bench->root);
    tree_put(bench->root, "/sys/class/fc_host/host6/port_name", "0x10000090FA000006\n");
    tree_put(bench->root, "/sys/class/fc_host/host7/port_name", "0x10000090fa000007\n");
    tree_put(bench->root, SCAN, "");
    tree_put(bench->root, OTHER_SCAN, "");
    tree_put(bench->root, "/sys/class/fc_remote_ports/rport-6:0-1/port_name", "0x" PORT "\n");
    *state = bench;
    return 0;
}

static void
start_kernel(Bench *bench, const char *awaited)
{
    bench->awaited = awaited;
    assert_int_equal(pthread_create(&bench->kernel, NULL, be_the_kernel, bench), 0);
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    atomic_store(&bench->stops, true);
    if (bench->kernel)
        pthread_join(bench->kernel, NULL);
    tree_remove(bench->root);
    connectors_free(bench->connectors);
    g_free(bench->root);
    g_free(bench);
    return 0;
}

static json_t *
connection(void)
{
    return json_pack("{s:s, s:{s:[s, s], s:i}}", "driver_volume_type", "fibre_channel", "data", "target_wwn",
                     "50060E801049CFD1", OTHER_PORT, "target_lun", 3);
}

static const char *
device_path(const json_t *info)
{
    return json_string_value(json_path(info, "data", "device_path", NULL));
}

static void
assert_scanned(Bench *bench, const char *path, const char *expected)
{
    g_autofree char *text = read_file(bench, path);

    assert_string_equal(text, expected);
}

static void
only_the_adapter_that_reaches_the_port_scans(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    tree_put(bench->root, "/sys/class/fc_transport/target6:0:2/port_name", "0x" PORT "\n");
    start_kernel(bench, "0 2 3");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), LINK);
    assert_scanned(bench, OTHER_SCAN, "");
}

static void
a_remote_port_without_a_target_of_the_transport_is_scanned_by_its_id(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    tree_put(bench->root, "/sys/class/fc_remote_ports/rport-6:0-1/scsi_target_id", "2\n");
    start_kernel(bench, "0 2 3");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_scanned(bench, OTHER_SCAN, "");
}

static void
without_a_known_port_all_adapters_scan_everywhere(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    tree_put(bench->root, "/sys/class/fc_remote_ports/rport-6:0-1/scsi_target_id", "-1\n");
    start_kernel(bench, "- - 3");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_scanned(bench, OTHER_SCAN, "- - 3");
}

static void
what_must_not_be_scanned_for_everywhere_is_not(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autoptr(NovaError) error = NULL;

    json_object_set_new(json_object_get(info, "data"), "enable_wildcard_scan", json_false());
    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "NoFibreChannelVolumeDeviceFound");
    assert_scanned(bench, SCAN, "");
}

static void
the_map_of_initiators_leaves_adapters_out(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    json_object_set_new(json_object_get(info, "data"), "initiator_target_map",
                        json_pack("{s:[s, s]}", "10000090fa000006", PORT, "50060e801049ffff"));
    start_kernel(bench, "- - 3");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_scanned(bench, OTHER_SCAN, "");
}

static void
a_disk_that_is_there_is_not_scanned_for(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    put_disk(bench);
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), LINK);
    assert_scanned(bench, SCAN, "");
}

static void
a_host_without_adapters_says_so(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autofree char *hosts = g_strconcat(bench->root, "/sys/class/fc_host", NULL);
    g_autoptr(NovaError) error = NULL;

    tree_remove(hosts);
    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "NoFibreChannelHostsFound");
}

static void
disconnecting_removes_this_lun_alone(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    put_disk(bench);
    tree_put(bench->root, "/sys/class/fc_remote_ports/rport-6:0-1/device/target6:0:2/6:0:2:33/block/sdc/x", "");
    tree_put(bench->root, "/sys/block/sdc/device/delete", "");
    tree_put(bench->root, "/dev/sdc", "");
    start_kernel(bench, NULL);
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_false(tree_has(bench->root, "/dev/sdb"));
    assert_scanned(bench, "/sys/block/sdc/device/delete", "");
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
}

static void
a_grown_disk_is_read_again(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autoptr(NovaError) error = NULL;
    int64_t size = 0;

    assert_false(connectors_extend(bench->connectors, info, 1, &size, &error));
    assert_string_equal(nova_error_class(error), "VolumePathsNotFound");
    put_disk(bench);
    assert_true(connectors_extend(bench->connectors, info, 1, &size, NULL));
    assert_int_equal(size, 4096 * 512);
    assert_scanned(bench, "/sys/block/sdb/device/rescan", "1");
}

/* "WWPN LUN" of each target, or the class of the error. */
static void
targets_are_read_as_os_brick_does(void **state)
{
    static const struct {
        const char *data;
        const char *expected;
    } cases[] = {
        {"{'target_wwn': 'AB', 'target_lun': 1}", "ab 1;"},
        {"{'target_wwn': 'ab'}", "ab 0;"},
        {"{'target_wwn': ['ab', 'cd'], 'target_lun': 7}", "ab 7;cd 7;"},
        {"{'target_wwns': ['ab', 'cd'], 'target_luns': [1, 2], 'target_wwn': 'ef'}", "ab 1;cd 2;"},
        {"{'target_wwns': ['ab', 'cd'], 'target_luns': [1, 2, 3]}", "VolumePathsNotFound"},
        {"{'target_lun': 1}", "VolumePathsNotFound"},
        {"{'target_wwn': null}", "VolumePathsNotFound"},
        {"{'target_wwn': 'ab', 'target_lun': null}", "VolumePathsNotFound"},
        {"{'target_wwn': 'ab', 'target_lun': 300, 'addressing_mode': 'SAM2'}", "ab 16684;"},
        {"{'target_wwn': 'ab', 'target_lun': 1, 'addressing_mode': 'SAM3-flat'}", "ab 16385;"},
        {"{'target_wwn': {}, 'target_lun': 'x'}", " 0;"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup(cases[i].data);
        json_auto_t *data = json_loads(g_strdelimit(text, "'", '"'), 0, NULL);
        g_autoptr(NovaError) error = NULL;
        g_autoptr(GPtrArray) targets = fibre_channel_targets(data, &error);
        g_autoptr(GString) read = g_string_new(targets ? "" : nova_error_class(error));

        for (guint j = 0; targets && j < targets->len; j++) {
            const FibreChannelTarget *target = targets->pdata[j];

            g_string_append_printf(read, "%s %d;", target->wwpn, (int)target->lun);
        }
        assert_string_equal(read->str, cases[i].expected);
    }
}

static void
links_of_large_luns_are_written_as_udev_does(void **state)
{
    Bench *bench = *state;
    json_auto_t *data = json_pack("{s:s, s:i}", "target_wwn", PORT, "target_lun", 16640);
    g_autoptr(GPtrArray) targets = fibre_channel_targets(data, NULL);
    g_autofree char *full = g_strconcat(bench->root, "/dev/disk/by-path/pci-1-fc-0x" PORT "-lun-0x4100000000000000", NULL);
    g_autofree char *link = NULL;

    put_disk(bench);
    assert_int_equal(symlink("../../sdb", full), 0);
    link = fibre_channel_link(bench->root, targets, "sdb");
    assert_string_equal(link, full + strlen(bench->root));
    assert_null(fibre_channel_link(bench->root, targets, "sdc"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_the_adapter_that_reaches_the_port_scans),
        TEST(a_remote_port_without_a_target_of_the_transport_is_scanned_by_its_id),
        TEST(without_a_known_port_all_adapters_scan_everywhere),
        TEST(what_must_not_be_scanned_for_everywhere_is_not),
        TEST(the_map_of_initiators_leaves_adapters_out),
        TEST(a_disk_that_is_there_is_not_scanned_for),
        TEST(a_host_without_adapters_says_so),
        TEST(disconnecting_removes_this_lun_alone),
        TEST(a_grown_disk_is_read_again),
        cmocka_unit_test(targets_are_read_as_os_brick_does),
        TEST(links_of_large_luns_are_written_as_udev_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
