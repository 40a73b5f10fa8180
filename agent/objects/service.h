/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A row of the services table (nova.objects.Service).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct Service {
    ObjectBase base;
    int64_t id;
    char *uuid;
    char *host;
    char *binary;
    char *topic;
    int64_t report_count;
    bool disabled;
    char *disabled_reason;
    char *availability_zone;
    char *last_seen_up;
    bool forced_down;
    int64_t version;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} Service;

extern const ObjectType SERVICE_TYPE;
Service *service_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void service_free(Service *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Service, service_free)
