/* SPDX-License-Identifier: Apache-2.0 */
/* Which hardware threads a pinned guest cell gets (nova.virt.hardware._pack_instance_onto_cores).
 *
 * Free threads are looked at core by core. For each number t of threads a core there is the list of
 * cores that have at least t free; emptier cores are thus taken first, and t threads of each. */

#include "compute/fit/cell_fit.h"

/* The free threads of the host cell's cores, in the host's order. */
typedef struct FreeCores {
    int64_t *threads; /* of all cores, core after core, ascending in each */
    unsigned *starts; /* a core's first one; n_cores + 1 of them */
    unsigned n_cores; /* also those without a free thread */
    unsigned widest;  /* threads of the core that has most free */
    unsigned threads_per_core; /* of the core that has most, free or not */
} FreeCores;

typedef struct Packing {
    int64_t *pcpus; /* for the guest's dedicated vCPUs, in ascending order; NULL: none found */
    bool has_reserved;
    int64_t reserved; /* for the emulator */
} Packing;

static void
free_cores_clear(FreeCores *cores)
{
    g_free(cores->threads);
    g_free(cores->starts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FreeCores, free_cores_clear)

static void
packing_clear(Packing *packing)
{
    g_free(packing->pcpus);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Packing, packing_clear)

static unsigned
core_width(const FreeCores *cores, unsigned core)
{
    return cores->starts[core + 1] - cores->starts[core];
}

static void
find_free_threads(const NumaCell *host, FreeCores *cores)
{
    unsigned end = 0;

    for (unsigned i = 0; i < host->n_siblings; i++) {
        const CpuSet *siblings = &host->siblings[i];

        cores->starts[i] = end;
        for (int64_t cpu = cpu_set_next(siblings, 0); cpu >= 0; cpu = cpu_set_next(siblings, cpu + 1)) {
            if (cpu_set_has(&host->pcpuset, cpu) && !cpu_set_has(&host->pinned_cpus, cpu))
                cores->threads[end++] = cpu;
        }
        cores->widest = MAX(cores->widest, end - cores->starts[i]);
    }
    cores->starts[host->n_siblings] = end;
}

static bool
find_free_cores(const NumaCell *host, FreeCores *cores, NovaError **err)
{
    int64_t n_threads = 0, most = 1;

    if (!host_cell_need(host, CELL_SIBLINGS, err))
        return false;
    if (host->n_siblings == 0)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "max() arg is an empty sequence");
    for (unsigned i = 0; i < host->n_siblings; i++) {
        const int64_t n = cpu_set_count(&host->siblings[i]);

        n_threads += n;
        most = MAX(most, n);
    }
    cores->threads_per_core = (unsigned)most;
    cores->n_cores = host->n_siblings;
    cores->threads = g_new(int64_t, n_threads + 1);
    cores->starts = g_new(unsigned, host->n_siblings + 1);
    find_free_threads(host, cores);
    return true;
}

static unsigned
count_cores(const FreeCores *cores, unsigned width)
{
    unsigned count = 0;

    for (unsigned i = 0; i < cores->n_cores; i++)
        count += core_width(cores, i) >= width;
    return count;
}

/* 't' threads of each core that has as many, until there are 'n_wanted'; NULL: not enough. */
static int64_t *
take_threads(const FreeCores *cores, unsigned t, unsigned width, int64_t n_wanted)
{
    int64_t *pcpus;
    int64_t n = 0;

    if ((int64_t)t * count_cores(cores, width) < n_wanted)
        return NULL;
    pcpus = g_new(int64_t, n_wanted + 1);
    for (unsigned i = 0; i < cores->n_cores && n < n_wanted; i++) {
        if (core_width(cores, i) < width)
            continue;
        for (unsigned k = 0; k < t && n < n_wanted; k++)
            pcpus[n++] = cores->threads[cores->starts[i] + k];
    }
    return pcpus;
}

static bool
is_taken(const int64_t *pcpus, int64_t n, int64_t cpu)
{
    for (int64_t i = 0; i < n; i++) {
        if (pcpus[i] == cpu)
            return true;
    }
    return false;
}

static bool
core_is_used(const FreeCores *cores, unsigned core, const int64_t *pcpus, int64_t n)
{
    for (unsigned k = cores->starts[core]; k < cores->starts[core + 1]; k++) {
        if (is_taken(pcpus, n, cores->threads[k]))
            return true;
    }
    return false;
}

/* The emulator's CPU: the first that the guest's pins leave free; with 'whole_cores' of a core that
 * they do not touch. */
static void
reserve_thread(const FreeCores *cores, int64_t n_pcpus, bool whole_cores, Packing *packing)
{
    packing->has_reserved = false;
    if (!packing->pcpus || n_pcpus == 0)
        return;
    for (unsigned i = 0; i < cores->n_cores; i++) {
        if (whole_cores && core_is_used(cores, i, packing->pcpus, n_pcpus))
            continue;
        for (unsigned k = cores->starts[i]; k < cores->starts[i + 1]; k++) {
            if (is_taken(packing->pcpus, n_pcpus, cores->threads[k]))
                continue;
            packing->has_reserved = true;
            packing->reserved = cores->threads[k];
            return;
        }
    }
}

