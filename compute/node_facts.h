/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the host has, as the ComputeNode record and Placement are told
 * (LibvirtDriver.get_available_resource and update_provider_tree).
 *
 * The fixed facts are read once a connection; the changing ones (memory in use, disk, uptime) at
 * each call. Any thread; a NodeFacts is immutable once made. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "compute/hypervisor.h"
#include "agent/base/cpu_set.h"
#include "conf/options.h"

typedef struct NodeFacts {
    char *hostname;             /* libvirt's: the node's name */
    uint64_t libvirt_version;   /* major * 1000000 + minor * 1000 + micro, both */
    uint64_t qemu_version;
    char *arch;
    char *cpu_info;             /* JSON text, as the column holds it */
    json_t *supported_instances; /* [[arch, hypervisor type, vm mode], ...] */
    char *numa_topology;        /* JSON text of a NUMATopology without usage; NULL: none */
    CpuSet shared_cpus;         /* for VCPU */
    CpuSet dedicated_cpus;      /* for PCPU */
    int64_t memory_mib;
    GPtrArray *traits;          /* of Trait* */
    bool emulates_tpm;          /* for guests of its own architecture */
} NodeFacts;

/* Asks libvirt. CPUPinning..., InvalidConfiguration when the CPU sets of nova.conf do not fit the
 * host. 'release' is the control plane's Nova major version. */
NodeFacts *node_facts_fetch(Hypervisor *hypervisor, const Options *options, int release,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void node_facts_free(NodeFacts *facts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NodeFacts, node_facts_free)

/* In GiB, whole (Nova truncates). */
typedef struct DiskSpace {
    int64_t total_gib;
    int64_t used_gib;
    int64_t free_bytes;
} DiskSpace;

/* Of the store that [libvirt]images_type puts disks in. */
bool node_facts_fetch_disk(const Options *options, DiskSpace *ret_space, NovaError **err);

/* MemTotal minus what is free for programs, of /proc/meminfo. */
int64_t node_facts_fetch_memory_used_mib(const NodeFacts *facts);

/* " 10:37:44 up  1:00,  2 users,  load average: 0.10, 0.11, 0.12\n", as `uptime` prints it.
 * Caller frees. */
char *node_facts_fetch_uptime(void);
