/* SPDX-License-Identifier: Apache-2.0 */
/* Releasing ports: delete those that Nova made, unbind those that it was given. */
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/python_text.h"
#include "network/neutron_model.h"
#include "network/neutron_private.h"

#define LOG_NAME "kilonova.network.neutron"

/* What Nova writes into a port's profile, and therefore takes out again. */
static const char *const profile_keys_of_nova[] = {
    "pci_vendor_info",    "pci_slot", "allocation",     "arq_uuid",           "physical_network",
    "card_serial_number", "vf_num",   "pf_mac_address", "device_mac_address",
};

bool
neutron_has_id(const GPtrArray *ids, const char *id)
{
    for (guint i = 0; i < ids->len; i++)
        if (g_strcmp0(g_ptr_array_index(ids, i), id) == 0)
            return true;
    return false;
}

/* ---- deleting ---- */

static bool
delete_port(const NeutronCaller *caller, const char *port_id, NovaError **err)
{
    g_autofree char *path = neutron_path("/ports/", port_id);
    g_autoptr(HttpResponse) response = neutron_send(caller, AS_USER, "DELETE", path, NULL, err);

    if (!response)
        return false;
    if (response->status == 404) {
        LOG_WARNING("Port %s does not exist", port_id);
        return true;
    }
    return neutron_is_ok(response) || neutron_refused(response, "DELETE of a port", err);
}

bool
neutron_delete_ports(const NeutronCaller *caller, const GPtrArray *port_ids, NovaError **err)
{
    g_autoptr(NovaError) first = NULL;

    for (guint i = 0; i < port_ids->len; i++) {
        g_autoptr(NovaError) failure = NULL;

        if (delete_port(caller, g_ptr_array_index(port_ids, i), &failure))
            continue;
        LOG_WARNING("Failed to delete port %s for instance: %s",
                    (char *)g_ptr_array_index(port_ids, i), nova_error_details(failure));
        if (!first)
            first = g_steal_pointer(&failure);
    }
    return first ? nova_error_propagate(err, g_steal_pointer(&first)) : true;
}

/* ---- unbinding ---- */

/* The network's dns_domain decides who clears dns_name: the user, in whose zone the record is, or
 * the admin. Not needed, and not asked for, without that extension. */
static bool
find_dns_domain(const NeutronCaller *caller, const json_t *port, bool *ret_has_domain,
                NovaError **err)
{
    g_autofree char *bare =
        neutron_path("/networks/", json_get_string(port, "network_id", ""));
    g_autofree char *path = g_strconcat(bare, "?fields=dns_domain", NULL);
    json_auto_t *network = neutron_fetch_object(caller, AS_USER, path, "network", err);

    if (network)
        *ret_has_domain = *json_get_string(network, "dns_domain", "") != '\0';
    return network != NULL;
}

static json_t *
unbind_body(const json_t *port, bool detach, bool clears_dns_name)
{
    json_t *profile = neutron_model_profile(port);
    json_t *fields = json_pack("{s:n}", "binding:host_id");

    for (size_t i = 0; i < G_N_ELEMENTS(profile_keys_of_nova); i++)
        json_object_del(profile, profile_keys_of_nova[i]);
    if (detach) {
        json_set_string(fields, "device_id", "");
        json_set_string(fields, "device_owner", "");
    }
    json_object_set_new(fields, "binding:profile", profile);
    if (clears_dns_name)
        json_set_string(fields, "dns_name", "");
    return json_pack("{s:o}", "port", fields);
}

static bool
put_port(const NeutronCaller *caller, NeutronIdentity identity, const char *port_id, json_t *body,
         NovaError **err)
{
    g_autofree char *path = neutron_path("/ports/", port_id);
    g_autoptr(HttpResponse) response = neutron_send(caller, identity, "PUT", path, body, err);

    if (!response)
        return false;
    return neutron_is_ok(response) || response->status == 404 ||
           neutron_refused(response, "PUT of a port", err);
}

static bool
clear_dns_name_as_user(const NeutronCaller *caller, const char *port_id, NovaError **err)
{
    json_auto_t *body = json_pack("{s:{s:s}}", "port", "dns_name", "");

    return put_port(caller, AS_USER, port_id, body, err);
}

static bool
unbind_port(const NeutronCaller *caller, const char *port_id, bool detach, NovaError **err)
{
    json_auto_t *port = neutron_show_port(
        caller, port_id, "?fields=binding%3Aprofile&fields=network_id", err);
    json_auto_t *body = NULL;
    bool has_dns = false, has_domain = false;

    if (!port)
        return false;
    if (detach && !neutron_extension(caller, AS_ADMIN, "dns-integration", &has_dns, err))
        return false;
    if (has_dns && !find_dns_domain(caller, port, &has_domain, err))
        return false;
    body = unbind_body(port, detach, has_dns && !has_domain);
    if (!put_port(caller, AS_ADMIN, port_id, body, err))
        return false;
    return !(has_dns && has_domain) || clear_dns_name_as_user(caller, port_id, err);
}

