/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that come to a server and leave it while it exists. */
#define LOG_NAME "kilonova.compute.interface"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/network_request.h"
#include "compute/guest_device.h"
#include "compute/guest_xml.h"
#include "compute/ops/port_device.h"
#include "compute/ops/port_resources.h"
#include "compute/ops/steps.h"
#include "compute/resource_tracker.h"
#include "compute/vif_guest.h"
#include "network/vif_plug.h"

/* What a killed attach leaves for its successor: which ports the server had before, and that these are all. */
#define NOTE_HAD_PORT "had "
#define NOTE_HAD_ALL "begins"

static bool
attach_failed(const Operation *op, NovaError **err)
{
    nova_error_set(err, NOVA_ERROR_INTERFACE_ATTACH_FAILED,
                   "Failed to attach network adapter device to %s", op->instance->uuid);
    return false;
}

static bool
detach_failed(const Operation *op, NovaError **err)
{
    nova_error_set(err, NOVA_ERROR_INTERFACE_DETACH_FAILED,
                   "Failed to detach network adapter device from %s", op->instance->uuid);
    return false;
}

static void
notify(Operation *op, const char *action, const char *phase, const NovaError *error)
{
    notifier_instance(op->host->notifier, op->ctx, op->instance, action, phase, error);
}

/* Only what a device of the host has come or gone with. */
static bool
save_changes(const Operation *op, NovaError **err)
{
    return !object_has_changes(op->instance) ||
           conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}

static const Vif *
find_vif(const NetworkInfo *network, const char *port_id)
{
    for (guint i = 0; i < network->vifs->len; i++) {
        const Vif *vif = network->vifs->pdata[i];

        if (g_strcmp0(vif->id, port_id) == 0)
            return vif;
    }
    return NULL;
}

/* ---- the guest's side ---- */

static bool
plug(const Operation *op, const Vif *vif, NovaError **err)
{
    g_autoptr(GPtrArray) one = g_ptr_array_new();
    const VifGuest guest = vif_guest_of(op->host, op->instance);

    g_ptr_array_add(one, (void *)vif);
    return vif_plug_all(op->host->ovsdb, op->host->options, one, &guest, err);
}

static bool
unplug(const Operation *op, const Vif *vif, NovaError **err)
{
    g_autoptr(GPtrArray) one = g_ptr_array_new();
    const VifGuest guest = vif_guest_of(op->host, op->instance);

    g_ptr_array_add(one, (void *)vif);
    return vif_unplug_all(op->host->ovsdb, op->host->options, one, &guest, err);
}

static void
unplug_or_warn(const Operation *op, const Vif *vif)
{
    g_autoptr(NovaError) error = NULL;

    if (!unplug(op, vif, &error))
        LOG_WARNING("Unplugging port %s: %s", vif->id, nova_error_details(error));
}

static char *
find_interface(const char *domain_xml, const void *mac, char **ret_alias)
{
    return guest_xml_find_interface(domain_xml, mac, ret_alias);
}

static char *
find_hostdev(const char *domain_xml, const void *address, char **ret_alias)
{
    return guest_xml_find_hostdev(domain_xml, address, ret_alias);
}

/* A whole physical function is no <interface> of the domain. */
static GuestDevice
device_of(const Vif *vif, const char *name)
{
    const char *slot = json_get_string(vif->profile, "pci_slot", NULL);

    if (slot && g_strcmp0(vif->type, "hostdev_physical") == 0)
        return (GuestDevice){name, find_hostdev, slot};
    return (GuestDevice){name, find_interface, vif->address};
}

/* The port leaves the guest and is unplugged, also when the guest did not let go of it. */
static bool
take_from_guest(const Operation *op, Guest *guest, const Vif *vif, NovaError **err)
{
    g_autofree char *name = vif_make_devname(vif);
    GuestDevice device = device_of(vif, name);
    g_autoptr(NovaError) error = NULL;

    if (!guest_detach_device(guest, &device, op->host->options, &error) &&
        nova_error_is(error, NOVA_ERROR_DEVICE_NOT_FOUND)) {
        LOG_WARNING("Detaching interface %s failed because the device is no longer found on the guest.",
                    vif->address);
        g_clear_pointer(&error, nova_error_free);
    }
    if (!error)
        return unplug(op, vif, err);
    unplug_or_warn(op, vif);
    return nova_error_propagate(err, g_steal_pointer(&error));
}

/* Which ports the domain belongs to is said in its metadata, too; without, it works as well. */
static void
update_guest_metadata(const Operation *op, Guest *guest, const NetworkInfo *network)
{
    g_autoptr(NovaError) error = NULL;
    g_autofree char *xml =
        guest_config_make_metadata(op->host->guest_config, op->instance, network, &error);

    if (!xml || !guest_set_metadata(guest, xml, &error))
        LOG_WARNING("updating libvirt metadata failed: %s", nova_error_details(error));
}

