/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/host_numa.h"

#include <string.h>

#include "agent/objects/primitive.h"

/* ---- reading ---- */

/* An integer field; null is allowed where it has a default of 0. */
static bool
read_int(const json_t *data, const char *field, unsigned bit, bool has_default, unsigned *set,
         int64_t *ret_value, NovaError **err)
{
    const json_t *value = json_object_get(data, field);

    if (!value)
        return true;
    *set |= bit;
    if (has_default && json_is_null(value)) {
        *ret_value = 0;
        return true;
    }
    return primitive_int(value, field, ret_value, err);
}

static bool
read_cpus(const json_t *data, const char *field, unsigned bit, unsigned *set, CpuSet *cpus,
          NovaError **err)
{
    const json_t *value = json_object_get(data, field);

    if (!value)
        return true;
    *set |= bit;
    return primitive_cpu_set(value, field, cpus, err);
}

static bool
read_pages(const json_t *primitive, NumaPages *pages, NovaError **err)
{
    const json_t *data;
    const char *version;

    if (!primitive_open(primitive, "NUMAPagesTopology", "1.1", &data, &version, err))
        return false;
    pages->version = g_strdup(version);
    return read_int(data, "size_kb", PAGES_SIZE, false, &pages->set, &pages->size_kib, err) &&
           read_int(data, "total", PAGES_TOTAL, false, &pages->set, &pages->total, err) &&
           read_int(data, "used", PAGES_USED, true, &pages->set, &pages->used, err) &&
           read_int(data, "reserved", PAGES_RESERVED, true, &pages->set, &pages->reserved, err);
}

static bool
read_mempages(const json_t *data, NumaCell *cell, NovaError **err)
{
    const json_t *list = json_object_get(data, "mempages");
    size_t i;
    json_t *item;

    if (!list)
        return true;
    cell->set |= CELL_MEMPAGES;
    if (!primitive_list(list, "mempages", err))
        return false;
    cell->pages = g_new0(NumaPages, json_array_size(list));
    cell->n_pages = (unsigned)json_array_size(list);
    json_array_foreach (list, i, item) {
        if (!read_pages(item, &cell->pages[i], err))
            return false;
    }
    return true;
}

/* Python takes the characters of a string for the members of the list. */
static bool
read_digit_siblings(const char *text, NumaCell *cell, NovaError **err)
{
    cell->siblings = g_new0(CpuSet, strlen(text));
    for (; *text; text = g_utf8_next_char(text)) {
        g_autofree char *one = g_strndup(text, (gsize)(g_utf8_next_char(text) - text));
        json_auto_t *value = json_string(one);

        if (!primitive_cpu_set(value, "siblings", &cell->siblings[cell->n_siblings++], err))
            return false;
    }
    return true;
}

static bool
read_siblings(const json_t *data, NumaCell *cell, NovaError **err)
{
    const json_t *list = json_object_get(data, "siblings");
    size_t i;
    json_t *item;

    if (!list)
        return true;
    cell->set |= CELL_SIBLINGS;
    if (json_is_string(list))
        return read_digit_siblings(json_string_value(list), cell, err);
    if (!primitive_list(list, "siblings", err))
        return false;
    cell->siblings = g_new0(CpuSet, json_array_size(list));
    cell->n_siblings = (unsigned)json_array_size(list);
    json_array_foreach (list, i, item) {
        if (!primitive_cpu_set(item, "siblings", &cell->siblings[i], err))
            return false;
    }
    return true;
}

static bool
read_socket(const json_t *data, NumaCell *cell, NovaError **err)
{
    const json_t *value = json_object_get(data, "socket");

    if (!value)
        return true;
    cell->set |= CELL_SOCKET;
    cell->has_socket = !json_is_null(value);
    return !cell->has_socket || primitive_int(value, "socket", &cell->socket, err);
}

