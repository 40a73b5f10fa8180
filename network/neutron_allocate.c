/* SPDX-License-Identifier: Apache-2.0 */
/* neutron_allocate_for_instance(): validate, create ports as the user, bind them as admin. */
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "network/neutron_model.h"
#include "network/neutron_private.h"

#define LOG_NAME "kilonova.network.neutron"

/* One NIC to be: Nova's NetworkRequest and what becomes of it. Strings are borrowed from the
 * request or from JSON that the Allocation owns. */
typedef struct Nic {
    const char *network_id;
    const char *address;
    const char *port_id;  /* given or created; NULL: not created yet */
    const char *pci_request_id;
    const char *tag;
    bool is_created;      /* by us */
    json_t *port;         /* the given port as an admin sees it; owned */
    json_t *network;      /* borrowed from Allocation.networks; NULL: not found, then skipped */
} Nic;

typedef struct Allocation {
    const NeutronCaller *caller;
    const NeutronAllocation *what;
    GArray *nics;          /* of Nic */
    json_t *networks;      /* list */
    json_t *created;       /* ports that we made, list */
    GPtrArray *security_groups; /* of char *, ids */
    GPtrArray *rows;       /* of VirtualInterface, to be destroyed on failure */
    GPtrArray *bound;      /* ids of given ports that are bound to us now; borrowed strings */
} Allocation;

static void
nic_clear(void *data)
{
    Nic *nic = data;

    json_decref(nic->port);
}

static void
allocation_clear(Allocation *all)
{
    g_array_unref(all->nics);
    json_decref(all->networks);
    json_decref(all->created);
    g_ptr_array_unref(all->security_groups);
    g_ptr_array_unref(all->rows);
    g_ptr_array_unref(all->bound);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Allocation, allocation_clear)

static void
allocation_init(Allocation *all, const NeutronCaller *caller, const NeutronAllocation *what)
{
    all->caller = caller;
    all->what = what;
    all->nics = g_array_new(FALSE, TRUE, sizeof(Nic));
    g_array_set_clear_func(all->nics, nic_clear);
    all->created = json_array();
    all->security_groups = g_ptr_array_new_with_free_func(g_free);
    all->rows = g_ptr_array_new_with_free_func((GDestroyNotify)virtual_interface_free);
    all->bound = g_ptr_array_new();
}

/* ---- what was requested ---- */

static guint
n_requested(const NeutronAllocation *what)
{
    return what->requested ? what->requested->objects->len : 0;
}

static const NetworkRequest *
first_request(const NeutronAllocation *what)
{
    return n_requested(what) == 1 ? g_ptr_array_index(what->requested->objects, 0) : NULL;
}

static bool
is_special(const NeutronAllocation *what, const char *word)
{
    const NetworkRequest *only = first_request(what);

    return only && g_strcmp0(only->network_id, word) == 0;
}

/* Nothing named: the project's only network. */
static bool
is_unspecified(const NeutronAllocation *what)
{
    const NetworkRequest *only = first_request(what);

    return n_requested(what) == 0 || is_special(what, "auto") ||
           (only && !only->network_id && !only->address && !only->port_id &&
            !only->pci_request_id);
}

/* ---- given ports ---- */

static bool
binding_failed(const json_t *port, NovaError **err)
{
    if (strcmp(json_get_string(port, "binding:vif_type", ""), "binding_failed") != 0)
        return false;
    nova_error_set(err, NOVA_ERROR_PORT_BINDING_FAILED,
                   "Binding failed for port %s, please check neutron logs for more information.",
                   json_get_string(port, "id", ""));
    return true;
}

