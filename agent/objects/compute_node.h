/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The record of a hypervisor (nova.objects.ComputeNode).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct ComputeNode {
    ObjectBase base;
    int64_t id;
    char *uuid;
    NullableInt service_id;
    char *host;
    int64_t vcpus;
    int64_t memory_mb;
    int64_t local_gb;
    int64_t vcpus_used;
    int64_t memory_mb_used;
    int64_t local_gb_used;
    char *hypervisor_type;
    int64_t hypervisor_version;
    char *hypervisor_hostname;
    NullableInt free_ram_mb;
    NullableInt free_disk_gb;
    NullableInt current_workload;
    NullableInt running_vms;
    char *cpu_info;
    NullableInt disk_available_least;
    char *metrics;
    GHashTable *stats;
    char *host_ip;
    char *numa_topology;
    json_t *supported_hv_specs;
    json_t *pci_device_pools;
    double cpu_allocation_ratio;
    double ram_allocation_ratio;
    double disk_allocation_ratio;
    int64_t mapped;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} ComputeNode;

extern const ObjectType COMPUTE_NODE_TYPE;
ComputeNode *compute_node_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void compute_node_free(ComputeNode *compute_node);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ComputeNode, compute_node_free)
