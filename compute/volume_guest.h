/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A volume and the guest that gets it or lets it go (LibvirtDriver.attach_volume, detach_volume,
 * extend_volume): with the connection of this host to it. */

#include <jansson.h>
#include <stdbool.h>

#include "agent/objects/block_device.h"
#include "compute/guest.h"
#include "compute/operation.h"

/* Connects the host (connection_info is told the path), then the guest, whose tags are noted in the saved
 * record. All of it or nothing. 'again': the guest may have it already. */
bool volume_guest_attach(Host *host, const RequestContext *ctx, Instance *instance,
                         const BlockDeviceMapping *bdm, json_t *connection_info, bool again,
                         NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* A guest that is not there, or does not have it, has let go. DeviceDetachFailed. */
bool volume_guest_detach(Host *host, const RequestContext *ctx, const Instance *instance,
                         const BlockDeviceMapping *bdm, const json_t *connection_info, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Host and running guest see the new size. ExtendVolumeNotSupported. */
bool volume_guest_extend(Host *host, const Instance *instance, const json_t *connection_info,
                         int64_t size, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* "vdb": the device's name in the domain. Borrowed. */
const char *volume_guest_target(const BlockDeviceMapping *bdm);
/* The <disk> of the connected volume for a guest that gets it beside its others. Caller frees. */
char *volume_guest_make_disk(Host *host, Guest *guest, const Instance *instance,
                             const BlockDeviceMapping *bdm, const json_t *connection_info, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