static bool
check_given_port(const Instance *instance, const char *port_id, const json_t *port,
                 NovaError **err)
{
    const char *dns_name = json_get_string(port, "dns_name", "");

    if (g_strcmp0(json_get_string(port, "tenant_id", ""), instance->project_id) != 0)
        return nova_error_set(err, NOVA_ERROR_PORT_NOT_USABLE,
                              "Port %s not usable for instance %s.", port_id, instance->uuid);
    if (*json_get_string(port, "device_id", ""))
        return nova_error_set(err, NOVA_ERROR_PORT_IN_USE, "Port %s is still in use.", port_id);
    if (*dns_name && g_strcmp0(dns_name, instance->hostname) != 0)
        return nova_error_set(err, NOVA_ERROR_PORT_NOT_USABLE_DNS,
                              "Port %s not usable for instance %s. Value %s assigned to dns_name "
                              "attribute does not match instance's hostname %s",
                              port_id, instance->uuid, dns_name,
                              instance->hostname ? instance->hostname : "None");
    return !binding_failed(port, err);
}

static bool
read_request(Allocation *all, const NetworkRequest *request, NovaError **err)
{
    Nic nic = {
        .network_id = request->network_id,
        .address = request->address,
        .port_id = request->port_id,
        .pci_request_id = request->pci_request_id,
        .tag = request->tag,
    };

    if (nic.port_id) {
        nic.port = neutron_show_port(all->caller, nic.port_id, "", err);
        if (!nic.port)
            return false;
        if (!check_given_port(all->caller->instance, nic.port_id, nic.port, err)) {
            json_decref(nic.port);
            return false;
        }
        nic.network_id = json_get_string(nic.port, "network_id", NULL);
    }
    if (nic.network_id)
        g_array_append_val(all->nics, nic);
    else
        json_decref(nic.port);
    return true;
}

static bool
read_requests(Allocation *all, NovaError **err)
{
    if (is_special(all->what, "auto"))
        return true;
    for (guint i = 0; i < n_requested(all->what); i++)
        if (!read_request(all, g_ptr_array_index(all->what->requested->objects, i), err))
            return false;
    return true;
}

/* ---- networks ---- */

/* All that the project may use, as _get_available_networks() without ids. */
static json_t *
fetch_available_networks(Allocation *all, NovaError **err)
{
    g_autofree char *query = http_query(
        "tenant_id", all->caller->instance->project_id, "shared", "False", "admin_state_up",
        is_special(all->what, "auto") ? "True" : NULL, NULL);
    g_autofree char *path = g_strconcat("/networks", query, NULL);
    json_auto_t *own = neutron_fetch_list(all->caller, AS_USER, path, "networks", err);
    json_auto_t *shared =
        own ? neutron_fetch_list(all->caller, AS_USER, "/networks?shared=True", "networks", err)
            : NULL;

    if (!shared)
        return NULL;
    json_array_extend(own, shared);
    return g_steal_pointer(&own);
}

static json_t *
fetch_requested_networks(Allocation *all, NovaError **err)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();

    for (guint i = 0; i < all->nics->len; i++) {
        const Nic *nic = &g_array_index(all->nics, Nic, i);

        if (!neutron_has_id(ids, nic->network_id))
            g_ptr_array_add(ids, (void *)nic->network_id);
    }
    return neutron_fetch_networks(all->caller, AS_USER, ids, err);
}

static bool
no_topology(Allocation *all, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_UNABLE_TO_AUTO_ALLOCATE_NETWORK,
                          "Unable to automatically allocate a network for project %s",
                          all->caller->instance->project_id);
}

static bool
allocate_topology(Allocation *all, NovaError **err)
{
    g_autofree char *path =
        neutron_path("/auto-allocated-topology/", all->caller->instance->project_id);
    g_autoptr(HttpResponse) response =
        neutron_send(all->caller, AS_USER, "GET", path, NULL, err);
    json_t *topology =
        response ? json_get_object(response->json, "auto_allocated_topology") : NULL;
    g_autofree char *network_path = NULL;
    json_t *network;

    if (!response)
        return false;
    if (!neutron_is_ok(response) || !topology)
        return no_topology(all, err);
    network_path = neutron_path("/networks/", json_get_string(topology, "id", ""));
    network = neutron_fetch_object(all->caller, AS_USER, network_path, "network", err);
    if (network)
        json_array_append_new(all->networks, network);
    return network != NULL;
}

