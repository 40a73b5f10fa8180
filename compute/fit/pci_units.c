/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/pci_units.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"
#include "compute/fit/pci_filter.h"
#include "agent/objects/primitive.h"

PciUnit *
pci_unit_new(PciDevice *device)
{
    PciUnit *unit = g_new0(PciUnit, 1);

    unit->device = device;
    unit->children = g_ptr_array_new();
    return unit;
}

void
pci_unit_free(PciUnit *unit)
{
    if (!unit)
        return;
    pci_device_free(unit->device);
    g_ptr_array_unref(unit->children);
    g_free(unit);
}

/* ---- devices ---- */

typedef struct TextField {
    const char *name;
    size_t offset;
    bool nullable;
} TextField;

static const TextField text_fields[] = {
    {"address", offsetof(PciDevice, address), false},
    {"vendor_id", offsetof(PciDevice, vendor_id), false},
    {"product_id", offsetof(PciDevice, product_id), false},
    {"dev_type", offsetof(PciDevice, dev_type), false},
    {"dev_id", offsetof(PciDevice, dev_id), true},
    {"label", offsetof(PciDevice, label), true},
    {"request_id", offsetof(PciDevice, request_id), true},
    {"parent_addr", offsetof(PciDevice, parent_addr), true},
};

static bool
set_text(PciDevice *device, const TextField *field, const json_t *value, NovaError **err)
{
    static const char *const types[] = {"type-PCI", "type-PF", "type-VF", "vdpa", NULL};
    char **member = (char **)((char *)device + field->offset);
    char *text = NULL;

    if (!(field->nullable && json_is_null(value)) &&
        !primitive_string(value, field->name, &text, err))
        return false;
    if (!strcmp(field->name, "dev_type") && !is_one_of(text, types)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field value %s is invalid", text);
        g_free(text);
        return false;
    }
    g_free(*member);
    *member = text;
    object_set_at(device, field->offset);
    return true;
}

static bool
set_number(PciDevice *device, const char *key, const json_t *value, NovaError **err)
{
    NullableInt number = {json_is_null(value), 0};

    if (!number.is_null && !primitive_int(value, key, &number.value, err))
        return false;
    if (!strcmp(key, "numa_node"))
        OBJECT_SET(device, numa_node, number);
    else
        OBJECT_SET(device, compute_node_id, number);
    return true;
}

static void
set_extra(PciDevice *device, const char *key, const json_t *value)
{
    if (!device->extra_info)
        device->extra_info = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    OBJECT_MARK_SET(device, extra_info);
    g_hash_table_replace(device->extra_info, g_strdup(key),
                         json_is_string(value) ? g_strdup(json_string_value(value))
                                               : json_to_python_text(value));
}

static bool
set_member(PciDevice *device, const char *key, const json_t *value, NovaError **err)
{
    static const char *const kept[] = {"status", "instance_uuid", "id", "extra_info", "uuid", NULL};

    if (is_one_of(key, kept))
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(text_fields); i++) {
        if (!strcmp(text_fields[i].name, key))
            return set_text(device, &text_fields[i], value, err);
    }
    if (!strcmp(key, "numa_node") || !strcmp(key, "compute_node_id"))
        return set_number(device, key, value, err);
    set_extra(device, key, value);
    return true;
}

/* Tags of the spec that are gone from it. */
static void
drop_old_tags(PciDevice *device, const json_t *dict)
{
    static const char *const tags[] = {"managed", "live_migratable"};

    for (size_t i = 0; i < G_N_ELEMENTS(tags) && device->extra_info; i++) {
        if (!json_object_get(dict, tags[i]))
            g_hash_table_remove(device->extra_info, tags[i]);
    }
}

bool
pci_device_update(PciDevice *device, const json_t *dict, NovaError **err)
{
    const char *key;
    json_t *value;

    if (!json_object_get(dict, "parent_addr"))
        OBJECT_SET_STRING(device, parent_addr, NULL);
    json_object_foreach ((json_t *)dict, key, value) {
        if (!set_member(device, key, value, err))
            return false;
    }
    drop_old_tags(device, dict);
    return true;
}

PciDevice *
pci_device_from_dict(const json_t *dict, NovaError **err)
{
    g_autoptr(PciDevice) device = object_new(&PCI_DEVICE_TYPE);

    if (!json_is_object(dict)) {
        nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "a PCI device must be a dict");
        return NULL;
    }
    if (!pci_device_update(device, dict, err))
        return NULL;
    OBJECT_SET_STRING(device, status, "available");
    return g_steal_pointer(&device);
}

