/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/flavor.h"

/* clang-format off */
static const ObjectField flavor_fields[] = {
    {"id", FIELD_INT, offsetof(Flavor, id), NULL, NULL},
    {"name", FIELD_STRING, offsetof(Flavor, name), NULL, NULL},
    {"memory_mb", FIELD_INT, offsetof(Flavor, memory_mb), NULL, NULL},
    {"vcpus", FIELD_INT, offsetof(Flavor, vcpus), NULL, NULL},
    {"root_gb", FIELD_INT, offsetof(Flavor, root_gb), NULL, NULL},
    {"ephemeral_gb", FIELD_INT, offsetof(Flavor, ephemeral_gb), NULL, NULL},
    {"flavorid", FIELD_STRING, offsetof(Flavor, flavorid), NULL, NULL},
    {"swap", FIELD_INT, offsetof(Flavor, swap), NULL, NULL},
    {"rxtx_factor", FIELD_FLOAT, offsetof(Flavor, rxtx_factor), NULL, NULL},
    {"vcpu_weight", FIELD_NULLABLE_INT, offsetof(Flavor, vcpu_weight), NULL, NULL},
    {"disabled", FIELD_BOOL, offsetof(Flavor, disabled), NULL, NULL},
    {"is_public", FIELD_BOOL, offsetof(Flavor, is_public), NULL, NULL},
    {"extra_specs", FIELD_STRING_MAP, offsetof(Flavor, extra_specs), NULL, NULL},
    {"projects", FIELD_JSON, offsetof(Flavor, projects), NULL, NULL},
    {"description", FIELD_STRING, offsetof(Flavor, description), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(Flavor, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(Flavor, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(Flavor, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(Flavor, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType FLAVOR_TYPE = {"Flavor", "1.2", sizeof(Flavor), flavor_fields,
    G_N_ELEMENTS(flavor_fields)};

Flavor *
flavor_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&FLAVOR_TYPE, primitive, err);
}

void
flavor_free(Flavor *flavor)
{
    object_free(flavor);
}