/* By its tag or its VLAN. */
static bool
is_told_of(const Operation *op, const Vif *vif)
{
    return *json_get_string(op->args, "tag", "") || json_object_get(vif->details, "vlan");
}

/* LibvirtDriver.attach_interface() */
static bool
give_to_guest(const Operation *op, const Vif *vif, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);
    g_autoptr(NetworkInfo) network = guest ? step_cached_network(op->instance, err) : NULL;
    g_autofree char *xml = NULL;
    g_autoptr(NovaError) undo = NULL;

    if (!network || !plug(op, vif, err))
        return false;
    xml = guest_config_make_interface(op->host->guest_config, op->instance, network, vif, err);
    if (!xml || !guest_attach_device(guest, xml, err)) {
        unplug_or_warn(op, vif);
        return false;
    }
    if (!step_note_new_device(op->host, op->ctx, op->instance, is_told_of(op, vif), err)) {
        if (!take_from_guest(op, guest, vif, &undo))
            LOG_WARNING("Taking port %s back: %s", vif->id, nova_error_details(undo));
        return false;
    }
    update_guest_metadata(op, guest, network);
    return true;
}

/* ---- Neutron's side ---- */

/* The port is unbound or deleted, and its device (NULL: none) and its part of the allocation given back. */
static bool
release_port(Operation *op, const char *port_id, const char *pci_request_id, NovaError **err)
{
    json_auto_t *resources = NULL;
    g_autoptr(NetworkInfo) left = neutron_deallocate_port(op->host->neutron, op->ctx, op->instance,
                                                          port_id, &resources, err);

    return left && port_device_return(op, pci_request_id, err) &&
           (json_object_size(resources) == 0 ||
            placement_remove_resources(op->host->placement, op->ctx, op->instance->uuid, resources, err));
}

static void
release_port_or_warn(Operation *op, const char *port_id, const char *pci_request_id)
{
    g_autoptr(NovaError) error = NULL;

    if (!release_port(op, port_id, pci_request_id, &error))
        LOG_WARNING("Failed to deallocate port %s for instance. Error: %s", port_id,
                    nova_error_details(error));
}

static NetworkRequestList *
requested_port(const Operation *op, const PortResources *resources, NovaError **err)
{
    json_auto_t *request = json_pack(
        "{s:s?, s:s?, s:s?, s:s?, s:s?, s:n, s:n}", "network_id",
        json_get_string(op->args, "network_id", NULL), "port_id",
        json_get_string(op->args, "port_id", NULL), "address",
        json_get_string(op->args, "requested_ip", NULL), "pci_request_id", resources->pci_request_id, "tag",
        json_get_string(op->args, "tag", NULL), "arq_uuid", "device_profile");
    json_auto_t *list =
        json_pack("{s:[o]}", "objects", object_new_primitive("NetworkRequest", "1.4", json_incref(request)));
    json_auto_t *primitive = object_new_primitive("NetworkRequestList", "1.1", json_incref(list));

    return network_request_list_from_json(primitive, err);
}

/* What Neutron is told of the server's devices; nothing where the port has none of them. */
static bool
find_profiles(const Operation *op, const PortResources *resources, json_t **ret_profiles, NovaError **err)
{
    *ret_profiles = resources->pci_request_id
                        ? resource_tracker_pci_profiles(op->host->tracker, op->instance, err) : NULL;
    return *ret_profiles || !resources->pci_request_id;
}

/* The new port, in the server's cache from now on. */
static NetworkInfo *
allocate_port_with(Operation *op, const PortResources *resources, NovaError **err)
{
    g_autoptr(NetworkRequestList) requested = requested_port(op, resources, err);
    json_auto_t *profiles = NULL;
    NeutronAllocation what = {.requested = requested, .host = op->host->name, .provider_mapping = resources->mapping};
    g_autoptr(NetworkInfo) network = NULL;

    if (!requested || !find_profiles(op, resources, &profiles, err))
        return NULL;
    what.pci_profiles = profiles;
    network = neutron_allocate_for_instance(op->host->neutron, op->ctx, op->instance, &what, err);
    if (!network)
        return NULL;
    if (network->vifs->len == 1)
        return g_steal_pointer(&network);
    LOG_ERROR("allocate_for_instance returned %u ports", network->vifs->len);
    attach_failed(op, err);
    return NULL;
}

