/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The conductor's part in a node's PCI devices (nova.objects.PciDeviceList, PciDevice). As
 * conductor.h otherwise. */

#include "agent/control/conductor.h"
#include "agent/objects/pci_device.h"

/* Of PciDevice: those that the database has for the node. */
GPtrArray *
conductor_pci_devices_by_node(Conductor *conductor, const RequestContext *ctx, int64_t node_id,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Creates or changes the row; a device that is "removed" loses it and is "deleted" then. */
bool conductor_pci_device_save(Conductor *conductor, const RequestContext *ctx, PciDevice *device,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
