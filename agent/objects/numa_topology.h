/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The NUMA layout of a guest, and where it was placed (nova.objects.InstanceNUMATopology).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct InstanceNUMACell {
    ObjectBase base;
    int64_t id;
    json_t *cpuset;
    json_t *pcpuset;
    json_t *cpuset_reserved;
    int64_t memory;
    NullableInt pagesize;
    json_t *cpu_topology;
    json_t *cpu_pinning_raw;
    char *cpu_policy;
    char *cpu_thread_policy;
} InstanceNUMACell;

extern const ObjectType INSTANCE_NUMA_CELL_TYPE;
InstanceNUMACell *instance_numa_cell_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_numa_cell_free(InstanceNUMACell *instance_numa_cell);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceNUMACell, instance_numa_cell_free)

typedef struct InstanceNUMATopology {
    ObjectBase base;
    int64_t id;
    char *instance_uuid;
    GPtrArray *cells; /* of InstanceNUMACell */
    char *emulator_threads_policy;
} InstanceNUMATopology;

extern const ObjectType INSTANCE_NUMA_TOPOLOGY_TYPE;
InstanceNUMATopology *instance_numa_topology_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_numa_topology_free(InstanceNUMATopology *instance_numa_topology);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceNUMATopology, instance_numa_topology_free)