static NetworkInfo *
allocate_port(Operation *op, PortResources *resources, NovaError **err)
{
    NetworkInfo *network;

    if (!port_resources_claim(op, json_get_string(op->args, "port_id", NULL), resources, err))
        return NULL;
    network = allocate_port_with(op, resources, err);
    if (!network)
        port_resources_return(op, resources);
    return network;
}

/* ---- an attach that was killed ---- */

static void
note_ports(Operation *op, const NetworkInfo *network)
{
    for (guint i = 0; i < network->vifs->len; i++) {
        g_autofree char *note =
            g_strconcat(NOTE_HAD_PORT, ((const Vif *)network->vifs->pdata[i])->id, NULL);

        operation_note(op, note);
    }
    operation_note(op, NOTE_HAD_ALL);
}

static bool
had_port(const Operation *op, const char *port_id)
{
    g_autofree char *note = g_strconcat(NOTE_HAD_PORT, port_id, NULL);

    return operation_has_note(op, note);
}

/* What an earlier process had not given back. */
static bool
trim(Operation *op, const NetworkInfo *left, NovaError **err)
{
    return port_resources_trim(op, err) && port_device_trim(op, left, err);
}

static bool
undo_port(Operation *op, Guest *guest, const Vif *vif, NovaError **err)
{
    const char *given = json_get_string(op->args, "port_id", NULL);
    g_autoptr(GPtrArray) ports = NULL;

    if (guest && !take_from_guest(op, guest, vif, err))
        return false;
    if (g_strcmp0(given, vif->id) != 0)
        return release_port(op, vif->id, NULL, err);
    ports = g_ptr_array_new(); /* the cache may not say yet that it is the user's own */
    g_ptr_array_add(ports, (void *)vif->id);
    neutron_unbind_ports(op->host->neutron, op->ctx, ports, true);
    return true;
}

/* Whoever asked has had its answer, a time-out: the server is as it was before. */
static bool
undo_attach(Operation *op, NovaError **err)
{
    static const NeutronRefresh all = {.from_neutron = true};
    NovaError *error = NULL;
    g_autoptr(NetworkInfo) network =
        step_load_instance(op->host, op->ctx, op->instance, err)
            ? neutron_fetch_instance_nw_info(op->host->neutron, op->ctx, op->instance, &all, err) : NULL;
    g_autoptr(NetworkInfo) left = NULL;
    g_autoptr(Guest) guest = network ? guest_find(op->host->hypervisor, op->instance->uuid, &error) : NULL;

    if (error)
        return nova_error_propagate(err, error);
    for (guint i = 0; network && i < network->vifs->len; i++) {
        const Vif *vif = network->vifs->pdata[i];

        if (!had_port(op, vif->id) && !undo_port(op, guest, vif, err))
            return false;
    }
    left = network ? neutron_fetch_instance_nw_info(op->host->neutron, op->ctx, op->instance, &all, err)
                   : NULL;
    if (left && guest)
        update_guest_metadata(op, guest, left);
    return left && trim(op, left, err) && attach_failed(op, err);
}

/* ---- the operations ---- */

static bool
attach(Operation *op, NovaError **err)
{
    g_auto(PortResources) resources = {0};
    g_autoptr(NetworkInfo) added = allocate_port(op, &resources, err);
    g_autoptr(NovaError) error = NULL;
    const Vif *vif;

    if (!added)
        return false;
    vif = added->vifs->pdata[0];
    operation_step(op, "attaching the port");
    if (!give_to_guest(op, vif, &error)) {
        LOG_WARNING("attach interface failed , try to deallocate port %s, reason: %s", vif->id,
                    nova_error_details(error));
        release_port_or_warn(op, vif->id, resources.pci_request_id);
        notify(op, "interface_attach", "error", error);
        return attach_failed(op, err);
    }
    op->result = json_incref(json_array_get(added->json, 0));
    return save_changes(op, err);
}

bool
op_attach_interface(Operation *op, NovaError **err)
{
    g_autoptr(NetworkInfo) before = NULL;

    if (op->is_resumed)
        return operation_has_note(op, NOTE_HAD_ALL) ? undo_attach(op, err) : attach_failed(op, err);
    if (!step_load_instance(op->host, op->ctx, op->instance, err) ||
        !conductor_info_cache_refresh(op->host->conductor, op->ctx, op->instance, err))
        return false;
    before = step_cached_network(op->instance, err);
    if (!before)
        return false;
    notify(op, "interface_attach", "start", NULL);
    note_ports(op, before);
    if (!attach(op, err))
        return false;
    notify(op, "interface_attach", "end", NULL);
    return true;
}

