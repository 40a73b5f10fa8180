/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/usage.h"

#include "compute/fit/saturate.h"

/* ---- pages ---- */

static bool
find_page_size(const NumaCell *host, const InstanceCell *cell, int64_t *ret_size_kib,
               NovaError **err)
{
    *ret_size_kib = cell->pagesize_kib;
    if (cell->has_pagesize && cell->pagesize_kib != 0)
        return true;
    if (host->n_pages == 0)
        return nova_error_set(err, NOVA_ERROR_INDEX_ERROR, "list index out of range");
    for (unsigned i = 0; i < host->n_pages; i++) {
        if (!host_pages_need(&host->pages[i], PAGES_SIZE, err))
            return false;
        if (i == 0 || host->pages[i].size_kib < *ret_size_kib)
            *ret_size_kib = host->pages[i].size_kib;
    }
    return true;
}

/* Parts of a page are lost in each step, as in Nova. */
static bool
count_pages(NumaPages *pages, int64_t memory_mib, int sign, NovaError **err)
{
    double used;

    if (!host_pages_need(pages, PAGES_USED | PAGES_TOTAL, err))
        return false;
    if (pages->size_kib == 0)
        return nova_error_set(err, NOVA_ERROR_ZERO_DIVISION_ERROR, "division by zero");
    used = (double)pages->used +
           (double)saturating_multiply(memory_mib, 1024) / (double)pages->size_kib * sign;
    pages->used = used >= 9223372036854775807.0 ? INT64_MAX : used > 0 ? (int64_t)used : 0;
    if (!(pages->set & PAGES_RESERVED))
        pages->reserved = 0;
    pages->set |= PAGES_RESERVED;
    g_free(pages->version);
    pages->version = g_strdup("1.1");
    return true;
}

static bool
count_memory(NumaCell *host, const InstanceCell *cell, int sign, NovaError **err)
{
    int64_t size_kib;

    if (!find_page_size(host, cell, &size_kib, err))
        return false;
    for (unsigned i = 0; i < host->n_pages; i++) {
        NumaPages *pages = &host->pages[i];

        if (!host_pages_need(pages, PAGES_SIZE, err))
            return false;
        if (pages->size_kib == size_kib && !count_pages(pages, cell->memory_mib, sign, err))
            return false;
    }
    return true;
}

/* ---- CPUs ---- */

static bool
pinning_error(NovaErrorKind kind, const char *verb, const CpuSet *cpus, const char *what,
              const CpuSet *of, NovaError **err)
{
    g_autofree char *requested = cpu_set_format_list(cpus);
    g_autofree char *available = cpu_set_format_list(of);

    return nova_error_set(err, kind, "CPU set to %s %s must be a subset of %s CPU set %s", verb,
                          requested, what, available);
}

static bool
pin_cpus(NumaCell *host, const CpuSet *cpus, NovaError **err)
{
    g_auto(CpuSet) unpinned = {0};

    if (!cpu_set_is_subset(cpus, &host->pcpuset))
        return pinning_error(NOVA_ERROR_CPU_PINNING_UNKNOWN, "pin", cpus, "known", &host->pcpuset,
                             err);
    if (!cpu_set_intersects(&host->pinned_cpus, cpus)) {
        cpu_set_unite(&host->pinned_cpus, cpus);
        return true;
    }
    cpu_set_copy(&unpinned, &host->pcpuset);
    cpu_set_subtract(&unpinned, &host->pinned_cpus);
    return pinning_error(NOVA_ERROR_CPU_PINNING_INVALID, "pin", cpus, "free", &unpinned, err);
}

static bool
unpin_cpus(NumaCell *host, const CpuSet *cpus, NovaError **err)
{
    if (!cpu_set_is_subset(cpus, &host->pcpuset))
        return pinning_error(NOVA_ERROR_CPU_UNPINNING_UNKNOWN, "unpin", cpus, "known",
                             &host->pcpuset, err);
    if (!cpu_set_is_subset(cpus, &host->pinned_cpus))
        return pinning_error(NOVA_ERROR_CPU_UNPINNING_INVALID, "unpin", cpus, "pinned",
                             &host->pinned_cpus, err);
    cpu_set_subtract(&host->pinned_cpus, cpus);
    return true;
}

