/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which resource providers the scheduler has chosen for PCI requests
 * (compute_utils.update_pci_request_with_placement_allocations()). */

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/placement.h"
#include "agent/objects/pci_device.h"

/* Notes them in the requests' specs: a flavor's request its providers (rp_uuids), a port's the
 * network interface of its physical function (parent_ifname), which the provider's name tells.
 * 'mapping' is {request group or port id: [provider]}. BuildAbortException; not saved. */
bool pci_providers_note(Placement *placement, const RequestContext *ctx,
                        InstancePCIRequests *requests, json_t *mapping, const char *instance_uuid,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