/* ---- the tree ---- */

static bool
is_physical_function(const PciUnit *unit)
{
    return !g_strcmp0(unit->device->dev_type, "type-PF");
}

static bool
is_virtual_function(const PciUnit *unit)
{
    return !g_strcmp0(unit->device->dev_type, "type-VF") ||
           !g_strcmp0(unit->device->dev_type, "vdpa");
}

static gint
by_address(gconstpointer a, gconstpointer b)
{
    return g_strcmp0((*(PciUnit *const *)a)->device->address,
                     (*(PciUnit *const *)b)->device->address);
}

void
pci_units_link(GPtrArray *units)
{
    g_autoptr(GHashTable) parents = g_hash_table_new(g_str_hash, g_str_equal);

    g_ptr_array_sort(units, by_address);
    for (guint i = 0; i < units->len; i++) {
        PciUnit *unit = units->pdata[i];

        g_ptr_array_set_size(unit->children, 0);
        unit->parent = NULL;
        if (!g_strcmp0(unit->device->status, "removed") ||
            !g_strcmp0(unit->device->status, "deleted"))
            continue;
        if (is_physical_function(unit))
            g_hash_table_replace(parents, unit->device->address, unit);
        else if (is_virtual_function(unit) && unit->device->parent_addr)
            unit->parent = g_hash_table_lookup(parents, unit->device->parent_addr);
        if (unit->parent)
            g_ptr_array_add(unit->parent->children, unit);
    }
}

/* ---- which pool ---- */

/* extra_info["capabilities"] is JSON again. */
static bool
read_serial_number(const PciDevice *device, bool *ret_has, NovaError **err)
{
    const char *text = device->extra_info ? g_hash_table_lookup(device->extra_info, "capabilities")
                                          : NULL;
    json_auto_t *capabilities = text ? json_parse(text, strlen(text), err) : json_object();
    const json_t *vpd, *serial;

    *ret_has = false;
    if (!capabilities)
        return false;
    vpd = json_object_get(capabilities, "vpd");
    if (!json_is_object(capabilities) || (vpd && !json_is_object(vpd)))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "capabilities have no 'get'");
    serial = json_object_get(vpd, "card_serial_number");
    *ret_has = serial && primitive_is_true(serial);
    return true;
}

static bool
need_field(const PciDevice *device, size_t offset, const char *name, NovaError **err)
{
    return object_is_set_at(device, offset) || primitive_unset(name, err);
}

static bool
make_candidate(const PciDevice *device, PciCandidate *candidate, NovaError **err)
{
    if (!need_field(device, offsetof(PciDevice, vendor_id), "vendor_id", err) ||
        !need_field(device, offsetof(PciDevice, product_id), "product_id", err) ||
        !need_field(device, offsetof(PciDevice, address), "address", err))
        return false;
    candidate->vendor_id = device->vendor_id;
    candidate->product_id = device->product_id;
    candidate->address = device->address;
    candidate->parent_address = device->parent_addr;
    return read_serial_number(device, &candidate->has_serial_number, err);
}

bool
pci_unit_find_spec(const PciUnit *unit, const GPtrArray *specs, const PciSpec **ret_spec,
                   NovaError **err)
{
    PciCandidate candidate = {0};

    *ret_spec = NULL;
    if (specs->len > 0 && !make_candidate(unit->device, &candidate, err))
        return false;
    for (guint i = 0; i < specs->len; i++) {
        bool matches;

        if (!pci_spec_matches(specs->pdata[i], &candidate, &matches, err))
            return false;
        if (matches) {
            *ret_spec = specs->pdata[i];
            return true;
        }
    }
    return true;
}

static void
add_tags(json_t *properties, const json_t *tags)
{
    static const char *const ignored[] = {"resource_class", "traits", "rp_uuids", "rp_uuid", NULL};
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)tags, key, value) {
        if (!is_one_of(key, ignored))
            json_object_set(properties, key, value);
    }
}

