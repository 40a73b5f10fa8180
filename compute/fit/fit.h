/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Does a guest's NUMA topology fit onto the host, and where
 * (nova.virt.hardware.numa_fit_instance_to_host).
 *
 * Pure: host, pools and the instance given stay as they are. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/fit/host_numa.h"
#include "compute/fit/instance_numa.h"
#include "compute/fit/pci_pools.h"
#include "compute/fit/pci_requests.h"

/* What the scheduler allows beyond what is there (nova.objects.NUMATopologyLimits). */
typedef struct FitLimits {
    bool has_cpu_ratio; /* these: false: unset */
    bool has_ram_ratio;
    double cpu_allocation_ratio;
    double ram_allocation_ratio;
    Networks *networks; /* that the instance needs; NULL: unset */
} FitLimits;

FitLimits *fit_limits_from_json(const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void fit_limits_free(FitLimits *limits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FitLimits, fit_limits_free)

typedef struct FitRequest {
    const HostNuma *host;             /* NULL: has none, so nothing fits */
    const InstanceNuma *instance;     /* NULL: asks for nothing */
    const FitLimits *limits;          /* NULL: no over-commit limits */
    const GPtrArray *pci_requests;    /* of PciRequest; NULL or empty: none */
    const PciPools *pci_pools;        /* NULL: cells are not chosen by their devices */
    const json_t *provider_mapping;   /* see pci_requests_support() */
    bool pack;                        /* [compute]packing_host_numa_cells_allocation_strategy */
    GPtrArray *notes;                 /* of char *: told in words what was tried; NULL: nobody asks */
} FitRequest;

/* *ret_fitted: cells carry the host's cell ids, pins, reserved CPUs and page size; NULL when the
 * instance does not fit. An error is what Nova raises for topologies that contradict themselves. */
bool fit_instance_to_host(const FitRequest *request, InstanceNuma **ret_fitted, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* A line for request->notes. */
void fit_note(const FitRequest *request, const char *format, ...) G_GNUC_PRINTF(2, 3);
