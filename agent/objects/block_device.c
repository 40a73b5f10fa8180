/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/block_device.h"

/* clang-format off */
static const ObjectField block_device_mapping_fields[] = {
    {"id", FIELD_INT, offsetof(BlockDeviceMapping, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(BlockDeviceMapping, uuid), NULL, NULL},
    {"instance_uuid", FIELD_STRING, offsetof(BlockDeviceMapping, instance_uuid), NULL, NULL},
    {"instance", FIELD_JSON, offsetof(BlockDeviceMapping, instance), NULL, NULL},
    {"source_type", FIELD_STRING, offsetof(BlockDeviceMapping, source_type), NULL, NULL},
    {"destination_type", FIELD_STRING, offsetof(BlockDeviceMapping, destination_type), NULL, NULL},
    {"guest_format", FIELD_STRING, offsetof(BlockDeviceMapping, guest_format), NULL, NULL},
    {"device_type", FIELD_STRING, offsetof(BlockDeviceMapping, device_type), NULL, NULL},
    {"disk_bus", FIELD_STRING, offsetof(BlockDeviceMapping, disk_bus), NULL, NULL},
    {"boot_index", FIELD_NULLABLE_INT, offsetof(BlockDeviceMapping, boot_index), NULL, NULL},
    {"device_name", FIELD_STRING, offsetof(BlockDeviceMapping, device_name), NULL, NULL},
    {"delete_on_termination", FIELD_BOOL, offsetof(BlockDeviceMapping, delete_on_termination), NULL, NULL},
    {"snapshot_id", FIELD_STRING, offsetof(BlockDeviceMapping, snapshot_id), NULL, NULL},
    {"volume_id", FIELD_STRING, offsetof(BlockDeviceMapping, volume_id), NULL, NULL},
    {"volume_size", FIELD_NULLABLE_INT, offsetof(BlockDeviceMapping, volume_size), NULL, NULL},
    {"image_id", FIELD_STRING, offsetof(BlockDeviceMapping, image_id), NULL, NULL},
    {"no_device", FIELD_BOOL, offsetof(BlockDeviceMapping, no_device), NULL, NULL},
    {"connection_info", FIELD_STRING, offsetof(BlockDeviceMapping, connection_info), NULL, NULL},
    {"tag", FIELD_STRING, offsetof(BlockDeviceMapping, tag), NULL, NULL},
    {"attachment_id", FIELD_STRING, offsetof(BlockDeviceMapping, attachment_id), NULL, NULL},
    {"volume_type", FIELD_STRING, offsetof(BlockDeviceMapping, volume_type), NULL, NULL},
    {"encrypted", FIELD_BOOL, offsetof(BlockDeviceMapping, encrypted), NULL, NULL},
    {"encryption_secret_uuid", FIELD_STRING, offsetof(BlockDeviceMapping, encryption_secret_uuid), NULL, NULL},
    {"encryption_format", FIELD_STRING, offsetof(BlockDeviceMapping, encryption_format), NULL, NULL},
    {"encryption_options", FIELD_STRING, offsetof(BlockDeviceMapping, encryption_options), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(BlockDeviceMapping, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(BlockDeviceMapping, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(BlockDeviceMapping, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(BlockDeviceMapping, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType BLOCK_DEVICE_MAPPING_TYPE = {"BlockDeviceMapping", "1.21", sizeof(BlockDeviceMapping), block_device_mapping_fields,
    G_N_ELEMENTS(block_device_mapping_fields)};

BlockDeviceMapping *
block_device_mapping_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&BLOCK_DEVICE_MAPPING_TYPE, primitive, err);
}

void
block_device_mapping_free(BlockDeviceMapping *block_device_mapping)
{
    object_free(block_device_mapping);
}
