/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Nova's record of a port (nova.objects.VirtualInterface).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct VirtualInterface {
    ObjectBase base;
    int64_t id;
    char *uuid;
    char *address;
    int64_t network_id;
    char *instance_uuid;
    char *tag;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} VirtualInterface;

extern const ObjectType VIRTUAL_INTERFACE_TYPE;
VirtualInterface *virtual_interface_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void virtual_interface_free(VirtualInterface *virtual_interface);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VirtualInterface, virtual_interface_free)