static void
unbind_all(const NeutronCaller *caller, const GPtrArray *port_ids, bool detach)
{
    for (guint i = 0; i < port_ids->len; i++) {
        const char *port_id = g_ptr_array_index(port_ids, i);
        g_autoptr(NovaError) failure = NULL;

        if (!port_id || unbind_port(caller, port_id, detach, &failure))
            continue;
        if (nova_error_kind(failure) == NOVA_ERROR_PORT_NOT_FOUND)
            LOG_DEBUG("Unable to unbind port %s as it no longer exists.", port_id);
        else
            LOG_ERROR("Unable to clear device ID for port '%s': %s", port_id,
                      nova_error_details(failure));
    }
}

void
neutron_unbind_ports(Neutron *neutron, const RequestContext *ctx, const GPtrArray *port_ids,
                     bool detach)
{
    NeutronCaller caller = {neutron, ctx, NULL};

    unbind_all(&caller, port_ids, detach);
}

/* ---- all ports of an instance ---- */

static void
add_requested_ports(GPtrArray *ids, const NetworkRequestList *requested)
{
    for (guint i = 0; requested && i < requested->objects->len; i++) {
        const NetworkRequest *request = g_ptr_array_index(requested->objects, i);

        if (request->port_id && !neutron_has_id(ids, request->port_id))
            g_ptr_array_add(ids, request->port_id);
    }
}

static json_t *
fetch_ports_of_device(const NeutronCaller *caller, NovaError **err)
{
    g_autofree char *query = http_query("device_id", caller->instance->uuid, NULL);
    g_autofree char *path = g_strconcat("/ports", query, NULL);

    return neutron_fetch_list(caller, AS_USER, path, "ports", err);
}

/* Ports of the instance that nobody gave to it; borrowed strings. */
static GPtrArray *
ports_to_delete(const json_t *ports, const GPtrArray *given)
{
    GPtrArray *ids = g_ptr_array_new();
    json_t *port;
    size_t i;

    json_array_foreach (ports, i, port) {
        const char *id = json_get_string(port, "id", NULL);

        if (id && !neutron_has_id(given, id))
            g_ptr_array_add(ids, (void *)id);
    }
    return ids;
}

/* The cache tells which ports were given; a message may have come without it. New reference. */
static json_t *
need_cache(const NeutronCaller *caller, NovaError **err)
{
    if (!caller->instance->info_cache && !neutron_refresh_cache(caller, err))
        return NULL;
    return neutron_cached_vifs(caller->instance);
}

static bool
empty_cache(const NeutronCaller *caller, NovaError **err)
{
    json_auto_t *nothing = json_array();
    bool done;

    neutron_lock_instance(caller->neutron, caller->instance->uuid);
    done = neutron_save_cache(caller, nothing, err);
    neutron_unlock_instance(caller->neutron, caller->instance->uuid);
    return done;
}

bool
neutron_deallocate_for_instance(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                                const NetworkRequestList *requested, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, instance};
    json_auto_t *cached = need_cache(&caller, err);
    json_auto_t *ports = cached ? fetch_ports_of_device(&caller, err) : NULL;
    g_autoptr(GPtrArray) given = NULL;
    g_autoptr(GPtrArray) ours = NULL;

    if (!ports)
        return false;
    given = neutron_preexisting_ports(cached);
    add_requested_ports(given, requested);
    ours = ports_to_delete(ports, given);
    unbind_all(&caller, given, true);
    return neutron_delete_ports(&caller, ours, err) && neutron_delete_vif_rows(&caller, err) &&
           empty_cache(&caller, err);
}

/* ---- one port ---- */

static void
warn_of_leak(const NeutronCaller *caller, const json_t *cached, const char *port_id)
{
    json_t *vif = neutron_find_by_id(cached, port_id);
    json_t *allocation = json_path(vif, "profile", "allocation", NULL);
    g_autofree char *text = allocation ? json_to_text(allocation) : NULL;

    if (text && !json_is_null(allocation))
        LOG_WARNING("Port %s of instance %s disappeared during deallocate but it had resource "
                    "allocation on resource provider %s. Resource allocation for this port may "
                    "be leaked.",
                    port_id, caller->instance->uuid, text);
}

static bool
release_port(const NeutronCaller *caller, const json_t *cached, const char *port_id,
             NovaError **err)
{
    g_autoptr(GPtrArray) given = neutron_preexisting_ports(cached);
    g_autoptr(GPtrArray) one = g_ptr_array_new();

    g_ptr_array_add(one, (void *)port_id);
    if (!neutron_has_id(given, port_id))
        return neutron_delete_ports(caller, one, err);
    unbind_all(caller, one, true);
    return true;
}

