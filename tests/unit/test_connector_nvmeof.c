/* SPDX-License-Identifier: Apache-2.0 */
/* NVMe over fabrics with an nvme that is a script and makes up controllers in a tree of its own. */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "conf/options.h"
#include "storage/connector.h"
#include "storage/nvme.h"
#include "tests/unit/tree.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define NQN "nqn.2014-08.org.nvmexpress:volume-1"
#define HOST_NQN "nqn.2014-08.org.nvmexpress:uuid:host"
#define UUID "9c6cf4a1-62ee-4bd4-b7b4-8a8a2e3cb6b0"
#define CTL "/sys/class/nvme-fabrics/ctl"

/* Logs what it is asked for. A portal 192.0.2.N is the controller nvmeN with the namespace nvmeNn1; 192.0.2.9 is
 * down. A rescan grows the namespace. */
static const char script[] =
    "#!/bin/sh\n"
    "echo \"$@\" >> $ROOT/log\n"
    "case \"$1\" in\n"
    "connect)\n"
    "  n=${3##*.}\n"
    "  [ $n != 9 ] || { echo 'Failed to write to /dev/nvme-fabrics: Connection timed out' >&2; exit 1; }\n"
    "  c=$ROOT" CTL "/nvme$n; [ ! -e $c ] || { echo 'already connected' >&2; exit 1; }\n"
    "  mkdir -p $c/nvme${n}n1 $ROOT/sys/block/nvme${n}n1 $ROOT/dev; echo $9 > $c/subsysnqn; echo $7 > $c/transport\n"
    "  echo traddr=$3,trsvcid=$5,src_addr=192.0.2.100 > $c/address; echo live > $c/state; echo " HOST_NQN " > $c/hostnqn\n"
    "  echo " UUID " > $c/nvme${n}n1/uuid; echo 1 > $c/nvme${n}n1/nsid\n"
    "  echo 4096 > $ROOT/sys/block/nvme${n}n1/size; : > $ROOT/dev/nvme${n}n1;;\n"
    "disconnect) c=${3##*/}; rm -rf $ROOT" CTL "/$c $ROOT/sys/block/${c}n1 $ROOT/dev/${c}n1;;\n"
    "ns-rescan) c=${2##*/}; echo 8192 > $ROOT/sys/block/${c}n1/size;;\n"
    "*) exit 2;;\n"
    "esac\n";

typedef struct Bench {
    char *root;
    char *path;
    Options options;
    Connectors *connectors;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->root = g_dir_make_tmp("kilonova-nvme-XXXXXX", NULL);
    bench->path = tree_use_programs(bench->root);
    bench->connectors = connectors_new(&bench->options, bench->root);
    tree_put_program(bench->root, "nvme", script);
    tree_put(bench->root, "/etc/nvme/hostnqn", HOST_NQN "\n");
    g_setenv("ROOT", bench->root, TRUE);
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
    g_free(bench->path);
    g_free(bench->root);
    g_free(bench);
    return 0;
}

static json_t *
connection(const char *first, const char *second)
{
    return json_pack("{s:s, s:{s:s, s:s, s:[[s, i, s], [s, s, s]]}}", "driver_volume_type", "nvmeof", "data",
                     "target_nqn", NQN, "vol_uuid", "9C6CF4A162EE4BD4B7B48A8A2E3CB6B0", "portals", first, 4420, "tcp",
                     second, "4420", "tcp");
}

static const char *
device_path(const json_t *info)
{
    return json_string_value(json_path(info, "data", "device_path", NULL));
}

static char *
log_of(Bench *bench)
{
    g_autofree char *path = g_build_filename(bench->root, "log", NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static void
one_portal_is_enough(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");
    g_autofree char *log = NULL;

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), "/dev/nvme1n1");
    log = log_of(bench);
    assert_string_equal(log, "connect -a 192.0.2.1 -s 4420 -t tcp -n " NQN " -Q 128 -l -1\n");
}

static void
all_portals_are_connected_where_the_kernel_joins_them(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");

    bench->options.libvirt.volume_use_multipath = true;
    tree_put(bench->root, "/sys/module/nvme_core/parameters/multipath", "Y\n");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(tree_has(bench->root, CTL "/nvme1"));
    assert_true(tree_has(bench->root, CTL "/nvme2"));
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_false(tree_has(bench->root, CTL "/nvme2"));
}

static void
the_second_portal_is_taken_when_the_first_one_fails(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.9", "192.0.2.2");

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), "/dev/nvme2n1");
}

static void
a_connected_subsystem_is_scanned_not_connected_again(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");
    g_autofree char *log = NULL;

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), "/dev/nvme1n1");
    log = log_of(bench);
    assert_true(g_str_has_suffix(log, "\nns-rescan /dev/nvme1\n"));
}

static void
the_last_volume_of_a_subsystem_ends_the_connection(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_false(tree_has(bench->root, CTL "/nvme1"));
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
}

static void
a_subsystem_with_other_volumes_stays(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    tree_put(bench->root, CTL "/nvme1/nvme1n2/uuid", "11111111-62ee-4bd4-b7b4-8a8a2e3cb6b0\n");
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_true(tree_has(bench->root, CTL "/nvme1"));
}

static void
another_host_s_connection_is_not_ours(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    tree_put(bench->root, CTL "/nvme1/hostnqn", "nqn.other\n");
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_true(tree_has(bench->root, CTL "/nvme1"));
}

static void
portals_that_are_all_down_leave_nothing(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.9", "192.0.2.9");
    g_autoptr(NovaError) error = NULL;

    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "VolumeDeviceNotFound");
    assert_false(tree_has(bench->root, "/sys/class/nvme-fabrics"));
}

