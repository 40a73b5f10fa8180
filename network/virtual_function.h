/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the kernel says of an SR-IOV virtual function's network devices. 'sysfs' is "/sys" but in
 * tests. PciDeviceNotFoundById when there is no such function or it has no such device. Any thread.
 */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct VirtualFunction {
    char *parent;   /* network device of the physical function */
    unsigned index; /* among the parent's */
} VirtualFunction;

bool virtual_function_find(const char *sysfs, const char *pci_slot, VirtualFunction *ret_function,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void virtual_function_clear(VirtualFunction *function);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VirtualFunction, virtual_function_clear)

/* Its own network device; caller frees. */
char *virtual_function_device(const char *sysfs, const char *pci_slot, NovaError **err);
/* The device that stands for it in the card's switch; InternalError when there is none. */
char *virtual_function_representor(const char *sysfs, const char *pci_slot, NovaError **err);
