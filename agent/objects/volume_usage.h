/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server has read from a volume and written to it (nova.objects.VolumeUsage): in 'curr' since the
 * guest's process began, in 'tot' before that.
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct VolumeUsage {
    ObjectBase base;
    char *volume_id;
    char *instance_uuid;
    char *project_id;
    char *user_id;
    char *availability_zone;
    char *tot_last_refreshed;
    int64_t tot_reads;
    int64_t tot_read_bytes;
    int64_t tot_writes;
    int64_t tot_write_bytes;
    char *curr_last_refreshed;
    int64_t curr_reads;
    int64_t curr_read_bytes;
    int64_t curr_writes;
    int64_t curr_write_bytes;
} VolumeUsage;

extern const ObjectType VOLUME_USAGE_TYPE;

void volume_usage_free(VolumeUsage *usage);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VolumeUsage, volume_usage_free)

/* The later of the two times; NULL: never. Borrowed. */
const char *volume_usage_last_refreshed(const VolumeUsage *usage);
