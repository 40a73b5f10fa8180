/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/numa_case.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/objects/primitive.h"

void
numa_case_clear(NumaCase *one)
{
    flavor_free(one->flavor);
    image_meta_free(one->image);
    host_numa_free(one->host);
    instance_numa_free(one->instance);
    fit_limits_free(one->limits);
    g_clear_pointer(&one->pci_requests, g_ptr_array_unref);
    pci_pools_free(one->pools);
    g_clear_pointer(&one->specs, g_ptr_array_unref);
    g_clear_pointer(&one->units, g_ptr_array_unref);
    g_free(one->cell_ids);
}

bool
numa_case_need(const NumaCase *one, const char *key, const json_t **ret_value, NovaError **err)
{
    *ret_value = json_object_get(one->json, key);
    return *ret_value || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

const json_t *
numa_case_option(const NumaCase *one, const char *name)
{
    const json_t *value = json_object_get(json_object_get(one->json, "config"), name);

    return json_is_null(value) ? NULL : value;
}

/* NULL when it is not there, or null. */
static const json_t *
optional(const NumaCase *one, const char *key)
{
    const json_t *value = json_object_get(one->json, key);

    return json_is_null(value) ? NULL : value;
}

/* ---- flavor and image ---- */

/* The flavor's fields that Nova makes numbers of, in whatever order they come. */
static bool
read_flavor_number(const char *key, const json_t *value, Flavor *flavor, NovaError **err)
{
    static const char *const unused[] = {"id", "root_gb", "ephemeral_gb", "swap", NULL};
    int64_t number;

    if (!strcmp(key, "vcpus"))
        return primitive_int(value, key, &flavor->vcpus, err);
    if (!strcmp(key, "memory_mb"))
        return primitive_int(value, key, &flavor->memory_mb, err);
    return !g_strv_contains(unused, key) || primitive_int(value, key, &number, err);
}

static bool
read_extra_specs(const json_t *specs, Flavor *flavor, NovaError **err)
{
    const char *key;
    json_t *value;

    if (specs && !json_is_object(specs))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "A dict is required in field extra_specs");
    flavor->extra_specs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    json_object_foreach ((json_t *)specs, key, value) {
        char *text = NULL;

        if (!primitive_string(value, key, &text, err))
            return false;
        g_hash_table_insert(flavor->extra_specs, g_strdup(key), text);
    }
    return true;
}

static bool
flavor_has(const json_t *dict, const char *key, NovaError **err)
{
    return json_object_get(dict, key) ||
           nova_error_set(err, NOVA_ERROR_OBJECT_ACTION_ERROR,
                          "Object action obj_load_attr failed because: unable to load %s", key);
}

static bool
read_flavor(NumaCase *one, const json_t *dict, NovaError **err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(dict))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "a flavor must be a dict");
    one->flavor = object_new(&FLAVOR_TYPE);
    json_object_foreach ((json_t *)dict, key, value) {
        if (!strcmp(key, "name") && !json_is_null(value)) {
            if (!primitive_string(value, key, &one->flavor->name, err))
                return false;
        } else if (!strcmp(key, "extra_specs")) {
            if (!read_extra_specs(value, one->flavor, err))
                return false;
        } else if (!read_flavor_number(key, value, one->flavor, err)) {
            return false;
        }
    }
    return flavor_has(dict, "vcpus", err) && flavor_has(dict, "memory_mb", err);
}

