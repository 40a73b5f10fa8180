/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What Neutron is told, in binding:profile, of the PCI device that a port gets
 * (API._get_pci_device_profile() of nova.network.neutron). Pure; new references. */

#include <glib.h>
#include <jansson.h>

#include "agent/base/nova_error.h"
#include "agent/objects/instance.h"
#include "agent/objects/migration_context.h"

/* Of the instance's devices: {id of the PCI request, and id of its port: entries}. 'specs' are
 * [pci]device_spec's. PciDeviceNotFound for a device that none of them names. */
json_t *pci_profiles_of_instance(const Instance *instance, const GPtrArray *specs,
                                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Of a move to that side: {address that the port has now: entries of the device that it gets}. */
json_t *pci_profiles_of_move(const Instance *instance, MoveSide to, const GPtrArray *specs,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