static bool
add_pins(const InstanceCell *cell, CpuSet *cpus, NovaError **err)
{
    for (guint i = 0; cell->pins && i < cell->pins->len; i++) {
        const Pin *pin = &g_array_index(cell->pins, Pin, i);

        if (!cpu_set_add(cpus, pin->pcpu))
            return nova_error_set(err, NOVA_ERROR_CPU_PINNING_UNKNOWN,
                                  "CPU set to pin [%" PRId64 "] must be a subset of known CPU set",
                                  pin->pcpu);
    }
    cpu_set_unite(cpus, &cell->cpuset_reserved);
    return true;
}

/* A guest with isolated threads takes whole cores. */
static void
widen_to_cores(const NumaCell *host, CpuSet *cpus)
{
    g_auto(CpuSet) wide = {0};

    for (unsigned i = 0; i < host->n_siblings; i++) {
        if (cpu_set_intersects(cpus, &host->siblings[i]))
            cpu_set_unite(&wide, &host->siblings[i]);
    }
    cpu_set_clear(cpus);
    *cpus = wide;
    wide = (CpuSet){0};
}

static bool
count_pins(NumaCell *host, const InstanceCell *cell, bool free, NovaError **err)
{
    g_auto(CpuSet) cpus = {0};

    if (!add_pins(cell, &cpus, err))
        return false;
    if (cell->thread_policy == THREAD_ISOLATE)
        widen_to_cores(host, &cpus);
    return free ? unpin_cpus(host, &cpus, err) : pin_cpus(host, &cpus, err);
}

/* ---- cells ---- */

static bool
count_cell(NumaCell *host, const InstanceCell *cell, bool free, NovaError **err)
{
    const int sign = free ? -1 : 1;
    int64_t memory_mib, cpus;

    if (!instance_cell_need(cell, INSTANCE_CELL_MEMORY, err) ||
        !count_memory(host, cell, sign, err) ||
        !instance_cell_need(cell, INSTANCE_CELL_CPUSET, err))
        return false;
    memory_mib = saturating_multiply(cell->memory_mib, sign);
    cpus = cpu_set_count(&cell->cpuset) * sign;
    host->memory_usage_mib = saturating_add(host->memory_usage_mib, memory_mib);
    host->cpu_usage = saturating_add(host->cpu_usage, cpus);
    return !instance_cell_is_pinned(cell) || count_pins(host, cell, free, err);
}

/* The result is a new cell of today's version that has all fields. */
static bool
prepare_cell(NumaCell *host, NovaError **err)
{
    g_free(host->version);
    host->version = g_strdup("1.5");
    return host_cell_need(host, CELL_ID | CELL_CPUSET | CELL_PCPUSET | CELL_MEMORY |
                                    CELL_CPU_USAGE | CELL_MEMORY_USAGE | CELL_PINNED_CPUS |
                                    CELL_SIBLINGS | CELL_MEMPAGES | CELL_SOCKET, err);
}

static bool
count_instance(NumaCell *host, const InstanceNuma *instance, bool free, NovaError **err)
{
    for (unsigned i = 0; i < instance->n_cells; i++) {
        const InstanceCell *cell = &instance->cells[i];

        if (!instance_cell_need(cell, INSTANCE_CELL_ID, err))
            return false;
        if (cell->id == host->id && !count_cell(host, cell, free, err))
            return false;
    }
    host->memory_usage_mib = MAX(host->memory_usage_mib, 0);
    host->cpu_usage = MAX(host->cpu_usage, 0);
    return true;
}

HostNuma *
usage_apply(const HostNuma *host, const InstanceNuma *instance, bool free, NovaError **err)
{
    g_autoptr(HostNuma) used = host_numa_copy(host);

    if (!host_numa_need_cells(host, err))
        return NULL;
    if (host->n_cells == 0 || !instance)
        return g_steal_pointer(&used);
    if (!instance_numa_need_cells(instance, err))
        return NULL;
    if (instance->n_cells == 0)
        return g_steal_pointer(&used);
    g_free(used->version);
    used->version = g_strdup("1.2");
    for (unsigned i = 0; i < used->n_cells; i++) {
        if (!prepare_cell(&used->cells[i], err) ||
            !count_instance(&used->cells[i], instance, free, err))
            return NULL;
    }
    return g_steal_pointer(&used);
}