static bool
requested_network_is_missing(Allocation *all, NovaError **err)
{
    for (guint i = 0; i < all->nics->len; i++) {
        const Nic *nic = &g_array_index(all->nics, Nic, i);

        if (!nic->port_id) {
            nova_error_set(err, NOVA_ERROR_NETWORK_NOT_FOUND, "Network %s could not be found.",
                           nic->network_id);
            return true;
        }
    }
    return false;
}

static bool
take_only_network(Allocation *all, NovaError **err)
{
    Nic nic = {0};
    const NetworkRequest *only = first_request(all->what);

    if (json_array_size(all->networks) == 0)
        return nova_error_set(err, NOVA_ERROR_INTERFACE_ATTACH_FAILED_NO_NETWORK,
                              "No specific network was requested and none are available for "
                              "project '%s'.",
                              all->caller->instance->project_id);
    if (json_array_size(all->networks) > 1)
        return nova_error_set(err, NOVA_ERROR_NETWORK_AMBIGUOUS,
                              "Multiple possible networks found, use a Network ID to be more "
                              "specific.");
    nic.network_id = json_get_string(json_array_get(all->networks, 0), "id", NULL);
    nic.tag = only && !is_special(all->what, "auto") ? only->tag : NULL;
    g_array_append_val(all->nics, nic);
    return true;
}

/* Nova's policy os_compute_api:network:attach_external_network: an admin's by default. */
static bool
check_external(Allocation *all, NovaError **err)
{
    json_t *network;
    size_t i;

    if (all->caller->ctx->is_admin)
        return true;
    json_array_foreach (all->networks, i, network)
        if (json_get_bool(network, "router:external", false) &&
            !json_get_bool(network, "shared", false))
            return nova_error_set(err, NOVA_ERROR_EXTERNAL_NETWORK_ATTACH_FORBIDDEN,
                                  "It is not allowed to create an interface on external network "
                                  "%s",
                                  json_get_string(network, "id", ""));
    return true;
}

/* True with no NIC at all when nothing was requested and nothing is there. */
static bool
find_networks(Allocation *all, NovaError **err)
{
    all->networks = all->nics->len > 0 ? fetch_requested_networks(all, err)
                                       : fetch_available_networks(all, err);
    if (!all->networks)
        return false;
    if (json_array_size(all->networks) == 0) {
        if (n_requested(all->what) == 0)
            return true;
        if (is_special(all->what, "auto") ? !allocate_topology(all, err)
                                          : requested_network_is_missing(all, err))
            return false;
    }
    if (is_unspecified(all->what) && !take_only_network(all, err))
        return false;
    for (guint i = 0; i < all->nics->len; i++) {
        Nic *nic = &g_array_index(all->nics, Nic, i);

        nic->network = neutron_find_by_id(all->networks, nic->network_id);
    }
    return check_external(all, err);
}

/* ---- security groups ---- */

/* The id that 'name' (name or id) means; NULL without *err: none. */
static const char *
find_security_group(const json_t *groups, const char *name, NovaError **err)
{
    const char *found = NULL;
    unsigned n_found = 0;
    json_t *group;
    size_t i;

    if (neutron_find_by_id(groups, name))
        return name;
    json_array_foreach (groups, i, group)
        if (strcmp(json_get_string(group, "name", ""), name) == 0) {
            found = json_get_string(group, "id", NULL);
            n_found++;
        }
    if (n_found > 1) {
        nova_error_set(err, NOVA_ERROR_NO_UNIQUE_MATCH,
                       "Multiple security groups found matching '%s'. Use an ID to be more "
                       "specific.",
                       name);
        return NULL;
    }
    return found;
}

/* False with *err set, or without: some group is not among these. */
static bool
match_security_groups(Allocation *all, const json_t *groups, const char **ret_missing,
                      NovaError **err)
{
    const GPtrArray *names = all->what->security_groups;

    g_ptr_array_set_size(all->security_groups, 0);
    *ret_missing = NULL;
    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        NovaError *failure = NULL;
        const char *id = find_security_group(groups, name, &failure);

        if (failure)
            return nova_error_propagate(err, failure);
        if (!id) {
            *ret_missing = name;
            return false;
        }
        g_ptr_array_add(all->security_groups, g_strdup(id));
    }
    return true;
}

