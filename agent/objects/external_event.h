/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What another service reports about a server (nova.objects.InstanceExternalEvent).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct InstanceExternalEvent {
    ObjectBase base;
    char *instance_uuid;
    char *name;
    char *status;
    char *tag;
    GHashTable *data;
} InstanceExternalEvent;

extern const ObjectType INSTANCE_EXTERNAL_EVENT_TYPE;
InstanceExternalEvent *instance_external_event_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_external_event_free(InstanceExternalEvent *instance_external_event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceExternalEvent, instance_external_event_free)
