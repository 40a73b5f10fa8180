/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/pci_pools.h"

#include <string.h>

#include "compute/fit/pci_units.h"
#include "agent/objects/primitive.h"
#include "compute/fit/saturate.h"

PciPool *
pci_pool_ref(PciPool *pool)
{
    pool->n_refs++;
    return pool;
}

void
pci_pool_unref(void *data)
{
    PciPool *pool = data;

    if (--pool->n_refs > 0)
        return;
    json_decref(pool->properties);
    if (pool->devices)
        g_ptr_array_unref(pool->devices);
    g_free(pool);
}

PciPools *
pci_pools_new(void)
{
    PciPools *pools = g_new0(PciPools, 1);

    pools->list = g_ptr_array_new_with_free_func(pci_pool_unref);
    return pools;
}

void
pci_pools_free(PciPools *pools)
{
    if (!pools)
        return;
    g_ptr_array_unref(pools->list);
    g_free(pools);
}

PciPool *
pci_pools_append(PciPools *pools, json_t *properties)
{
    PciPool *pool = g_new0(PciPool, 1);

    pool->n_refs = 1;
    pool->properties = properties;
    g_ptr_array_add(pools->list, pool);
    return pool;
}

PciPools *
pci_pools_copy(const PciPools *pools)
{
    PciPools *copy = pci_pools_new();

    for (guint i = 0; i < pools->list->len; i++) {
        const PciPool *pool = pools->list->pdata[i];
        PciPool *its_copy = pci_pools_append(copy, json_incref(pool->properties));

        its_copy->count = pool->count;
        its_copy->lacks_count = pool->lacks_count;
    }
    return copy;
}

static gint
by_size(gconstpointer a, gconstpointer b)
{
    size_t x = json_object_size((*(PciPool *const *)a)->properties);
    size_t y = json_object_size((*(PciPool *const *)b)->properties);

    return (x > y) - (x < y);
}

void
pci_pools_sort(PciPools *pools)
{
    g_ptr_array_sort(pools->list, by_size); /* GLib promises that it is stable */
}

/* ---- reading ---- */

static bool
read_count(PciPool *pool, NovaError **err)
{
    const json_t *count = json_object_get(pool->properties, "count");

    pool->lacks_count = count == NULL;
    if (count && !json_is_integer(count))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "a pool's count must be a number");
    pool->count = json_integer_value(count);
    json_object_del(pool->properties, "count");
    return true;
}

PciPools *
pci_pools_from_dicts(const json_t *dicts, NovaError **err)
{
    g_autoptr(PciPools) pools = pci_pools_new();
    size_t i;
    json_t *dict;

    if (!json_is_array(dicts)) {
        nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "pools must be a list");
        return NULL;
    }
    json_array_foreach (dicts, i, dict) {
        PciPool *pool;

        if (!json_is_object(dict)) {
            nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "a pool must be a dict");
            return NULL;
        }
        pool = pci_pools_append(pools, json_copy(dict));
        if (!read_count(pool, err))
            return NULL;
    }
    return g_steal_pointer(&pools);
}

static bool
set_string(json_t *properties, const char *key, const json_t *value, NovaError **err)
{
    g_autofree char *text = NULL;

    if (!primitive_string(value, key, &text, err))
        return false;
    json_object_set_new(properties, key, json_string(text));
    return true;
}

