/* SPDX-License-Identifier: Apache-2.0 */
/* How this host looks to Cinder, on a made-up tree of /sys and /etc; and the drivers that need no more than
 * a mount, which is a script here. */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "conf/options.h"
#include "storage/connector.h"
#include "storage/host_connector.h"
#include "tests/unit/tree.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"

typedef struct Bench {
    char *root;
    char *path; /* of the programs, before the test's */
    Options options;
    Connectors *connectors;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->root = g_dir_make_tmp("kilonova-connector-XXXXXX", NULL);
    bench->path = g_strdup(g_getenv("PATH"));
    bench->options.default_group.my_block_storage_ip = "192.0.2.9";
    bench->options.default_group.host = "host1";
    bench->options.libvirt.nfs_mount_point_base = g_build_filename(bench->root, "mnt", NULL);
    bench->connectors = connectors_new(&bench->options, bench->root);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    g_setenv("PATH", bench->path, TRUE);
    tree_remove(bench->root);
    connectors_free(bench->connectors);
    g_free(bench->options.libvirt.nfs_mount_point_base);
    g_free(bench->path);
    g_free(bench->root);
    g_free(bench);
    return 0;
}

static json_t *
rbd(void)
{
    return json_pack("{s:s, s:{s:s}}", "driver_volume_type", "rbd", "data", "name", "volumes/v");
}

static json_t *
nfs(const char *name)
{
    return json_pack("{s:s, s:{s:s, s:s, s:s}}", "driver_volume_type", "nfs", "data", "export", "h:/e", "name",
                     name, "options", "-o vers=4");
}

static void
assert_text(const json_t *object, const char *key, const char *expected)
{
    assert_string_equal(json_get_string(object, key, "(absent)"), expected);
}

/* ---- the host ---- */

static void
a_bare_host_has_a_name_and_an_address(void **state)
{
    Bench *bench = *state;
    json_auto_t *host = NULL;

    g_setenv("PATH", bench->root, TRUE); /* no nvme, which would make itself a name */
    host = connectors_host(bench->connectors);
    assert_text(host, "os_type", "linux");
    assert_text(host, "ip", "192.0.2.9");
    assert_text(host, "host", "host1");
    assert_true(json_is_false(json_object_get(host, "multipath")));
    assert_true(json_is_true(json_object_get(host, "enforce_multipath")));
    assert_true(json_is_false(json_object_get(host, "do_local_attach")));
    assert_null(json_object_get(host, "initiator"));
    assert_null(json_object_get(host, "wwpns"));
    assert_null(json_object_get(host, "nqn"));
    assert_null(json_object_get(host, "host_ips"));
}

static void
identities_are_read_from_the_host(void **state)
{
    Bench *bench = *state;
    json_auto_t *host = NULL;
    json_auto_t *ports = json_pack("[s]", "50014380186b3f65");

    tree_put(bench->root, "/etc/iscsi/initiatorname.iscsi", "# generated\nInitiatorName=iqn.1993-08.org.debian:01:6a\n");
    tree_put(bench->root, "/etc/nvme/hostnqn", "nqn.2014-08.org.nvmexpress:uuid:x\n");
    tree_put(bench->root, "/etc/nvme/hostid", "273cf161\n");
    tree_put(bench->root, "/sys/class/dmi/id/product_uuid", "4C4C4544\n");
    tree_put(bench->root, "/sys/module/nvme_core/parameters/multipath", "Y\n");
    tree_put(bench->root, "/sys/class/fc_host/host1/port_state", "Online\n");
    tree_put(bench->root, "/sys/class/fc_host/host1/port_name", "0x50014380186b3f65\n");
    tree_put(bench->root, "/sys/class/fc_host/host2/port_state", "Linkdown\n");
    tree_put(bench->root, "/sys/class/fc_host/host2/port_name", "0x50014380186b3f67\n");
    host = connectors_host(bench->connectors);
    assert_text(host, "initiator", "iqn.1993-08.org.debian:01:6a");
    assert_text(host, "nqn", "nqn.2014-08.org.nvmexpress:uuid:x");
    assert_text(host, "nvme_hostid", "273cf161");
    assert_text(host, "system uuid", "4C4C4544");
    assert_true(json_is_true(json_object_get(host, "nvme_native_multipath")));
    assert_true(json_equal(json_object_get(host, "wwpns"), ports));
    assert_null(json_object_get(host, "wwnns"));
    assert_true(json_is_array(json_object_get(host, "host_ips")));
}

