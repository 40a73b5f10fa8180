/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What servers do with their volumes, counted by libvirt, kept in the database and told on the bus
 * (volume.usage), where [DEFAULT]volume_usage_poll_interval asks for it. */

#include "agent/objects/block_device.h"
#include "compute/operation.h"

/* 'is_last': the guest is about to lose the volume. Failures are logged: nothing depends on it. */
void volume_stats_tell(Host *host, const RequestContext *ctx, const Instance *instance,
                       const BlockDeviceMapping *bdm, bool is_last);
