/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PCI devices of the host in a running guest. A guest's memory cannot be saved with them: they
 * leave it before and come back after (LibvirtDriver._detach_pci_devices(), _attach_pci_devices()).
 */

#include <stdbool.h>

#include "agent/objects/instance.h"
#include "compute/guest.h"

/* Those that the flavor asked for; the definition keeps them. PciDeviceDetachFailed when the
 * guest's system does not let go at once, LibvirtError. */
bool guest_detach_hostdevs(Guest *guest, const Instance *instance,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool guest_attach_hostdevs(Guest *guest, const Instance *instance,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
