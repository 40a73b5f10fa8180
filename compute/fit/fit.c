/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/fit.h"

#include <string.h>

#include "compute/fit/cell_fit.h"
#include "compute/fit/cell_order.h"
#include "compute/fit/network_affinity.h"
#include "agent/objects/primitive.h"

/* A host cell and a guest cell that were tried on one another. */
typedef struct TriedPair {
    int64_t host_id;
    int64_t instance_id;
    bool fits;
} TriedPair;

/* The search: host cells in their order, taken n at a time in all orders, as Python's
 * itertools.permutations() gives them.
 *
 * Nova remembers what it tried by cell ids, and a guest cell's id becomes the host's once it fitted;
 * so must we, for the same answer. */
typedef struct Search {
    const FitRequest *request;
    HostPlace *order;
    unsigned n_order;
    InstanceNuma *instance;
    unsigned *choice; /* places in 'order', one for each guest cell */
    TriedPair *tried;
    unsigned n_tried;
    unsigned tried_size; /* there is room for so many */
    bool has_learnt; /* this permutation changed something: the next walk may differ */
} Search;

static void
search_clear(Search *search)
{
    instance_numa_free(search->instance);
    g_free(search->order);
    g_free(search->choice);
    g_free(search->tried);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Search, search_clear)

void
fit_note(const FitRequest *request, const char *format, ...)
{
    va_list args;

    if (!request->notes)
        return;
    va_start(args, format);
    g_ptr_array_add(request->notes, g_strdup_vprintf(format, args));
    va_end(args);
}

/* ---- limits ---- */

static bool
read_ratio(const json_t *data, const char *field, bool *ret_has, double *ret_ratio, NovaError **err)
{
    const json_t *value = json_object_get(data, field);

    *ret_has = value != NULL;
    return !value || primitive_float(value, field, ret_ratio, err);
}

FitLimits *
fit_limits_from_json(const json_t *primitive, NovaError **err)
{
    g_autoptr(FitLimits) limits = g_new0(FitLimits, 1);
    const json_t *data, *networks;
    const char *version;

    if (!primitive_open(primitive, "NUMATopologyLimits", "1.1", &data, &version, err) ||
        !read_ratio(data, "cpu_allocation_ratio", &limits->has_cpu_ratio,
                    &limits->cpu_allocation_ratio, err) ||
        !read_ratio(data, "ram_allocation_ratio", &limits->has_ram_ratio,
                    &limits->ram_allocation_ratio, err))
        return NULL;
    networks = json_object_get(data, "network_metadata");
    if (networks) {
        limits->networks = networks_from_json(networks, err);
        if (!limits->networks)
            return NULL;
    }
    return g_steal_pointer(&limits);
}

void
fit_limits_free(FitLimits *limits)
{
    if (!limits)
        return;
    networks_free(limits->networks);
    g_free(limits);
}

/* ---- what was tried ---- */

/* NULL: not yet. */
static const TriedPair *
find_tried(const Search *search, int64_t host_id, int64_t instance_id)
{
    for (unsigned i = 0; i < search->n_tried; i++) {
        const TriedPair *one = &search->tried[i];

        if (one->host_id == host_id && one->instance_id == instance_id)
            return one;
    }
    return NULL;
}

static void
remember(Search *search, TriedPair pair)
{
    if (search->n_tried == search->tried_size) {
        search->tried_size = 2 * search->tried_size + 4;
        search->tried = g_renew(TriedPair, search->tried, search->tried_size);
    }
    search->tried[search->n_tried++] = pair;
}

static bool
try_new_pair(Search *search, const NumaCell *host, InstanceCell *cell, unsigned guest_cell,
             bool *ret_fits, NovaError **err)
{
    const bool isolates = search->instance->emulator_policy == EMULATOR_ISOLATE;
    const int64_t instance_id = cell->id;

    search->has_learnt = true;
    fit_note(search->request, "guest cell %u on host cell %" PRId64 ":", guest_cell, host->id);
    /* The emulator's CPU is where the guest's first cell is. */
    if (!cell_fit(search->request, host, cell, isolates && guest_cell == 0, ret_fits, err))
        return false;
    if (*ret_fits)
        fit_note(search->request, "fits");
    remember(search, (TriedPair){host->id, instance_id, *ret_fits});
    return true;
}

static bool
try_pair(Search *search, const NumaCell *host, InstanceCell *cell, unsigned guest_cell,
         bool *ret_fits, NovaError **err)
{
    const TriedPair *tried;

    if (!host_cell_need(host, CELL_ID, err) || !instance_cell_need(cell, INSTANCE_CELL_ID, err))
        return false;
    tried = find_tried(search, host->id, cell->id);
    if (!tried)
        return try_new_pair(search, host, cell, guest_cell, ret_fits, err);
    *ret_fits = tried->fits;
    if (tried->fits) {
        search->has_learnt |= cell->id != host->id;
        cell->id = host->id;
    }
    return true;
}

/* ---- permutations ---- */

