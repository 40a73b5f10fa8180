/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/pci_requests.h"

#include <string.h>

#include "compute/fit/pci_filter.h"
#include "agent/objects/primitive.h"
#include "compute/fit/saturate.h"

static void
request_free(void *data)
{
    PciRequest *request = data;

    json_decref(request->specs);
    g_free(request->alias_name);
    g_free(request->request_id);
    g_free(request);
}

/* ---- reading ---- */

static bool
read_spec(const json_t *from, json_t *specs, NovaError **err)
{
    json_t *spec = json_object();
    const char *key;
    json_t *value;

    json_array_append_new(specs, spec);
    if (!json_is_object(from))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "a request's spec must be a dict");
    json_object_foreach ((json_t *)from, key, value) {
        g_autofree char *text = NULL;

        if (!json_is_null(value) && !primitive_string(value, key, &text, err))
            return false;
        json_object_set_new(spec, key, text ? json_string(text) : json_null());
    }
    return true;
}

static bool
read_specs(const json_t *list, json_t *specs, NovaError **err)
{
    size_t i;
    json_t *item;

    if (!list)
        return true;
    if (json_is_string(list) && json_string_length(list) > 0)
        return read_spec(list, specs, err);
    if (!primitive_list(list, "spec", err))
        return false;
    json_array_foreach (list, i, item) {
        if (!read_spec(item, specs, err))
            return false;
    }
    return true;
}

static bool
read_text(const json_t *data, const char *field, char **ret_text, NovaError **err)
{
    const json_t *value = json_object_get(data, field);

    return !value || json_is_null(value) || primitive_string(value, field, ret_text, err);
}

static bool
read_request(const json_t *primitive, PciRequest *request, NovaError **err)
{
    static const char *const policies[] = {"required", "legacy", "preferred", "socket", NULL};
    const json_t *data, *count, *policy;
    const char *version;
    int number = PCI_LEGACY;

    if (!primitive_open(primitive, "InstancePCIRequest", "1.4", &data, &version, err))
        return false;
    count = json_object_get(data, "count");
    policy = json_object_get(data, "numa_policy");
    request->lacks_count = count == NULL;
    request->lacks_specs = json_object_get(data, "spec") == NULL;
    if ((count && !primitive_int(count, "count", &request->count, err)) ||
        !read_specs(json_object_get(data, "spec"), request->specs, err) ||
        !read_text(data, "alias_name", &request->alias_name, err) ||
        !read_text(data, "request_id", &request->request_id, err) ||
        (policy && !primitive_enum(policy, "numa_policy", policies, PCI_LEGACY, &number, err)))
        return false;
    request->numa_policy = (PciNumaPolicy)number;
    return true;
}

GPtrArray *
pci_requests_from_json(const json_t *primitive, NovaError **err)
{
    g_autoptr(GPtrArray) requests = g_ptr_array_new_with_free_func(request_free);
    const json_t *data, *list;
    const char *version;
    size_t i;
    json_t *item;

    if (!primitive_open(primitive, "InstancePCIRequests", "1.1", &data, &version, err))
        return NULL;
    list = json_object_get(data, "requests");
    if (!list || !primitive_list(list, "requests", err)) {
        if (!list)
            primitive_unset("requests", err);
        return NULL;
    }
    json_array_foreach (list, i, item) {
        PciRequest *request = g_new0(PciRequest, 1);

        request->specs = json_array();
        g_ptr_array_add(requests, request);
        if (!read_request(item, request, err))
            return NULL;
    }
    return g_steal_pointer(&requests);
}

/* ---- resource providers ---- */

static bool
add_provider(GPtrArray *providers, const json_t *group, NovaError **err)
{
    const json_t *first = json_array_get(group, 0);

    if (!json_is_array(group))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "a provider mapping must hold lists");
    if (!first)
        return nova_error_set(err, NOVA_ERROR_INDEX_ERROR, "list index out of range");
    g_ptr_array_add(providers, g_strdup(json_is_string(first) ? json_string_value(first) : ""));
    return true;
}

