/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The PCI device of an SR-IOV port that comes to a server, or leaves it, while the server exists. */

#include "compute/operation.h"
#include "network/neutron.h"

/* For a port with such needs a device becomes the instance's (resource_tracker_add_device()). *ret_request_id is
 * the caller's. InterfaceAttachPciClaimFailed, InvalidPCINUMAAffinity, ImagePCINUMAPolicyForbidden. */
bool port_device_claim(Operation *op, const char *port_id, const PortNeeds *needs, char **ret_request_id,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The device of that request (NULL: none) is the host's again. */
bool port_device_return(Operation *op, const char *request_id, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* By which request the port has its device (get_instance_pci_request_from_vif()), the caller's; NULL: it has
 * none. PciRequestFromVIFNotFound. */
bool port_device_find(const Operation *op, const Vif *vif, char **ret_request_id, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* After an attach or detach that was killed: the host has again what is no port's of 'network', nor the
 * flavor's. */
bool port_device_trim(Operation *op, const NetworkInfo *network, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Which of the instance's devices these are: the ids of their requests (of char *, borrowed from the instance).
 * Pure. */
GPtrArray *port_device_excess(const Instance *instance, const NetworkInfo *network);
