/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/cell_order.h"

#include "compute/fit/saturate.h"

/* Sets the rank of all of the host's cells. */
typedef bool (*RankCells)(const FitRequest *request, HostPlace *places, NovaError **err);

static bool
rank_by_free_memory(const FitRequest *request, HostPlace *places, NovaError **err)
{
    for (unsigned i = 0; i < request->host->n_cells; i++) {
        const NumaCell *cell = places[i].cell;

        if (!host_cell_need(cell, CELL_MEMORY | CELL_MEMORY_USAGE, err))
            return false;
        places[i].rank = saturating_subtract(cell->memory_mib, cell->memory_usage_mib);
    }
    return true;
}

static bool
rank_by_cpu_usage(const FitRequest *request, HostPlace *places, NovaError **err)
{
    for (unsigned i = 0; i < request->host->n_cells; i++) {
        if (!host_cell_need(places[i].cell, CELL_CPU_USAGE, err))
            return false;
        places[i].rank = places[i].cell->cpu_usage;
    }
    return true;
}

static bool
rank_by_free_pcpus(const FitRequest *request, HostPlace *places, NovaError **err)
{
    for (unsigned i = 0; i < request->host->n_cells; i++) {
        if (!host_cell_need(places[i].cell, CELL_PCPUSET | CELL_PINNED_CPUS, err))
            return false;
        places[i].rank = host_cell_free_pcpus(places[i].cell);
    }
    return true;
}

static bool
rank_by_devices(const FitRequest *request, HostPlace *places, NovaError **err)
{
    if (!pci_pools_need_numa_nodes(request->pci_pools, err) ||
        !pci_pools_need_counts(request->pci_pools, err))
        return false;
    for (unsigned i = 0; i < request->host->n_cells; i++) {
        if (!host_cell_need(places[i].cell, CELL_ID, err))
            return false;
        places[i].rank = pci_pools_count_on(request->pci_pools, places[i].cell->id);
    }
    return true;
}

/* Stable in both directions: cells of the same rank keep their order. */
static void
sort(HostPlace *places, unsigned n, bool descending)
{
    for (unsigned i = 1; i < n; i++) {
        const HostPlace one = places[i];
        unsigned place = i;

        while (place > 0 && (descending ? places[place - 1].rank < one.rank
                                        : places[place - 1].rank > one.rank)) {
            places[place] = places[place - 1];
            place--;
        }
        places[place] = one;
    }
}

static bool
sort_by(const FitRequest *request, HostPlace *places, RankCells rank, bool descending,
        NovaError **err)
{
    if (!rank(request, places, err))
        return false;
    sort(places, request->host->n_cells, descending);
    return true;
}

/* The last order counts most. Cells with devices come first for who wants devices, and last for
 * everybody else. */
static bool
sort_cells(const FitRequest *request, HostPlace *places, NovaError **err)
{
    const bool shares = request->instance->cells[0].cpu_policy == CPU_POLICY_NONE ||
                        request->instance->cells[0].cpu_policy == CPU_SHARED;

    if (!sort_by(request, places, rank_by_free_memory, !request->pack, err))
        return false;
    if (!(shares ? sort_by(request, places, rank_by_cpu_usage, request->pack, err)
                 : sort_by(request, places, rank_by_free_pcpus, !request->pack, err)))
        return false;
    return !request->pci_pools ||
           sort_by(request, places, rank_by_devices,
                   request->pci_requests && request->pci_requests->len > 0, err);
}

HostPlace *
cell_order_make(const FitRequest *request, NovaError **err)
{
    const unsigned n = request->host->n_cells;
    g_autofree HostPlace *places = g_new(HostPlace, n);

    for (unsigned i = 0; i < n; i++)
        places[i] = (HostPlace){.cell = &request->host->cells[i]};
    if (n > request->instance->n_cells && !sort_cells(request, places, err))
        return NULL;
    return g_steal_pointer(&places);
}
