/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/pci_filter.h"

#include <string.h>

#include "agent/base/python_text.h"
#include "agent/objects/primitive.h"
#include "compute/fit/saturate.h"

typedef bool (*KeepPool)(const PciPool *pool, const void *user);

static GPtrArray *
keep(const GPtrArray *pools, KeepPool is_kept, const void *user)
{
    GPtrArray *kept = g_ptr_array_new_with_free_func(pci_pool_unref);

    for (guint i = 0; i < pools->len; i++) {
        if (is_kept(pools->pdata[i], user))
            g_ptr_array_add(kept, pci_pool_ref(pools->pdata[i]));
    }
    return kept;
}

static bool
is_any(const PciPool *pool, const void *user)
{
    (void)pool;
    (void)user;
    return true;
}

static int64_t
count_devices(const GPtrArray *pools)
{
    int64_t count = 0;

    for (guint i = 0; i < pools->len; i++)
        count = saturating_add(count, ((PciPool *)pools->pdata[i])->count);
    return count;
}

/* ---- properties ---- */

/* Text in any case, for tags are written by operators and by users. */
static bool
matches_text(const char *a, const char *b)
{
    g_autofree char *lower_a = NULL, *lower_b = NULL;

    if (g_str_is_ascii(a) && g_str_is_ascii(b))
        return g_ascii_strcasecmp(a, b) == 0;
    lower_a = g_utf8_strdown(a, -1);
    lower_b = g_utf8_strdown(b, -1);
    return strcmp(lower_a, lower_b) == 0;
}

static bool
matches_value(const json_t *wanted, const json_t *has)
{
    if (json_is_null(wanted) || !has)
        return json_is_null(wanted) && !has;
    if (json_is_string(wanted) && json_is_string(has))
        return matches_text(json_string_value(wanted), json_string_value(has));
    return primitive_equal(wanted, has);
}

/* Placement has seen to these. */
static bool
is_ignored(const char *key)
{
    static const char *const ignored[] = {"resource_class", "traits", "rp_uuids", "rp_uuid", NULL};

    return is_one_of(key, ignored);
}

static bool
matches_spec(const PciPool *pool, json_t *spec)
{
    const char *key;
    json_t *wanted;

    json_object_foreach (spec, key, wanted) {
        if (is_ignored(key))
            continue;
        if (!strcmp(key, "count")) { /* no property here, but a key of Nova's pools */
            if (!json_is_integer(wanted) || json_integer_value(wanted) != pool->count)
                return false;
        } else if (!matches_value(wanted, pci_pool_get(pool, key))) {
            return false;
        }
    }
    return true;
}

static bool
matches_request(const PciPool *pool, const void *user)
{
    const PciRequest *request = user;
    size_t i;
    json_t *spec;

    json_array_foreach (request->specs, i, spec) {
        if (matches_spec(pool, spec))
            return true;
    }
    return false;
}

/* ---- NUMA ---- */

typedef struct NodeSet {
    const int64_t *ids;
    unsigned n;
    bool with_null; /* devices whose node nobody knows */
} NodeSet;

static bool
is_on_node(const PciPool *pool, const void *user)
{
    const NodeSet *nodes = user;
    const json_t *node = pci_pool_get(pool, "numa_node");

    if (!node)
        return nodes->with_null;
    for (unsigned i = 0; i < nodes->n; i++) {
        json_auto_t *id = json_integer(nodes->ids[i]);

        if (primitive_equal(node, id))
            return true;
    }
    return false;
}

/* Each of the guest's cells is looked for among all of the host's. */
static bool
need_cell_ids(const PciCells *cells, NovaError **err)
{
    if (cells->n == 0)
        return true;
    for (unsigned i = 0; i < cells->host->n_cells; i++) {
        if (!host_cell_need(&cells->host->cells[i], CELL_ID, err))
            return false;
    }
    return true;
}

/* A cell of the host that is on the same socket as one of the guest's. */
static bool
shares_socket(const PciCells *cells, const NumaCell *candidate)
{
    for (unsigned i = 0; i < cells->host->n_cells; i++) {
        const NumaCell *host_cell = &cells->host->cells[i];

        for (unsigned k = 0; k < cells->n; k++) {
            if (host_cell->id == cells->ids[k] && host_cell->socket == candidate->socket)
                return true;
        }
    }
    return false;
}

static bool
knows_all_sockets(const HostNuma *host, bool *ret_knows, NovaError **err)
{
    *ret_knows = true;
    for (unsigned i = 0; i < host->n_cells && *ret_knows; i++) {
        if (!host_cell_need(&host->cells[i], CELL_SOCKET, err))
            return false;
        *ret_knows = host->cells[i].has_socket;
    }
    return true;
}

static GPtrArray *
keep_on_sockets(const GPtrArray *pools, const PciCells *cells, NovaError **err)
{
    g_autofree int64_t *ids = NULL;
    NodeSet allowed = {0};
    bool knows;

    if (!cells->host) {
        nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR,
                       "'NoneType' object has no attribute 'cells'");
        return NULL;
    }
    if (!host_numa_need_cells(cells->host, err) || !knows_all_sockets(cells->host, &knows, err))
        return NULL;
    if (!knows)
        return g_ptr_array_new();
    if (!need_cell_ids(cells, err))
        return NULL;
    allowed.ids = ids = g_new(int64_t, cells->host->n_cells + 1);
    for (unsigned i = 0; i < cells->host->n_cells; i++) {
        if (shares_socket(cells, &cells->host->cells[i]))
            ids[allowed.n++] = cells->host->cells[i].id;
    }
    return keep(pools, is_on_node, &allowed);
}