/* ---- drivers ---- */

static void
rbd_is_left_to_qemu(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = rbd();
    int64_t size = 0;

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_null(json_path(info, "data", "device_path", NULL));
    assert_true(connectors_extend(bench->connectors, info, 7, &size, NULL));
    assert_int_equal(size, 7);
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
}

static void
unknown_drivers_are_novas_errors(void **state)
{
    static const char *const types[][2] = {{"nosuch", "VolumeDriverNotFound"},
                                           {"quobyte", "VolumeDriverNotSupported"}};
    Bench *bench = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
        json_auto_t *info = json_pack("{s:s, s:{}}", "driver_volume_type", types[i][0], "data");
        g_autoptr(NovaError) error = NULL;

        assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
        assert_string_equal(nova_error_class(error), types[i][1]);
    }
}

static void
a_local_volume_cannot_grow_while_it_is_used(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = json_pack("{s:s, s:{s:s}}", "driver_volume_type", "local", "data", "device_path", "/dev/x");
    g_autoptr(NovaError) error = NULL;
    int64_t size;

    assert_false(connectors_extend(bench->connectors, info, 7, &size, &error));
    assert_string_equal(nova_error_class(error), "ExtendVolumeNotSupported");
}

static void
connections_without_what_they_need_are_failures(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"driver_volume_type\": 3, \"data\": {}}",
        "{\"driver_volume_type\": \"rbd\"}",
        "{\"driver_volume_type\": \"nfs\", \"data\": {}}",
        "{\"driver_volume_type\": \"nfs\", \"data\": {\"export\": \"h:/e\"}}",
        "{\"driver_volume_type\": \"nfs\", \"data\": {\"export\": \"h:/e\", \"name\": \"../../etc/passwd\"}}",
        "{\"driver_volume_type\": \"nfs\", \"data\": {\"export\": \"h:/e\", \"name\": \"..\"}}",
        "{\"driver_volume_type\": \"nfs\", \"data\": {\"export\": \"-bind\", \"name\": \"v\"}}",
    };
    Bench *bench = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        json_auto_t *info = json_loads(texts[i], 0, NULL);
        g_autoptr(NovaError) error = NULL;

        assert_non_null(info);
        assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
        assert_non_null(error);
    }
}

/* A mount that only notes its arguments: nothing is mounted then. */
static void
put_mount(Bench *bench, const char *answer)
{
    g_autofree char *script = g_strdup_printf("#!/bin/sh\necho \"$@\" >> %s/log\nexit %s\n", bench->root, answer);

    tree_put_program(bench->root, "mount", script);
    g_free(tree_use_programs(bench->root));
}

static void
an_export_is_mounted_under_its_hash(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = nfs("volume-1");
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_MD5, "h:/e", -1);
    g_autofree char *point = g_build_filename(bench->root, "mnt", hash, NULL);
    g_autofree char *file = g_build_filename(point, "volume-1", NULL);
    g_autofree char *log_path = g_build_filename(bench->root, "log", NULL);
    g_autofree char *expected = g_strdup_printf("-t nfs -o soft -o vers=4 h:/e %s\n", point);
    g_autofree char *log = NULL;

    put_mount(bench, "0");
    bench->options.libvirt.nfs_mount_options = "soft";
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(json_string_value(json_path(info, "data", "device_path", NULL)), file);
    assert_true(g_file_get_contents(log_path, &log, NULL, NULL));
    assert_string_equal(log, expected);
    assert_true(connectors_counts_users(info));
}

static void
a_mount_that_fails_is_a_failed_connection(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = nfs("volume-1");
    g_autoptr(NovaError) error = NULL;

    put_mount(bench, "32");
    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "ProcessExecutionError");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_bare_host_has_a_name_and_an_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(identities_are_read_from_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rbd_is_left_to_qemu, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_drivers_are_novas_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_local_volume_cannot_grow_while_it_is_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_without_what_they_need_are_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_export_is_mounted_under_its_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mount_that_fails_is_a_failed_connection, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