/* Groups shared with the project are looked for only when its own do not suffice. */
static bool
match_shared_groups(Allocation *all, json_t *groups, const char *missing, NovaError **err)
{
    json_auto_t *shared = NULL;
    bool can_filter;

    if (!neutron_extension(all->caller, AS_USER, "security-groups-shared-filtering", &can_filter,
                           err))
        return false;
    if (can_filter) {
        shared = neutron_fetch_list(all->caller, AS_USER,
                                    "/security-groups?fields=id&fields=name&shared=True",
                                    "security_groups", err);
        if (!shared)
            return false;
        json_array_extend(groups, shared);
        if (match_security_groups(all, groups, &missing, err))
            return true;
        if (!missing)
            return false;
    }
    return nova_error_set(err, NOVA_ERROR_SECURITY_GROUP_NOT_FOUND,
                          "Security group %s not found.", missing);
}

static bool
is_default_group(const GPtrArray *names)
{
    return !names || names->len == 0 ||
           (names->len == 1 && g_strcmp0(g_ptr_array_index(names, 0), "default") == 0);
}

static bool
find_security_groups(Allocation *all, NovaError **err)
{
    g_autofree char *query = NULL;
    g_autofree char *path = NULL;
    json_auto_t *groups = NULL;
    NovaError *failure = NULL;
    const char *missing;

    if (is_default_group(all->what->security_groups))
        return true; /* what Neutron gives by itself */
    query = http_query("fields", "id", "fields", "name", "tenant_id",
                       all->caller->instance->project_id, NULL);
    path = g_strconcat("/security-groups", query, NULL);
    groups = neutron_fetch_list(all->caller, AS_USER, path, "security_groups", err);
    if (!groups)
        return false;
    if (match_security_groups(all, groups, &missing, &failure))
        return true;
    return failure ? nova_error_propagate(err, failure)
                   : match_shared_groups(all, groups, missing, err);
}

/* ---- resource requests ---- */

static bool
note_allocations(Allocation *all, NovaError **err)
{
    for (guint i = 0; i < all->nics->len; i++) {
        Nic *nic = &g_array_index(all->nics, Nic, i);
        json_auto_t *allocation = NULL;
        json_t *profile;

        if (!nic->port)
            continue;
        if (!neutron_port_allocation(all->caller, nic->port, all->what->provider_mapping,
                                     &allocation, err))
            return false;
        if (!allocation)
            continue;
        profile = neutron_model_profile(nic->port);
        json_object_set(profile, "allocation", allocation);
        json_object_set_new(nic->port, "binding:profile", profile);
    }
    return true;
}

/* ---- creating ports ---- */

static bool
is_type(const HttpResponse *response, const char *type)
{
    return strcmp(rest_error_code(response), type) == 0;
}

static bool
creation_refused(const Nic *nic, const HttpResponse *response, NovaError **err)
{
    if (is_type(response, "InvalidIpForNetwork"))
        return nova_error_set(err, NOVA_ERROR_INVALID_INPUT,
                              "Invalid input received: Fixed IP %s is not a valid ip address for "
                              "network %s.",
                              nic->address, nic->network_id);
    if (is_type(response, "IpAddressInUse") || is_type(response, "IpAddressAlreadyAllocated"))
        return nova_error_set(err, NOVA_ERROR_FIXED_IP_ALREADY_IN_USE,
                              "Fixed IP %s is already in use.", nic->address);
    if (is_type(response, "OverQuota"))
        return nova_error_set(err, NOVA_ERROR_PORT_LIMIT_EXCEEDED,
                              "Maximum number of ports exceeded");
    if (is_type(response, "IpAddressGenerationFailure"))
        return nova_error_set(err, NOVA_ERROR_NO_MORE_FIXED_IPS,
                              "No fixed IP addresses available for network: %s",
                              nic->network_id);
    return neutron_refused(response, "POST of a port", err);
}

