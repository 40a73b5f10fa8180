/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a port that is attached needs: of Placement bandwidth and packet rates of its policies, of the host a PCI
 * device if it is of an SR-IOV kind (port_device.h). */

#include "compute/operation.h"

/* All NULL: the port asks for nothing. */
typedef struct PortResources {
    json_t *held;    /* {provider: {"resources": {...}}}: in the server's allocation now */
    json_t *mapping; /* {group id: [provider]} */
    char *pci_request_id;
} PortResources;

void port_resources_clear(PortResources *resources);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PortResources, port_resources_clear)

/* Adds what a given port (NULL: none is given) asks for to the server's allocation, from providers of this host,
 * and to its devices. InterfaceAttachResourceAllocationFailed, InterfaceAttachPciClaimFailed. */
bool port_resources_claim(Operation *op, const char *port_id, PortResources *ret, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Gives it back; a failure is logged. */
void port_resources_return(Operation *op, const PortResources *resources);

/* After an attach or detach that was killed: takes out of the allocation what no port of the server has any
 * more. */
bool port_resources_trim(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* What of 'allocations' (of one consumer) only ports can have asked for, and these did not: 'held' is what they
 * did. {provider: {"resources": {...}}}, the caller's. Pure. */
json_t *port_resources_excess(json_t *allocations, const json_t *held);
