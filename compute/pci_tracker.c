/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.pci_tracker"
#include "compute/pci_tracker.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_pci.h"
#include "compute/pci_states.h"

static void
free_unit(void *unit)
{
    pci_unit_free(unit);
}

static void
free_json(void *value)
{
    json_decref(value);
}

void
pci_tracker_free(PciTracker *tracker)
{
    if (!tracker)
        return;
    g_ptr_array_unref(tracker->units);
    g_ptr_array_unref(tracker->specs);
    pci_pools_free(tracker->pools);
    g_hash_table_unref(tracker->stale);
    g_hash_table_unref(tracker->departing);
    g_free(tracker);
}

static bool
is_held(const PciUnit *unit)
{
    return pci_unit_has_status(unit, "claimed") || pci_unit_has_status(unit, "allocated");
}

static bool
is_held_by(const PciUnit *unit, const char *instance_uuid)
{
    return is_held(unit) && g_strcmp0(unit->device->instance_uuid, instance_uuid) == 0;
}

static bool
pool_available(PciTracker *tracker, NovaError **err)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        if (pci_unit_has_status(unit, "available") &&
            !pci_pools_add_unit(tracker->pools, unit, tracker->specs, err))
            return false;
    }
    return true;
}

PciTracker *
pci_tracker_new(int64_t node_id, GPtrArray *devices, GPtrArray *specs, NovaError **err)
{
    g_autoptr(PciTracker) tracker = g_new0(PciTracker, 1);

    tracker->node_id = node_id;
    tracker->specs = specs;
    tracker->pools = pci_pools_new();
    tracker->stale = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_json);
    tracker->departing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    tracker->units = g_ptr_array_new_with_free_func(free_unit);
    while (devices->len > 0)
        g_ptr_array_add(tracker->units, pci_unit_new(g_ptr_array_steal_index(devices, 0)));
    g_ptr_array_unref(devices);
    pci_units_link(tracker->units);
    return pool_available(tracker, err) ? g_steal_pointer(&tracker) : NULL;
}

static PciUnit *
find_unit(const PciTracker *tracker, const char *address)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        if (g_strcmp0(unit->device->address, address) == 0)
            return unit;
    }
    return NULL;
}

const PciDevice *
pci_tracker_find(const PciTracker *tracker, const char *address)
{
    const PciUnit *unit = find_unit(tracker, address);

    return unit ? unit->device : NULL;
}

/* ---- the host's devices ---- */

/* The spec that lets guests have the device; NULL: none. */
static const PciSpec *
find_spec(const PciTracker *tracker, const json_t *dict)
{
    const PciCandidate candidate = {
        .vendor_id = json_get_string(dict, "vendor_id", ""),
        .product_id = json_get_string(dict, "product_id", ""),
        .address = json_get_string(dict, "address", ""),
        .parent_address = json_get_string(dict, "parent_addr", NULL),
        .has_serial_number =
            json_path(dict, "capabilities", "vpd", "card_serial_number", NULL) != NULL,
    };

    for (guint i = 0; i < tracker->specs->len; i++) {
        g_autoptr(NovaError) error = NULL;
        bool matches;

        if (!pci_spec_matches(tracker->specs->pdata[i], &candidate, &matches, &error)) {
            LOG_DEBUG("Skipping PCI device %s reported by the hypervisor: %s", candidate.address,
                      nova_error_message(error));
            return NULL;
        }
        if (matches)
            return tracker->specs->pdata[i];
    }
    return NULL;
}

static void
add_tags(const PciSpec *spec, json_t *dict)
{
    static const char *const tags[] = {"managed", "live_migratable"};

    for (size_t i = 0; i < G_N_ELEMENTS(tags); i++) {
        json_t *value = json_object_get(pci_spec_tags(spec), tags[i]);

        if (value && !json_is_null(value))
            json_object_set(dict, tags[i], value);
    }
}

/* {address: dict} of the devices that guests may have. */
static json_t *
assignable(const PciTracker *tracker, const json_t *host_devices)
{
    json_t *chosen = json_object();
    size_t i;
    json_t *device;

    json_array_foreach (host_devices, i, device) {
        const PciSpec *spec = find_spec(tracker, device);
        json_t *dict;

        if (!spec)
            continue;
        dict = json_copy(device);
        add_tags(spec, dict);
        json_object_set_new(dict, "compute_node_id", json_integer(tracker->node_id));
        json_object_set_new(chosen, json_get_string(dict, "address", ""), dict);
    }
    return chosen;
}

/* A device that a guest still has stays until it is free: taking its record away would let another
 * guest have it once it is back. */
