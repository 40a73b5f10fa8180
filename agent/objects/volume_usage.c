/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/volume_usage.h"

#include <string.h>

/* clang-format off */
static const ObjectField volume_usage_fields[] = {
    {"volume_id", FIELD_STRING, offsetof(VolumeUsage, volume_id), NULL, NULL},
    {"instance_uuid", FIELD_STRING, offsetof(VolumeUsage, instance_uuid), NULL, NULL},
    {"project_id", FIELD_STRING, offsetof(VolumeUsage, project_id), NULL, NULL},
    {"user_id", FIELD_STRING, offsetof(VolumeUsage, user_id), NULL, NULL},
    {"availability_zone", FIELD_STRING, offsetof(VolumeUsage, availability_zone), NULL, NULL},
    {"tot_last_refreshed", FIELD_STRING, offsetof(VolumeUsage, tot_last_refreshed), NULL, NULL},
    {"tot_reads", FIELD_INT, offsetof(VolumeUsage, tot_reads), NULL, NULL},
    {"tot_read_bytes", FIELD_INT, offsetof(VolumeUsage, tot_read_bytes), NULL, NULL},
    {"tot_writes", FIELD_INT, offsetof(VolumeUsage, tot_writes), NULL, NULL},
    {"tot_write_bytes", FIELD_INT, offsetof(VolumeUsage, tot_write_bytes), NULL, NULL},
    {"curr_last_refreshed", FIELD_STRING, offsetof(VolumeUsage, curr_last_refreshed), NULL, NULL},
    {"curr_reads", FIELD_INT, offsetof(VolumeUsage, curr_reads), NULL, NULL},
    {"curr_read_bytes", FIELD_INT, offsetof(VolumeUsage, curr_read_bytes), NULL, NULL},
    {"curr_writes", FIELD_INT, offsetof(VolumeUsage, curr_writes), NULL, NULL},
    {"curr_write_bytes", FIELD_INT, offsetof(VolumeUsage, curr_write_bytes), NULL, NULL},
};
/* clang-format on */

const ObjectType VOLUME_USAGE_TYPE = {"VolumeUsage", "1.0", sizeof(VolumeUsage), volume_usage_fields,
    G_N_ELEMENTS(volume_usage_fields)};

void
volume_usage_free(VolumeUsage *usage)
{
    object_free(usage);
}

/* Both are ISO times in UTC, whose order is that of their text. */
const char *
volume_usage_last_refreshed(const VolumeUsage *usage)
{
    return g_strcmp0(usage->tot_last_refreshed, usage->curr_last_refreshed) > 0 ? usage->tot_last_refreshed
                                                                                : usage->curr_last_refreshed;
}
