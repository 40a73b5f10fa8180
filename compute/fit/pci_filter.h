/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Pools that can serve a request, in the order to take from (nova.pci.stats' _filter_pools). */

#include "compute/fit/pci_requests.h"

/* Pools, with a reference each; empty when they do not hold as many devices as are asked for. NULL on error. */
GPtrArray *pci_filter_pools(const PciPools *pools, const PciRequest *request, const PciCells *cells,
                            char **providers, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* How often the provider stands in the list. */
int64_t pci_count_provider(char **providers, const json_t *provider);
/* Does no provider have two pools? */
bool pci_providers_are_unique(const GPtrArray *pools);