static json_t *
creation_body(Allocation *all, const Nic *nic)
{
    const Instance *instance = all->caller->instance;
    json_t *port = json_pack("{s:s}", "device_id", instance->uuid);

    if (nic->address)
        json_object_set_new(port, "fixed_ips", json_pack("[{s:s}]", "ip_address", nic->address));
    json_set_string(port, "network_id", nic->network_id);
    json_object_set_new(port, "admin_state_up", json_true());
    json_set_string(port, "tenant_id", instance->project_id);
    if (all->security_groups->len > 0) {
        json_t *groups = json_array();

        for (guint i = 0; i < all->security_groups->len; i++)
            json_array_append_new(groups,
                                  json_string(g_ptr_array_index(all->security_groups, i)));
        json_object_set_new(port, "security_groups", groups);
    }
    return json_pack("{s:o}", "port", port);
}

/* Neutron can give a group only to a port with an address, and none to a port without security. */
static bool
check_security(Allocation *all, const Nic *nic, NovaError **err)
{
    bool is_secure = json_get_bool(nic->network, "port_security_enabled", true);
    bool has_subnets = json_array_size(json_get_array(nic->network, "subnets")) > 0;

    if (is_secure ? has_subnets : all->security_groups->len == 0)
        return true;
    return nova_error_set(err, NOVA_ERROR_SECURITY_GROUP_CANNOT_BE_APPLIED,
                          "Network requires port_security_enabled and subnet associated in order "
                          "to apply security groups.");
}

static bool
check_created(Allocation *all, const Nic *nic, const json_t *port, NovaError **err)
{
    bool has, is_extended;

    if (!neutron_has_resource_request(all->caller, port, &has, &is_extended, err))
        return false;
    if (has)
        return nova_error_set(err, NOVA_ERROR_NETWORKS_WITH_QO_S_POLICY_NOT_SUPPORTED,
                              "Using networks with QoS policy is not supported for instance %s. "
                              "(Network ID is %s)",
                              all->caller->instance->uuid, nic->network_id);
    return !binding_failed(port, err);
}

static bool
create_port(Allocation *all, Nic *nic, NovaError **err)
{
    json_auto_t *body = creation_body(all, nic);
    g_autoptr(HttpResponse) response =
        neutron_send(all->caller, AS_USER, "POST", "/ports", body, err);
    json_t *port = response ? json_get_object(response->json, "port") : NULL;

    if (!response)
        return false;
    if (!neutron_is_ok(response) || !json_get_string(port, "id", NULL))
        return creation_refused(nic, response, err);
    json_array_append(all->created, port);
    nic->port_id = json_get_string(port, "id", NULL);
    nic->is_created = true;
    LOG_DEBUG("Successfully created port: %s", nic->port_id);
    return check_created(all, nic, port, err);
}

static bool
create_ports(Allocation *all, NovaError **err)
{
    for (guint i = 0; i < all->nics->len; i++) {
        Nic *nic = &g_array_index(all->nics, Nic, i);

        if (!nic->network)
            continue;
        if (!check_security(all, nic, err) || (!nic->port_id && !create_port(all, nic, err)))
            return false;
    }
    return true;
}

/* ---- binding them ---- */

static bool
add_pci_profile(Allocation *all, const Nic *nic, json_t *fields, NovaError **err)
{
    json_t *entries;
    json_t *profile;

    if (!nic->pci_request_id)
        return true;
    entries = json_get_object(all->what->pci_profiles, nic->pci_request_id);
    if (!entries)
        return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_NOT_FOUND,
                              "PCI device not found for request ID %s.", nic->pci_request_id);
    profile = neutron_model_profile(fields);
    json_object_update(profile, entries);
    json_object_set_new(fields, "binding:profile", profile);
    /* A passed-through physical function keeps its address: the port gets it. */
    if (json_get_string(entries, "device_mac_address", NULL))
        json_object_set(fields, "mac_address", json_object_get(entries, "device_mac_address"));
    return true;
}

