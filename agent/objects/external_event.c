/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/external_event.h"

/* clang-format off */
static const ObjectField instance_external_event_fields[] = {
    {"instance_uuid", FIELD_STRING, offsetof(InstanceExternalEvent, instance_uuid), NULL, NULL},
    {"name", FIELD_STRING, offsetof(InstanceExternalEvent, name), NULL, NULL},
    {"status", FIELD_STRING, offsetof(InstanceExternalEvent, status), NULL, NULL},
    {"tag", FIELD_STRING, offsetof(InstanceExternalEvent, tag), NULL, NULL},
    {"data", FIELD_STRING_MAP, offsetof(InstanceExternalEvent, data), NULL, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_EXTERNAL_EVENT_TYPE = {"InstanceExternalEvent", "1.5", sizeof(InstanceExternalEvent), instance_external_event_fields,
    G_N_ELEMENTS(instance_external_event_fields)};

InstanceExternalEvent *
instance_external_event_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_EXTERNAL_EVENT_TYPE, primitive, err);
}

void
instance_external_event_free(InstanceExternalEvent *instance_external_event)
{
    object_free(instance_external_event);
}