static bool
read_tags(const json_t *tags, json_t *properties, NovaError **err)
{
    const char *key;
    json_t *value;

    if (json_is_null(tags))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field `tags' cannot be None");
    if (!json_is_object(tags))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "a pool's tags must be a dict");
    json_object_foreach ((json_t *)tags, key, value) {
        if (json_is_null(value))
            json_object_set_new(properties, key, json_null());
        else if (!set_string(properties, key, value, err))
            return false;
    }
    return true;
}

static bool
read_numa_node(const json_t *value, json_t *properties, NovaError **err)
{
    int64_t node = 0;

    if (!value)
        return true;
    if (!json_is_null(value) && !primitive_int(value, "numa_node", &node, err))
        return false;
    json_object_set_new(properties, "numa_node",
                        json_is_null(value) ? json_null() : json_integer(node));
    return true;
}

static bool
read_pool(const json_t *primitive, PciPools *pools, NovaError **err)
{
    const json_t *data, *product, *vendor, *tags, *count;
    const char *version;
    PciPool *pool;

    if (!primitive_open(primitive, "PciDevicePool", "1.1", &data, &version, err))
        return false;
    product = json_object_get(data, "product_id");
    vendor = json_object_get(data, "vendor_id");
    tags = json_object_get(data, "tags");
    count = json_object_get(data, "count");
    pool = pci_pools_append(pools, json_object());
    if ((product && !set_string(pool->properties, "product_id", product, err)) ||
        (vendor && !set_string(pool->properties, "vendor_id", vendor, err)) ||
        !read_numa_node(json_object_get(data, "numa_node"), pool->properties, err))
        return false;
    pool->lacks_count = count == NULL;
    return (!count || primitive_int(count, "count", &pool->count, err)) &&
           (!tags || read_tags(tags, pool->properties, err));
}

PciPools *
pci_pools_from_object(const json_t *primitive, NovaError **err)
{
    g_autoptr(PciPools) pools = pci_pools_new();
    const json_t *data, *objects;
    const char *version;
    size_t i;
    json_t *item;

    if (!primitive_open(primitive, "PciDevicePoolList", "1.1", &data, &version, err))
        return NULL;
    objects = json_object_get(data, "objects");
    if (!objects || !primitive_list(objects, "objects", err))
        return objects ? NULL : g_steal_pointer(&pools);
    json_array_foreach (objects, i, item) {
        if (!read_pool(item, pools, err))
            return NULL;
    }
    pci_pools_sort(pools);
    return g_steal_pointer(&pools);
}

/* ---- writing ---- */

static json_t *
pool_to_dict(const PciPool *pool)
{
    json_t *dict = json_copy(pool->properties);

    json_object_set_new(dict, "count", json_integer(pool->count));
    if (pool->devices) {
        json_t *addresses = json_array();

        for (guint i = 0; i < pool->devices->len; i++)
            json_array_append_new(
                addresses, json_string(((PciUnit *)pool->devices->pdata[i])->device->address));
        json_object_set_new(dict, "devices", addresses);
    }
    return dict;
}

json_t *
pci_pools_to_dicts(const PciPools *pools)
{
    json_t *dicts = json_array();

    for (guint i = 0; i < pools->list->len; i++)
        json_array_append_new(dicts, pool_to_dict(pools->list->pdata[i]));
    return dicts;
}

/* vendor_id, product_id, numa_node and count are fields; everything else is a tag, as text. */
static json_t *
pool_to_object(const PciPool *pool)
{
    json_t *data = json_object(), *tags = json_object();
    const char *key;
    json_t *value;

    json_object_foreach (pool->properties, key, value) {
        g_autofree char *number = NULL;

        if (!strcmp(key, "vendor_id") || !strcmp(key, "product_id") || !strcmp(key, "numa_node")) {
            json_object_set(data, key, value);
        } else if (json_is_string(value) || json_is_null(value)) {
            json_object_set(tags, key, value);
        } else {
            number = primitive_number_text(value);
            json_object_set_new(tags, key, json_string(number));
        }
    }
    if (!json_object_get(data, "numa_node"))
        json_object_set_new(data, "numa_node", json_null());
    json_object_set_new(data, "count", json_integer(pool->count));
    json_object_set_new(data, "tags", tags);
    return primitive_make("PciDevicePool", "1.1", data);
}

json_t *
pci_pools_to_object(const PciPools *pools)
{
    json_t *objects = json_array();

    for (guint i = 0; i < pools->list->len; i++)
        json_array_append_new(objects, pool_to_object(pools->list->pdata[i]));
    return primitive_make("PciDevicePoolList", "1.1", json_pack("{s:o}", "objects", objects));
}

/* ---- counting ---- */

void
pci_pools_remove(PciPools *pools, PciPool *pool)
{
    g_ptr_array_remove(pools->list, pool);
}

int64_t
pci_pools_take(PciPools *pools, PciPool *pool, int64_t count)
{
    if (pool->count > count) {
        pool->count = saturating_subtract(pool->count, count);
        return 0;
    }
    count = saturating_subtract(count, pool->count);
    pci_pools_remove(pools, pool);
    return count;
}

const json_t *
pci_pool_get(const PciPool *pool, const char *key)
{
    const json_t *value = json_object_get(pool->properties, key);

    return json_is_null(value) ? NULL : value;
}

int64_t
pci_pools_count_on(const PciPools *pools, int64_t numa_node)
{
    json_auto_t *wanted = json_integer(numa_node);
    int64_t count = 0;

    for (guint i = 0; i < pools->list->len; i++) {
        const PciPool *pool = pools->list->pdata[i];
        const json_t *node = pci_pool_get(pool, "numa_node");

        if (node && primitive_equal(node, wanted))
            count = saturating_add(count, pool->count);
    }
    return count;
}

bool
pci_pools_need_counts(const PciPools *pools, NovaError **err)
{
    for (guint i = 0; i < pools->list->len; i++) {
        if (((PciPool *)pools->list->pdata[i])->lacks_count)
            return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'count'");
    }
    return true;
}

bool
pci_pools_need_numa_nodes(const PciPools *pools, NovaError **err)
{
    for (guint i = 0; i < pools->list->len; i++) {
        if (!json_object_get(((PciPool *)pools->list->pdata[i])->properties, "numa_node"))
            return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'numa_node'");
    }
    return true;
}
