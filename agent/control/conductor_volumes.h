/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which servers have which volumes. As conductor.h otherwise. */

#include "agent/control/conductor.h"
#include "agent/objects/volume_usage.h"

/* VolumeBDMNotFound when the server does not have it. */
BlockDeviceMapping *conductor_bdm_of_volume(Conductor *conductor, const RequestContext *ctx,
                                            const char *volume_id, const char *instance_uuid,
                                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* What libvirt has counted in 'usage', and what the database has beside it from then on, into 'usage'.
 * 'is_last': the guest loses the volume, what comes after is counted anew. */
bool conductor_volume_usage_save(Conductor *conductor, const RequestContext *ctx, VolumeUsage *usage,
                                 bool is_last, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* A new row. */
bool conductor_bdm_add(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The uuids of the host's servers, a list of strings; new reference. */
json_t *conductor_uuids_on_host(Conductor *conductor, const RequestContext *ctx, const char *host,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
