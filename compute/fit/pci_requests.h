/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PCI devices that an instance asks for, and whether the pools can give them
 * (nova.objects.InstancePCIRequests; nova.pci.stats' support_requests and apply_requests). */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "compute/fit/host_numa.h"
#include "compute/fit/pci_pools.h"

typedef enum PciNumaPolicy { PCI_REQUIRED, PCI_LEGACY, PCI_PREFERRED, PCI_SOCKET } PciNumaPolicy;

typedef struct PciRequest {
    bool lacks_count;  /* these two: unset, ValueError for who reads them */
    bool lacks_specs;
    int64_t count;
    json_t *specs;     /* list of {property: text or null}: a device has to match one of them */
    char *alias_name;  /* NULL: a Neutron port asks */
    char *request_id;  /* NULL: null */
    PciNumaPolicy numa_policy;
} PciRequest;

/* Where the guest's cells are; NULL in place of it: the guest has no NUMA topology. */
typedef struct PciCells {
    const int64_t *ids; /* of host cells, one for each guest cell */
    unsigned n;
    const HostNuma *host; /* NULL: has no topology */
} PciCells;

/* Of an InstancePCIRequests object; owning array. NULL on error. */
GPtrArray *pci_requests_from_json(const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* 'provider_mapping' is {request group: [resource provider]} of the scheduler; NULL or empty: the
 * requests tell their resource providers themselves. */
bool pci_requests_support(const GPtrArray *requests, const PciPools *pools,
                          const json_t *provider_mapping, const PciCells *cells, bool *ret_supports,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Takes the devices out of the pools; PciDeviceRequestFailed. */
bool pci_requests_apply(const GPtrArray *requests, PciPools *pools, const json_t *provider_mapping,
                        const PciCells *cells, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The resource providers that devices are to come from, one entry a device; empty: any. */
char **pci_request_providers(const PciRequest *request, const json_t *provider_mapping,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool pci_request_failed(NovaError **err);
