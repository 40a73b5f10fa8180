/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What libvirt counts for a running guest. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "compute/guest.h"

typedef struct CpuStats {
    int64_t id;
    int64_t time_ns;
} CpuStats;

typedef struct DiskStats {
    char *device; /* "vda" */
    int64_t read_requests, read_bytes, write_requests, write_bytes, errors;
} DiskStats;

typedef struct NicStats {
    char *mac_address;
    char *device; /* the tap; NULL: none on the host, as the counters then */
    int64_t rx_bytes, rx_packets, rx_errors, rx_drop;
    int64_t tx_bytes, tx_packets, tx_errors, tx_drop;
} NicStats;

typedef struct MemoryStat {
    const char *name; /* libvirt's: "actual", "rss" */
    int64_t value;
} MemoryStat;

/* What libvirt does not count for a guest is left out. */
typedef struct GuestStats {
    PowerState power_state;
    int64_t max_memory_kib, memory_kib;
    GArray *cpus;     /* of CpuStats */
    GPtrArray *disks; /* of DiskStats */
    GPtrArray *nics;  /* of NicStats */
    GArray *memory;   /* of MemoryStat */
} GuestStats;

GuestStats *guest_stats_new(void); /* empty */
GuestStats *guest_fetch_stats(Guest *guest, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void guest_stats_free(GuestStats *stats);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestStats, guest_stats_free)

/* Of one disk; 'device' of the result is NULL. */
bool guest_fetch_disk_stats(Guest *guest, const char *device, DiskStats *ret_stats, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

DiskStats *guest_stats_add_disk(GuestStats *stats, const char *device);
NicStats *guest_stats_add_nic(GuestStats *stats, const char *mac_address, const char *device);
