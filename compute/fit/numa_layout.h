/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How many NUMA nodes the guest gets, and what is in each: evenly, or as flavor or image say. */

#include "compute/fit/guest_request.h"
#include "compute/fit/instance_numa.h"

/* hw:numa_nodes; 0: not said. */
bool numa_layout_count(const GuestRequest *request, int64_t *ret_nodes, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* hw:mem_page_size in KiB, or PAGESIZE_*; *ret_has is false when it is not said. Parts of a KiB
 * count as said, too. */
bool numa_layout_page_size(const GuestRequest *request, bool *ret_has, int64_t *ret_size_kib,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Cells with their vCPUs, of which 'dedicated' get CPUs of their own, and their memory. */
InstanceNuma *numa_layout_make(const GuestRequest *request, int64_t nodes, const CpuSet *dedicated,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