/* As ImageMeta.from_dict() trips over what is no dict. */
static bool
check_image_types(const json_t *dict, NovaError **err)
{
    const json_t *properties = json_object_get(dict, "properties");

    if (!json_is_object(dict) && !json_is_null(dict))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "an image must be a dict");
    if (json_is_null(json_object_get(dict, "id")))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field `id' cannot be None");
    if (!properties || json_is_object(properties))
        return true;
    return nova_error_set(err, json_is_string(properties) || json_is_array(properties)
                                   ? NOVA_ERROR_ATTRIBUTE_ERROR : NOVA_ERROR_TYPE_ERROR,
                          "an image's properties must be a dict");
}

static bool
read_image(NumaCase *one, const json_t *dict, NovaError **err)
{
    if (!check_image_types(dict, err))
        return false;
    one->image = image_meta_from_dict(dict, err);
    return one->image != NULL;
}

bool
numa_case_read_request(NumaCase *one, NovaError **err)
{
    const json_t *flavor, *image;

    if (!numa_case_need(one, "flavor", &flavor, err) || !read_flavor(one, flavor, err) ||
        !numa_case_need(one, "image", &image, err) || !read_image(one, image, err))
        return false;
    one->request = (GuestRequest){one->flavor, one->image};
    return true;
}

/* ---- topologies ---- */

bool
numa_case_read_host(NumaCase *one, NovaError **err)
{
    const json_t *host = optional(one, "host");

    if (host)
        one->host = host_numa_from_json(host, err);
    return !host || one->host;
}

bool
numa_case_read_instance(NumaCase *one, NovaError **err)
{
    const json_t *instance = optional(one, "instance");

    if (instance)
        one->instance = instance_numa_from_json(instance, err);
    return !instance || one->instance;
}

bool
numa_case_read_limits(NumaCase *one, NovaError **err)
{
    const json_t *limits = optional(one, "limits");

    if (limits)
        one->limits = fit_limits_from_json(limits, err);
    return !limits || one->limits;
}

/* ---- PCI ---- */

bool
numa_case_read_pci_requests(NumaCase *one, NovaError **err)
{
    const json_t *requests = optional(one, "pci_requests");

    if (requests)
        one->pci_requests = pci_requests_from_json(requests, err);
    return !requests || one->pci_requests;
}

bool
numa_case_read_pci_stats(NumaCase *one, NovaError **err)
{
    const json_t *stats = optional(one, "pci_stats");

    if (stats)
        one->pools = pci_pools_from_object(stats, err);
    return !stats || one->pools;
}

bool
numa_case_read_pools(NumaCase *one, NovaError **err)
{
    const json_t *pools;

    if (!numa_case_need(one, "pools", &pools, err))
        return false;
    one->pools = pci_pools_from_dicts(pools, err);
    return one->pools != NULL;
}

bool
numa_case_read_cells(NumaCase *one, NovaError **err)
{
    const json_t *ids = optional(one, "numa_cell_ids");
    size_t i;
    json_t *id;

    one->has_cells = ids != NULL;
    if (ids && !primitive_list(ids, "numa_cell_ids", err))
        return false;
    one->cell_ids = g_new0(int64_t, json_array_size(ids) + 1);
    json_array_foreach (ids, i, id) {
        if (!primitive_int(id, "id", &one->cell_ids[i], err))
            return false;
    }
    one->cells = (PciCells){one->cell_ids, (unsigned)json_array_size(ids), one->host};
    return true;
}

static bool
is_physical_function(void *user, const char *address)
{
    return json_has_string(json_object_get(json_object_get(user, "sysfs"), "physical_functions"), address);
}

static char *
address_of_interface(void *user, const char *name, bool *ret_is_physical_function)
{
    const json_t *known = json_object_get(json_object_get(user, "sysfs"), "netdevs");
    const json_t *interface = json_object_get(known, name);
    const json_t *is_physical = json_array_get(interface, 1);

    *ret_is_physical_function = is_physical && primitive_is_true(is_physical);
    return g_strdup(json_string_value(json_array_get(interface, 0)));
}

void
numa_case_use_sysfs(NumaCase *one)
{
    one->sysfs = (PciSysfs){is_physical_function, address_of_interface, (void *)one->json};
}

static bool
read_specs(NumaCase *one, NovaError **err)
{
    const json_t *option = numa_case_option(one, "pci.device_spec");
    const json_t *report = numa_case_option(one, "pci.report_in_placement");
    g_autoptr(GPtrArray) texts = g_ptr_array_new();
    size_t i;
    json_t *text;

    json_array_foreach (option, i, text) {
        if (json_is_string(text))
            g_ptr_array_add(texts, (char *)json_string_value(text));
    }
    g_ptr_array_add(texts, NULL);
    one->specs = pci_specs_parse((const char *const *)texts->pdata, &one->sysfs,
                                 report && primitive_is_true(report), err);
    return one->specs != NULL;
}

static void
free_unit(void *unit)
{
    pci_unit_free(unit);
}

static bool
read_devices(NumaCase *one, NovaError **err)
{
    const json_t *devices;
    size_t i;
    json_t *dict;

    one->units = g_ptr_array_new_with_free_func(free_unit);
    if (!numa_case_need(one, "devices", &devices, err) || !primitive_list(devices, "devices", err))
        return false;
    json_array_foreach (devices, i, dict) {
        PciDevice *device = pci_device_from_dict(dict, err);

        if (!device)
            return false;
        g_ptr_array_add(one->units, pci_unit_new(device));
        if (!OBJECT_IS_SET(device, address))
            return primitive_unset("address", err);
        if (!OBJECT_IS_SET(device, dev_type))
            return primitive_unset("dev_type", err);
    }
    return true;
}

bool
numa_case_track_devices(NumaCase *one, NovaError **err)
{
    numa_case_use_sysfs(one);
    if (!read_specs(one, err) || !read_devices(one, err))
        return false;
    pci_units_link(one->units);
    one->pools = pci_pools_new();
    for (guint i = 0; i < one->units->len; i++) {
        if (!pci_pools_add_unit(one->pools, one->units->pdata[i], one->specs, err))
            return false;
    }
    return true;
}

/* ---- fits ---- */

bool
numa_case_read_fit(NumaCase *one, FitRequest *request, NovaError **err)
{
    const json_t *pack =
        numa_case_option(one, "compute.packing_host_numa_cells_allocation_strategy");

    if (!numa_case_read_host(one, err) || !numa_case_read_pci_stats(one, err) ||
        !numa_case_read_instance(one, err) || !numa_case_read_limits(one, err) ||
        !numa_case_read_pci_requests(one, err))
        return false;
    request->host = one->host;
    request->instance = one->instance;
    request->limits = one->limits;
    request->pci_requests = one->pci_requests;
    request->pci_pools = one->pools;
    request->provider_mapping = json_object_get(one->json, "provider_mapping");
    request->pack = pack && primitive_is_true(pack);
    return true;
}
