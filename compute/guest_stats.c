/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/guest_stats.h"

#include <libxml/parser.h>

#include "compute/guest_private.h"
#include "compute/libvirt_auto.h"
#include "compute/xml/xml_builder.h"

static void
disk_stats_free(void *data)
{
    DiskStats *disk = data;

    g_free(disk->device);
    g_free(disk);
}

static void
nic_stats_free(void *data)
{
    NicStats *nic = data;

    g_free(nic->mac_address);
    g_free(nic->device);
    g_free(nic);
}

GuestStats *
guest_stats_new(void)
{
    GuestStats *stats = g_new0(GuestStats, 1);

    stats->cpus = g_array_new(FALSE, FALSE, sizeof(CpuStats));
    stats->disks = g_ptr_array_new_with_free_func(disk_stats_free);
    stats->nics = g_ptr_array_new_with_free_func(nic_stats_free);
    stats->memory = g_array_new(FALSE, FALSE, sizeof(MemoryStat));
    return stats;
}

void
guest_stats_free(GuestStats *stats)
{
    if (!stats)
        return;
    g_array_unref(stats->cpus);
    g_ptr_array_unref(stats->disks);
    g_ptr_array_unref(stats->nics);
    g_array_unref(stats->memory);
    g_free(stats);
}

DiskStats *
guest_stats_add_disk(GuestStats *stats, const char *device)
{
    DiskStats *disk = g_new0(DiskStats, 1);

    disk->device = g_strdup(device);
    g_ptr_array_add(stats->disks, disk);
    return disk;
}

NicStats *
guest_stats_add_nic(GuestStats *stats, const char *mac_address, const char *device)
{
    NicStats *nic = g_new0(NicStats, 1);

    nic->mac_address = g_strdup(mac_address);
    nic->device = g_strdup(device);
    g_ptr_array_add(stats->nics, nic);
    return nic;
}

/* ---- from libvirt ---- */

static void
fetch_cpus(Guest *guest, int n, GuestStats *stats)
{
    g_autofree virVcpuInfo *cpus = g_new0(virVcpuInfo, (size_t)n);

    n = virDomainGetVcpus(guest->domain, cpus, n, NULL, 0);
    for (int i = 0; i < n; i++) {
        CpuStats cpu = {cpus[i].number, (int64_t)cpus[i].cpuTime};

        g_array_append_val(stats->cpus, cpu);
    }
}

static const char *
memory_stat_name(int tag)
{
    static const char *const names[] = {
        [VIR_DOMAIN_MEMORY_STAT_SWAP_IN] = "swap_in",
        [VIR_DOMAIN_MEMORY_STAT_SWAP_OUT] = "swap_out",
        [VIR_DOMAIN_MEMORY_STAT_MAJOR_FAULT] = "major_fault",
        [VIR_DOMAIN_MEMORY_STAT_MINOR_FAULT] = "minor_fault",
        [VIR_DOMAIN_MEMORY_STAT_UNUSED] = "unused",
        [VIR_DOMAIN_MEMORY_STAT_AVAILABLE] = "available",
        [VIR_DOMAIN_MEMORY_STAT_ACTUAL_BALLOON] = "actual",
        [VIR_DOMAIN_MEMORY_STAT_RSS] = "rss",
        [VIR_DOMAIN_MEMORY_STAT_USABLE] = "usable",
        [VIR_DOMAIN_MEMORY_STAT_LAST_UPDATE] = "last_update",
        [VIR_DOMAIN_MEMORY_STAT_DISK_CACHES] = "disk_caches",
        [VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGALLOC] = "hugetlb_pgalloc",
        [VIR_DOMAIN_MEMORY_STAT_HUGETLB_PGFAIL] = "hugetlb_pgfail",
    };

    return tag >= 0 && tag < (int)G_N_ELEMENTS(names) ? names[tag] : NULL;
}

