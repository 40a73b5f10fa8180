/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/instance.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"

/* clang-format off */
static const ObjectField instance_info_cache_fields[] = {
    {"instance_uuid", FIELD_STRING, offsetof(InstanceInfoCache, instance_uuid), NULL, NULL},
    {"network_info", FIELD_STRING, offsetof(InstanceInfoCache, network_info), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(InstanceInfoCache, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(InstanceInfoCache, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(InstanceInfoCache, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(InstanceInfoCache, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_INFO_CACHE_TYPE = {"InstanceInfoCache", "1.5", sizeof(InstanceInfoCache), instance_info_cache_fields,
    G_N_ELEMENTS(instance_info_cache_fields)};

InstanceInfoCache *
instance_info_cache_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_INFO_CACHE_TYPE, primitive, err);
}

void
instance_info_cache_free(InstanceInfoCache *instance_info_cache)
{
    object_free(instance_info_cache);
}

/* clang-format off */
static const ObjectField instance_fields[] = {
    {"id", FIELD_INT, offsetof(Instance, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(Instance, uuid), NULL, NULL},
    {"user_id", FIELD_STRING, offsetof(Instance, user_id), NULL, NULL},
    {"project_id", FIELD_STRING, offsetof(Instance, project_id), NULL, NULL},
    {"image_ref", FIELD_STRING, offsetof(Instance, image_ref), NULL, NULL},
    {"kernel_id", FIELD_STRING, offsetof(Instance, kernel_id), NULL, NULL},
    {"ramdisk_id", FIELD_STRING, offsetof(Instance, ramdisk_id), NULL, NULL},
    {"hostname", FIELD_STRING, offsetof(Instance, hostname), NULL, NULL},
    {"launch_index", FIELD_NULLABLE_INT, offsetof(Instance, launch_index), NULL, NULL},
    {"key_name", FIELD_STRING, offsetof(Instance, key_name), NULL, NULL},
    {"key_data", FIELD_STRING, offsetof(Instance, key_data), NULL, NULL},
    {"power_state", FIELD_NULLABLE_INT, offsetof(Instance, power_state), NULL, NULL},
    {"vm_state", FIELD_ENUM, offsetof(Instance, vm_state), NULL, vm_state_names},
    {"task_state", FIELD_ENUM, offsetof(Instance, task_state), NULL, task_state_names},
    {"memory_mb", FIELD_NULLABLE_INT, offsetof(Instance, memory_mb), NULL, NULL},
    {"vcpus", FIELD_NULLABLE_INT, offsetof(Instance, vcpus), NULL, NULL},
    {"root_gb", FIELD_NULLABLE_INT, offsetof(Instance, root_gb), NULL, NULL},
    {"ephemeral_gb", FIELD_NULLABLE_INT, offsetof(Instance, ephemeral_gb), NULL, NULL},
    {"instance_type_id", FIELD_NULLABLE_INT, offsetof(Instance, instance_type_id), NULL, NULL},
    {"ephemeral_key_uuid", FIELD_STRING, offsetof(Instance, ephemeral_key_uuid), NULL, NULL},
    {"host", FIELD_STRING, offsetof(Instance, host), NULL, NULL},
    {"node", FIELD_STRING, offsetof(Instance, node), NULL, NULL},
    {"compute_id", FIELD_NULLABLE_INT, offsetof(Instance, compute_id), NULL, NULL},
    {"user_data", FIELD_STRING, offsetof(Instance, user_data), NULL, NULL},
    {"reservation_id", FIELD_STRING, offsetof(Instance, reservation_id), NULL, NULL},
    {"launched_at", FIELD_STRING, offsetof(Instance, launched_at), NULL, NULL},
    {"terminated_at", FIELD_STRING, offsetof(Instance, terminated_at), NULL, NULL},
    {"availability_zone", FIELD_STRING, offsetof(Instance, availability_zone), NULL, NULL},
    {"display_name", FIELD_STRING, offsetof(Instance, display_name), NULL, NULL},
    {"display_description", FIELD_STRING, offsetof(Instance, display_description), NULL, NULL},
    {"launched_on", FIELD_STRING, offsetof(Instance, launched_on), NULL, NULL},
    {"locked", FIELD_BOOL, offsetof(Instance, locked), NULL, NULL},
    {"os_type", FIELD_STRING, offsetof(Instance, os_type), NULL, NULL},
    {"architecture", FIELD_STRING, offsetof(Instance, architecture), NULL, NULL},
    {"vm_mode", FIELD_STRING, offsetof(Instance, vm_mode), NULL, NULL},
    {"root_device_name", FIELD_STRING, offsetof(Instance, root_device_name), NULL, NULL},
    {"default_ephemeral_device", FIELD_STRING, offsetof(Instance, default_ephemeral_device), NULL, NULL},
    {"default_swap_device", FIELD_STRING, offsetof(Instance, default_swap_device), NULL, NULL},
    {"config_drive", FIELD_STRING, offsetof(Instance, config_drive), NULL, NULL},
    {"access_ip_v4", FIELD_STRING, offsetof(Instance, access_ip_v4), NULL, NULL},
    {"access_ip_v6", FIELD_STRING, offsetof(Instance, access_ip_v6), NULL, NULL},
    {"auto_disk_config", FIELD_BOOL, offsetof(Instance, auto_disk_config), NULL, NULL},
    {"progress", FIELD_NULLABLE_INT, offsetof(Instance, progress), NULL, NULL},
    {"shutdown_terminate", FIELD_BOOL, offsetof(Instance, shutdown_terminate), NULL, NULL},
    {"metadata", FIELD_STRING_MAP, offsetof(Instance, metadata), NULL, NULL},
    {"system_metadata", FIELD_STRING_MAP, offsetof(Instance, system_metadata), NULL, NULL},
    {"info_cache", FIELD_OBJECT, offsetof(Instance, info_cache), &INSTANCE_INFO_CACHE_TYPE, NULL},
    {"pci_devices", FIELD_OBJECT_LIST, offsetof(Instance, pci_devices), &PCI_DEVICE_TYPE, NULL},
    {"numa_topology", FIELD_OBJECT, offsetof(Instance, numa_topology), &INSTANCE_NUMA_TOPOLOGY_TYPE, NULL},
    {"pci_requests", FIELD_OBJECT, offsetof(Instance, pci_requests), &INSTANCE_PCI_REQUESTS_TYPE, NULL},
    {"vcpu_model", FIELD_JSON, offsetof(Instance, vcpu_model), NULL, NULL},
    {"device_metadata", FIELD_JSON, offsetof(Instance, device_metadata), NULL, NULL},
    {"flavor", FIELD_OBJECT, offsetof(Instance, flavor), &FLAVOR_TYPE, NULL},
    {"old_flavor", FIELD_OBJECT, offsetof(Instance, old_flavor), &FLAVOR_TYPE, NULL},
    {"new_flavor", FIELD_OBJECT, offsetof(Instance, new_flavor), &FLAVOR_TYPE, NULL},
    {"migration_context", FIELD_JSON, offsetof(Instance, migration_context), NULL, NULL},
    {"resources", FIELD_JSON, offsetof(Instance, resources), NULL, NULL},
    {"keypairs", FIELD_OBJECT_LIST, offsetof(Instance, keypairs), &KEY_PAIR_TYPE, NULL},
    {"trusted_certs", FIELD_JSON, offsetof(Instance, trusted_certs), NULL, NULL},
    {"hidden", FIELD_BOOL, offsetof(Instance, hidden), NULL, NULL},
    {"cleaned", FIELD_BOOL, offsetof(Instance, cleaned), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(Instance, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(Instance, updated_at), NULL, NULL},
};
/* clang-format on */

G_STATIC_ASSERT(G_N_ELEMENTS(instance_fields) <= 64); /* ObjectBase.set has a bit for each */
const ObjectType INSTANCE_TYPE = {"Instance", "2.8", sizeof(Instance), instance_fields,
    G_N_ELEMENTS(instance_fields)};

Instance *
instance_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_TYPE, primitive, err);
}

void
instance_free(Instance *instance)
{
    object_free(instance);
}

/* One conversion of a Python format string: %d, %08x, %(uuid)s. Returns what follows it. */
static const char *
append_conversion(GString *name, const char *at, const Instance *instance)
{
    g_autofree char *key = NULL;
    size_t flags;

    if (*at == '(') {
        size_t length = strcspn(at + 1, ")");

        key = g_strndup(at + 1, length);
        at += length + (at[length + 1] ? 2 : 1);
    }
    flags = strspn(at, "0123456789-");
    if (g_strcmp0(key, "uuid") == 0) {
        g_string_append(name, instance->uuid);
    } else if (flags < 8 && at[flags] && strchr("dxXs", at[flags])) {
        int width = atoi(at[0] == '-' ? at + 1 : at);
        char convert = at[flags] == 's' ? 'd' : at[flags];
        bool zeros = at[0] == '0';
        g_autofree char *digits = convert == 'd'   ? g_strdup_printf("%" G_GINT64_FORMAT, instance->id)
                                  : convert == 'x' ? g_strdup_printf("%" G_GINT64_MODIFIER "x", instance->id)
                                                   : g_strdup_printf("%" G_GINT64_MODIFIER "X", instance->id);

        for (int i = (int)strlen(digits); i < MIN(width, 64); i++)
            g_string_append_c(name, zeros ? '0' : ' ');
        g_string_append(name, digits);
    }
    return at[flags] ? at + flags + 1 : at + flags;
}

bool
instance_is_deleted(const Instance *instance)
{
    return json_get_bool(instance->base.kept, "deleted", false);
}

char *
instance_make_name(const Instance *instance, const char *name_template)
{
    const char *at = name_template;
    GString *name = g_string_new(NULL);

    while (*at) {
        if (*at != '%') {
            g_string_append_c(name, *at++);
        } else if (at[1] == '%') {
            g_string_append_c(name, '%');
            at += 2;
        } else {
            at = append_conversion(name, at + 1, instance);
        }
    }
    return g_string_free(name, FALSE);
}

const InstancePCIRequest *
instance_find_pci_request(const Instance *instance, const char *request_id)
{
    const InstancePCIRequests *requests = instance->pci_requests;

    for (guint i = requests && requests->requests ? requests->requests->len : 0; i > 0; i--) {
        const InstancePCIRequest *request = requests->requests->pdata[i - 1];

        if (!g_strcmp0(request->request_id, request_id))
            return request;
    }
    return NULL;
}
