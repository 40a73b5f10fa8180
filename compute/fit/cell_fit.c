/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/cell_fit.h"

#include "compute/fit/saturate.h"

/* As many CPUs as the guest cell has vCPUs of each kind, whatever is in use: no cell over-commits
 * against itself. */
static bool
has_cpus(const FitRequest *request, const NumaCell *host, const InstanceCell *cell,
         int64_t n_reserved, bool *ret_has, NovaError **err)
{
    *ret_has = false;
    if (instance_cell_is_pinned(cell)) {
        if (!instance_cell_need(cell, INSTANCE_CELL_PCPUSET, err) ||
            !host_cell_need(host, CELL_PCPUSET, err))
            return false;
        if (cpu_set_count(&cell->pcpuset) + n_reserved > cpu_set_count(&host->pcpuset)) {
            fit_note(request, "has %" PRId64 " dedicated CPUs, not %" PRId64,
                     cpu_set_count(&host->pcpuset), cpu_set_count(&cell->pcpuset) + n_reserved);
            return true;
        }
    }
    if (instance_cell_shares(cell)) {
        if (!instance_cell_need(cell, INSTANCE_CELL_CPUSET, err) ||
            !host_cell_need(host, CELL_CPUSET, err))
            return false;
        if (cpu_set_count(&cell->cpuset) > cpu_set_count(&host->cpuset)) {
            fit_note(request, "has %" PRId64 " shared CPUs, not %" PRId64,
                     cpu_set_count(&host->cpuset), cpu_set_count(&cell->cpuset));
            return true;
        }
    }
    *ret_has = true;
    return true;
}

static bool
pin(const FitRequest *request, const NumaCell *host, InstanceCell *cell, int64_t n_reserved,
    bool *ret_fits, NovaError **err)
{
    const int64_t n_wanted = cpu_set_count(&cell->pcpuset) + n_reserved;

    *ret_fits = false;
    if (!host_cell_need(host, CELL_PINNED_CPUS, err))
        return false;
    if (n_wanted > host_cell_free_pcpus(host)) {
        fit_note(request, "has %" PRId64 " dedicated CPUs free, not %" PRId64,
                 host_cell_free_pcpus(host), n_wanted);
        return true;
    }
    if (!cell_pack(request, host, cell, n_reserved, ret_fits, err))
        return false;
    /* Nova takes a cell without vCPUs for one that could not be packed. */
    *ret_fits = *ret_fits && !(cpu_set_is_empty(&cell->cpuset) && cpu_set_is_empty(&cell->pcpuset));
    return true;
}

/* How much of shared CPUs and memory may be promised to all guests together. */
static bool
is_within_limits(const FitRequest *request, const NumaCell *host, const InstanceCell *cell,
                 bool *ret_within, NovaError **err)
{
    const FitLimits *limits = request->limits;
    int64_t cpus, memory_mib;

    *ret_within = false;
    if (!host_cell_need(host, CELL_CPU_USAGE | CELL_CPUSET, err) ||
        !instance_cell_need(cell, INSTANCE_CELL_CPUSET, err))
        return false;
    if (!limits->has_cpu_ratio)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Cannot load 'cpu_allocation_ratio' in the base class");
    cpus = saturating_add(host->cpu_usage, cpu_set_count(&cell->cpuset));
    if ((double)cpus > (double)cpu_set_count(&host->cpuset) * limits->cpu_allocation_ratio) {
        fit_note(request, "would have %" PRId64 " vCPUs on its shared CPUs, above the limit", cpus);
        return true;
    }
    if (!host_cell_need(host, CELL_MEMORY_USAGE | CELL_MEMORY, err))
        return false;
    if (!limits->has_ram_ratio)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Cannot load 'ram_allocation_ratio' in the base class");
    memory_mib = saturating_add(host->memory_usage_mib, cell->memory_mib);
    *ret_within = (double)memory_mib <= (double)host->memory_mib * limits->ram_allocation_ratio;
    if (!*ret_within)
        fit_note(request, "would have %" PRId64 " MiB of memory promised, above the limit",
                 memory_mib);
    return true;
}

bool
cell_fit(const FitRequest *request, const NumaCell *host, InstanceCell *cell, int64_t n_reserved,
         bool *ret_fits, NovaError **err)
{
    *ret_fits = false;
    if (!cell_fit_memory(request, host, cell, ret_fits, err))
        return false;
    if (!*ret_fits)
        return true;
    if (!has_cpus(request, host, cell, n_reserved, ret_fits, err))
        return false;
    if (!*ret_fits)
        return true;
    if (instance_cell_is_pinned(cell)) {
        if (!pin(request, host, cell, n_reserved, ret_fits, err))
            return false;
        if (!*ret_fits)
            return true;
    }
    if (instance_cell_shares(cell) && request->limits) {
        if (!is_within_limits(request, host, cell, ret_fits, err))
            return false;
        if (!*ret_fits)
            return true;
    }
    cell->id = host->id;
    return true;
}