/* Near pools first; Nova's sort is stable. */
static GPtrArray *
near_first(const GPtrArray *pools, const NodeSet *near)
{
    GPtrArray *sorted = keep(pools, is_on_node, near);

    for (guint i = 0; i < pools->len; i++) {
        if (!is_on_node(pools->pdata[i], near))
            g_ptr_array_add(sorted, pci_pool_ref(pools->pdata[i]));
    }
    return sorted;
}

/* The strictest affinity that still gives enough devices, down to what the policy allows. */
static GPtrArray *
keep_near(const GPtrArray *pools, const PciRequest *request, const PciCells *cells, NovaError **err)
{
    NodeSet nodes = {0};
    g_autoptr(GPtrArray) kept = NULL;

    if (!cells || cells->n == 0)
        return keep(pools, is_any, NULL);
    nodes.ids = cells->ids;
    nodes.n = cells->n;
    kept = keep(pools, is_on_node, &nodes);
    if (request->numa_policy == PCI_REQUIRED || count_devices(kept) >= request->count)
        return g_steal_pointer(&kept);
    if (request->numa_policy == PCI_SOCKET)
        return keep_on_sockets(pools, cells, err);
    nodes.with_null = true;
    g_ptr_array_unref(kept);
    kept = keep(pools, is_on_node, &nodes);
    if (request->numa_policy == PCI_LEGACY || count_devices(kept) >= request->count)
        return g_steal_pointer(&kept);
    return near_first(pools, &nodes);
}

/* ---- devices that have to be asked for ---- */

static bool
some_spec_has(const PciRequest *request, const char *key, const char *text)
{
    size_t i;
    json_t *spec;

    json_array_foreach (request->specs, i, spec) {
        if (!g_strcmp0(json_string_value(json_object_get(spec, key)), text))
            return true;
    }
    return false;
}

static bool
every_spec_has(const PciRequest *request, const char *key, const char *text)
{
    size_t i;
    json_t *spec;

    json_array_foreach (request->specs, i, spec) {
        if (g_strcmp0(json_string_value(json_object_get(spec, key)), text))
            return false;
    }
    return true;
}

static bool
wants_remote_managed(const PciRequest *request)
{
    size_t i;
    json_t *spec;

    json_array_foreach (request->specs, i, spec) {
        if (is_true_string(json_string_value(json_object_get(spec, "remote_managed"))))
            return true;
    }
    return false;
}

static bool
is_of_other_type(const PciPool *pool, const void *type)
{
    return g_strcmp0(json_string_value(pci_pool_get(pool, "dev_type")), type) != 0;
}

static bool
is_managed_here(const PciPool *pool, const void *user)
{
    const json_t *value = pci_pool_get(pool, "remote_managed");
    g_autofree char *text = !value || json_is_string(value) ? NULL : primitive_number_text(value);

    (void)user;
    return !is_true_string(text ? text : json_string_value(value));
}

static bool
is_migratable_as_wanted(const PciPool *pool, const void *user)
{
    return !g_strcmp0(json_string_value(pci_pool_get(pool, "live_migratable")), user);
}

/* ---- Placement ---- */

int64_t
pci_count_provider(char **providers, const json_t *provider)
{
    const char *uuid = json_string_value(provider);
    int64_t count = 0;

    for (char **one = providers; uuid && *one; one++)
        count += !strcmp(*one, uuid);
    return count;
}

bool
pci_providers_are_unique(const GPtrArray *pools)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < pools->len; i++) {
        const char *uuid = json_string_value(pci_pool_get(pools->pdata[i], "rp_uuid"));

        if (uuid && !g_hash_table_add(seen, (char *)uuid))
            return false;
    }
    return true;
}

static bool
is_allocated_enough(const PciPool *pool, const void *user)
{
    char **providers = (char **)user;
    int64_t n = pci_count_provider(providers, pci_pool_get(pool, "rp_uuid"));

    return n > 0 && pool->count >= n;
}

/* ---- the chain ---- */

/* Replaces *pools by those that are kept. */
static void
narrow(GPtrArray **pools, KeepPool is_kept, const void *user)
{
    GPtrArray *kept = keep(*pools, is_kept, user);

    g_ptr_array_unref(*pools);
    *pools = kept;
}

GPtrArray *
pci_filter_pools(const PciPools *pools, const PciRequest *request, const PciCells *cells,
                 char **providers, NovaError **err)
{
    g_autoptr(GPtrArray) matching = keep(pools->list, matches_request, request);
    g_autoptr(GPtrArray) kept = NULL;

    if (!pci_pools_need_counts(pools, err))
        return NULL;
    if (count_devices(matching) < request->count)
        return g_ptr_array_new();
    kept = keep_near(matching, request, cells, err);
    if (!kept)
        return NULL;
    if (!some_spec_has(request, "dev_type", "type-PF"))
        narrow(&kept, is_of_other_type, "type-PF");
    if (!some_spec_has(request, "dev_type", "vdpa"))
        narrow(&kept, is_of_other_type, "vdpa");
    if (!wants_remote_managed(request))
        narrow(&kept, is_managed_here, NULL);
    if (providers[0])
        narrow(&kept, is_allocated_enough, providers);
    if (every_spec_has(request, "live_migratable", "true"))
        narrow(&kept, is_migratable_as_wanted, "true");
    else if (every_spec_has(request, "live_migratable", "false"))
        narrow(&kept, is_migratable_as_wanted, "false");
    return count_devices(kept) < request->count ? g_ptr_array_new() : g_steal_pointer(&kept);
}
