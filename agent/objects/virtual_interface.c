/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/virtual_interface.h"

/* clang-format off */
static const ObjectField virtual_interface_fields[] = {
    {"id", FIELD_INT, offsetof(VirtualInterface, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(VirtualInterface, uuid), NULL, NULL},
    {"address", FIELD_STRING, offsetof(VirtualInterface, address), NULL, NULL},
    {"network_id", FIELD_INT, offsetof(VirtualInterface, network_id), NULL, NULL},
    {"instance_uuid", FIELD_STRING, offsetof(VirtualInterface, instance_uuid), NULL, NULL},
    {"tag", FIELD_STRING, offsetof(VirtualInterface, tag), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(VirtualInterface, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(VirtualInterface, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(VirtualInterface, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(VirtualInterface, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType VIRTUAL_INTERFACE_TYPE = {"VirtualInterface", "1.3", sizeof(VirtualInterface), virtual_interface_fields,
    G_N_ELEMENTS(virtual_interface_fields)};

VirtualInterface *
virtual_interface_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&VIRTUAL_INTERFACE_TYPE, primitive, err);
}

void
virtual_interface_free(VirtualInterface *virtual_interface)
{
    object_free(virtual_interface);
}