/* The next choice that differs in place 'last' or before it; false when there is none. */
static bool
advance(Search *search, unsigned last)
{
    const unsigned n = search->instance->n_cells;
    unsigned place = last + 1;

    for (unsigned i = last + 1; i < n; i++)
        search->order[search->choice[i]].is_chosen = false;
    while (place-- > 0) {
        unsigned next = search->choice[place];

        search->order[next++].is_chosen = false;
        while (next < search->n_order && search->order[next].is_chosen)
            next++;
        if (next == search->n_order)
            continue;
        search->choice[place] = next;
        search->order[next].is_chosen = true;
        for (unsigned i = place + 1, free_place = 0; i < n; i++) {
            while (search->order[free_place].is_chosen)
                free_place++;
            search->choice[i] = free_place;
            search->order[free_place].is_chosen = true;
        }
        return true;
    }
    return false;
}

/* All guest cells on the chosen host cells; *ret_last is the place that did not fit. */
static bool
try_choice(Search *search, bool *ret_fits, unsigned *ret_last, NovaError **err)
{
    search->has_learnt = false;
    for (unsigned i = 0; i < search->instance->n_cells; i++) {
        *ret_last = i;
        if (!try_pair(search, search->order[search->choice[i]].cell, &search->instance->cells[i], i,
                      ret_fits, err))
            return false;
        if (!*ret_fits)
            return true;
    }
    return true;
}

static bool
devices_agree(const Search *search, bool *ret_agree, NovaError **err)
{
    const FitRequest *request = search->request;
    const unsigned n = search->instance->n_cells;
    g_autofree int64_t *ids = NULL;

    *ret_agree = true;
    if (!request->pci_requests || request->pci_requests->len == 0 || !request->pci_pools)
        return true;
    ids = g_new(int64_t, n);
    for (unsigned i = 0; i < n; i++)
        ids[i] = search->instance->cells[i].id;
    if (!pci_requests_support(request->pci_requests, request->pci_pools, request->provider_mapping,
                              &(PciCells){ids, n, request->host}, ret_agree, err))
        return false;
    if (!*ret_agree)
        fit_note(request, "these host cells are too far from the PCI devices");
    return true;
}

static bool
networks_agree(const Search *search, bool *ret_agree, NovaError **err)
{
    const FitRequest *request = search->request;
    const unsigned n = search->instance->n_cells;
    g_autofree const NumaCell **chosen = NULL;

    *ret_agree = true;
    if (!request->limits || !request->limits->networks)
        return true;
    chosen = g_new(const NumaCell *, n);
    for (unsigned i = 0; i < n; i++)
        chosen[i] = search->order[search->choice[i]].cell;
    if (!network_affinity_holds(request->host, chosen, n, request->limits->networks, ret_agree, err))
        return false;
    if (!*ret_agree)
        fit_note(request, "these host cells are too far from the networks");
    return true;
}

static bool
search_all(Search *search, bool *ret_found, NovaError **err)
{
    unsigned last = 0;

    for (unsigned i = 0; i < search->instance->n_cells; i++) {
        search->choice[i] = i;
        search->order[i].is_chosen = true;
    }
    do {
        if (!try_choice(search, ret_found, &last, err))
            return false;
        if (*ret_found && !devices_agree(search, ret_found, err))
            return false;
        if (*ret_found && !networks_agree(search, ret_found, err))
            return false;
        if (*ret_found)
            return true;
        /* A walk that changed nothing goes the same way as often as it starts the same way. */
        if (search->has_learnt)
            last = search->instance->n_cells - 1;
    } while (advance(search, last));
    return true;
}

/* ---- the call ---- */

static bool
can_fit_at_all(const FitRequest *request, bool *ret_can, NovaError **err)
{
    *ret_can = false;
    if (!request->host) {
        fit_note(request, "the host tells no NUMA topology");
        return true;
    }
    if (!host_numa_need_cells(request->host, err))
        return false;
    if (request->host->n_cells == 0 || !request->instance)
        return true;
    if (!instance_numa_need_cells(request->instance, err))
        return false;
    *ret_can = request->instance->n_cells > 0 &&
               request->host->n_cells >= request->instance->n_cells;
    if (request->host->n_cells < request->instance->n_cells)
        fit_note(request, "the guest has %u NUMA cells, the host %u", request->instance->n_cells,
                 request->host->n_cells);
    return true;
}

bool
fit_instance_to_host(const FitRequest *request, InstanceNuma **ret_fitted, NovaError **err)
{
    g_auto(Search) search = {.request = request};
    bool found;

    *ret_fitted = NULL;
    if (!can_fit_at_all(request, &found, err))
        return false;
    if (!found)
        return true;
    search.order = cell_order_make(request, err);
    if (!search.order)
        return false;
    search.n_order = request->host->n_cells;
    search.instance = instance_numa_copy_cells(request->instance);
    search.choice = g_new(unsigned, search.instance->n_cells);
    if (!search_all(&search, &found, err))
        return false;
    if (found)
        *ret_fitted = g_steal_pointer(&search.instance);
    return true;
}