/* Request groups are named REQUEST_ID-N, one for each device. */
static char **
providers_of_mapping(const PciRequest *request, const json_t *mapping, NovaError **err)
{
    g_autoptr(GPtrArray) providers = g_ptr_array_new_with_free_func(g_free);
    const char *group;
    json_t *value;

    if (!request->request_id) {
        nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                       "startswith first arg must be str or a tuple of str, not NoneType");
        return NULL;
    }
    json_object_foreach ((json_t *)mapping, group, value) {
        if (g_str_has_prefix(group, request->request_id) && !add_provider(providers, value, err))
            return NULL;
    }
    g_ptr_array_add(providers, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&providers), FALSE);
}

char **
pci_request_providers(const PciRequest *request, const json_t *provider_mapping, NovaError **err)
{
    const json_t *first = json_array_get(request->specs, 0);
    const char *text;

    if (request->lacks_count || request->lacks_specs) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field `%s' cannot be None",
                       request->lacks_specs ? "spec" : "count");
        return NULL;
    }
    if (!request->alias_name)
        return g_new0(char *, 1);
    if (json_object_size(provider_mapping) > 0)
        return providers_of_mapping(request, provider_mapping, err);
    if (!first) {
        nova_error_set(err, NOVA_ERROR_INDEX_ERROR, "list index out of range");
        return NULL;
    }
    text = json_string_value(json_object_get(first, "rp_uuids"));
    return g_strsplit(text ? text : "", ",", -1);
}

/* ---- taking from the pools ---- */

bool
pci_request_failed(NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_REQUEST_FAILED, "PCI device request failed");
}

static void
take_any(PciPools *pools, const GPtrArray *filtered, int64_t count)
{
    for (guint i = 0; i < filtered->len; i++) {
        count = pci_pools_take(pools, filtered->pdata[i], count);
        if (count == 0)
            return;
    }
}

static void
take_allocated(PciPools *pools, const GPtrArray *filtered, char **providers)
{
    for (guint i = 0; i < filtered->len; i++) {
        PciPool *pool = filtered->pdata[i];

        pool->count -= pci_count_provider(providers, pci_pool_get(pool, "rp_uuid"));
        if (pool->count == 0)
            pci_pools_remove(pools, pool);
    }
}

static bool
apply_one(const PciRequest *request, PciPools *pools, const json_t *provider_mapping,
          const PciCells *cells, NovaError **err)
{
    g_auto(GStrv) providers = pci_request_providers(request, provider_mapping, err);
    g_autoptr(GPtrArray) filtered = NULL;

    if (!providers)
        return false;
    filtered = pci_filter_pools(pools, request, cells, providers, err);
    if (!filtered)
        return false;
    if (filtered->len == 0 || (providers[0] && !pci_providers_are_unique(pools->list)))
        return pci_request_failed(err);
    if (providers[0])
        take_allocated(pools, filtered, providers);
    else
        take_any(pools, filtered, request->count);
    return true;
}

bool
pci_requests_apply(const GPtrArray *requests, PciPools *pools, const json_t *provider_mapping,
                   const PciCells *cells, NovaError **err)
{
    for (guint i = 0; i < requests->len; i++) {
        if (!apply_one(requests->pdata[i], pools, provider_mapping, cells, err))
            return false;
    }
    return true;
}

bool
pci_requests_support(const GPtrArray *requests, const PciPools *pools,
                     const json_t *provider_mapping, const PciCells *cells, bool *ret_supports,
                     NovaError **err)
{
    g_autoptr(PciPools) copy = pci_pools_copy(pools);
    NovaError *error = NULL;

    *ret_supports = pci_requests_apply(requests, copy, provider_mapping, cells, &error);
    if (*ret_supports)
        return true;
    if (nova_error_kind(error) != NOVA_ERROR_PCI_DEVICE_REQUEST_FAILED)
        return nova_error_propagate(err, error);
    nova_error_free(error);
    return true;
}
