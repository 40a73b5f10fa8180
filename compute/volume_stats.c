/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.volume"
#include "compute/volume_stats.h"

#include "agent/base/log.h"
#include "agent/control/conductor_volumes.h"
#include "compute/guest_stats.h"
#include "compute/volume_guest.h"

static VolumeUsage *
new_usage(const Instance *instance, const BlockDeviceMapping *bdm, const DiskStats *stats)
{
    VolumeUsage *usage = object_new(&VOLUME_USAGE_TYPE);

    OBJECT_SET_STRING(usage, volume_id, bdm->volume_id);
    OBJECT_SET_STRING(usage, instance_uuid, instance->uuid);
    OBJECT_SET_STRING(usage, project_id, instance->project_id);
    OBJECT_SET_STRING(usage, user_id, instance->user_id);
    OBJECT_SET_STRING(usage, availability_zone, instance->availability_zone);
    OBJECT_SET(usage, curr_reads, stats->read_requests);
    OBJECT_SET(usage, curr_read_bytes, stats->read_bytes);
    OBJECT_SET(usage, curr_writes, stats->write_requests);
    OBJECT_SET(usage, curr_write_bytes, stats->write_bytes);
    return usage;
}

/* A guest that is off counts nothing. */
static bool
fetch(Host *host, const Instance *instance, const BlockDeviceMapping *bdm, DiskStats *ret_stats)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_lookup(host->hypervisor, instance->uuid, &error);

    if (guest && guest_fetch_disk_stats(guest, volume_guest_target(bdm), ret_stats, &error))
        return true;
    LOG_INFO("Getting block stats of %s failed, device might have been detached: %s", bdm->device_name,
             nova_error_details(error));
    return false;
}

void
volume_stats_tell(Host *host, const RequestContext *ctx, const Instance *instance,
                  const BlockDeviceMapping *bdm, bool is_last)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(VolumeUsage) usage = NULL;
    DiskStats stats;

    if (!fetch(host, instance, bdm, &stats))
        return;
    usage = new_usage(instance, bdm, &stats);
    if (conductor_volume_usage_save(host->conductor, ctx, usage, is_last, &error))
        notifier_volume_usage(host->notifier, ctx, usage);
    else
        LOG_WARNING("Keeping the usage of volume %s: %s", bdm->volume_id, nova_error_details(error));
}
