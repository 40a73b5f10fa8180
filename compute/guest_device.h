/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Devices that come to a guest and leave it while it runs (nova.virt.libvirt.guest.Guest.attach_device,
 * LibvirtDriver._detach_with_retry). The caller sees to it that one operation at a time does so to a
 * guest. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/guest.h"
#include "conf/options.h"

/* Into the definition and, when the guest runs, into the running guest. LibvirtError. */
bool guest_attach_device(Guest *guest, const char *xml, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Where a device is in the domain's XML: the element's own text, which the caller frees, and its alias
 * (a definition has none); NULL when it is not there. */
typedef struct GuestDevice {
    const char *name; /* for messages */
    char *(*find)(const char *domain_xml, const void *user, char **ret_alias);
    const void *user;
} GuestDevice;

/* Out of the definition, and out of the running guest, whose own system must let go of it:
 * [libvirt]device_detach_attempts times, waiting for libvirt's event for device_detach_timeout.
 * DeviceNotFound when it was in neither, DeviceDetachFailed, LibvirtError. */
bool guest_detach_device(Guest *guest, const GuestDevice *device, const Options *options,
                         NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Replaces the <nova:instance> element of the definition and of the running guest. */
bool guest_set_metadata(Guest *guest, const char *xml, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