static bool
has_dns_domain(const Nic *nic)
{
    return *json_get_string(nic->network, "dns_domain", "") != '\0';
}

static json_t *
binding_body(Allocation *all, const Nic *nic, bool has_dns, NovaError **err)
{
    const Instance *instance = all->caller->instance;
    const char *zone = instance->availability_zone;
    g_autofree char *owner = g_strconcat("compute:", zone ? zone : "None", NULL);
    json_auto_t *fields =
        json_pack("{s:s, s:s}", "device_id", instance->uuid, "device_owner", owner);
    json_auto_t *profile = neutron_model_profile(nic->port);

    if (json_object_size(profile) > 0)
        json_object_set(fields, "binding:profile", profile);
    json_set_string(fields, "binding:host_id", all->what->host);
    if (!add_pci_profile(all, nic, fields, err))
        return NULL;
    if (has_dns && !has_dns_domain(nic))
        json_set_string(fields, "dns_name", instance->hostname);
    return json_pack("{s:O}", "port", fields);
}

static bool
binding_refused(const Nic *nic, const json_t *body, const HttpResponse *response, NovaError **err)
{
    if (is_type(response, "MacAddressInUse"))
        return nova_error_set(err, NOVA_ERROR_PORT_IN_USE, "Port %s is still in use.",
                              json_get_string(json_get_object(body, "port"), "mac_address",
                                              "None"));
    if (is_type(response, "HostNotCompatibleWithFixedIps"))
        return nova_error_set(err, NOVA_ERROR_FIXED_IP_INVALID_ON_HOST,
                              "The fixed IP associated with port %s is not compatible with the "
                              "host.",
                              nic->port_id);
    if (response->status == 404)
        return nova_error_set(err, NOVA_ERROR_PORT_NOT_FOUND, "Port id %s could not be found.",
                              nic->port_id);
    return neutron_refused(response, "PUT of a port", err);
}

static bool
make_row(Allocation *all, const Nic *nic, const json_t *port, NovaError **err)
{
    VirtualInterface *row = NULL;

    if (!neutron_create_vif_row(all->caller, port, nic->tag, &row, err))
        return false;
    g_ptr_array_add(all->rows, row);
    return true;
}

/* The network's own DNS domain lies in the user's zone: only the user may name the port there. */
static bool
set_dns_name_as_user(Allocation *all, const Nic *nic, NovaError **err)
{
    const char *hostname = all->caller->instance->hostname;
    g_autofree char *path = neutron_path("/ports/", nic->port_id);
    json_auto_t *body = json_pack("{s:{s:s?}}", "port", "dns_name", hostname);
    g_autoptr(HttpResponse) response =
        neutron_send(all->caller, AS_USER, "PUT", path, body, err);

    if (!response)
        return false;
    if (response->status == 400)
        return nova_error_set(err, NOVA_ERROR_INVALID_INPUT,
                              "Invalid input received: Instance hostname %s is not a valid DNS "
                              "name",
                              hostname);
    return neutron_is_ok(response) || neutron_refused(response, "PUT of a port's name", err);
}

static bool
bind_port(Allocation *all, Nic *nic, bool has_dns, NovaError **err)
{
    g_autofree char *path = neutron_path("/ports/", nic->port_id);
    json_auto_t *body = binding_body(all, nic, has_dns, err);
    g_autoptr(HttpResponse) response =
        body ? neutron_send(all->caller, AS_ADMIN, "PUT", path, body, err) : NULL;
    json_t *port = response ? json_get_object(response->json, "port") : NULL;

    if (!response)
        return false;
    if (!neutron_is_ok(response) || !port)
        return binding_refused(nic, body, response, err);
    if (!nic->is_created)
        g_ptr_array_add(all->bound, (void *)nic->port_id);
    if (binding_failed(port, err) || !make_row(all, nic, port, err))
        return false;
    return !(has_dns && has_dns_domain(nic)) || set_dns_name_as_user(all, nic, err);
}

