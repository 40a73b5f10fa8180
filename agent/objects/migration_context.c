/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/migration_context.h"

#include "agent/base/json.h"

static const char *const members[] = {"numa_topology", "pci_devices", "pci_requests", "resources"};

static json_t *
object_or_null(const void *object)
{
    return object ? object_to_json(object) : json_null();
}

static json_t *
device_list(json_t *devices)
{
    return object_new_primitive("PciDeviceList", "1.3", json_pack("{s:o}", "objects", devices));
}

static json_t *
devices_of(const GPtrArray *array)
{
    json_t *list = json_array();

    for (guint i = 0; array && i < array->len; i++)
        json_array_append_new(list, object_to_json(array->pdata[i]));
    return list;
}

void
migration_context_set(Instance *instance, int64_t migration_id, const MoveResources *after)
{
    json_t *context = json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:O?, s:O?}", "instance_uuid", instance->uuid,
        "migration_id", (json_int_t)migration_id, "old_numa_topology",
        object_or_null(instance->numa_topology), "new_numa_topology",
        object_or_null(after->numa_topology), "old_pci_devices",
        device_list(devices_of(instance->pci_devices)), "new_pci_devices",
        device_list(after->pci_devices ? json_incref(after->pci_devices) : json_array()),
        "old_pci_requests", object_or_null(instance->pci_requests), "new_pci_requests",
        object_or_null(after->pci_requests), "old_resources", instance->resources, "new_resources",
        after->resources);

    json_decref(instance->migration_context);
    OBJECT_SET(instance, migration_context, object_new_primitive("MigrationContext", "1.2", context));
}

bool
migration_context_id(const Instance *instance, int64_t *ret_migration_id)
{
    const json_t *id = json_path(instance->migration_context, "nova_object.data", "migration_id", NULL);

    if (!json_is_integer(id))
        return false;
    *ret_migration_id = json_integer_value(id);
    return true;
}

const json_t *
migration_context_get(const Instance *instance, MoveSide side, const char *member)
{
    g_autofree char *name = g_strconcat(side == MOVE_NEW ? "new_" : "old_", member, NULL);
    const json_t *value = json_path(instance->migration_context, "nova_object.data", name, NULL);

    return json_is_null(value) ? NULL : value;
}

bool
migration_context_apply(Instance *instance, MoveSide side, NovaError **err)
{
    json_auto_t *fields = json_object();

    if (!instance->migration_context)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
        const json_t *value = migration_context_get(instance, side, members[i]);

        json_object_set(fields, members[i], value ? (json_t *)value : json_null());
    }
    return object_assign_fields(instance, fields, err);
}
