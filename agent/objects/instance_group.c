/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/instance_group.h"

/* clang-format off */
static const ObjectField instance_group_fields[] = {
    {"uuid", FIELD_STRING, offsetof(InstanceGroup, uuid), NULL, NULL},
    {"policy", FIELD_STRING, offsetof(InstanceGroup, policy), NULL, NULL},
    {"_rules", FIELD_STRING_MAP, offsetof(InstanceGroup, rules), NULL, NULL},
    {"members", FIELD_JSON, offsetof(InstanceGroup, members), NULL, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_GROUP_TYPE = {"InstanceGroup", "1.11", sizeof(InstanceGroup), instance_group_fields,
    G_N_ELEMENTS(instance_group_fields)};

InstanceGroup *
instance_group_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_GROUP_TYPE, primitive, err);
}

void
instance_group_free(InstanceGroup *group)
{
    object_free(group);
}