static void
a_subsystem_without_the_volume_is_left_if_it_was_connected_for_it(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");
    json_auto_t *other = json_deep_copy(info);
    g_autoptr(NovaError) error = NULL;

    json_object_set_new(json_object_get(other, "data"), "vol_uuid", json_string("11111111-62ee-4bd4-b7b4-8a8a2e3cb6b0"));
    assert_false(connectors_connect(bench->connectors, other, SERVER, &error));
    assert_string_equal(nova_error_class(error), "VolumeDeviceNotFound");
    assert_false(tree_has(bench->root, CTL "/nvme1"));
}

static void
paths_of_one_namespace_are_one_device(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    tree_put(bench->root, CTL "/nvme1/nvme0c1n7/uuid", UUID "\n");
    tree_put(bench->root, CTL "/nvme1/nvme1n1/uuid", "\n");
    tree_put(bench->root, "/dev/nvme0n7", "");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), "/dev/nvme0n7");
}

static void
a_grown_namespace_is_seen(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");
    int64_t size = 0;

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_extend(bench->connectors, info, 8192 * 512, &size, NULL));
    assert_int_equal(size, 8192 * 512);
}

static void
a_volume_without_identity_is_the_one_that_came(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = json_pack("{s:s, s:{s:s, s:s, s:i, s:s, s:s}}", "driver_volume_type", "nvmeof", "data", "nqn",
                                  NQN, "target_portal", "192.0.2.1", "target_port", 4420, "transport_type", "RoCEv2",
                                  "host_nqn", HOST_NQN);
    g_autofree char *log = NULL;

    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(device_path(info), "/dev/nvme1n1");
    log = log_of(bench);
    assert_string_equal(log, "connect -a 192.0.2.1 -s 4420 -t rdma -n " NQN " -Q 128 -l -1 -q " HOST_NQN "\n");
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_false(tree_has(bench->root, CTL "/nvme1"));
}

/* "PROPERTY VALUE", or the class of the error. */
static void
targets_are_read_in_both_forms(void **state)
{
    static const struct {
        const char *data;
        const char *expected;
    } cases[] = {
        {"{'nqn': 'n', 'target_portal': 'a', 'target_port': 1, 'transport_type': 'tcp', 'ns_id': 7}", "nsid 7"},
        {"{'nqn': 'n', 'target_portal': 'a', 'target_port': '1', 'volume_nguid': '{9C6CF4A162EE4BD4B7B48A8A2E3CB6B0}'}",
         "nguid " UUID},
        {"{'target_nqn': 'n', 'portals': [['a', 1, 'tcp']], 'vol_uuid': '" UUID "', 'ns_id': 1}", "uuid " UUID},
        {"{'target_nqn': 'n', 'portals': [['a', 1, 'tcp']], 'vol_uuid': null}", "none"},
        {"{'target_nqn': 'n', 'portals': [['a', 1, 'tcp']], 'vol_uuid': 'x'}", "ValueError"},
        {"{'target_nqn': 'n', 'portals': []}", "KeyError"},
        {"{'target_nqn': 'n', 'portals': [['a']]}", "KeyError"},
        {"{'target_nqn': 'n', 'portals': ['a', 5]}", "KeyError"},
        {"{'target_portal': 'a', 'target_port': 1}", "KeyError"},
        {"{'nqn': 'n'}", "KeyError"},
        {"{'vol_uuid': '" UUID "', 'volume_replicas': []}", "VolumeDriverNotSupported"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup(cases[i].data);
        json_auto_t *data = json_loads(g_strdelimit(text, "'", '"'), 0, NULL);
        g_autoptr(NovaError) error = NULL;
        g_autoptr(NvmeTarget) target = nvme_target_new(data, &error);
        g_autofree char *read = target ? g_strdup_printf("%s%s%s", target->property ? target->property : "none",
                                                         target->property ? " " : "",
                                                         target->property ? target->value : "")
                                       : g_strdup(nova_error_class(error));

        assert_string_equal(read, cases[i].expected);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* volume_use_multipath, and a kernel that makes no one device of several paths. */
static void
a_host_without_multipath_connects_unless_that_is_enforced(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) error = NULL;
    json_auto_t *info = connection("192.0.2.1", "192.0.2.2");

    bench->options.libvirt.volume_use_multipath = true;
    json_object_set_new(json_object_get(info, "data"), "enforce_multipath", json_true());
    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "BrickException");
    assert_false(tree_has(bench->root, "/log"));
    tree_put(bench->root, "/sys/module/nvme_core/parameters/multipath", "Y\n");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    tree_put(bench->root, "/sys/module/nvme_core/parameters/multipath", "N\n");
    json_object_set_new(json_object_get(info, "data"), "enforce_multipath", json_false());
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_portal_is_enough),
        TEST(a_host_without_multipath_connects_unless_that_is_enforced),
        TEST(all_portals_are_connected_where_the_kernel_joins_them),
        TEST(the_second_portal_is_taken_when_the_first_one_fails),
        TEST(a_connected_subsystem_is_scanned_not_connected_again),
        TEST(the_last_volume_of_a_subsystem_ends_the_connection),
        TEST(a_subsystem_with_other_volumes_stays),
        TEST(another_host_s_connection_is_not_ours),
        TEST(portals_that_are_all_down_leave_nothing),
        TEST(a_subsystem_without_the_volume_is_left_if_it_was_connected_for_it),
        TEST(paths_of_one_namespace_are_one_device),
        TEST(a_grown_namespace_is_seen),
        TEST(a_volume_without_identity_is_the_one_that_came),
        cmocka_unit_test(targets_are_read_in_both_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
