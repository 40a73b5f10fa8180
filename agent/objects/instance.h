/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server (nova.objects.Instance) and its network cache.
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/flavor.h"
#include "agent/objects/keypair.h"
#include "agent/objects/numa_topology.h"
#include "agent/objects/pci_device.h"
#include "agent/objects/states.h"
#include "agent/objects/versioned_object.h"

typedef struct InstanceInfoCache {
    ObjectBase base;
    char *instance_uuid;
    char *network_info;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} InstanceInfoCache;

extern const ObjectType INSTANCE_INFO_CACHE_TYPE;
InstanceInfoCache *instance_info_cache_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_info_cache_free(InstanceInfoCache *instance_info_cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceInfoCache, instance_info_cache_free)

typedef struct Instance {
    ObjectBase base;
    int64_t id;
    char *uuid;
    char *user_id;
    char *project_id;
    char *image_ref;
    char *kernel_id;
    char *ramdisk_id;
    char *hostname;
    NullableInt launch_index;
    char *key_name;
    char *key_data;
    NullableInt power_state;
    VmState vm_state;
    TaskState task_state;
    NullableInt memory_mb;
    NullableInt vcpus;
    NullableInt root_gb;
    NullableInt ephemeral_gb;
    NullableInt instance_type_id;
    char *ephemeral_key_uuid;
    char *host;
    char *node;
    NullableInt compute_id;
    char *user_data;
    char *reservation_id;
    char *launched_at;
    char *terminated_at;
    char *availability_zone;
    char *display_name;
    char *display_description;
    char *launched_on;
    bool locked;
    char *os_type;
    char *architecture;
    char *vm_mode;
    char *root_device_name;
    char *default_ephemeral_device;
    char *default_swap_device;
    char *config_drive;
    char *access_ip_v4;
    char *access_ip_v6;
    bool auto_disk_config;
    NullableInt progress;
    bool shutdown_terminate;
    GHashTable *metadata;
    GHashTable *system_metadata;
    InstanceInfoCache *info_cache;
    GPtrArray *pci_devices; /* of PciDevice */
    InstanceNUMATopology *numa_topology;
    InstancePCIRequests *pci_requests;
    json_t *vcpu_model;
    json_t *device_metadata;
    Flavor *flavor;
    Flavor *old_flavor; /* of a resize: flavor before, until it is confirmed or reverted */
    Flavor *new_flavor;
    json_t *migration_context;
    json_t *resources;
    GPtrArray *keypairs; /* of KeyPair */
    json_t *trusted_certs;
    bool hidden;
    bool cleaned; /* its files are gone */
    char *created_at;
    char *updated_at;
} Instance;

extern const ObjectType INSTANCE_TYPE;
Instance *instance_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_free(Instance *instance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Instance, instance_free)

/* Read with read_deleted: the database knows it as deleted. */
bool instance_is_deleted(const Instance *instance);
/* Borrowed; NULL: it has none with that id. Of two with one id (old ones have none) the last counts. */
const InstancePCIRequest *instance_find_pci_request(const Instance *instance, const char *request_id);

/* The domain's name by instance_name_template ("instance-%08x"); caller frees. */
char *instance_make_name(const Instance *instance, const char *name_template);