/* What the device has in common with the others of its pool. */
static json_t *
make_properties(const PciUnit *unit, const PciSpec *spec, NovaError **err)
{
    const PciDevice *device = unit->device;
    const char *parent_interface =
        device->extra_info ? g_hash_table_lookup(device->extra_info, "parent_ifname") : NULL;
    json_t *properties;

    if (!need_field(device, offsetof(PciDevice, numa_node), "numa_node", err) ||
        !need_field(device, offsetof(PciDevice, dev_type), "dev_type", err))
        return NULL;
    properties = json_object();
    json_set_string(properties, "product_id", device->product_id);
    json_set_string(properties, "vendor_id", device->vendor_id);
    json_object_set_new(properties, "numa_node",
                        device->numa_node.is_null ? json_null()
                                                  : json_integer(device->numa_node.value));
    json_set_string(properties, "dev_type", device->dev_type);
    add_tags(properties, pci_spec_tags(spec));
    json_set_string(properties, "address", device->parent_addr && *device->parent_addr
                                               ? device->parent_addr : device->address);
    if (parent_interface && *parent_interface)
        json_set_string(properties, "parent_ifname", parent_interface);
    if ((is_physical_function(unit) || is_virtual_function(unit)) &&
        json_is_null(json_object_get(properties, "remote_managed")))
        json_object_del(properties, "remote_managed");
    if ((is_physical_function(unit) || is_virtual_function(unit)) &&
        !json_object_get(properties, "remote_managed"))
        json_set_string(properties, "remote_managed", "false");
    return properties;
}

/* The pool's provider is found out later; it is no part of what makes a pool. */
static bool
has_properties(const PciPool *pool, json_t *properties)
{
    const size_t n_provider = json_object_get(pool->properties, "rp_uuid") ? 1 : 0;
    const char *key;
    json_t *value;

    if (json_object_size(pool->properties) - n_provider != json_object_size(properties))
        return false;
    json_object_foreach (properties, key, value) {
        const json_t *has = json_object_get(pool->properties, key);

        if (!has ? !json_is_null(value) : !primitive_equal(has, value))
            return false;
    }
    return true;
}

static PciPool *
find_pool(const PciPools *pools, json_t *properties)
{
    for (guint i = 0; i < pools->list->len; i++) {
        if (has_properties(pools->list->pdata[i], properties))
            return pools->list->pdata[i];
    }
    return NULL;
}

/* The pool that the device belongs to, NULL when there is none yet; *ret_properties is NULL when no
 * spec lets guests have the device. */
static bool
find_own_pool(const PciPools *pools, const PciUnit *unit, const GPtrArray *specs,
              json_t **ret_properties, PciPool **ret_pool, NovaError **err)
{
    const PciSpec *spec;

    *ret_properties = NULL;
    *ret_pool = NULL;
    if (!pci_unit_find_spec(unit, specs, &spec, err))
        return false;
    if (!spec)
        return true;
    *ret_properties = make_properties(unit, spec, err);
    if (*ret_properties)
        *ret_pool = find_pool(pools, *ret_properties);
    return *ret_properties != NULL;
}

bool
pci_pools_add_unit(PciPools *pools, PciUnit *unit, const GPtrArray *specs, NovaError **err)
{
    json_auto_t *properties = NULL;
    PciPool *pool;

    if (!find_own_pool(pools, unit, specs, &properties, &pool, err))
        return false;
    if (!properties)
        return true;
    if (!pool) {
        pool = pci_pools_append(pools, json_incref(properties));
        pool->devices = g_ptr_array_new();
        pci_pools_sort(pools);
    }
    pool->count++;
    g_ptr_array_add(pool->devices, unit);
    return true;
}

bool
pci_pools_remove_unit(PciPools *pools, PciUnit *unit, const GPtrArray *specs, NovaError **err)
{
    json_auto_t *properties = NULL;
    PciPool *pool;

    if (!find_own_pool(pools, unit, specs, &properties, &pool, err))
        return false;
    if (!properties)
        return true;
    if (!pool)
        return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_POOL_EMPTY,
                              "Attempt to consume PCI device %s from empty pool",
                              unit->device->address);
    g_ptr_array_remove(pool->devices, unit);
    pci_pools_take(pools, pool, 1);
    return true;
}

static PciPool *
pool_of_unit(const PciPools *pools, const PciUnit *unit)
{
    for (guint i = 0; i < pools->list->len; i++) {
        PciPool *pool = pools->list->pdata[i];

        if (pool->devices && g_ptr_array_find(pool->devices, unit, NULL))
            return pool;
    }
    return NULL;
}

bool
pci_pools_update_unit(PciPools *pools, PciUnit *unit, const GPtrArray *specs, NovaError **err)
{
    PciPool *pool = pool_of_unit(pools, unit);

    if (!pool || !g_strcmp0(json_get_string(pool->properties, "dev_type", NULL), unit->device->dev_type))
        return true;
    g_ptr_array_remove(pool->devices, unit);
    pci_pools_take(pools, pool, 1);
    return pci_pools_add_unit(pools, unit, specs, err);
}

