/* SPDX-License-Identifier: Apache-2.0 */
/* iSCSI against an iscsiadm that is a script and makes up devices in a tree of its own. */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "conf/options.h"
#include "storage/connector.h"
#include "storage/iscsi.h"
#include "storage/scsi.h"
#include "tests/unit/tree.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define IQN "iqn.2010-10.org.openstack:volume-1"
#define PORTAL "192.0.2.1:3260"
#define SESSION_LINE "tcp: [7] " PORTAL ",1 " IQN " (non-flash)"
#define LUN_FOLDER "/sys/class/scsi_host/host5/device/session7/target5:0:0/5:0:0:%d/block/%s"

/* Logs what it is asked for; a login makes a session, a logout ends it. */
static const char script[] =
    "#!/bin/sh\n"
    "echo \"$@\" >> $ROOT/log\n"
    "case \"$*\" in\n"
    "'-m session') cat $ROOT/session 2>/dev/null || exit 21;;\n"
    "*--login*) [ -e $ROOT/refuse ] && exit 24; echo '" SESSION_LINE "' > $ROOT/session;;\n"
    "*--logout*) rm -f $ROOT/session;;\n"
    "*'--op delete'*) ;;\n"
    "*--op*) ;;\n"
    "*) exit 21;;\n"
    "esac\n";

typedef struct Bench {
    char *root;
    char *path;
    Options options;
    Connectors *connectors;
    pthread_t kernel;
    atomic_bool stops;
} Bench;

static void
put_disk(Bench *bench, int lun, const char *device)
{
    g_autofree char *block = g_strdup_printf(LUN_FOLDER "/x", lun, device);
    g_autofree char *delete = g_strdup_printf("/sys/block/%s/device/delete", device);
    g_autofree char *rescan = g_strdup_printf("/sys/block/%s/device/rescan", device);
    g_autofree char *size = g_strdup_printf("/sys/block/%s/size", device);
    g_autofree char *node = g_strdup_printf("/dev/%s", device);

    tree_put(bench->root, block, "");
    tree_put(bench->root, delete, "");
    tree_put(bench->root, rescan, "");
    tree_put(bench->root, size, "4096\n");
    tree_put(bench->root, node, "");
}

/* The kernel's part: sdb is gone once it is told so. */
static void *
be_the_kernel(void *user)
{
    Bench *bench = user;
    g_autofree char *delete = g_strconcat(bench->root, "/sys/block/sdb/device/delete", NULL);
    g_autofree char *node = g_strconcat(bench->root, "/dev/sdb", NULL);
    g_autofree char *gone = g_strconcat(bench->root, "/sys/class/scsi_host/host5/device/session7/target5:0:0/5:0:0:1", NULL);
    g_autofree char *aside = g_strconcat(bench->root, "/gone", NULL);

    while (!atomic_load(&bench->stops)) {
        g_autofree char *text = NULL;

        if (g_file_get_contents(delete, &text, NULL, NULL) && *text == '1') {
            g_rename(gone, aside);
            g_unlink(node);
        }
        g_usleep(5000);
    }
    return NULL;
}

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->root = g_dir_make_tmp("kilonova-iscsi-XXXXXX", NULL);
    bench->path = tree_use_programs(bench->root);
    bench->options.libvirt.num_volume_scan_tries = -1;
    bench->connectors = connectors_new(&bench->options, bench->root);
    tree_put_program(bench->root, "iscsiadm", script);
    tree_put(bench->root, "/sys/class/scsi_host/host5/scan", "");
    tree_put(bench->root, "/sys/class/scsi_host/host5/device/session7/target5:0:0/uevent", "");
    g_setenv("ROOT", bench->root, TRUE);
    assert_int_equal(pthread_create(&bench->kernel, NULL, be_the_kernel, bench), 0);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    atomic_store(&bench->stops, true);
    pthread_join(bench->kernel, NULL);
    g_setenv("PATH", bench->path, TRUE);
    tree_remove(bench->root);
    connectors_free(bench->connectors);
    g_free(bench->path);
    g_free(bench->root);
    g_free(bench);
    return 0;
}

static json_t *
connection(void)
{
    return json_pack("{s:s, s:{s:s, s:s, s:i, s:s, s:s, s:s}}", "driver_volume_type", "iscsi", "data",
                     "target_portal", PORTAL, "target_iqn", IQN, "target_lun", 1, "auth_method", "CHAP",
                     "auth_username", "u", "auth_password", "secret");
}

