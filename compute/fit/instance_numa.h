/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The guest's NUMA cells: what each asks for, and where it was placed
 * (nova.objects.InstanceNUMATopology). As in host_numa.h, fields may be unset. Values; one thread
 * at a time. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/cpu_set.h"

typedef enum CpuPolicy { CPU_POLICY_NONE = -1, CPU_DEDICATED, CPU_SHARED, CPU_MIXED } CpuPolicy;
typedef enum ThreadPolicy {
    THREAD_POLICY_NONE = -1,
    THREAD_PREFER,
    THREAD_ISOLATE,
    THREAD_REQUIRE,
} ThreadPolicy;
typedef enum EmulatorPolicy {
    EMULATOR_POLICY_NONE = -1,
    EMULATOR_SHARE,
    EMULATOR_ISOLATE,
} EmulatorPolicy;

/* Texts by value, NULL-terminated. */
extern const char *const cpu_policy_names[];
extern const char *const thread_policy_names[];
extern const char *const emulator_policy_names[];

/* Requests for a page size, in place of KiB. */
enum { PAGESIZE_SMALL = -1, PAGESIZE_LARGE = -2, PAGESIZE_ANY = -3 };

typedef struct Pin {
    int64_t vcpu;
    int64_t pcpu;
} Pin;

enum {
    INSTANCE_CELL_ID = 1 << 0,
    INSTANCE_CELL_CPUSET = 1 << 1,
    INSTANCE_CELL_PCPUSET = 1 << 2,
    INSTANCE_CELL_MEMORY = 1 << 3,
};

typedef struct InstanceCell {
    unsigned set; /* of INSTANCE_CELL_*; the other fields have defaults */
    char *version; /* as it came; NULL: ours */
    int64_t id;     /* guest node; host cell once fitted */
    CpuSet cpuset;  /* vCPUs on shared CPUs */
    CpuSet pcpuset; /* vCPUs with a CPU of their own */
    int64_t memory_mib;
    bool has_pagesize; /* false: null */
    int64_t pagesize_kib;
    bool has_reserved; /* false: null */
    CpuSet cpuset_reserved;
    GArray *pins; /* of Pin; NULL: null */
    CpuPolicy cpu_policy;
    ThreadPolicy thread_policy;
    json_t *cpu_topology; /* as it came; NULL: unset */
} InstanceCell;

typedef struct InstanceNuma {
    char *version;       /* as it came; NULL: ours */
    char *instance_uuid; /* NULL: unset */
    bool has_cells;      /* false: unset */
    InstanceCell *cells;
    unsigned n_cells;
    bool has_emulator_policy; /* false: unset, which is not none */
    EmulatorPolicy emulator_policy;
} InstanceNuma;

/* 'n_cells' cells with all fields set, empty and without policies. */
InstanceNuma *instance_numa_new(unsigned n_cells);
InstanceNuma *instance_numa_from_json(const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
json_t *instance_numa_to_json(const InstanceNuma *instance);
/* A new topology around copies of the instance's cells, with its emulator policy. */
InstanceNuma *instance_numa_copy_cells(const InstanceNuma *instance);
void instance_numa_free(InstanceNuma *instance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceNuma, instance_numa_free)

/* NotImplementedError, and false, when a field of the mask is unset. */
bool instance_cell_need(const InstanceCell *cell, unsigned fields, NovaError **err);
bool instance_numa_need_cells(const InstanceNuma *instance, NovaError **err);

/* Some or all of its vCPUs have a CPU of their own; some or all share. */
static inline bool
instance_cell_is_pinned(const InstanceCell *cell)
{
    return cell->cpu_policy == CPU_DEDICATED || cell->cpu_policy == CPU_MIXED;
}

static inline bool
instance_cell_shares(const InstanceCell *cell)
{
    return cell->cpu_policy != CPU_DEDICATED;
}

/* Pins the dedicated vCPUs, in ascending order, to as many 'pcpus'. */
void instance_cell_pin(InstanceCell *cell, const int64_t *pcpus);
