/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/numa_topology.h"

/* clang-format off */
static const ObjectField instance_numa_cell_fields[] = {
    {"id", FIELD_INT, offsetof(InstanceNUMACell, id), NULL, NULL},
    {"cpuset", FIELD_JSON, offsetof(InstanceNUMACell, cpuset), NULL, NULL},
    {"pcpuset", FIELD_JSON, offsetof(InstanceNUMACell, pcpuset), NULL, NULL},
    {"cpuset_reserved", FIELD_JSON, offsetof(InstanceNUMACell, cpuset_reserved), NULL, NULL},
    {"memory", FIELD_INT, offsetof(InstanceNUMACell, memory), NULL, NULL},
    {"pagesize", FIELD_NULLABLE_INT, offsetof(InstanceNUMACell, pagesize), NULL, NULL},
    {"cpu_topology", FIELD_JSON, offsetof(InstanceNUMACell, cpu_topology), NULL, NULL},
    {"cpu_pinning_raw", FIELD_JSON, offsetof(InstanceNUMACell, cpu_pinning_raw), NULL, NULL},
    {"cpu_policy", FIELD_STRING, offsetof(InstanceNUMACell, cpu_policy), NULL, NULL},
    {"cpu_thread_policy", FIELD_STRING, offsetof(InstanceNUMACell, cpu_thread_policy), NULL, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_NUMA_CELL_TYPE = {"InstanceNUMACell", "1.6", sizeof(InstanceNUMACell), instance_numa_cell_fields,
    G_N_ELEMENTS(instance_numa_cell_fields)};

InstanceNUMACell *
instance_numa_cell_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_NUMA_CELL_TYPE, primitive, err);
}

void
instance_numa_cell_free(InstanceNUMACell *instance_numa_cell)
{
    object_free(instance_numa_cell);
}

/* clang-format off */
static const ObjectField instance_numa_topology_fields[] = {
    {"id", FIELD_INT, offsetof(InstanceNUMATopology, id), NULL, NULL},
    {"instance_uuid", FIELD_STRING, offsetof(InstanceNUMATopology, instance_uuid), NULL, NULL},
    {"cells", FIELD_LIST, offsetof(InstanceNUMATopology, cells), &INSTANCE_NUMA_CELL_TYPE, NULL},
    {"emulator_threads_policy", FIELD_STRING, offsetof(InstanceNUMATopology, emulator_threads_policy), NULL, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_NUMA_TOPOLOGY_TYPE = {"InstanceNUMATopology", "1.3", sizeof(InstanceNUMATopology), instance_numa_topology_fields,
    G_N_ELEMENTS(instance_numa_topology_fields)};

InstanceNUMATopology *
instance_numa_topology_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_NUMA_TOPOLOGY_TYPE, primitive, err);
}

void
instance_numa_topology_free(InstanceNUMATopology *instance_numa_topology)
{
    object_free(instance_numa_topology);
}