/* The ports that the guest keeps, by its metadata. */
static NetworkInfo *
without(const NetworkInfo *network, const char *port_id, NovaError **err)
{
    json_auto_t *left = json_array();
    json_t *vif;
    size_t i;

    json_array_foreach (network->json, i, vif)
        if (g_strcmp0(json_get_string(vif, "id", NULL), port_id) != 0)
            json_array_append(left, vif);
    return network_info_from_json(left, err);
}

static bool
detach_from_guest(Operation *op, const Vif *vif, const NetworkInfo *left, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);

    if (!guest || !take_from_guest(op, guest, vif, err))
        return false;
    update_guest_metadata(op, guest, left);
    return true;
}

static bool
detach(Operation *op, const NetworkInfo *network, const Vif *vif, NovaError **err)
{
    g_autofree char *pci_request_id = NULL;
    g_autoptr(NetworkInfo) left = without(network, vif->id, err);
    g_autoptr(NovaError) error = NULL;

    if (!left || !port_device_find(op, vif, &pci_request_id, err))
        return false;
    notify(op, "interface_detach", "start", NULL);
    operation_step(op, "detaching the port");
    if (!detach_from_guest(op, vif, left, &error)) {
        LOG_WARNING("Detach interface failed, port_id=%s, reason: %s", vif->id, nova_error_details(error));
        return detach_failed(op, err);
    }
    if (!release_port(op, vif->id, pci_request_id, err) || (op->is_resumed && !trim(op, left, err)) ||
        !save_changes(op, err))
        return false;
    notify(op, "interface_detach", "end", NULL);
    return true;
}

bool
op_detach_interface(Operation *op, NovaError **err)
{
    const char *port_id = json_get_string(op->args, "port_id", "");
    g_autoptr(NetworkInfo) network = NULL;
    const Vif *vif;

    if (!step_load_instance(op->host, op->ctx, op->instance, err) ||
        !conductor_info_cache_refresh(op->host->conductor, op->ctx, op->instance, err))
        return false;
    network = step_cached_network(op->instance, err);
    vif = network ? find_vif(network, port_id) : NULL;
    if (vif)
        return detach(op, network, vif, err);
    if (network && op->is_resumed)
        return trim(op, network, err); /* the process before us had got as far as that */
    return network && nova_error_set(err, NOVA_ERROR_PORT_NOT_FOUND, "Port %s is not attached", port_id);
}

/* ---- a port that Neutron has deleted ---- */

/* What the port had of the host's bandwidth: Neutron can no longer say what that is. */
static void
warn_of_leak(const Operation *op, const Vif *vif)
{
    const json_t *allocation = json_object_get(vif->profile, "allocation");
    g_autofree char *providers = json_object_size(allocation) > 0 || json_is_string(allocation)
                                     ? json_to_text(allocation) : NULL;

    if (providers)
        LOG_ERROR("The bound port %s is deleted in Neutron but the resource allocation on the resource "
                  "providers %s are leaked until the server %s is deleted.", vif->id, providers,
                  op->instance->uuid);
}

static bool
forget_port(Operation *op, const NetworkInfo *left, NovaError **err)
{
    g_autofree char *text = network_info_to_text(left);

    return conductor_info_cache_save(op->host->conductor, op->ctx, op->instance, text, err);
}

static bool
drop_port(Operation *op, const char *port_id, NovaError **err)
{
    g_autofree char *pci_request_id = NULL;
    g_autoptr(NetworkInfo) network = NULL, left = NULL;
    g_autoptr(NovaError) error = NULL;
    const Vif *vif;

    if (!step_load_instance(op->host, op->ctx, op->instance, err) ||
        !conductor_info_cache_refresh(op->host->conductor, op->ctx, op->instance, err) ||
        !(network = step_cached_network(op->instance, err)))
        return false;
    vif = find_vif(network, port_id);
    if (!vif)
        return true;
    LOG_INFO("Neutron deleted interface %s; detaching it from the instance and deleting it from the info cache",
             port_id);
    warn_of_leak(op, vif);
    left = without(network, port_id, err);
    if (!left || !port_device_find(op, vif, &pci_request_id, err))
        return false;
    operation_step(op, "detaching the port");
    if (detach_from_guest(op, vif, left, &error))
        return forget_port(op, left, err) && port_device_return(op, pci_request_id, err) && save_changes(op, err);
    LOG_AT(nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING,
           "Detach interface failed, port_id=%s, reason: %s", port_id, nova_error_details(error));
    return true;
}

bool
op_detach_deleted_port(Operation *op, NovaError **err)
{
    NovaError *error = NULL;

    if (drop_port(op, json_get_string(op->args, "port_id", ""), &error))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_NOT_FOUND))
        return nova_error_propagate(err, error);
    LOG_INFO("Failed to detach a port that Neutron deleted: %s", nova_error_details(error));
    nova_error_free(error);
    return true;
}
