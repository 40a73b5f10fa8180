/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where guests with a NUMA topology are on this host: the fit of a claim, what placed guests take, and
 * whether nova.conf still has CPUs for them (nova.compute.claims.Claim, the resource tracker's
 * numa_topology). Pure. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/instance.h"
#include "compute/fit/guest_request.h"
#include "compute/fit/host_numa.h"
#include "compute/fit/instance_numa.h"
#include "conf/options.h"

/* The instance's topology, placed or not; NULL without an error: it has none. */
InstanceNuma *numa_claim_topology(const Instance *instance, NovaError **err);

/* Places the guest on 'host' as it is used now (NULL: it tells no cells) within the scheduler's
 * 'limits', a dict or a SchedulerLimits object; its topology then says where.
 * ComputeResourcesUnavailable. */
bool numa_claim_place(const Options *options, const HostNuma *host, Instance *instance,
                      const json_t *limits, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The same for what a guest shall become: *ret_topology is new, NULL when it may run anywhere. Also
 * what flavor and image contradict each other with. */
bool numa_claim_place_request(const Options *options, const HostNuma *host,
                              const GuestRequest *request, const json_t *limits,
                              const char *instance_uuid, InstanceNUMATopology **ret_topology,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The claim is given up: the guest is nowhere. */
void numa_claim_clear(Instance *instance);

/* Guests that are here, with CPUs that nova.conf sets aside for no such guests:
 * InvalidConfiguration. Pins outside of the set are a warning. */
bool numa_claim_check_options(const Options *options, const GPtrArray *instances, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
