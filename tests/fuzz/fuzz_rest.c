/* SPDX-License-Identifier: Apache-2.0 */
/* Any body of a REST answer is read without harm: catalogs, errors, Neutron's ports and all around
 * them, Placement's inventories. A VIF or an error comes out, never neither. */

#include <stdint.h>
#include <stdlib.h>

#include "agent/base/json.h"
#include "agent/control/keystone.h"
#include "agent/control/provider_tree.h"
#include "agent/control/rest.h"
#include "network/neutron_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_error(const char *body, size_t size, json_t *json)
{
    g_autofree char *copy = g_strndup(body, size);
    HttpResponse response = {.status = 409, .body = copy, .length = size, .json = json};
    g_autofree char *text = rest_error_text(&response);

    if (!g_utf8_validate(text, -1, NULL) || !rest_error_code(&response))
        abort();
}

static void
read_catalog(const json_t *json)
{
    static const char *const interfaces[] = {"internalURL", "public", NULL};
    EndpointFilter filter = {.service_type = "volumev3", .interfaces = interfaces};
    g_autofree char *any = keystone_endpoint_from_catalog(json, &filter);
    g_autofree char *in_region = NULL;

    filter.region_name = "RegionOne";
    filter.service_name = "cinder";
    in_region = keystone_endpoint_from_catalog(json, &filter);
    if (in_region && !any)
        abort();
}

static void
read_port(const json_t *json)
{
    NeutronVifFacts facts = {
        .port = json_object_get(json, "port"),
        .network = json_object_get(json, "network"),
        .subnets = json_object_get(json, "subnets"),
        .dhcp_ports = json_object_get(json, "ports"),
        .floating_ips = json_object_get(json, "floatingips"),
        .ovs_bridge = "br-int",
    };
    g_autoptr(NovaError) no_network = NULL;
    g_autoptr(NovaError) no_vif = NULL;
    json_auto_t *vif = NULL;

    if (neutron_model_physical(facts.network, &facts.physical_network, &facts.is_tunneled,
                               &no_network) == !!no_network)
        abort();
    vif = neutron_model_vif(&facts, &no_vif);
    if (!vif == !no_vif)
        abort();
}

static void
read_inventory(json_t *json)
{
    g_autoptr(ProviderTree) tree = provider_tree_new();
    Provider *provider = provider_tree_add(tree, "uuid", "name", NULL);
    g_autoptr(ProviderTree) copy = NULL;

    provider_set_inventory(provider, json_object_get(json, "inventories"));
    copy = provider_tree_copy(tree);
    if (provider_inventory_differs(provider->inventory,
                                   provider_tree_find(copy, "uuid")->inventory))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *json = json_parse((const char *)data, size, NULL);

    read_error((const char *)data, size, json);
    read_catalog(json);
    read_port(json);
    read_inventory(json);
    return 0;
}
