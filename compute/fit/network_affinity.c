/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/network_affinity.h"

#include "agent/objects/primitive.h"

static bool
need_networks(const NumaCell *cell, unsigned field, NovaError **err)
{
    if (cell->networks->set & field)
        return true;
    return primitive_unset(field == NETWORKS_PHYSNETS ? "physnets" : "tunneled", err);
}

static bool
remove_physnets(GPtrArray *wanted, const NumaCell *cell, NovaError **err)
{
    if (!cell->networks)
        return true;
    if (!need_networks(cell, NETWORKS_PHYSNETS, err))
        return false;
    for (guint i = wanted->len; i > 0; i--) {
        if (networks_have(cell->networks, wanted->pdata[i - 1]))
            g_ptr_array_remove_index(wanted, i - 1);
    }
    return true;
}

static bool
physnets_hold(const HostNuma *host, const NumaCell *const *chosen, unsigned n_chosen,
              const Networks *needed, bool *ret_holds, NovaError **err)
{
    g_autoptr(GPtrArray) wanted = g_ptr_array_copy(needed->physnets, NULL, NULL);

    g_ptr_array_set_free_func(wanted, NULL);
    *ret_holds = true;
    for (unsigned i = 0; i < n_chosen && needed->physnets->len > 0; i++) {
        if (!remove_physnets(wanted, chosen[i], err))
            return false;
    }
    for (unsigned i = 0; i < host->n_cells && needed->physnets->len > 0; i++) {
        const guint n_before = wanted->len;

        if (!remove_physnets(wanted, &host->cells[i], err))
            return false;
        if (wanted->len < n_before) {
            *ret_holds = false;
            return true;
        }
    }
    return true;
}

static bool
tunnel_holds(const HostNuma *host, const NumaCell *const *chosen, unsigned n_chosen,
             bool *ret_holds, NovaError **err)
{
    *ret_holds = true;
    for (unsigned i = 0; i < n_chosen; i++) {
        if (!chosen[i]->networks)
            continue;
        if (!need_networks(chosen[i], NETWORKS_TUNNELED, err))
            return false;
        if (chosen[i]->networks->tunneled)
            return true;
    }
    for (unsigned i = 0; i < host->n_cells; i++) {
        const NumaCell *cell = &host->cells[i];

        if (!cell->networks)
            continue;
        if (!need_networks(cell, NETWORKS_TUNNELED, err))
            return false;
        if (cell->networks->tunneled) {
            *ret_holds = false;
            return true;
        }
    }
    return true;
}

bool
network_affinity_holds(const HostNuma *host, const NumaCell *const *chosen, unsigned n_chosen,
                       const Networks *needed, bool *ret_holds, NovaError **err)
{
    if (!physnets_hold(host, chosen, n_chosen, needed, ret_holds, err))
        return false;
    if (!*ret_holds || !needed->tunneled)
        return true;
    return tunnel_holds(host, chosen, n_chosen, ret_holds, err);
}
