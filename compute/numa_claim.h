/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where guests with a NUMA topology or PCI devices are on this host: the fit of a claim, what placed
 * guests take, and whether nova.conf still has CPUs for them (nova.compute.claims.Claim, the resource
 * tracker's numa_topology). Pure. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/instance.h"
#include "compute/fit/guest_request.h"
#include "compute/fit/host_numa.h"
#include "compute/fit/instance_numa.h"
#include "compute/fit/pci_pools.h"
#include "conf/options.h"

/* The instance's topology, placed or not; NULL without an error: it has none. */
InstanceNuma *numa_claim_topology(const Instance *instance, NovaError **err);

/* What a guest is placed into. */
typedef struct ClaimHost {
    const HostNuma *numa;          /* as it is used now; NULL: it tells no cells */
    const PciPools *pci_pools;     /* free devices */
    const GPtrArray *pci_requests; /* of PciRequest: what the guest wants of them; NULL or empty: none */
    const json_t *limits;          /* the scheduler's, a dict or a SchedulerLimits object; NULL: none */
} ClaimHost;

/* Places the guest; its topology then says where. The devices are there, but not taken.
 * ComputeResourcesUnavailable. */
bool numa_claim_place(const Options *options, const ClaimHost *host, Instance *instance,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The same for what a guest shall become: *ret_topology is new, NULL when it may run anywhere. Also
 * what flavor and image contradict each other with. */
bool numa_claim_place_request(const Options *options, const ClaimHost *host,
                              const GuestRequest *request, InstanceNUMATopology **ret_topology,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The claim is given up: the guest is nowhere. */
void numa_claim_clear(Instance *instance);

/* Guests that are here, with CPUs that nova.conf sets aside for no such guests:
 * InvalidConfiguration. Pins outside of the set are a warning. */
bool numa_claim_check_options(const Options *options, const GPtrArray *instances, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