static void
fetch_memory(Guest *guest, GuestStats *stats)
{
    virDomainMemoryStatStruct values[VIR_DOMAIN_MEMORY_STAT_NR];
    int n = virDomainMemoryStats(guest->domain, values, VIR_DOMAIN_MEMORY_STAT_NR, 0);

    for (int i = 0; i < n; i++) {
        MemoryStat stat = {memory_stat_name(values[i].tag), (int64_t)values[i].val};

        if (stat.name)
            g_array_append_val(stats->memory, stat);
    }
}

bool
guest_fetch_disk_stats(Guest *guest, const char *device, DiskStats *ret_stats, NovaError **err)
{
    virDomainBlockStatsStruct counts;

    if (virDomainBlockStats(guest->domain, device, &counts, sizeof counts) < 0)
        return libvirt_error_set(err, "counting what a disk does");
    *ret_stats = (DiskStats){
        .read_requests = counts.rd_req,
        .read_bytes = counts.rd_bytes,
        .write_requests = counts.wr_req,
        .write_bytes = counts.wr_bytes,
        .errors = counts.errs,
    };
    return true;
}

static void
fetch_disk(Guest *guest, const char *device, GuestStats *stats)
{
    g_autoptr(NovaError) ignored = NULL; /* left out */
    DiskStats counts;
    DiskStats *disk;

    if (!guest_fetch_disk_stats(guest, device, &counts, &ignored))
        return;
    disk = guest_stats_add_disk(stats, device);
    counts.device = disk->device;
    *disk = counts;
}

static void
fetch_nic(Guest *guest, const char *mac_address, const char *device, GuestStats *stats)
{
    virDomainInterfaceStatsStruct counts;
    NicStats *nic;

    if (!device) {
        guest_stats_add_nic(stats, mac_address, NULL);
        return;
    }
    if (virDomainInterfaceStats(guest->domain, device, &counts, sizeof counts) < 0)
        return;
    nic = guest_stats_add_nic(stats, mac_address, device);
    nic->rx_bytes = counts.rx_bytes;
    nic->rx_packets = counts.rx_packets;
    nic->rx_errors = counts.rx_errs;
    nic->rx_drop = counts.rx_drop;
    nic->tx_bytes = counts.tx_bytes;
    nic->tx_packets = counts.tx_packets;
    nic->tx_errors = counts.tx_errs;
    nic->tx_drop = counts.tx_drop;
}

static char *
attribute_of_child(const xmlNode *device, const char *child, const char *attribute)
{
    const xmlNode *node = xml_find(device, child);

    return node ? xml_get_attr(node, attribute) : NULL;
}

static void
fetch_devices(Guest *guest, const xmlNode *devices, GuestStats *stats)
{
    for (xmlNode *node = xml_first(devices); node; node = xml_next(node)) {
        g_autofree char *target = attribute_of_child(node, "target", "dev");
        g_autofree char *mac_address = attribute_of_child(node, "mac", "address");

        if (xml_is(node, "disk") && target)
            fetch_disk(guest, target, stats);
        else if (xml_is(node, "interface"))
            fetch_nic(guest, mac_address, target, stats);
    }
}

GuestStats *
guest_fetch_stats(Guest *guest, NovaError **err)
{
    g_autofree char *xml = guest_fetch_xml(guest, false, err);
    GuestStats *stats;
    virDomainInfo info;
    xmlDoc *document;
    xmlNode *devices;

    if (!xml)
        return NULL;
    if (virDomainGetInfo(guest->domain, &info) < 0) {
        libvirt_error_set(err, "asking for the domain's counters");
        return NULL;
    }
    stats = guest_stats_new();
    stats->power_state = power_state_of_libvirt(info.state);
    stats->max_memory_kib = (int64_t)info.maxMem;
    stats->memory_kib = (int64_t)info.memory;
    fetch_cpus(guest, info.nrVirtCpu, stats);
    fetch_memory(guest, stats);
    document = xml_parse(xml);
    devices = document ? xml_find(xmlDocGetRootElement(document), "devices") : NULL;
    if (devices)
        fetch_devices(guest, devices, stats);
    xmlFreeDoc(document);
    return stats;
}
