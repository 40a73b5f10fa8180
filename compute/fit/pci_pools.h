/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Free PCI devices, counted by what they have in common (the pools of nova.pci.stats).
 *
 * A pool's properties are JSON: product_id, vendor_id, numa_node, dev_type, address, and the tags of
 * the device_spec that matched. One thread at a time. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct PciPool {
    unsigned n_refs;    /* a pool that left its list may still be looked at */
    json_t *properties; /* without count and devices */
    bool lacks_count;   /* it was not told: KeyError for who reads it */
    int64_t count;
    GPtrArray *devices; /* of PciUnit (pci_units.h), borrowed; NULL: only the count is known */
} PciPool;

typedef struct PciPools {
    GPtrArray *list; /* of PciPool */
} PciPools;

PciPools *pci_pools_new(void);
/* From a PciDevicePoolList, sorted as Nova sorts them: fewest properties first. */
PciPools *pci_pools_from_object(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* From dicts, in their order. */
PciPools *pci_pools_from_dicts(const json_t *dicts, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Dicts; "devices" holds addresses. */
json_t *pci_pools_to_dicts(const PciPools *pools);
/* A PciDevicePoolList of version 1.1. */
json_t *pci_pools_to_object(const PciPools *pools);
PciPools *pci_pools_copy(const PciPools *pools);
void pci_pools_free(PciPools *pools);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciPools, pci_pools_free)

/* Sorts by number of properties, fewest first; equals keep their order. */
void pci_pools_sort(PciPools *pools);
/* A new pool at the end; takes ownership of 'properties'. */
PciPool *pci_pools_append(PciPools *pools, json_t *properties);
/* Takes 'count' away from the pool; one that gets empty leaves the list. Returns what is still
 * wanted. */
int64_t pci_pools_take(PciPools *pools, PciPool *pool, int64_t count);
void pci_pools_remove(PciPools *pools, PciPool *pool);

/* Devices whose NUMA node is that one. */
int64_t pci_pools_count_on(const PciPools *pools, int64_t numa_node);
/* KeyError when a pool tells no NUMA node, not even null; no count. */
bool pci_pools_need_numa_nodes(const PciPools *pools, NovaError **err);
bool pci_pools_need_counts(const PciPools *pools, NovaError **err);

PciPool *pci_pool_ref(PciPool *pool);
void pci_pool_unref(void *pool);

/* Borrowed; NULL when there is none or it is null. */
const json_t *pci_pool_get(const PciPool *pool, const char *key);
