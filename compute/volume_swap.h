/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A running guest's volume replaced by another, which gets what is on it (LibvirtDriver.swap_volume). */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/block_device.h"
#include "compute/operation.h"

typedef struct VolumeSwap {
    const BlockDeviceMapping *bdm; /* of the old volume */
    const json_t *old_info;
    json_t *new_info;              /* is told the path */
    int64_t new_size;              /* bytes; 0: as large as the old one */
    bool again;                    /* a process that was killed had begun it */
} VolumeSwap;

/* Connects the new volume, copies, lets the guest go over to it and disconnects the old one. On failure the
 * guest has the old one; what fails once it has the new one is logged. DiskNotFound, VolumeRebaseFailed,
 * NotImplementedError for encrypted ones. */
bool volume_swap(Host *host, const RequestContext *ctx, const Instance *instance, const VolumeSwap *swap,
                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
