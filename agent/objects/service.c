/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/service.h"

/* clang-format off */
static const ObjectField service_fields[] = {
    {"id", FIELD_INT, offsetof(Service, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(Service, uuid), NULL, NULL},
    {"host", FIELD_STRING, offsetof(Service, host), NULL, NULL},
    {"binary", FIELD_STRING, offsetof(Service, binary), NULL, NULL},
    {"topic", FIELD_STRING, offsetof(Service, topic), NULL, NULL},
    {"report_count", FIELD_INT, offsetof(Service, report_count), NULL, NULL},
    {"disabled", FIELD_BOOL, offsetof(Service, disabled), NULL, NULL},
    {"disabled_reason", FIELD_STRING, offsetof(Service, disabled_reason), NULL, NULL},
    {"availability_zone", FIELD_STRING, offsetof(Service, availability_zone), NULL, NULL},
    {"last_seen_up", FIELD_STRING, offsetof(Service, last_seen_up), NULL, NULL},
    {"forced_down", FIELD_BOOL, offsetof(Service, forced_down), NULL, NULL},
    {"version", FIELD_INT, offsetof(Service, version), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(Service, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(Service, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(Service, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(Service, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType SERVICE_TYPE = {"Service", "1.22", sizeof(Service), service_fields,
    G_N_ELEMENTS(service_fields)};

Service *
service_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&SERVICE_TYPE, primitive, err);
}

void
service_free(Service *service)
{
    object_free(service);
}
