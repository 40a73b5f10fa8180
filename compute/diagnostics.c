/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/diagnostics.h"

#define KIB_PER_GIB (1024 * 1024)

static void
set_counter(json_t *object, const char *device, const char *counter, int64_t value)
{
    g_autofree char *key = g_strconcat(device, counter, NULL);

    json_object_set_new(object, key, json_integer(value));
}

static void
add_legacy_nic(json_t *result, const NicStats *nic)
{
    set_counter(result, nic->device, "_rx", nic->rx_bytes);
    set_counter(result, nic->device, "_rx_packets", nic->rx_packets);
    set_counter(result, nic->device, "_rx_errors", nic->rx_errors);
    set_counter(result, nic->device, "_rx_drop", nic->rx_drop);
    set_counter(result, nic->device, "_tx", nic->tx_bytes);
    set_counter(result, nic->device, "_tx_packets", nic->tx_packets);
    set_counter(result, nic->device, "_tx_errors", nic->tx_errors);
    set_counter(result, nic->device, "_tx_drop", nic->tx_drop);
}

json_t *
diagnostics_legacy_json(const GuestStats *stats)
{
    json_t *result = json_object();

    for (guint i = 0; i < stats->cpus->len; i++) {
        const CpuStats *cpu = &g_array_index(stats->cpus, CpuStats, i);
        g_autofree char *key = g_strdup_printf("cpu%" G_GINT64_FORMAT "_time", cpu->id);

        json_object_set_new(result, key, json_integer(cpu->time_ns));
    }
    for (guint i = 0; i < stats->disks->len; i++) {
        const DiskStats *disk = stats->disks->pdata[i];

        set_counter(result, disk->device, "_read_req", disk->read_requests);
        set_counter(result, disk->device, "_read", disk->read_bytes);
        set_counter(result, disk->device, "_write_req", disk->write_requests);
        set_counter(result, disk->device, "_write", disk->write_bytes);
        set_counter(result, disk->device, "_errors", disk->errors);
    }
    for (guint i = 0; i < stats->nics->len; i++)
        if (((const NicStats *)stats->nics->pdata[i])->device)
            add_legacy_nic(result, stats->nics->pdata[i]);
    json_object_set_new(result, "memory", json_integer(stats->max_memory_kib));
    for (guint i = 0; i < stats->memory->len; i++) {
        const MemoryStat *stat = &g_array_index(stats->memory, MemoryStat, i);

        set_counter(result, "memory-", stat->name, stat->value);
    }
    return result;
}

/* ---- the object ---- */

/* Takes ownership of 'data'; all of it is new. */
static json_t *
new_object(const char *name, json_t *data)
{
    json_t *changes = json_array();
    const char *key;
    json_t *value;

    json_object_foreach (data, key, value)
        json_array_append_new(changes, json_string(key));
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", "1.0", "nova_object.data", data,
                     "nova_object.changes", changes);
}

static json_t *
cpu_details(const GuestStats *stats)
{
    json_t *list = json_array();

    for (guint i = 0; i < stats->cpus->len; i++) {
        const CpuStats *cpu = &g_array_index(stats->cpus, CpuStats, i);

        json_array_append_new(
            list, new_object("CpuDiagnostics",
                             json_pack("{s:I, s:I, s:n}", "id", (json_int_t)cpu->id, "time",
                                       (json_int_t)cpu->time_ns, "utilisation")));
    }
    return list;
}

static json_t *
disk_details(const GuestStats *stats)
{
    json_t *list = json_array();

    for (guint i = 0; i < stats->disks->len; i++) {
        const DiskStats *disk = stats->disks->pdata[i];
        json_t *data = json_object();

        json_object_set_new(data, "read_bytes", json_integer(disk->read_bytes));
        json_object_set_new(data, "read_requests", json_integer(disk->read_requests));
        json_object_set_new(data, "write_bytes", json_integer(disk->write_bytes));
        json_object_set_new(data, "write_requests", json_integer(disk->write_requests));
        json_object_set_new(data, "errors_count", json_integer(disk->errors));
        json_array_append_new(list, new_object("DiskDiagnostics", data));
    }
    return list;
}

static json_t *
counter(const NicStats *nic, int64_t value)
{
    return nic->device ? json_integer(value) : json_null();
}

static json_t *
nic_details(const GuestStats *stats)
{
    json_t *list = json_array();

    for (guint i = 0; i < stats->nics->len; i++) {
        const NicStats *nic = stats->nics->pdata[i];
        json_t *data = json_pack("{s:s?, s:n, s:n}", "mac_address", nic->mac_address, "rx_rate", "tx_rate");

        json_object_set_new(data, "rx_octets", counter(nic, nic->rx_bytes));
        json_object_set_new(data, "rx_packets", counter(nic, nic->rx_packets));
        json_object_set_new(data, "rx_errors", counter(nic, nic->rx_errors));
        json_object_set_new(data, "rx_drop", counter(nic, nic->rx_drop));
        json_object_set_new(data, "tx_octets", counter(nic, nic->tx_bytes));
        json_object_set_new(data, "tx_packets", counter(nic, nic->tx_packets));
        json_object_set_new(data, "tx_errors", counter(nic, nic->tx_errors));
        json_object_set_new(data, "tx_drop", counter(nic, nic->tx_drop));
        json_array_append_new(list, new_object("NicDiagnostics", data));
    }
    return list;
}

/* Nova divides libvirt's KiB by 2^20: what the API calls MiB is GiB, rounded down. */
static json_t *
memory_details(const GuestStats *stats)
{
    return new_object("MemoryDiagnostics",
                      json_pack("{s:I, s:I}", "maximum", (json_int_t)(stats->max_memory_kib / KIB_PER_GIB),
                                "used", (json_int_t)(stats->memory_kib / KIB_PER_GIB)));
}

static json_t *
uptime(const DiagnosticsFacts *facts)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) launched =
        facts->launched_at ? g_date_time_new_from_iso8601(facts->launched_at, utc) : NULL;

    return launched ? json_integer(facts->now - g_date_time_to_unix(launched)) : json_null();
}

json_t *
diagnostics_json(const GuestStats *stats, const DiagnosticsFacts *facts)
{
    json_t *data = json_object();

    json_object_set_new(data, "state", json_string(power_state_text(stats->power_state)));
    json_object_set_new(data, "driver", json_string("libvirt"));
    json_object_set_new(data, "hypervisor", json_string(facts->virt_type));
    json_object_set_new(data, "hypervisor_os", json_string("linux"));
    json_object_set_new(data, "uptime", uptime(facts));
    json_object_set_new(data, "config_drive", json_boolean(facts->has_config_drive));
    json_object_set_new(data, "memory_details", memory_details(stats));
    json_object_set_new(data, "cpu_details", cpu_details(stats));
    json_object_set_new(data, "nic_details", nic_details(stats));
    json_object_set_new(data, "disk_details", disk_details(stats));
    json_object_set_new(data, "num_cpus", json_integer(stats->cpus->len));
    json_object_set_new(data, "num_nics", json_integer(stats->nics->len));
    json_object_set_new(data, "num_disks", json_integer(stats->disks->len));
    return new_object("Diagnostics", data);
}
