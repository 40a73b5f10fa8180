/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Are the chosen cells near to the networks that the instance needs
 * (nova.virt.hardware._numa_cells_support_network_metadata)? */

#include "compute/fit/host_numa.h"

/* 'chosen' are cells of 'host'. A network that no cell is near to is no obstacle. */
bool network_affinity_holds(const HostNuma *host, const NumaCell *const *chosen, unsigned n_chosen,
                            const Networks *needed, bool *ret_holds, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
