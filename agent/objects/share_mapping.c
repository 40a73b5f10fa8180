/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/share_mapping.h"

/* clang-format off */
static const ObjectField share_mapping_fields[] = {
    {"instance_uuid", FIELD_STRING, offsetof(ShareMapping, instance_uuid), NULL, NULL},
    {"share_id", FIELD_STRING, offsetof(ShareMapping, share_id), NULL, NULL},
    {"status", FIELD_STRING, offsetof(ShareMapping, status), NULL, NULL},
    {"share_proto", FIELD_STRING, offsetof(ShareMapping, share_proto), NULL, NULL},
};
/* clang-format on */

const ObjectType SHARE_MAPPING_TYPE = {"ShareMapping", "1.2", sizeof(ShareMapping), share_mapping_fields,
    G_N_ELEMENTS(share_mapping_fields)};

ShareMapping *
share_mapping_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&SHARE_MAPPING_TYPE, primitive, err);
}

void
share_mapping_free(ShareMapping *mapping)
{
    object_free(mapping);
}
