/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who waits for a device to leave its guest, and what libvirt said of it
 * (nova.virt.libvirt.driver.AsyncDeviceEventsHandler). Any thread. */

#include <glib.h>

typedef struct DeviceWaits DeviceWaits;
typedef struct DeviceWait DeviceWait;

typedef enum DeviceOutcome {
    DEVICE_SAYS_NOTHING, /* when the time was over */
    DEVICE_REMOVED,
    DEVICE_REMOVAL_FAILED,
    DEVICE_GUEST_STOPPED,
} DeviceOutcome;

DeviceWaits *device_waits_new(void);
void device_waits_free(DeviceWaits *waits); /* nobody waits any more */

/* Before libvirt is asked to remove the device: its event may come at once. Strings are copied. */
DeviceWait *device_wait_begin(DeviceWaits *waits, const char *uuid, const char *alias);
/* Waits for the outcome and frees 'wait'. */
DeviceOutcome device_wait_end(DeviceWait *wait, int timeout_ms);

/* 'alias' NULL: of all of the guest's devices. Does not block. */
void device_waits_tell(DeviceWaits *waits, const char *uuid, const char *alias, DeviceOutcome outcome);
