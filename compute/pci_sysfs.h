/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What only sysfs tells about PCI devices (nova.pci.utils). 'root' is "/sys" but in tests;
 * borrowed. Any thread. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "compute/fit/pci_spec.h"

/* For [pci]device_spec. */
PciSysfs pci_sysfs_of(const char *root);

/* The network interface of a device, or of the physical function that it is a part of; NULL: it has
 * none. Caller frees. */
char *pci_sysfs_interface(const char *root, const char *address, bool of_parent);
/* The Ethernet address of that interface of the device itself; NULL: it has none. Caller frees. */
char *pci_sysfs_mac(const char *root, const char *address);
/* Which of its physical function's virtual ones a device is. */
bool pci_sysfs_vf_number(const char *root, const char *address, int64_t *ret_number);
