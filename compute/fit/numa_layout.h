/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How many NUMA nodes the guest gets, and what is in each: evenly, or as flavor or image say. */

#include "compute/fit/guest_request.h"
#include "compute/fit/instance_numa.h"

/* hw:numa_nodes; 0: not said. */
bool numa_layout_count(const GuestRequest *request, int64_t *ret_nodes, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
typedef struct PageSizeRequest {
    bool is_set;      /* cells carry it */
    bool is_wanted;   /* it makes a topology; 0 does not, half a KiB does */
    int64_t size_kib; /* or PAGESIZE_* */
} PageSizeRequest;

/* hw:mem_page_size. */
bool numa_layout_page_size(const GuestRequest *request, PageSizeRequest *ret_size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Cells with their vCPUs, of which 'dedicated' get CPUs of their own, and their memory. */
InstanceNuma *numa_layout_make(const GuestRequest *request, int64_t nodes, const CpuSet *dedicated,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
