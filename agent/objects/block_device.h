/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A disk or volume of a server (nova.objects.BlockDeviceMapping).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct BlockDeviceMapping {
    ObjectBase base;
    int64_t id;
    char *uuid;
    char *instance_uuid;
    json_t *instance;
    char *source_type;
    char *destination_type;
    char *guest_format;
    char *device_type;
    char *disk_bus;
    NullableInt boot_index;
    char *device_name;
    bool delete_on_termination;
    char *snapshot_id;
    char *volume_id;
    NullableInt volume_size;
    char *image_id;
    bool no_device;
    char *connection_info;
    char *tag;
    char *attachment_id;
    char *volume_type;
    bool encrypted;
    char *encryption_secret_uuid;
    char *encryption_format;
    char *encryption_options;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} BlockDeviceMapping;

extern const ObjectType BLOCK_DEVICE_MAPPING_TYPE;
BlockDeviceMapping *block_device_mapping_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void block_device_mapping_free(BlockDeviceMapping *block_device_mapping);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockDeviceMapping, block_device_mapping_free)
