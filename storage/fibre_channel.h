/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Targets of a Fibre Channel fabric, as the kernel shows them in /sys (os_brick.initiator.linuxfc and
 * connectors.fibre_channel). 'root' and names of devices as in scsi.h. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct FibreChannelTarget {
    char *wwpn;  /* lower case, without 0x */
    int64_t lun; /* as the kernel numbers it */
} FibreChannelTarget;

/* All ways to the volume, in Cinder's order; owning array of FibreChannelTarget, never empty. VolumePathsNotFound:
 * there are neither as many LUNs as ports, nor is there one. */
GPtrArray *fibre_channel_targets(const json_t *data, NovaError **err);

/* The disks that are there by now, of all adapters; owning array of char *. */
GPtrArray *fibre_channel_devices(const char *root, const GPtrArray *targets);

/* Has the adapters that reach a target look for its LUN alone. When none is known to, and unless "enable_wildcard_scan" is
 * false, all look for that LUN everywhere. "initiator_target_map" leaves adapters out, and of the others targets.
 * NoFibreChannelHostsFound: there is no adapter. OSError. */
bool fibre_channel_scan(const char *root, const json_t *data, const GPtrArray *targets, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* udev's link to the device, "/dev/disk/by-path/pci-0000:05:00.3-fc-0x50060e801049cfd1-lun-0"; NULL: there is
 * none (yet). Caller frees. */
char *fibre_channel_link(const char *root, const GPtrArray *targets, const char *device);