/* Python takes the characters of a string for its members. */
static bool
read_characters(const char *text, Networks *networks)
{
    for (; *text; text = g_utf8_next_char(text)) {
        g_autofree char *one = g_strndup(text, (gsize)(g_utf8_next_char(text) - text));

        if (!networks_have(networks, one))
            g_ptr_array_add(networks->physnets, g_steal_pointer(&one));
    }
    return true;
}

static bool
read_physnets(const json_t *list, Networks *networks, NovaError **err)
{
    size_t i;
    json_t *item;

    if (json_is_string(list))
        return read_characters(json_string_value(list), networks);
    if (!primitive_list(list, "physnets", err))
        return false;
    json_array_foreach (list, i, item) {
        g_autofree char *physnet = NULL;

        if (!primitive_string(item, "physnets", &physnet, err))
            return false;
        if (!networks_have(networks, physnet))
            g_ptr_array_add(networks->physnets, g_steal_pointer(&physnet));
    }
    return true;
}

Networks *
networks_from_json(const json_t *primitive, NovaError **err)
{
    g_autoptr(Networks) networks = g_new0(Networks, 1);
    const json_t *data, *physnets, *tunneled;
    const char *version;

    networks->physnets = g_ptr_array_new_with_free_func(g_free);
    if (json_is_null(primitive)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field `network_metadata' cannot be None");
        return NULL;
    }
    if (!primitive_open(primitive, "NetworkMetadata", "1.0", &data, &version, err))
        return NULL;
    networks->version = g_strdup(version);
    physnets = json_object_get(data, "physnets");
    tunneled = json_object_get(data, "tunneled");
    networks->set = (physnets ? NETWORKS_PHYSNETS : 0) | (tunneled ? NETWORKS_TUNNELED : 0);
    if ((physnets && !read_physnets(physnets, networks, err)) ||
        (tunneled && !primitive_bool(tunneled, "tunneled", &networks->tunneled, err)))
        return NULL;
    return g_steal_pointer(&networks);
}

static bool
read_networks(const json_t *data, NumaCell *cell, NovaError **err)
{
    const json_t *value = json_object_get(data, "network_metadata");

    if (!value)
        return true;
    cell->networks = networks_from_json(value, err);
    return cell->networks != NULL;
}

static bool
read_cell(const json_t *primitive, NumaCell *cell, NovaError **err)
{
    const json_t *data;
    const char *version;

    if (!primitive_open(primitive, "NUMACell", "1.5", &data, &version, err))
        return false;
    cell->version = g_strdup(version);
    return read_int(data, "id", CELL_ID, false, &cell->set, &cell->id, err) &&
           read_cpus(data, "cpuset", CELL_CPUSET, &cell->set, &cell->cpuset, err) &&
           read_cpus(data, "pcpuset", CELL_PCPUSET, &cell->set, &cell->pcpuset, err) &&
           read_int(data, "memory", CELL_MEMORY, false, &cell->set, &cell->memory_mib, err) &&
           read_int(data, "cpu_usage", CELL_CPU_USAGE, true, &cell->set, &cell->cpu_usage, err) &&
           read_int(data, "memory_usage", CELL_MEMORY_USAGE, true, &cell->set,
                    &cell->memory_usage_mib, err) &&
           read_cpus(data, "pinned_cpus", CELL_PINNED_CPUS, &cell->set, &cell->pinned_cpus, err) &&
           read_siblings(data, cell, err) && read_mempages(data, cell, err) &&
           read_networks(data, cell, err) && read_socket(data, cell, err);
}

HostNuma *
host_numa_from_json(const json_t *primitive, NovaError **err)
{
    g_autoptr(HostNuma) host = g_new0(HostNuma, 1);
    const json_t *data, *cells;
    const char *version;
    size_t i;
    json_t *item;

    if (!primitive_open(primitive, "NUMATopology", "1.2", &data, &version, err))
        return NULL;
    host->version = g_strdup(version);
    cells = json_object_get(data, "cells");
    host->has_cells = cells != NULL;
    if (cells && !primitive_list(cells, "cells", err))
        return NULL;
    host->cells = g_new0(NumaCell, json_array_size(cells));
    host->n_cells = (unsigned)json_array_size(cells);
    json_array_foreach (cells, i, item) {
        if (!read_cell(item, &host->cells[i], err))
            return NULL;
    }
    return g_steal_pointer(&host);
}

/* ---- writing ---- */

static void
put_int(json_t *data, const char *field, bool is_set, int64_t value)
{
    if (is_set)
        json_object_set_new(data, field, json_integer(value));
}

static void
put_cpus(json_t *data, const char *field, bool is_set, const CpuSet *cpus)
{
    if (is_set)
        json_object_set_new(data, field, primitive_from_cpu_set(cpus));
}

static json_t *
pages_to_json(const NumaPages *pages)
{
    json_t *data = json_object();

    put_int(data, "size_kb", pages->set & PAGES_SIZE, pages->size_kib);
    put_int(data, "total", pages->set & PAGES_TOTAL, pages->total);
    put_int(data, "used", pages->set & PAGES_USED, pages->used);
    put_int(data, "reserved", pages->set & PAGES_RESERVED, pages->reserved);
    return primitive_make("NUMAPagesTopology", pages->version, data);
}

static json_t *
networks_to_json(const Networks *networks)
{
    json_t *data = json_object();

    if (networks->set & NETWORKS_PHYSNETS) {
        json_t *list = json_array();

        for (guint i = 0; i < networks->physnets->len; i++)
            json_array_append_new(list, json_string(networks->physnets->pdata[i]));
        json_object_set_new(data, "physnets", list);
    }
    if (networks->set & NETWORKS_TUNNELED)
        json_object_set_new(data, "tunneled", json_boolean(networks->tunneled));
    return primitive_make("NetworkMetadata", networks->version, data);
}

static void
put_lists(json_t *data, const NumaCell *cell)
{
    if (cell->set & CELL_SIBLINGS) {
        json_t *list = json_array();

        for (unsigned i = 0; i < cell->n_siblings; i++)
            json_array_append_new(list, primitive_from_cpu_set(&cell->siblings[i]));
        json_object_set_new(data, "siblings", list);
    }
    if (cell->set & CELL_MEMPAGES) {
        json_t *list = json_array();

        for (unsigned i = 0; i < cell->n_pages; i++)
            json_array_append_new(list, pages_to_json(&cell->pages[i]));
        json_object_set_new(data, "mempages", list);
    }
}

static json_t *
cell_to_json(const NumaCell *cell)
{
    json_t *data = json_object();

    put_int(data, "id", cell->set & CELL_ID, cell->id);
    put_cpus(data, "cpuset", cell->set & CELL_CPUSET, &cell->cpuset);
    put_cpus(data, "pcpuset", cell->set & CELL_PCPUSET, &cell->pcpuset);
    put_int(data, "memory", cell->set & CELL_MEMORY, cell->memory_mib);
    put_int(data, "cpu_usage", cell->set & CELL_CPU_USAGE, cell->cpu_usage);
    put_int(data, "memory_usage", cell->set & CELL_MEMORY_USAGE, cell->memory_usage_mib);
    put_cpus(data, "pinned_cpus", cell->set & CELL_PINNED_CPUS, &cell->pinned_cpus);
    put_lists(data, cell);
    if (cell->networks)
        json_object_set_new(data, "network_metadata", networks_to_json(cell->networks));
    if (cell->set & CELL_SOCKET)
        json_object_set_new(data, "socket",
                            cell->has_socket ? json_integer(cell->socket) : json_null());
    return primitive_make("NUMACell", cell->version, data);
}

json_t *
host_numa_to_json(const HostNuma *host)
{
    json_t *data = json_object();

    if (host->has_cells) {
        json_t *cells = json_array();

        for (unsigned i = 0; i < host->n_cells; i++)
            json_array_append_new(cells, cell_to_json(&host->cells[i]));
        json_object_set_new(data, "cells", cells);
    }
    return primitive_make("NUMATopology", host->version, data);
}

/* ---- copying ---- */

static Networks *
networks_copy(const Networks *from)
{
    Networks *to = g_new0(Networks, 1);

    *to = *from;
    to->version = g_strdup(from->version);
    to->physnets = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < from->physnets->len; i++)
        g_ptr_array_add(to->physnets, g_strdup(from->physnets->pdata[i]));
    return to;
}

static void
copy_cell(NumaCell *to, const NumaCell *from)
{
    *to = *from;
    to->version = g_strdup(from->version);
    cpu_set_copy(&to->cpuset, &from->cpuset);
    cpu_set_copy(&to->pcpuset, &from->pcpuset);
    cpu_set_copy(&to->pinned_cpus, &from->pinned_cpus);
    to->siblings = g_new0(CpuSet, from->n_siblings);
    for (unsigned i = 0; i < from->n_siblings; i++)
        cpu_set_copy(&to->siblings[i], &from->siblings[i]);
    to->pages = g_memdup2(from->pages, from->n_pages * sizeof(NumaPages));
    for (unsigned i = 0; i < from->n_pages; i++)
        to->pages[i].version = g_strdup(from->pages[i].version);
    to->networks = from->networks ? networks_copy(from->networks) : NULL;
}

HostNuma *
host_numa_copy(const HostNuma *host)
{
    HostNuma *copy = g_new0(HostNuma, 1);

    *copy = *host;
    copy->version = g_strdup(host->version);
    copy->cells = g_new0(NumaCell, host->n_cells);
    for (unsigned i = 0; i < host->n_cells; i++)
        copy_cell(&copy->cells[i], &host->cells[i]);
    return copy;
}

/* ---- freeing ---- */

void
networks_free(Networks *networks)
{
    if (!networks)
        return;
    g_free(networks->version);
    g_ptr_array_unref(networks->physnets);
    g_free(networks);
}

static void
clear_cell(NumaCell *cell)
{
    g_free(cell->version);
    cpu_set_clear(&cell->cpuset);
    cpu_set_clear(&cell->pcpuset);
    cpu_set_clear(&cell->pinned_cpus);
    for (unsigned i = 0; i < cell->n_siblings; i++)
        cpu_set_clear(&cell->siblings[i]);
    g_free(cell->siblings);
    for (unsigned i = 0; i < cell->n_pages; i++)
        g_free(cell->pages[i].version);
    g_free(cell->pages);
    networks_free(cell->networks);
}

void
host_numa_free(HostNuma *host)
{
    if (!host)
        return;
    for (unsigned i = 0; i < host->n_cells; i++)
        clear_cell(&host->cells[i]);
    g_free(host->cells);
    g_free(host->version);
    g_free(host);
}

/* ---- asking ---- */

static bool
need(unsigned set, unsigned fields, const char *const *names, NovaError **err)
{
    unsigned missing = fields & ~set;

    return !missing || primitive_unset(names[__builtin_ctz(missing)], err);
}

bool
host_cell_need(const NumaCell *cell, unsigned fields, NovaError **err)
{
    static const char *const names[] = {"id",           "cpuset",      "pcpuset",  "memory",
                                        "cpu_usage",    "memory_usage", "pinned_cpus",
                                        "siblings",     "mempages",    "socket"};

    return need(cell->set, fields, names, err);
}

bool
host_pages_need(const NumaPages *pages, unsigned fields, NovaError **err)
{
    static const char *const names[] = {"size_kb", "total", "used", "reserved"};

    return need(pages->set, fields, names, err);
}

bool
host_numa_need_cells(const HostNuma *host, NovaError **err)
{
    return host->has_cells || primitive_unset("cells", err);
}

bool
networks_have(const Networks *networks, const char *physnet)
{
    return g_ptr_array_find_with_equal_func(networks->physnets, physnet, g_str_equal, NULL);
}
