/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "compute/diagnostics.h"

/* The counters behind two answers of nova-compute 34 that were recorded on the bus. */
static GuestStats *
recorded_stats(void)
{
    GuestStats *stats = guest_stats_new();
    CpuStats cpu = {0, 490000000};
    MemoryStat memory[] = {{"actual", 65536}, {"last_update", 0}, {"rss", 50024}};
    DiskStats *disk = guest_stats_add_disk(stats, "vda");
    NicStats *nic = guest_stats_add_nic(stats, "fa:16:3e:26:98:05", "tapfb5c872a-cd");

    stats->power_state = POWER_STATE_RUNNING;
    stats->max_memory_kib = stats->memory_kib = 65536;
    g_array_append_val(stats->cpus, cpu);
    g_array_append_vals(stats->memory, memory, 3);
    *disk = (DiskStats){disk->device, 1, 512, 0, 0, -1};
    nic->rx_bytes = 90;
    nic->rx_packets = 1;
    return stats;
}

static void
assert_json(json_t *actual, const char *expected)
{
    json_auto_t *wanted = json_loads(expected, 0, NULL);
    g_autofree char *text = json_to_text(actual);

    assert_non_null(wanted);
    if (!json_equal(actual, wanted))
        fail_msg("got %s", text);
}

static void
legacy_answer_is_the_recorded_one(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestStats) stats = recorded_stats();
    json_auto_t *answer = diagnostics_legacy_json(stats);

    assert_json(answer,
                "{\"cpu0_time\": 490000000, \"vda_read_req\": 1, \"vda_read\": 512, \"vda_write_req\": 0,"
                " \"vda_write\": 0, \"vda_errors\": -1, \"tapfb5c872a-cd_rx\": 90,"
                " \"tapfb5c872a-cd_rx_packets\": 1, \"tapfb5c872a-cd_rx_errors\": 0,"
                " \"tapfb5c872a-cd_rx_drop\": 0, \"tapfb5c872a-cd_tx\": 0, \"tapfb5c872a-cd_tx_packets\": 0,"
                " \"tapfb5c872a-cd_tx_errors\": 0, \"tapfb5c872a-cd_tx_drop\": 0, \"memory\": 65536,"
                " \"memory-actual\": 65536, \"memory-last_update\": 0, \"memory-rss\": 50024}");
}

/* Without "nova_object.changes", whose order means nothing. */
static void
strip_changes(json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;

    json_object_del(value, "nova_object.changes");
    json_object_foreach (value, key, member)
        strip_changes(member);
    json_array_foreach (value, i, member)
        strip_changes(member);
}

#define OBJECT(name, data)                                                                         \
    "{\"nova_object.name\": \"" name "\", \"nova_object.namespace\": \"nova\","                    \
    " \"nova_object.version\": \"1.0\", \"nova_object.data\": {" data "}}"

static void
object_is_the_recorded_one(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestStats) stats = recorded_stats();
    DiagnosticsFacts facts = {"qemu", "2026-11-22T15:47:32Z", 1795362512, false};
    json_auto_t *answer = diagnostics_json(stats, &facts);

    assert_int_equal(json_array_size(json_object_get(answer, "nova_object.changes")), 13);
    strip_changes(answer);
    assert_json(answer,
        OBJECT("Diagnostics",
            "\"state\": \"running\", \"driver\": \"libvirt\", \"hypervisor\": \"qemu\","
            " \"hypervisor_os\": \"linux\", \"uptime\": 60, \"config_drive\": false, \"memory_details\": "
            OBJECT("MemoryDiagnostics", "\"maximum\": 0, \"used\": 0") ", \"cpu_details\": ["
            OBJECT("CpuDiagnostics", "\"id\": 0, \"time\": 490000000, \"utilisation\": null")
            "], \"nic_details\": ["
            OBJECT("NicDiagnostics", "\"mac_address\": \"fa:16:3e:26:98:05\", \"rx_octets\": 90,"
                   " \"rx_errors\": 0, \"rx_drop\": 0, \"rx_packets\": 1, \"rx_rate\": null, \"tx_octets\": 0,"
                   " \"tx_errors\": 0, \"tx_drop\": 0, \"tx_packets\": 0, \"tx_rate\": null")
            "], \"disk_details\": ["
            OBJECT("DiskDiagnostics", "\"read_bytes\": 512, \"read_requests\": 1, \"write_bytes\": 0,"
                   " \"write_requests\": 0, \"errors_count\": -1")
            "], \"num_cpus\": 1, \"num_nics\": 1, \"num_disks\": 1"));
}

static void
nic_without_a_tap_has_no_counters(void **state G_GNUC_UNUSED)
{
    g_autoptr(GuestStats) stats = guest_stats_new();
    DiagnosticsFacts facts = {.virt_type = "kvm"};
    json_auto_t *legacy = NULL;
    json_auto_t *answer = NULL;
    const json_t *nic;

    guest_stats_add_nic(stats, "fa:16:3e:00:00:01", NULL);
    legacy = diagnostics_legacy_json(stats);
    answer = diagnostics_json(stats, &facts);
    assert_json(legacy, "{\"memory\": 0}");
    nic = json_array_get(json_path(answer, "nova_object.data", "nic_details", NULL), 0);
    assert_true(json_is_null(json_path(nic, "nova_object.data", "rx_octets", NULL)));
    assert_string_equal(json_string_value(json_path(nic, "nova_object.data", "mac_address", NULL)),
                        "fa:16:3e:00:00:01");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy_answer_is_the_recorded_one),
        cmocka_unit_test(object_is_the_recorded_one),
        cmocka_unit_test(nic_without_a_tap_has_no_counters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
