/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/pci_profile.h"

#include <inttypes.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/fit/pci_units.h"

static const char *
extra(const PciDevice *device, const char *key)
{
    return device->extra_info ? g_hash_table_lookup(device->extra_info, key) : NULL;
}

/* ---- one device ---- */

/* A backend that is not on this host finds the function by these. */
static void
add_virtual_function(const PciDevice *device, json_t *profile)
{
    const char *text = extra(device, "capabilities");
    json_auto_t *capabilities = text ? json_loads(text, 0, NULL) : NULL;
    static const char *const facts[][2] = {
        {"vpd", "card_serial_number"}, {"sriov", "pf_mac_address"}, {"sriov", "vf_num"}};
    json_t *network = json_get_array(capabilities, "network");

    for (size_t i = 0; i < G_N_ELEMENTS(facts); i++) {
        json_t *fact = json_path(capabilities, facts[i][0], facts[i][1], NULL);

        if (fact && !json_is_null(fact))
            json_object_set(profile, facts[i][1], fact);
    }
    if (json_array_size(network) > 0)
        json_object_set(profile, "capabilities", network);
}

static json_t *
make_profile(const PciDevice *device, const PciSpec *spec)
{
    g_autofree char *ids = g_strdup_printf("%s:%s", device->vendor_id, device->product_id);
    json_t *network = json_object_get(pci_spec_tags(spec), "physical_network");
    json_t *profile = json_pack("{s:s, s:s, s:O?}", "pci_vendor_info", ids, "pci_slot",
                                device->address, "physical_network", network);
    const char *mac = extra(device, "mac_address");

    if (!g_strcmp0(device->dev_type, "type-VF"))
        add_virtual_function(device, profile);
    if (!g_strcmp0(device->dev_type, "type-PF") && mac && *mac)
        json_set_string(profile, "device_mac_address", mac);
    return profile;
}

static json_t *
profile_of(PciDevice *device, const GPtrArray *specs, NovaError **err)
{
    const PciUnit unit = {.device = device};
    const PciSpec *spec;

    if (!pci_unit_find_spec(&unit, specs, &spec, err))
        return NULL;
    if (spec)
        return make_profile(device, spec);
    nova_error_set(err, NOVA_ERROR_PCI_DEVICE_NOT_FOUND, "PCI Device %" PRId64 ":%s not found.",
                   device->compute_node_id.value, device->address);
    return NULL;
}

/* ---- the instance's ---- */

/* A request for a port has one device; of several the last counts. */
static PciDevice *
find_device(const GPtrArray *devices, const char *request_id)
{
    for (guint i = devices ? devices->len : 0; i > 0; i--) {
        PciDevice *device = devices->pdata[i - 1];

        if (!g_strcmp0(device->request_id, request_id))
            return device;
    }
    return NULL;
}

static bool
add_of_request(const InstancePCIRequest *request, const Instance *instance, const GPtrArray *specs,
               json_t *profiles, NovaError **err)
{
    PciDevice *device = request->alias_name || !request->request_id
                            ? NULL
                            : find_device(instance->pci_devices, request->request_id);
    json_t *profile;

    if (!device)
        return true;
    profile = profile_of(device, specs, err);
    if (!profile)
        return false;
    if (request->requester_id)
        json_object_set(profiles, request->requester_id, profile);
    return json_object_set_new(profiles, request->request_id, profile) == 0;
}

json_t *
pci_profiles_of_instance(const Instance *instance, const GPtrArray *specs, NovaError **err)
{
    const GPtrArray *requests = instance->pci_requests ? instance->pci_requests->requests : NULL;
    json_auto_t *profiles = json_object();

    for (guint i = 0; requests && i < requests->len; i++)
        if (!add_of_request(requests->pdata[i], instance, specs, profiles, err))
            return NULL;
    return json_incref(profiles);
}

/* ---- a move's ---- */

static GPtrArray *
devices_of_side(const Instance *instance, MoveSide side, NovaError **err)
{
    const json_t *list = migration_context_get(instance, side, "pci_devices");

    return list ? object_list_from_json(&PCI_DEVICE_TYPE, list, err)
                : g_ptr_array_new_with_free_func(object_free);
}

json_t *
pci_profiles_of_move(const Instance *instance, MoveSide to, const GPtrArray *specs, NovaError **err)
{
    g_autoptr(GPtrArray) before =
        devices_of_side(instance, to == MOVE_NEW ? MOVE_OLD : MOVE_NEW, err);
    g_autoptr(GPtrArray) after = before ? devices_of_side(instance, to, err) : NULL;
    json_auto_t *profiles = json_object();

    for (guint i = 0; after && i < before->len; i++) {
        const PciDevice *device = before->pdata[i];
        PciDevice *next = find_device(after, device->request_id);
        json_t *profile = next ? profile_of(next, specs, err) : NULL;

        if (next && !profile)
            return NULL;
        if (profile)
            json_object_set_new(profiles, device->address, profile);
    }
    return after ? json_incref(profiles) : NULL;
}