static bool
bind_ports(Allocation *all, NovaError **err)
{
    bool has_dns;

    if (!neutron_extension(all->caller, AS_USER, "dns-integration", &has_dns, err))
        return false;
    for (guint i = 0; i < all->nics->len; i++) {
        Nic *nic = &g_array_index(all->nics, Nic, i);

        if (nic->network && !bind_port(all, nic, has_dns, err))
            return false;
    }
    return true;
}

/* ---- all of it ---- */

static void
undo(Allocation *all)
{
    g_autoptr(GPtrArray) created = g_ptr_array_new();
    json_t *port;
    size_t i;

    json_array_foreach (all->created, i, port)
        g_ptr_array_add(created, (void *)json_get_string(port, "id", ""));
    neutron_unbind_ports(all->caller->neutron, all->caller->ctx, all->bound, true);
    neutron_delete_ports(all->caller, created, NULL);
    for (guint k = 0; k < all->rows->len; k++) {
        g_autoptr(NovaError) failure = NULL;

        if (!neutron_destroy_vif_row(all->caller, g_ptr_array_index(all->rows, k), &failure))
            LOG_WARNING("A VirtualInterface record is left behind: %s",
                        nova_error_details(failure));
    }
}

/* The ids of the NICs of this call, and of those that were given. */
static void
collect_ids(const Allocation *all, GPtrArray *ids, GPtrArray *given)
{
    for (guint i = 0; i < all->nics->len; i++) {
        const Nic *nic = &g_array_index(all->nics, Nic, i);

        if (!nic->network)
            continue;
        g_ptr_array_add(ids, (void *)nic->port_id);
        if (!nic->is_created)
            g_ptr_array_add(given, (void *)nic->port_id);
    }
}

static json_t *
vifs_with_ids(const json_t *vifs, const GPtrArray *ids)
{
    json_t *chosen = json_array();
    json_t *vif;
    size_t i;

    json_array_foreach (vifs, i, vif)
        if (neutron_has_id(ids, json_get_string(vif, "id", NULL)))
            json_array_append(chosen, vif);
    return chosen;
}

static NetworkInfo *
save_and_choose(Allocation *all, NovaError **err)
{
    const NeutronCaller *caller = all->caller;
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    g_autoptr(GPtrArray) given = g_ptr_array_new();
    NeutronBuild build = {.networks = all->networks, .port_ids = ids, .given = given};
    json_auto_t *vifs = NULL;
    json_auto_t *chosen = NULL;

    collect_ids(all, ids, given);
    neutron_lock_instance(caller->neutron, caller->instance->uuid);
    vifs = neutron_build_and_save(caller, &build, err);
    neutron_unlock_instance(caller->neutron, caller->instance->uuid);
    if (!vifs)
        return NULL;
    chosen = vifs_with_ids(vifs, ids);
    return neutron_network_info(chosen, err);
}

static NetworkInfo *
no_network(NovaError **err)
{
    json_auto_t *nothing = json_array();

    return neutron_network_info(nothing, err);
}

NetworkInfo *
neutron_allocate_for_instance(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                              const NeutronAllocation *what, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, instance};
    g_auto(Allocation) all = {0};
    NetworkInfo *info;

    allocation_init(&all, &caller, what);
    if (is_special(what, "none"))
        return no_network(err);
    if (!instance->project_id || !*instance->project_id) {
        nova_error_set(err, NOVA_ERROR_INVALID_INPUT,
                       "Invalid input received: empty project id for instance %s",
                       instance->uuid);
        return NULL;
    }
    if (!read_requests(&all, err) || !find_networks(&all, err))
        return NULL;
    if (all.nics->len == 0 || json_array_size(all.networks) == 0)
        return no_network(err);
    if (!find_security_groups(&all, err) || !note_allocations(&all, err))
        return NULL;
    info = create_ports(&all, err) && bind_ports(&all, err) ? save_and_choose(&all, err) : NULL;
    if (!info)
        undo(&all);
    return info;
}
