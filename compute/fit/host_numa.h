/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The host's NUMA cells with what is in use of them (nova.objects.NUMATopology).
 *
 * A field that the primitive did not have is unset, which is neither null nor zero: who reads it
 * fails as Nova does. Values; one thread at a time. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/cpu_set.h"

enum {
    PAGES_SIZE = 1 << 0,
    PAGES_TOTAL = 1 << 1,
    PAGES_USED = 1 << 2,
    PAGES_RESERVED = 1 << 3,
};

typedef struct NumaPages {
    unsigned set; /* of PAGES_* */
    char *version;
    int64_t size_kib;
    int64_t total; /* these: pages */
    int64_t used;
    int64_t reserved;
} NumaPages;

/* Networks that a cell is near to, or that an instance needs. */
enum {
    NETWORKS_PHYSNETS = 1 << 0,
    NETWORKS_TUNNELED = 1 << 1,
};

typedef struct Networks {
    unsigned set; /* of NETWORKS_* */
    char *version;
    GPtrArray *physnets; /* of char *, without repetitions */
    bool tunneled;
} Networks;

enum {
    CELL_ID = 1 << 0,
    CELL_CPUSET = 1 << 1,
    CELL_PCPUSET = 1 << 2,
    CELL_MEMORY = 1 << 3,
    CELL_CPU_USAGE = 1 << 4,
    CELL_MEMORY_USAGE = 1 << 5,
    CELL_PINNED_CPUS = 1 << 6,
    CELL_SIBLINGS = 1 << 7,
    CELL_MEMPAGES = 1 << 8,
    CELL_SOCKET = 1 << 9,
};

typedef struct NumaCell {
    unsigned set; /* of CELL_* */
    char *version;
    int64_t id;
    CpuSet cpuset;  /* for shared vCPUs */
    CpuSet pcpuset; /* for dedicated vCPUs */
    CpuSet pinned_cpus;
    CpuSet *siblings; /* hardware threads that share a core */
    unsigned n_siblings;
    int64_t memory_mib;
    int64_t memory_usage_mib;
    int64_t cpu_usage; /* shared vCPUs */
    NumaPages *pages;
    unsigned n_pages;
    bool has_socket; /* false: null */
    int64_t socket;
    Networks *networks; /* NULL: unset */
} NumaCell;

typedef struct HostNuma {
    char *version;
    bool has_cells; /* false: unset */
    NumaCell *cells;
    unsigned n_cells;
} HostNuma;

HostNuma *host_numa_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
json_t *host_numa_to_json(const HostNuma *host);
HostNuma *host_numa_copy(const HostNuma *host);
void host_numa_free(HostNuma *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostNuma, host_numa_free)

/* NotImplementedError, and false, when a field of the mask is unset. */
bool host_cell_need(const NumaCell *cell, unsigned fields, NovaError **err);
bool host_pages_need(const NumaPages *pages, unsigned fields, NovaError **err);
/* The number of cells. */
bool host_numa_need_cells(const HostNuma *host, NovaError **err);

Networks *networks_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool networks_have(const Networks *networks, const char *physnet);
void networks_free(Networks *networks);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Networks, networks_free)

/* What CellFree asks all the time: dedicated CPUs that nobody has. */
static inline int64_t
host_cell_free_pcpus(const NumaCell *cell)
{
    return cpu_set_count_without(&cell->pcpuset, &cell->pinned_cpus);
}