static bool
depart(PciTracker *tracker, PciUnit *unit, NovaError **err)
{
    g_autoptr(NovaError) error = NULL;

    if (pci_unit_remove(unit, &error))
        return !pci_pools_have_unit(tracker->pools, unit) ||
               pci_pools_remove_unit(tracker->pools, unit, tracker->specs, err);
    LOG_WARNING(
        "Unable to remove device with status '%s' and ownership %s because of %s. Check your "
        "[pci]device_spec configuration to make sure this allocated device is whitelisted. If you "
        "have removed the device from the whitelist intentionally or the device is no longer "
        "available on the host you will need to delete the server or migrate it to another host to "
        "silence this warning.",
        unit->device->status, unit->device->instance_uuid ? unit->device->instance_uuid : "None",
        nova_error_message(error));
    g_hash_table_add(tracker->departing, g_strdup(unit->device->address));
    return true;
}

/* News of a device that a guest has are kept until it is free. */
static bool
update_unit(PciTracker *tracker, PciUnit *unit, json_t *dict, NovaError **err)
{
    if (is_held(unit)) {
        g_hash_table_replace(tracker->stale, g_strdup(unit->device->address), json_incref(dict));
        return true;
    }
    return pci_device_update(unit->device, dict, err) &&
           pci_pools_update_unit(tracker->pools, unit, tracker->specs, err);
}

static bool
add_unit(PciTracker *tracker, const json_t *dict, NovaError **err)
{
    PciDevice *device = pci_device_from_dict(dict, err);
    g_autofree char *uuid = g_uuid_string_random();
    PciUnit *unit;

    if (!device)
        return false;
    OBJECT_SET_STRING(device, uuid, uuid);
    if (!device->extra_info) /* the database has no default for it */
        OBJECT_SET(device, extra_info,
                   g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
    unit = pci_unit_new(device);
    g_ptr_array_add(tracker->units, unit);
    return pci_pools_add_unit(tracker->pools, unit, tracker->specs, err);
}

bool
pci_tracker_update(PciTracker *tracker, const json_t *host_devices, NovaError **err)
{
    json_auto_t *present = assignable(tracker, host_devices);
    const char *address;
    json_t *dict;

    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        dict = json_object_get(present, unit->device->address);
        if (dict ? !update_unit(tracker, unit, dict, err) : !depart(tracker, unit, err))
            return false;
    }
    json_object_foreach (present, address, dict)
        if (!find_unit(tracker, address) && !add_unit(tracker, dict, err))
            return false;
    pci_units_link(tracker->units);
    return true;
}

/* ---- devices become free ---- */

static void
pool_freed(PciTracker *tracker, const GPtrArray *freed)
{
    for (guint i = 0; i < freed->len; i++) {
        g_autoptr(NovaError) error = NULL;

        if (!pci_pools_add_unit(tracker->pools, freed->pdata[i], tracker->specs, &error))
            LOG_ERROR("A freed PCI device is in no pool: %s", nova_error_details(error));
    }
}

static bool
release(PciTracker *tracker, PciUnit *unit, NovaError **err)
{
    g_autofree char *address = g_strdup(unit->device->address);
    const json_t *news = g_hash_table_lookup(tracker->stale, address);
    g_autoptr(GPtrArray) freed = g_ptr_array_new();

    if (!pci_unit_release(unit, freed, err) ||
        (news && !pci_device_update(unit->device, news, err)))
        return false;
    g_hash_table_remove(tracker->stale, address);
    if (g_hash_table_remove(tracker->departing, address))
        return depart(tracker, unit, err);
    pool_freed(tracker, freed);
    return true;
}

static void
release_logged(PciTracker *tracker, PciUnit *unit)
{
    g_autoptr(NovaError) error = NULL;

    if (!release(tracker, unit, &error))
        LOG_ERROR("Freeing PCI device %s: %s", unit->device->address, nova_error_details(error));
}

void
pci_tracker_release(PciTracker *tracker, const char *instance_uuid)
{
    for (guint i = 0; i < tracker->units->len; i++)
        if (is_held_by(tracker->units->pdata[i], instance_uuid))
            release_logged(tracker, tracker->units->pdata[i]);
}

void
pci_tracker_release_device(PciTracker *tracker, int64_t device_id, const char *instance_uuid)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        if (unit->device->id == device_id && is_held_by(unit, instance_uuid))
            release_logged(tracker, unit);
    }
}

void
pci_tracker_release_request(PciTracker *tracker, const char *request_id, const char *instance_uuid)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        if (is_held_by(unit, instance_uuid) && g_strcmp0(unit->device->request_id, request_id) == 0)
            release_logged(tracker, unit);
    }
}