bool
pci_pools_have_unit(const PciPools *pools, const PciUnit *unit)
{
    return pool_of_unit(pools, unit) != NULL;
}

/* ---- taking devices ---- */

typedef struct Taking {
    PciPools *pools;
    const GPtrArray *specs;
    GPtrArray *taken;
} Taking;

/* A physical function and its virtual ones cannot both be had. */
static bool
remove_relatives(Taking *taking, PciUnit *unit, NovaError **err)
{
    if (is_physical_function(unit)) {
        for (guint i = 0; i < unit->children->len; i++) {
            PciUnit *child = unit->children->pdata[i];

            if (pci_pools_have_unit(taking->pools, child) &&
                !pci_pools_remove_unit(taking->pools, child, taking->specs, err))
                return false;
        }
        return true;
    }
    return !is_virtual_function(unit) || !unit->parent ||
           !pci_pools_have_unit(taking->pools, unit->parent) ||
           pci_pools_remove_unit(taking->pools, unit->parent, taking->specs, err);
}

/* From the end of the pool's list. An emptied pool stays. */
static bool
take_units(Taking *taking, PciPool *pool, int64_t count, const char *request_id, NovaError **err)
{
    pool->count -= count;
    for (int64_t i = 0; i < count; i++) {
        PciUnit *unit;

        if (pool->devices->len == 0)
            return nova_error_set(err, NOVA_ERROR_INDEX_ERROR, "pop from empty list");
        unit = g_ptr_array_steal_index(pool->devices, pool->devices->len - 1);
        g_ptr_array_add(taking->taken, unit);
        if (!remove_relatives(taking, unit, err))
            return false;
        OBJECT_SET_STRING(unit->device, request_id, request_id);
    }
    return true;
}

static bool
take_any(Taking *taking, const GPtrArray *filtered, const PciRequest *request, NovaError **err)
{
    int64_t count = request->count;

    for (guint i = 0; i < filtered->len; i++) {
        PciPool *pool = filtered->pdata[i];
        const int64_t n = MIN(pool->count, count);

        count -= n;
        if (!take_units(taking, pool, n, request->request_id, err))
            return false;
        if (count == 0)
            break;
    }
    return true;
}

static bool
take_allocated(Taking *taking, const GPtrArray *filtered, const PciRequest *request,
               char **providers, NovaError **err)
{
    for (guint i = 0; i < filtered->len; i++) {
        PciPool *pool = filtered->pdata[i];
        const int64_t n = pci_count_provider(providers, pci_pool_get(pool, "rp_uuid"));

        if (!take_units(taking, pool, n, request->request_id, err))
            return false;
    }
    return true;
}

static bool
consume_one(Taking *taking, const PciRequest *request, const PciCells *cells, NovaError **err)
{
    g_auto(GStrv) providers = pci_request_providers(request, NULL, err);
    g_autoptr(GPtrArray) filtered = NULL;

    if (!providers)
        return false;
    filtered = pci_filter_pools(taking->pools, request, cells, providers, err);
    if (!filtered)
        return false;
    if (filtered->len == 0 || (providers[0] && !pci_providers_are_unique(filtered)))
        return pci_request_failed(err);
    return providers[0] ? take_allocated(taking, filtered, request, providers, err)
                        : take_any(taking, filtered, request, err);
}

/* As far as they can be put back: a failure's own error counts. */
static void
put_back(Taking *taking)
{
    while (taking->taken->len > 0) {
        PciUnit *unit = g_ptr_array_steal_index(taking->taken, taking->taken->len - 1);

        if (!pci_pools_add_unit(taking->pools, unit, taking->specs, NULL))
            break;
    }
}

bool
pci_requests_consume(const GPtrArray *requests, PciPools *pools, const GPtrArray *specs,
                     const PciCells *cells, GPtrArray **ret_taken, NovaError **err)
{
    g_autoptr(GPtrArray) taken = g_ptr_array_new();
    Taking taking = {pools, specs, taken};

    for (guint i = 0; i < requests->len; i++) {
        if (!consume_one(&taking, requests->pdata[i], cells, err)) {
            put_back(&taking);
            return false;
        }
    }
    *ret_taken = g_steal_pointer(&taken);
    return true;
}
