/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What flavor and image ask for of the host's CPUs and memory
 * (nova.virt.hardware.numa_get_constraints and what it is made of). */

#include "compute/fit/guest_request.h"
#include "compute/fit/instance_numa.h"

/* *ret_topology is NULL when the guest may run anywhere. Errors are Nova's, in Nova's order. */
bool constraints_make(const GuestRequest *request, InstanceNuma **ret_topology, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The parts, each of which may be wrong by itself. */
bool constraints_cpu_policy(const GuestRequest *request, CpuPolicy *ret_policy, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool constraints_thread_policy(const GuestRequest *request, ThreadPolicy *ret_policy,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Leaves 'vcpus' empty when no mask is set. */
bool constraints_dedicated_mask(const GuestRequest *request, CpuSet *vcpus, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