static void
try_width(const FreeCores *cores, unsigned t, unsigned width, int64_t n_pcpus, int64_t n_reserved,
          bool whole_cores, Packing *packing)
{
    g_free(packing->pcpus);
    packing->pcpus = take_threads(cores, t, width, n_pcpus);
    packing->has_reserved = false;
    if (n_reserved > 0)
        reserve_thread(cores, n_pcpus, whole_cores, packing);
}

static bool
is_complete(const Packing *packing, int64_t n_reserved)
{
    return packing->pcpus && (n_reserved == 0 || packing->has_reserved);
}

/* Every vCPU has a core that nobody else uses. Without vCPUs there is nothing to isolate. */
static bool
pack_isolated(const FitRequest *request, const NumaCell *host, const FreeCores *cores,
              int64_t n_pcpus, int64_t n_reserved, Packing *packing, bool *ret_fits, NovaError **err)
{
    const unsigned threads_per_core = cores->threads_per_core;

    *ret_fits = false;
    if (cores->widest < threads_per_core) {
        fit_note(request, "has no core that is free as a whole, which 'isolate' needs");
        return true;
    }
    if (threads_per_core != 1 && !host_cell_need(host, CELL_CPUSET, err))
        return false;
    /* With dedicated and shared CPUs set apart, siblings cannot be kept free. */
    if (threads_per_core != 1 && !cpu_set_equal(&host->pcpuset, &host->cpuset)) {
        fit_note(request, "has hardware threads, which 'isolate' rules out");
        return true;
    }
    try_width(cores, 1, threads_per_core, n_pcpus, n_reserved, true, packing);
    *ret_fits = n_pcpus > 0 && is_complete(packing, n_reserved);
    return true;
}

static bool
pack_siblings(const FitRequest *request, const FreeCores *cores, int64_t n_pcpus,
              int64_t n_reserved, Packing *packing)
{
    if (cores->threads_per_core <= 1) {
        fit_note(request, "has no hardware threads, which 'require' needs");
        return false;
    }
    for (unsigned t = cores->widest; t > 1; t--) {
        try_width(cores, t, t, n_pcpus, n_reserved, false, packing);
        if (is_complete(packing, n_reserved))
            return true;
    }
    return false;
}

/* As many siblings as possible, single threads if need be. */
static bool
pack_preferred(const FreeCores *cores, int64_t n_pcpus, int64_t n_reserved, Packing *packing)
{
    for (unsigned t = cores->widest; t > 0; t--) {
        try_width(cores, t, t, n_pcpus, n_reserved, false, packing);
        if (is_complete(packing, n_reserved))
            return true;
    }
    if (packing->pcpus && n_pcpus > 0)
        return false;
    /* All free threads, core after core. */
    g_free(packing->pcpus);
    packing->pcpus = cores->starts[cores->n_cores] >= n_pcpus
                         ? g_memdup2(cores->threads, (gsize)(n_pcpus + 1) * sizeof(int64_t))
                         : NULL;
    if (n_reserved > 0)
        reserve_thread(cores, n_pcpus, false, packing);
    return is_complete(packing, n_reserved);
}

static void
pin(const NumaCell *host, InstanceCell *cell, const Packing *packing)
{
    instance_cell_pin(cell, packing->pcpus);
    cell->id = host->id;
    cpu_set_clear(&cell->cpuset_reserved);
    cell->has_reserved = packing->has_reserved;
    if (packing->has_reserved)
        cpu_set_add(&cell->cpuset_reserved, packing->reserved);
}

bool
cell_pack(const FitRequest *request, const NumaCell *host, InstanceCell *cell, int64_t n_reserved,
          bool *ret_fits, NovaError **err)
{
    const int64_t n_pcpus = cpu_set_count(&cell->pcpuset);
    g_auto(FreeCores) cores = {0};
    g_auto(Packing) packing = {0};

    if (!find_free_cores(host, &cores, err) || !instance_cell_need(cell, INSTANCE_CELL_CPUSET, err))
        return false;
    if (cell->thread_policy == THREAD_ISOLATE) {
        if (!pack_isolated(request, host, &cores, n_pcpus, n_reserved, &packing, ret_fits, err))
            return false;
    } else if (cell->thread_policy == THREAD_REQUIRE) {
        *ret_fits = pack_siblings(request, &cores, n_pcpus, n_reserved, &packing);
    } else {
        *ret_fits = pack_preferred(&cores, n_pcpus, n_reserved, &packing);
    }
    if (*ret_fits)
        pin(host, cell, &packing);
    else
        fit_note(request, "has no %" PRId64 " free threads as the thread policy wants them",
                 n_pcpus + n_reserved);
    return true;
}
