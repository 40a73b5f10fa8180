/* SPDX-License-Identifier: Apache-2.0 */
/* What ports need: of Placement (bandwidth, packet rates), and from whom they have it; a PCI device. */
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"
#include "network/neutron_model.h"
#include "network/neutron_private.h"

/* ---- what a port asks of Placement ---- */

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

static bool
resources_of_port(const NeutronCaller *caller, const char *port_id, const json_t *port, json_t **ret, NovaError **err)
{
    json_t *request = json_get_object(port, "resource_request");
    bool has, is_extended;

    if (!neutron_has_resource_request(caller, port, &has, &is_extended, err))
        return false;
    *ret = !has ? NULL : is_extended ? json_incref(request) : legacy_request(port_id, request);
    return true;
}

/* ---- its PCI device ---- */

static const char *
bool_text(bool value)
{
    return value ? "True" : "False";
}

static void
add_trust(const json_t *port, json_t *device)
{
    json_t *trusted = json_path(port, "binding:profile", "trusted", NULL);

    if (trusted && !json_is_null(trusted))
        json_set_string(device, "trusted",
                        bool_text(json_is_true(trusted) || is_true_string(json_string_value(trusted))));
}

/* The part of create_resource_requests() that is about one port. */
static bool
device_of_port(const NeutronCaller *caller, const json_t *port, json_t **ret, NovaError **err)
{
    static const char *const types[][2] = {{"direct-physical", "type-PF"}, {"vdpa", "vdpa"}};
    const char *vnic_type = json_get_string(port, "binding:vnic_type", "normal");
    json_auto_t *network = NULL;
    const char *name;
    bool is_tunneled;

    if (!neutron_is_sriov(port))
        return true;
    network = neutron_fetch_provider(caller, json_get_string(port, "network_id", ""), err);
    if (!network || !neutron_model_physical(network, &name, &is_tunneled, err))
        return false;
    *ret = json_pack("{s:s?, s:s}", "physical_network", name, "remote_managed",
                     bool_text(!strcmp(vnic_type, "remote-managed")));
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!strcmp(vnic_type, types[i][0]))
            json_set_string(*ret, "dev_type", types[i][1]);
    add_trust(port, *ret);
    return true;
}

void
port_needs_clear(PortNeeds *needs)
{
    json_decref(needs->resources);
    json_decref(needs->device);
    g_free(needs->numa_policy);
    *needs = (PortNeeds){0};
}

bool
neutron_fetch_port_needs(Neutron *neutron, const RequestContext *ctx, const char *port_id, PortNeeds *ret,
                         NovaError **err)
{
    static const char fields[] = "?fields=binding%3Avnic_type&fields=binding%3Aprofile&fields=network_id"
                                 "&fields=resource_request&fields=numa_affinity_policy";
    NeutronCaller caller = {neutron, ctx, NULL};
    json_auto_t *port = neutron_show_port(&caller, port_id, fields, err);

    if (!port || !resources_of_port(&caller, port_id, port, &ret->resources, err) ||
        !device_of_port(&caller, port, &ret->device, err))
        return false;
    ret->numa_policy = g_strdup(json_get_string(port, "numa_affinity_policy", NULL));
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
