/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/compute_node.h"

/* clang-format off */
static const ObjectField compute_node_fields[] = {
    {"id", FIELD_INT, offsetof(ComputeNode, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(ComputeNode, uuid), NULL, NULL},
    {"service_id", FIELD_NULLABLE_INT, offsetof(ComputeNode, service_id), NULL, NULL},
    {"host", FIELD_STRING, offsetof(ComputeNode, host), NULL, NULL},
    {"vcpus", FIELD_INT, offsetof(ComputeNode, vcpus), NULL, NULL},
    {"memory_mb", FIELD_INT, offsetof(ComputeNode, memory_mb), NULL, NULL},
    {"local_gb", FIELD_INT, offsetof(ComputeNode, local_gb), NULL, NULL},
    {"vcpus_used", FIELD_INT, offsetof(ComputeNode, vcpus_used), NULL, NULL},
    {"memory_mb_used", FIELD_INT, offsetof(ComputeNode, memory_mb_used), NULL, NULL},
    {"local_gb_used", FIELD_INT, offsetof(ComputeNode, local_gb_used), NULL, NULL},
    {"hypervisor_type", FIELD_STRING, offsetof(ComputeNode, hypervisor_type), NULL, NULL},
    {"hypervisor_version", FIELD_INT, offsetof(ComputeNode, hypervisor_version), NULL, NULL},
    {"hypervisor_hostname", FIELD_STRING, offsetof(ComputeNode, hypervisor_hostname), NULL, NULL},
    {"free_ram_mb", FIELD_NULLABLE_INT, offsetof(ComputeNode, free_ram_mb), NULL, NULL},
    {"free_disk_gb", FIELD_NULLABLE_INT, offsetof(ComputeNode, free_disk_gb), NULL, NULL},
    {"current_workload", FIELD_NULLABLE_INT, offsetof(ComputeNode, current_workload), NULL, NULL},
    {"running_vms", FIELD_NULLABLE_INT, offsetof(ComputeNode, running_vms), NULL, NULL},
    {"cpu_info", FIELD_STRING, offsetof(ComputeNode, cpu_info), NULL, NULL},
    {"disk_available_least", FIELD_NULLABLE_INT, offsetof(ComputeNode, disk_available_least), NULL, NULL},
    {"metrics", FIELD_STRING, offsetof(ComputeNode, metrics), NULL, NULL},
    {"stats", FIELD_STRING_MAP, offsetof(ComputeNode, stats), NULL, NULL},
    {"host_ip", FIELD_STRING, offsetof(ComputeNode, host_ip), NULL, NULL},
    {"numa_topology", FIELD_STRING, offsetof(ComputeNode, numa_topology), NULL, NULL},
    {"supported_hv_specs", FIELD_JSON, offsetof(ComputeNode, supported_hv_specs), NULL, NULL},
    {"pci_device_pools", FIELD_JSON, offsetof(ComputeNode, pci_device_pools), NULL, NULL},
    {"cpu_allocation_ratio", FIELD_FLOAT, offsetof(ComputeNode, cpu_allocation_ratio), NULL, NULL},
    {"ram_allocation_ratio", FIELD_FLOAT, offsetof(ComputeNode, ram_allocation_ratio), NULL, NULL},
    {"disk_allocation_ratio", FIELD_FLOAT, offsetof(ComputeNode, disk_allocation_ratio), NULL, NULL},
    {"mapped", FIELD_INT, offsetof(ComputeNode, mapped), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(ComputeNode, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(ComputeNode, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(ComputeNode, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(ComputeNode, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType COMPUTE_NODE_TYPE = {"ComputeNode", "1.19", sizeof(ComputeNode), compute_node_fields,
    G_N_ELEMENTS(compute_node_fields)};

ComputeNode *
compute_node_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&COMPUTE_NODE_TYPE, primitive, err);
}

void
compute_node_free(ComputeNode *compute_node)
{
    object_free(compute_node);
}