NetworkInfo *
neutron_deallocate_port(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                        const char *port_id, json_t **ret_resources, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, instance};
    NovaError *failure = NULL;
    json_auto_t *port = neutron_show_port(&caller, port_id, "", &failure);
    json_auto_t *cached = NULL;
    NetworkInfo *left;

    if (failure && nova_error_kind(failure) != NOVA_ERROR_PORT_NOT_FOUND) {
        nova_error_propagate(err, failure);
        return NULL;
    }
    nova_error_free(failure);
    cached = need_cache(&caller, err);
    if (!cached || !release_port(&caller, cached, port_id, err) ||
        !neutron_delete_vif_row_of_port(&caller, port_id, err))
        return NULL;
    if (!port)
        warn_of_leak(&caller, cached, port_id);
    left = neutron_fetch_instance_nw_info(neutron, ctx, instance, NULL, err);
    if (left && ret_resources)
        neutron_add_port_resources(*ret_resources = json_object(), port);
    return left;
}

/* ---- binding to a host ---- */

static bool
needs_binding(const json_t *port, const char *host)
{
    const char *type = json_get_string(port, "binding:vif_type", "");

    return strcmp(json_get_string(port, "binding:host_id", ""), host) != 0 ||
           strcmp(type, "unbound") == 0 || strcmp(type, "binding_failed") == 0;
}

/* The profile that the port will have, for changes; from now on it is one of the updates. */
static json_t *
change_profile(const json_t *port, json_t *updates)
{
    json_t *profile = json_get_object(updates, "binding:profile");

    if (!profile) {
        profile = neutron_model_profile(port);
        json_object_set_new(updates, "binding:profile", profile);
    }
    return profile;
}

static void
add_binding(const NeutronCaller *caller, const json_t *port, const char *host, json_t *updates)
{
    const char *zone = caller->instance->availability_zone;
    g_autofree char *owner = g_strconcat("compute:", zone ? zone : "None", NULL);

    if (!needs_binding(port, host))
        return;
    json_set_string(updates, "binding:host_id", host);
    json_set_string(updates, "device_owner", owner);
    if (json_path(port, "binding:profile", "migrating_to", NULL))
        json_object_del(change_profile(port, updates), "migrating_to");
}

bool
neutron_is_sriov(const json_t *port)
{
    static const char *const types[] = {"direct", "macvtap", "direct-physical", "virtio-forwarder", "vdpa",
                                        "remote-managed", NULL};

    return is_one_of(json_get_string(port, "binding:vnic_type", "normal"), types);
}

static bool
add_device(const json_t *port, const NeutronRebinding *how, json_t *updates, NovaError **err)
{
    const char *id = json_get_string(port, "id", "");
    const char *slot = json_get_string(json_get_object(port, "binding:profile"), "pci_slot", NULL);
    json_t *entries;

    if (how->live_migration || !neutron_is_sriov(port))
        return true;
    entries = how->pci_by_slot ? (slot ? json_get_object(how->pci_by_slot, slot) : NULL)
                               : json_get_object(how->pci_by_port, id);
    if (!entries && how->pci_by_slot)
        return nova_error_set(err, NOVA_ERROR_PORT_UPDATE_FAILED,
                              "Port update failed for port %s: Unable to correlate PCI slot %s", id,
                              slot ? slot : "None");
    if (entries)
        json_object_update(change_profile(port, updates), entries);
    return true;
}

static bool
add_allocation(const NeutronCaller *caller, const json_t *port, const NeutronRebinding *how,
               json_t *updates, NovaError **err)
{
    json_auto_t *allocation = NULL;
    json_t *profile;

    if (how->live_migration)
        return true;
    if (!neutron_port_allocation(caller, port, how->provider_mapping, &allocation, err))
        return false;
    if (!allocation)
        return true;
    profile = change_profile(port, updates);
    json_object_del(profile, "migrating_to");
    json_object_set(profile, "allocation", allocation);
    return true;
}

/* What a port is told; NULL on error. */
static json_t *
port_updates(const NeutronCaller *caller, const json_t *port, const NeutronRebinding *how, NovaError **err)
{
    json_auto_t *updates = json_object();

    add_binding(caller, port, how->host, updates);
    return add_device(port, how, updates, err) && add_allocation(caller, port, how, updates, err)
               ? json_incref(updates)
               : NULL;
}

bool
neutron_bind_ports_to_host(Neutron *neutron, const RequestContext *ctx, const Instance *instance,
                           const NeutronRebinding *how, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, (Instance *)instance};
    g_autofree char *query =
        http_query("device_id", instance->uuid, "tenant_id", instance->project_id, NULL);
    g_autofree char *path = g_strconcat("/ports", query, NULL);
    json_auto_t *ports = neutron_fetch_list(&caller, AS_ADMIN, path, "ports", err);
    json_auto_t *bodies = json_array();
    json_t *port;
    size_t i;

    if (!ports)
        return false;
    /* All updates are made before the first is sent: an error here changes nothing. */
    json_array_foreach (ports, i, port) {
        json_t *updates = port_updates(&caller, port, how, err);

        if (!updates)
            return false;
        json_array_append_new(bodies, json_pack("{s:o}", "port", updates));
    }
    json_array_foreach (ports, i, port) {
        json_t *body = json_array_get(bodies, i);

        if (json_object_size(json_object_get(body, "port")) > 0 &&
            !put_port(&caller, AS_ADMIN, json_get_string(port, "id", ""), body, err))
            return false;
    }
    return true;
}
