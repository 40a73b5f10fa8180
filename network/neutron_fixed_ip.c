/* SPDX-License-Identifier: Apache-2.0 */
/* Further addresses for ports that a server has, and fewer. */
#define LOG_NAME "kilonova.network.neutron"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "network/neutron_private.h"

/* The server's ports with this 'name' of 'value'; new reference. */
static json_t *
fetch_ports(const NeutronCaller *caller, const char *name, const char *value, NovaError **err)
{
    const char *zone = caller->instance->availability_zone;
    g_autofree char *owner = g_strconcat("compute:", zone ? zone : "None", NULL);
    g_autoptr(GString) path = g_string_new("/ports");

    neutron_add_query(path, "device_id", caller->instance->uuid);
    neutron_add_query(path, "device_owner", owner);
    neutron_add_query(path, name, value);
    return neutron_fetch_list(caller, AS_USER, path->str, "ports", err);
}

static json_t *
fetch_subnets(const NeutronCaller *caller, const char *network_id, NovaError **err)
{
    g_autoptr(GString) path = g_string_new("/subnets");

    neutron_add_query(path, "network_id", network_id);
    return neutron_fetch_list(caller, AS_USER, path->str, "subnets", err);
}

/* What Neutron refuses is no error yet: another subnet or port may do. */
static bool
set_fixed_ips(const NeutronCaller *caller, const json_t *port, json_t *fixed_ips)
{
    const char *id = json_get_string(port, "id", "");
    g_autofree char *path = neutron_path("/ports/", id);
    json_auto_t *body = json_pack("{s:{s:O}}", "port", "fixed_ips", fixed_ips);
    g_autoptr(NovaError) error = NULL;
    g_autoptr(HttpResponse) response = neutron_send(caller, AS_USER, "PUT", path, body, &error);

    if (response && neutron_is_ok(response))
        return true;
    if (response)
        neutron_refused(response, "PUT of a port", &error);
    LOG_DEBUG("Unable to update port %s with failure: %s", id, nova_error_details(error));
    return false;
}

static bool
add_address(const NeutronCaller *caller, const json_t *port, const json_t *subnet)
{
    json_auto_t *fixed_ips = json_copy(json_object_get(port, "fixed_ips"));

    if (!json_is_array(fixed_ips))
        return false;
    json_array_append_new(fixed_ips, json_pack("{s:O}", "subnet_id", json_object_get(subnet, "id")));
    return set_fixed_ips(caller, port, fixed_ips);
}

static bool
network_not_found(const NeutronCaller *caller, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_NETWORK_NOT_FOUND_FOR_INSTANCE,
                          "Network could not be found for instance %s.", caller->instance->uuid);
}

static bool
add_to_some_port(const NeutronCaller *caller, const char *network_id, NovaError **err)
{
    json_auto_t *subnets = fetch_subnets(caller, network_id, err);
    json_auto_t *ports = NULL;
    json_t *port, *subnet;
    size_t i, j;

    if (!subnets)
        return false;
    if (json_array_size(subnets) == 0)
        return network_not_found(caller, err);
    ports = fetch_ports(caller, "network_id", network_id, err);
    if (!ports)
        return false;
    json_array_foreach (ports, i, port)
        json_array_foreach (subnets, j, subnet)
            if (add_address(caller, port, subnet))
                return true;
    return network_not_found(caller, err);
}

static bool
remove_from_port(const NeutronCaller *caller, const char *address, NovaError **err)
{
    g_autofree char *filter = g_strconcat("ip_address=", address, NULL);
    json_auto_t *ports = fetch_ports(caller, "fixed_ips", filter, err);
    json_t *port = json_array_get(ports, 0);
    json_auto_t *left = json_array();
    json_t *ip;
    size_t i;

    if (!ports)
        return false;
    if (!port)
        return nova_error_set(err, NOVA_ERROR_FIXED_IP_NOT_FOUND_FOR_INSTANCE,
                              "Instance %s does not have fixed IP '%s'.", caller->instance->uuid, address);
    json_array_foreach (json_object_get(port, "fixed_ips"), i, ip)
        if (g_strcmp0(json_get_string(ip, "ip_address", NULL), address) != 0)
            json_array_append(left, ip);
    set_fixed_ips(caller, port, left);
    return true;
}

/* With the instance's lock held, as all that writes its cache. */
static NetworkInfo *
change(Neutron *neutron, const RequestContext *ctx, Instance *instance,
       bool (*change_port)(const NeutronCaller *caller, const char *what, NovaError **err),
       const char *what, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, instance};
    NeutronBuild all = {0};
    json_auto_t *vifs = NULL;

    neutron_lock_instance(neutron, instance->uuid);
    if (change_port(&caller, what, err))
        vifs = neutron_build_and_save(&caller, &all, err);
    neutron_unlock_instance(neutron, instance->uuid);
    return vifs ? neutron_network_info(vifs, err) : NULL;
}

NetworkInfo *
neutron_add_fixed_ip(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                     const char *network_id, NovaError **err)
{
    return change(neutron, ctx, instance, add_to_some_port, network_id, err);
}

NetworkInfo *
neutron_remove_fixed_ip(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                        const char *address, NovaError **err)
{
    return change(neutron, ctx, instance, remove_from_port, address, err);
}