static char *
log_of(Bench *bench)
{
    g_autofree char *path = g_build_filename(bench->root, "log", NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static void
a_target_is_logged_in_to_and_its_lun_scanned_for(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autofree char *log = NULL, *scan = NULL;
    g_autofree char *scan_path = g_strconcat(bench->root, "/sys/class/scsi_host/host5/scan", NULL);

    put_disk(bench, 1, "sdb");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(json_string_value(json_path(info, "data", "device_path", NULL)), "/dev/sdb");
    assert_true(g_file_get_contents(scan_path, &scan, NULL, NULL));
    assert_string_equal(scan, "0 0 1");
    log = log_of(bench);
    assert_non_null(strstr(log, "-p " PORTAL " --interface default --op new\n"));
    assert_non_null(strstr(log, "--op update -n node.session.scan -v manual\n"));
    assert_non_null(strstr(log, "--op update -n node.session.auth.password -v secret\n"));
    assert_non_null(strstr(log, "--login\n"));
    assert_non_null(strstr(log, "--op update -n node.startup -v automatic\n"));
}

static void
the_last_disk_of_a_session_ends_it(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autofree char *log = NULL;

    put_disk(bench, 1, "sdb");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_false(tree_has(bench->root, "/dev/sdb"));
    assert_false(tree_has(bench->root, "/session"));
    log = log_of(bench);
    assert_non_null(strstr(log, "--logout\n"));
    assert_true(g_str_has_suffix(log, "--op delete\n"));
}

static void
a_session_with_other_disks_stays(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    put_disk(bench, 1, "sdb");
    put_disk(bench, 2, "sdc");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
    assert_false(tree_has(bench->root, "/dev/sdb"));
    assert_true(tree_has(bench->root, "/dev/sdc"));
    assert_true(tree_has(bench->root, "/session"));
}

static void
disconnecting_what_is_not_connected_is_a_success(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();

    assert_true(connectors_disconnect(bench->connectors, info, SERVER, false, NULL));
}

/* One that is not there, and one that does not answer: old ones exit with 0 then. */
static void
several_paths_that_are_enforced_need_multipathd(void **state)
{
    static const char *const scripts[] = {"#!/bin/sh\nexit 1\n", "#!/bin/sh\necho error receiving packet\n"};
    Bench *bench = *state;
    json_auto_t *info = connection();

    bench->options.libvirt.volume_use_multipath = true;
    json_object_set_new(json_object_get(info, "data"), "enforce_multipath", json_true());
    for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
        g_autoptr(NovaError) error = NULL;

        tree_put_program(bench->root, "multipathd", scripts[i]);
        assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
        assert_string_equal(nova_error_class(error), "BrickException");
        assert_false(tree_has(bench->root, "/log"));
    }
}

static void
a_lun_that_never_appears_leaves_no_session(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autoptr(NovaError) error = NULL;

    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "VolumeDeviceNotFound");
    assert_false(tree_has(bench->root, "/session"));
}

static void
a_refused_login_is_told_without_the_password(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autoptr(NovaError) error = NULL;

    tree_put(bench->root, "/refuse", "");
    assert_false(connectors_connect(bench->connectors, info, SERVER, &error));
    assert_string_equal(nova_error_class(error), "ProcessExecutionError");
    assert_null(strstr(nova_error_details(error), "secret"));
}

static void
the_second_portal_is_taken_when_the_first_one_fails(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = json_pack("{s:s, s:{s:[s, s], s:[s, s], s:[i, i]}}", "driver_volume_type", "iscsi", "data",
                                  "target_portals", "192.0.2.9:3260", PORTAL, "target_iqns", "iqn.other", IQN,
                                  "target_luns", 4, 1);

    put_disk(bench, 1, "sdb");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_string_equal(json_string_value(json_path(info, "data", "device_path", NULL)), "/dev/sdb");
}

static void
a_grown_disk_is_read_again(void **state)
{
    Bench *bench = *state;
    json_auto_t *info = connection();
    g_autofree char *rescan = g_strconcat(bench->root, "/sys/block/sdb/device/rescan", NULL);
    g_autofree char *text = NULL;
    int64_t size = 0;

    put_disk(bench, 1, "sdb");
    assert_true(connectors_connect(bench->connectors, info, SERVER, NULL));
    assert_true(connectors_extend(bench->connectors, info, 1, &size, NULL));
    assert_int_equal(size, 4096 * 512);
    assert_true(g_file_get_contents(rescan, &text, NULL, NULL));
    assert_string_equal(text, "1");
}

static void
sessions_are_told_apart(void **state)
{
    IscsiTarget target = {(char *)"[FD00::1]:3260", (char *)IQN, 0};
    static const char sessions[] = SESSION_LINE "\ntcp: [12] [fd00::1]:3260,1 " IQN " (non-flash)\n"
                                                "qla: [3] [fd00::1]:3260,1 " IQN "\nnonsense\n";
    g_autofree char *session = NULL;

    (void)state;
    session = iscsi_find_session(sessions, &target);
    assert_string_equal(session, "12");
    assert_null(iscsi_find_session("", &target));
    assert_null(iscsi_find_session("tcp: [x] [fd00::1]:3260,1 " IQN, &target));
}

static void
luns_are_addressed_as_the_target_wants(void **state)
{
    static const struct {
        const char *mode;
        int lun;
        int64_t expected;
    } cases[] = {{"SAM", 300, 300}, {"SAM2", 255, 255}, {"SAM2", 256, 16640}, {"SAM3-flat", 1, 16385}};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        json_auto_t *data = json_pack("{s:s, s:s, s:i, s:s}", "target_portal", PORTAL, "target_iqn", IQN,
                                      "target_lun", cases[i].lun, "addressing_mode", cases[i].mode);
        g_autoptr(GPtrArray) targets = iscsi_targets(data, NULL);

        assert_non_null(targets);
        assert_int_equal(((IscsiTarget *)targets->pdata[0])->lun, cases[i].expected);
    }
}

static void
what_could_be_an_option_is_no_target(void **state)
{
    static const char *const texts[] = {"", "--op", "a b", "../x"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        json_auto_t *data = json_pack("{s:s, s:s}", "target_portal", PORTAL, "target_iqn", texts[i]);
        g_autoptr(NovaError) error = NULL;

        assert_null(iscsi_targets(data, &error));
        assert_non_null(error);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_target_is_logged_in_to_and_its_lun_scanned_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_disk_of_a_session_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_with_other_disks_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disconnecting_what_is_not_connected_is_a_success, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lun_that_never_appears_leaves_no_session, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_paths_that_are_enforced_need_multipathd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_login_is_told_without_the_password, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_second_portal_is_taken_when_the_first_one_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_grown_disk_is_read_again, set_up, tear_down),
        cmocka_unit_test(sessions_are_told_apart),
        cmocka_unit_test(luns_are_addressed_as_the_target_wants),
        cmocka_unit_test(what_could_be_an_option_is_no_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
