/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/cell_order.h"

#include "compute/fit/saturate.h"

typedef struct Ranked {
    const NumaCell *cell;
    int64_t rank;
} Ranked;

typedef bool (*RankCell)(const FitRequest *request, const NumaCell *cell, int64_t *ret_rank,
                         NovaError **err);

static bool
rank_by_free_memory(const FitRequest *request, const NumaCell *cell, int64_t *ret_rank,
                    NovaError **err)
{
    (void)request;
    *ret_rank = saturating_subtract(cell->memory_mib, cell->memory_usage_mib);
    return host_cell_need(cell, CELL_MEMORY | CELL_MEMORY_USAGE, err);
}

static bool
rank_by_cpu_usage(const FitRequest *request, const NumaCell *cell, int64_t *ret_rank,
                  NovaError **err)
{
    (void)request;
    *ret_rank = cell->cpu_usage;
    return host_cell_need(cell, CELL_CPU_USAGE, err);
}

static bool
rank_by_free_pcpus(const FitRequest *request, const NumaCell *cell, int64_t *ret_rank,
                   NovaError **err)
{
    (void)request;
    *ret_rank = host_cell_free_pcpus(cell);
    return host_cell_need(cell, CELL_PCPUSET | CELL_PINNED_CPUS, err);
}

static bool
rank_by_devices(const FitRequest *request, const NumaCell *cell, int64_t *ret_rank, NovaError **err)
{
    *ret_rank = pci_pools_count_on(request->pci_pools, cell->id);
    return pci_pools_need_numa_nodes(request->pci_pools, err) &&
           pci_pools_need_counts(request->pci_pools, err) && host_cell_need(cell, CELL_ID, err);
}

/* Stable in both directions: cells of the same rank keep their order. */
static void
sort(Ranked *cells, unsigned n, bool descending)
{
    for (unsigned i = 1; i < n; i++) {
        const Ranked one = cells[i];
        unsigned place = i;

        while (place > 0 && (descending ? cells[place - 1].rank < one.rank
                                        : cells[place - 1].rank > one.rank)) {
            cells[place] = cells[place - 1];
            place--;
        }
        cells[place] = one;
    }
}

static bool
sort_by(const FitRequest *request, Ranked *cells, RankCell rank, bool descending, NovaError **err)
{
    for (unsigned i = 0; i < request->host->n_cells; i++) {
        if (!rank(request, cells[i].cell, &cells[i].rank, err))
            return false;
    }
    sort(cells, request->host->n_cells, descending);
    return true;
}

/* The last order counts most. Cells with devices come first for who wants devices, and last for
 * everybody else. */
static bool
sort_cells(const FitRequest *request, Ranked *cells, NovaError **err)
{
    const bool shares = request->instance->cells[0].cpu_policy == CPU_POLICY_NONE ||
                        request->instance->cells[0].cpu_policy == CPU_SHARED;

    if (!sort_by(request, cells, rank_by_free_memory, !request->pack, err))
        return false;
    if (!(shares ? sort_by(request, cells, rank_by_cpu_usage, request->pack, err)
                 : sort_by(request, cells, rank_by_free_pcpus, !request->pack, err)))
        return false;
    return !request->pci_pools ||
           sort_by(request, cells, rank_by_devices,
                   request->pci_requests && request->pci_requests->len > 0, err);
}

const NumaCell **
cell_order_make(const FitRequest *request, NovaError **err)
{
    const unsigned n = request->host->n_cells;
    g_autofree Ranked *cells = g_new0(Ranked, n);
    const NumaCell **order;

    for (unsigned i = 0; i < n; i++)
        cells[i].cell = &request->host->cells[i];
    if (n > request->instance->n_cells && !sort_cells(request, cells, err))
        return NULL;
    order = g_new(const NumaCell *, n);
    for (unsigned i = 0; i < n; i++)
        order[i] = cells[i].cell;
    return order;
}
