/* SPDX-License-Identifier: Apache-2.0 */
/* What ports ask of Placement (bandwidth, packet rates), and from whom they have it. */
#include "agent/base/json.h"
#include "network/neutron_private.h"

/* ---- what a port asks for ---- */

static const char *
mapped_provider(json_t *mapping, const char *key)
{
    return json_string_value(json_array_get(json_get_array(mapping, key), 0));
}

static bool
no_mapping(const json_t *port, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_PORT_UPDATE_FAILED,
                          "Port update failed for port %s: Provider mappings are not available "
                          "to the compute service but are required for ports with a resource "
                          "request.",
                          json_get_string(port, "id", ""));
}

bool
neutron_has_resource_request(const NeutronCaller *caller, const json_t *port, bool *ret_has,
                             bool *ret_extended, NovaError **err)
{
    json_t *request = json_get_object(port, "resource_request");

    *ret_has = *ret_extended = false;
    if (json_object_size(request) == 0)
        return true;
    if (!neutron_extension(caller, AS_ADMIN, "port-resource-request-groups", ret_extended, err))
        return false;
    *ret_has = !*ret_extended || json_array_size(json_get_array(request, "request_groups")) > 0;
    return true;
}

bool
neutron_port_allocation(const NeutronCaller *caller, const json_t *port, json_t *mapping,
                        json_t **ret_allocation, NovaError **err)
{
    json_auto_t *allocation = NULL;
    bool has, is_extended;
    json_t *group;
    size_t i;

    if (!neutron_has_resource_request(caller, port, &has, &is_extended, err))
        return false;
    *ret_allocation = NULL;
    if (!has)
        return true;
    if (!is_extended) {
        const char *provider = mapped_provider(mapping, json_get_string(port, "id", ""));

        if (!provider)
            return no_mapping(port, err);
        *ret_allocation = json_string(provider);
        return true;
    }
    allocation = json_object();
    json_array_foreach (json_path(port, "resource_request", "request_groups", NULL), i, group) {
        const char *id = json_get_string(group, "id", "");
        const char *provider = mapped_provider(mapping, id);

        if (!provider)
            return no_mapping(port, err);
        json_set_string(allocation, id, provider);
    }
    *ret_allocation = g_steal_pointer(&allocation);
    return true;
}

/* The legacy form has one group, the port's. */
static json_t *
legacy_request(const char *port_id, json_t *request)
{
    json_t *required = json_get_array(request, "required");

    return json_pack("{s:[{s:s, s:O, s:o}]}", "request_groups", "id", port_id, "resources",
                     json_object_get(request, "resources"), "required",
                     required ? json_incref(required) : json_array());
}

bool
neutron_fetch_resource_request(Neutron *neutron, const RequestContext *ctx, const char *port_id,
                               json_t **ret_request, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, NULL};
    json_auto_t *port = neutron_show_port(&caller, port_id, "?fields=resource_request", err);
    json_t *request = json_get_object(port, "resource_request");
    bool has, is_extended;

    if (!port || !neutron_has_resource_request(&caller, port, &has, &is_extended, err))
        return false;
    *ret_request = !has          ? NULL
                   : is_extended ? json_incref(request)
                                 : legacy_request(port_id, request);
    return true;
}

/* ---- what it has ---- */

static void
add_amounts(json_t *resources, const char *provider, json_t *amounts)
{
    json_t *sum = json_path(resources, provider, "resources", NULL);
    const char *class;
    json_t *amount;

    if (!sum) {
        sum = json_object();
        json_object_set_new(resources, provider, json_pack("{s:o}", "resources", sum));
    }
    json_object_foreach (amounts, class, amount)
        json_object_set_new(sum, class, json_integer(json_get_int(sum, class, 0) + json_integer_value(amount)));
}

void
neutron_add_port_resources(json_t *resources, const json_t *port)
{
    json_t *request = json_get_object(port, "resource_request");
    json_t *allocation = json_path(port, "binding:profile", "allocation", NULL);
    json_t *groups = json_get_array(request, "request_groups");
    json_t *amounts = json_get_object(request, "resources");
    json_t *group;
    size_t i;

    json_array_foreach (groups, i, group) {
        const char *provider = json_get_string(allocation, json_get_string(group, "id", ""), NULL);

        if (provider)
            add_amounts(resources, provider, json_get_object(group, "resources"));
    }
    if (!groups && amounts && json_is_string(allocation))
        add_amounts(resources, json_string_value(allocation), amounts);
}

json_t *
neutron_fetch_held_resources(Neutron *neutron, const RequestContext *ctx, const Instance *instance,
                             NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, NULL};
    g_autofree char *query = http_query("device_id", instance->uuid, NULL);
    g_autofree char *path = g_strconcat("/ports", query, NULL);
    json_auto_t *ports = neutron_fetch_list(&caller, AS_ADMIN, path, "ports", err);
    json_t *resources = ports ? json_object() : NULL;
    json_t *port;
    size_t i;

    json_array_foreach (ports, i, port)
        neutron_add_port_resources(resources, port);
    return resources;
}