void
pci_tracker_release_unknown(PciTracker *tracker, GHashTable *known)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        if (is_held(unit) && unit->device->instance_uuid &&
            !g_hash_table_contains(known, unit->device->instance_uuid))
            release_logged(tracker, unit);
    }
}

/* ---- devices are taken ---- */

void
pci_tracker_unclaim(PciTracker *tracker, const GPtrArray *claimed)
{
    for (guint i = 0; i < claimed->len; i++)
        release_logged(tracker, claimed->pdata[i]);
}

/* The first 'n_claimed' of them are claimed, all are out of the pools. */
static void
give_back(PciTracker *tracker, GPtrArray *taken, guint n_claimed)
{
    g_autoptr(GPtrArray) unclaimed = g_ptr_array_new();

    while (taken->len > n_claimed)
        g_ptr_array_add(unclaimed, g_ptr_array_steal_index(taken, n_claimed));
    pci_tracker_unclaim(tracker, taken);
    pool_freed(tracker, unclaimed);
}

static bool
claim_all(PciTracker *tracker, GPtrArray *taken, const char *instance_uuid, NovaError **err)
{
    for (guint i = 0; i < taken->len; i++)
        if (!pci_unit_claim(taken->pdata[i], instance_uuid, err)) {
            give_back(tracker, taken, i);
            return false;
        }
    return true;
}

static void
warn_of_unknown_nodes(const GPtrArray *taken, const char *instance_uuid)
{
    for (guint i = 0; i < taken->len; i++)
        if (((PciUnit *)taken->pdata[i])->device->numa_node.is_null) {
            LOG_WARNING(
                "Assigning a pci device without numa affinity to instance %s which has numa "
                "topology",
                instance_uuid);
            return;
        }
}

bool
pci_tracker_claim(PciTracker *tracker, const GPtrArray *requests, const PciCells *cells,
                  const char *instance_uuid, GPtrArray **ret_claimed, NovaError **err)
{
    g_autoptr(GPtrArray) taken = NULL;

    if (!pci_requests_consume(requests, tracker->pools, tracker->specs, cells, &taken, err) ||
        !claim_all(tracker, taken, instance_uuid, err))
        return false;
    if (cells)
        warn_of_unknown_nodes(taken, instance_uuid);
    if (ret_claimed)
        *ret_claimed = g_steal_pointer(&taken);
    return true;
}

static bool
append_copy(Instance *instance, const PciDevice *device, NovaError **err)
{
    json_auto_t *primitive = object_to_json(device);
    PciDevice *copy = pci_device_from_json(primitive, err);

    if (!copy)
        return false;
    if (!instance->pci_devices)
        instance->pci_devices = g_ptr_array_new_with_free_func(object_free);
    g_ptr_array_add(instance->pci_devices, copy);
    object_keep_field(instance, "pci_devices"); /* only these records say who has a device */
    return true;
}

bool
pci_tracker_allocate(PciTracker *tracker, Instance *instance, NovaError **err)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciUnit *unit = tracker->units->pdata[i];

        if (!pci_unit_has_status(unit, "claimed") || !is_held_by(unit, instance->uuid))
            continue;
        if (!pci_unit_allocate(unit, instance->uuid, err))
            return false;
        if (OBJECT_IS_SET(instance, pci_devices) && !append_copy(instance, unit->device, err))
            return false;
    }
    return true;
}

/* ---- saving ---- */

bool
pci_tracker_has_changes(const PciTracker *tracker)
{
    for (guint i = 0; i < tracker->units->len; i++)
        if (object_has_changes(((PciUnit *)tracker->units->pdata[i])->device))
            return true;
    return false;
}

static bool
save_changed(PciTracker *tracker, Conductor *conductor, const RequestContext *ctx, NovaError **err)
{
    for (guint i = 0; i < tracker->units->len; i++) {
        PciDevice *device = ((PciUnit *)tracker->units->pdata[i])->device;

        if (object_has_changes(device) && !conductor_pci_device_save(conductor, ctx, device, err))
            return false;
    }
    return true;
}

static void
drop_deleted(PciTracker *tracker)
{
    guint n = tracker->units->len;

    for (guint i = n; i > 0; i--)
        if (pci_unit_has_status(tracker->units->pdata[i - 1], "deleted"))
            g_ptr_array_remove_index(tracker->units, i - 1);
    if (tracker->units->len < n)
        pci_units_link(tracker->units);
}

bool
pci_tracker_save(PciTracker *tracker, Conductor *conductor, const RequestContext *ctx,
                 NovaError **err)
{
    bool ok = save_changed(tracker, conductor, ctx, err);

    drop_deleted(tracker);
    return ok;
}
