/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What becomes of a PCI device's status, and of its relatives', when it is claimed, allocated,
 * released or removed (nova.objects.PciDevice). A physical function and its virtual ones exclude
 * each other. Pure; changed devices have unsaved changes afterwards. PciDeviceInvalidStatus and its
 * like. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/fit/pci_units.h"

/* available → claimed */
bool
pci_unit_claim(PciUnit *unit, const char *instance_uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* available, claimed → allocated */
bool pci_unit_allocate(PciUnit *unit, const char *instance_uuid,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* claimed, allocated → available; so are the relatives that are no longer excluded. All of them are
 * added to 'freed', which borrows them. */
bool pci_unit_release(PciUnit *unit, GPtrArray *freed, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* anything that nobody has → removed */
bool pci_unit_remove(PciUnit *unit, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

bool pci_unit_has_status(const PciUnit *unit, const char *status);
