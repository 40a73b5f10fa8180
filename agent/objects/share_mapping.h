/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A share of Manila that a server is to have (nova.objects.ShareMapping).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>

#include "agent/objects/versioned_object.h"

typedef struct ShareMapping {
    ObjectBase base;
    char *instance_uuid;
    char *share_id;
    char *status; /* attaching, detaching, inactive, active, error */
    char *share_proto;
} ShareMapping;

extern const ObjectType SHARE_MAPPING_TYPE;
ShareMapping *share_mapping_from_json(const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void share_mapping_free(ShareMapping *mapping);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShareMapping, share_mapping_free)
