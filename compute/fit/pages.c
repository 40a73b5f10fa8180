/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a guest cell on a host cell: which page size, and is there enough of it. */

#include "compute/fit/cell_fit.h"
#include "compute/fit/saturate.h"

typedef enum Room { ROOM_NONE, ROOM_ENOUGH, ROOM_NO_SUCH_SIZE } Room;

static int64_t
free_pages(const NumaPages *pages)
{
    const int64_t reserved = pages->set & PAGES_RESERVED ? pages->reserved : 0;

    return saturating_subtract(saturating_subtract(pages->total, pages->used), reserved);
}

/* Whole pages of the size, out of the free ones or of all. */
static bool
find_room(const NumaCell *host, int64_t size_kib, int64_t memory_kib, bool of_free, Room *ret_room,
          NovaError **err)
{
    const unsigned fields = PAGES_TOTAL | PAGES_SIZE | (of_free ? PAGES_USED : 0);

    *ret_room = ROOM_NO_SUCH_SIZE;
    for (unsigned i = 0; i < host->n_pages; i++) {
        const NumaPages *pages = &host->pages[i];
        int64_t available;

        if (!host_pages_need(pages, fields, err))
            return false;
        if (pages->size_kib != size_kib)
            continue;
        available = saturating_multiply(of_free ? free_pages(pages) : pages->total, size_kib);
        *ret_room = ROOM_NONE;
        if (memory_kib > available)
            return true;
        if (size_kib == 0)
            return nova_error_set(err, NOVA_ERROR_ZERO_DIVISION_ERROR,
                                  "integer modulo by zero");
        if (size_kib == -1 || memory_kib % size_kib == 0)
            *ret_room = ROOM_ENOUGH;
        return true;
    }
    return true;
}

static bool
need_sizes(const NumaCell *host, NovaError **err)
{
    for (unsigned i = 0; i < host->n_pages; i++) {
        if (!host_pages_need(&host->pages[i], PAGES_SIZE, err))
            return false;
    }
    return true;
}

static int64_t
smallest_size(const NumaCell *host)
{
    int64_t size = INT64_MAX;

    for (unsigned i = 0; i < host->n_pages; i++)
        size = MIN(size, host->pages[i].size_kib);
    return size;
}

static int
descending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x < y) - (x > y);
}

/* The first of the sizes that has room. */
static bool
choose_size(const FitRequest *request, const NumaCell *host, InstanceCell *cell,
            const int64_t *sizes, unsigned n_sizes, bool *ret_fits, NovaError **err)
{
    const int64_t memory_kib = saturating_multiply(cell->memory_mib, 1024);

    *ret_fits = false;
    for (unsigned i = 0; i < n_sizes; i++) {
        Room room;

        if (!find_room(host, sizes[i], memory_kib, true, &room, err))
            return false;
        if (room == ROOM_ENOUGH && sizes[i] != 0) {
            cell->pagesize_kib = sizes[i];
            *ret_fits = true;
            return true;
        }
        fit_note(request, room == ROOM_NO_SUCH_SIZE
                              ? "has no pages of %" PRId64 " KiB"
                              : "lacks free pages of %" PRId64 " KiB for %" PRId64 " MiB",
                 sizes[i], cell->memory_mib);
        if (room == ROOM_NO_SUCH_SIZE)
            return true;
    }
    return true;
}

/* The largest size that has room, with or without the smallest one. */
static bool
fit_largest_size(const FitRequest *request, const NumaCell *host, InstanceCell *cell,
                 bool with_smallest, bool *ret_fits, NovaError **err)
{
    const unsigned n = host->n_pages;
    g_autofree int64_t *sizes = g_new(int64_t, n + 1);

    for (unsigned i = 0; i < n; i++)
        sizes[i] = host->pages[i].size_kib;
    qsort(sizes, n, sizeof(int64_t), descending);
    return choose_size(request, host, cell, sizes, with_smallest || n == 0 ? n : n - 1,
                       ret_fits, err);
}

static bool
fit_requested_size(const FitRequest *request, const NumaCell *host, InstanceCell *cell,
                   bool *ret_fits, NovaError **err)
{
    const int64_t wanted = cell->pagesize_kib, smallest = smallest_size(host);

    if (!need_sizes(host, err))
        return false;
    switch (wanted) {
    case PAGESIZE_SMALL:
        return choose_size(request, host, cell, &smallest, MIN(host->n_pages, 1), ret_fits, err);
    case PAGESIZE_LARGE:
        return fit_largest_size(request, host, cell, false, ret_fits, err);
    case PAGESIZE_ANY:
        return fit_largest_size(request, host, cell, true, ret_fits, err);
    default:
        return choose_size(request, host, cell, &wanted, 1, ret_fits, err);
    }
}

/* Over-commit is for guests whose CPUs are shared. */
static bool
fit_smallest_pages(const FitRequest *request, const NumaCell *host, const InstanceCell *cell,
                   bool *ret_fits, NovaError **err)
{
    const int64_t size = smallest_size(host);
    Room room;

    if (!need_sizes(host, err) ||
        !find_room(host, size, saturating_multiply(cell->memory_mib, 1024),
                   instance_cell_is_pinned(cell), &room, err))
        return false;
    *ret_fits = room == ROOM_ENOUGH;
    /* Nova's log line looks at more than its decision does. */
    if (!*ret_fits && !host_cell_need(host, CELL_MEMORY | CELL_MEMORY_USAGE, err))
        return false;
    if (!*ret_fits)
        fit_note(request, "lacks %" PRId64 " MiB of memory in pages of %" PRId64 " KiB",
                 cell->memory_mib, size);
    return true;
}

static bool
fit_memory(const FitRequest *request, const NumaCell *host, const InstanceCell *cell,
           bool *ret_fits, NovaError **err)
{
    const bool of_free = instance_cell_is_pinned(cell);
    int64_t available;

    if (!host_cell_need(host, CELL_MEMORY | (of_free ? CELL_MEMORY_USAGE : 0), err))
        return false;
    available = of_free ? saturating_subtract(host->memory_mib, host->memory_usage_mib)
                        : host->memory_mib;
    *ret_fits = available >= cell->memory_mib;
    if (!*ret_fits)
        fit_note(request, "has %" PRId64 " MiB of memory %s, not %" PRId64, available,
                 of_free ? "free" : "in all", cell->memory_mib);
    return true;
}

bool
cell_fit_memory(const FitRequest *request, const NumaCell *host, InstanceCell *cell,
                bool *ret_fits, NovaError **err)
{
    const bool asks_for_size = cell->has_pagesize && cell->pagesize_kib != 0;

    if (!host_cell_need(host, CELL_MEMPAGES, err) ||
        !instance_cell_need(cell, INSTANCE_CELL_MEMORY, err))
        return false;
    if (asks_for_size)
        return fit_requested_size(request, host, cell, ret_fits, err);
    if (host->n_pages > 0)
        return fit_smallest_pages(request, host, cell, ret_fits, err);
    return fit_memory(request, host, cell, ret_fits, err);
}
