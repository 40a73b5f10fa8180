/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From the records of a server to what its metadata says (pure); see metadata.h. */

#include <glib.h>
#include <jansson.h>

#include "agent/base/nova_error.h"
#include "storage/metadata.h"

struct ConfigDriveInput;
struct Instance;
struct Options;

typedef struct InstanceMetadata {
    MetadataInput input; /* borrows from what it was made from, and from the rest of this struct */
    GPtrArray *injected_files;
    GArray *devices;     /* of MetadataDevice */
    GBytes *user_data;
    json_t *meta;
    json_t *dedicated_cpus;
    json_t *block_device_mapping;
} InstanceMetadata;

/* ValueError when user data or the contents of an injected file are no base64. */
InstanceMetadata *instance_metadata_new(const struct Options *options,
                                        const struct ConfigDriveInput *from, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void instance_metadata_free(InstanceMetadata *metadata);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstanceMetadata, instance_metadata_free)

/* "block-device-mapping" of the EC2 files (nova.block_device.instance_block_mapping); new
 * reference. 'block_devices' of BlockDeviceMapping; NULL: none. */
json_t *instance_metadata_block_mapping(const struct Instance *instance,
                                        const GPtrArray *block_devices);
