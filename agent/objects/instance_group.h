/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server group (nova.objects.InstanceGroup).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>

#include "agent/objects/versioned_object.h"

typedef struct InstanceGroup {
    ObjectBase base;
    char *uuid;
    char *policy;
    GHashTable *rules; /* Nova's _rules */
    json_t *members;   /* uuids of servers */
} InstanceGroup;

extern const ObjectType INSTANCE_GROUP_TYPE;
InstanceGroup *instance_group_from_json(const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void instance_group_free(InstanceGroup *group);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceGroup, instance_group_free)
