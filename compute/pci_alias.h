/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [pci]alias, and the devices that a flavor asks for by it (nova.pci.request). Pure. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/flavor.h"
#include "agent/objects/pci_device.h"
#include "conf/options.h"

/* Is every alias in order? PciInvalidAlias. */
bool pci_alias_check(const Options *options, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The requests of pci_passthrough:alias, each with an id of its own; empty when the flavor has
 * none. PciRequestAliasNotDefined, PciInvalidAlias. */
InstancePCIRequests *
pci_alias_requests(const Options *options, const Flavor *flavor, const char *instance_uuid,
                   NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
