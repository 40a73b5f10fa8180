/* SPDX-License-Identifier: Apache-2.0 */
#include "network/neutron_model.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"

#define NIC_NAME_LEN 14

/* ---- addresses ---- */

static int
version_of(const char *address)
{
    unsigned char bytes[16];

    if (!address)
        return 0;
    if (inet_pton(AF_INET, address, bytes) == 1)
        return 4;
    return inet_pton(AF_INET6, address, bytes) == 1 ? 6 : 0;
}

static int
version_of_cidr(const char *cidr)
{
    g_auto(GStrv) parts = cidr ? g_strsplit(cidr, "/", 2) : NULL;

    return parts ? version_of(parts[0]) : 0;
}

bool
neutron_model_in_subnet(const char *address, const char *cidr)
{
    g_auto(GStrv) parts = cidr ? g_strsplit(cidr, "/", 2) : NULL;
    unsigned char a[16], net[16];
    int version = version_of(address);
    unsigned long bits;
    char *end;

    if (!version || !parts || !parts[0] || !parts[1] || version_of(parts[0]) != version)
        return false;
    bits = strtoul(parts[1], &end, 10);
    if (*end || end == parts[1] || bits > (version == 4 ? 32U : 128U))
        return false;
    inet_pton(version == 4 ? AF_INET : AF_INET6, address, a);
    inet_pton(version == 4 ? AF_INET : AF_INET6, parts[0], net);
    for (unsigned long i = 0; i < bits; i++)
        if (((a[i / 8] ^ net[i / 8]) >> (7 - i % 8)) & 1)
            return false;
    return true;
}

static json_t *
text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* nova.network.model.IP */
static json_t *
ip_json(const char *address, const char *type)
{
    int version = version_of(address);

    return json_pack("{s:o, s:s, s:o, s:{}}", "address", text_or_null(address), "type", type,
                     "version", version ? json_integer(version) : json_null(), "meta");
}

/* ---- addresses of a port ---- */

static json_t *
floating_json(const NeutronVifFacts *facts, const char *fixed_address)
{
    const char *port_id = json_get_string(facts->port, "id", "");
    json_t *list = json_array();
    json_t *floating;
    size_t i;

    json_array_foreach (facts->floating_ips, i, floating)
        if (strcmp(json_get_string(floating, "port_id", ""), port_id) == 0 &&
            strcmp(json_get_string(floating, "fixed_ip_address", ""), fixed_address) == 0)
            json_array_append_new(
                list, ip_json(json_get_string(floating, "floating_ip_address", NULL), "floating"));
    return list;
}

static json_t *
fixed_ips_json(const NeutronVifFacts *facts, const char *cidr)
{
    json_t *list = json_array();
    json_t *fixed;
    size_t i;

    json_array_foreach (json_get_array(facts->port, "fixed_ips"), i, fixed) {
        const char *address = json_get_string(fixed, "ip_address", "");
        json_t *ip;

        if (!neutron_model_in_subnet(address, cidr))
            continue;
        ip = ip_json(address, "fixed");
        json_object_set_new(ip, "floating_ips", floating_json(facts, address));
        json_array_append_new(list, ip);
    }
    return list;
}

/* ---- subnets ---- */

static const char *
dhcp_server(const NeutronVifFacts *facts, const char *subnet_id)
{
    const char *server = NULL;
    json_t *port, *fixed;
    size_t i, j;

    /* The last DHCP port wins, as in Nova; of one port the first address. */
    json_array_foreach (facts->dhcp_ports, i, port)
        json_array_foreach (json_get_array(port, "fixed_ips"), j, fixed)
            if (strcmp(json_get_string(fixed, "subnet_id", ""), subnet_id) == 0) {
                server = json_get_string(fixed, "ip_address", NULL);
                break;
            }
    return server;
}

static json_t *
dns_json(const json_t *subnet)
{
    json_t *list = json_array();
    json_t *server;
    size_t i;

    json_array_foreach (json_get_array(subnet, "dns_nameservers"), i, server)
        if (json_is_string(server))
            json_array_append_new(list, ip_json(json_string_value(server), "dns"));
    return list;
}

static json_t *
routes_json(const json_t *subnet)
{
    json_t *list = json_array();
    json_t *route;
    size_t i;

    json_array_foreach (json_get_array(subnet, "host_routes"), i, route)
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:n, s:{}}", "cidr",
                            text_or_null(json_get_string(route, "destination", NULL)), "gateway",
                            ip_json(json_get_string(route, "nexthop", NULL), "gateway"),
                            "interface", "meta"));
    return list;
}

static json_t *
subnet_meta(const NeutronVifFacts *facts, const json_t *subnet)
{
    json_t *meta = json_object();
    const char *mode = json_get_string(subnet, "ipv6_address_mode", "");
    const char *server = dhcp_server(facts, json_get_string(subnet, "id", ""));

    json_object_set_new(meta, "enable_dhcp",
                        json_boolean(json_get_bool(subnet, "enable_dhcp", false)));
    if (*mode)
        json_set_string(meta, "ipv6_address_mode", mode);
    if (server)
        json_set_string(meta, "dhcp_server", server);
    return meta;
}

static json_t *
subnet_json(const NeutronVifFacts *facts, const json_t *subnet)
{
    const char *cidr = json_get_string(subnet, "cidr", NULL);
    int version = version_of_cidr(cidr);
    json_t *gateway = ip_json(json_get_string(subnet, "gateway_ip", NULL), "gateway");

    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cidr", text_or_null(cidr), "dns",
                     dns_json(subnet), "gateway", gateway, "ips", fixed_ips_json(facts, cidr),
                     "routes", routes_json(subnet), "version",
                     version ? json_integer(version) : json_null(), "meta",
                     subnet_meta(facts, subnet));
}

static bool
port_is_on(const json_t *port, const char *subnet_id)
{
    json_t *fixed;
    size_t i;

    json_array_foreach (json_get_array(port, "fixed_ips"), i, fixed)
        if (strcmp(json_get_string(fixed, "subnet_id", ""), subnet_id) == 0)
            return true;
    return false;
}

static json_t *
subnets_json(const NeutronVifFacts *facts)
{
    json_t *list = json_array();
    json_t *subnet;
    size_t i;

    json_array_foreach (facts->subnets, i, subnet)
        if (port_is_on(facts->port, json_get_string(subnet, "id", "")))
            json_array_append_new(list, subnet_json(facts, subnet));
    return list;
}

/* ---- the binding ---- */

/* The kernel's limit on names, and still valid UTF-8. */
static char *
cut_name(const char *name)
{
    g_autofree char *cut = g_strndup(name, NIC_NAME_LEN);

    return g_utf8_make_valid(cut, -1);
}

/* Which bridge the host must have, and whether the port is one of Open vSwitch. */
typedef struct Bridge {
    char *name; /* NULL: none */
    bool is_ovs;
} Bridge;

static bool
find_bridge(const NeutronVifFacts *facts, Bridge *bridge, NovaError **err)
{
    const char *type = json_get_string(facts->port, "binding:vif_type", "");
    json_t *details = json_get_object(facts->port, "binding:vif_details");
    const char *named = json_get_string(details, "bridge_name", NULL);
    const char *network_id = json_get_string(facts->port, "network_id", "");
    bool is_vhostuser = strcmp(type, "vhostuser") == 0;
    g_autofree char *name = NULL;

    if (strcmp(type, "bridge") == 0)
        return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION,
                              "Neutron reported binding:vif_type=bridge, but Linux bridge VIFs "
                              "are no longer supported by Nova. Please migrate to a supported "
                              "backend (e.g. OVS/OVN) before upgrading.");
    if (strcmp(type, "dvs") == 0) {
        bridge->name = g_strdup(network_id);
        return true;
    }
    bridge->is_ovs = strcmp(type, "ovs") == 0 || strcmp(type, "agilio_ovs") == 0 ||
                     (is_vhostuser && json_get_bool(details, "vhostuser_ovs_plug", false));
    if (bridge->is_ovs)
        name = g_strdup(named ? named : facts->ovs_bridge);
    else if (is_vhostuser && json_get_bool(details, "vhostuser_fp_plug", false))
        name = named ? g_strdup(named) : g_strconcat("brq", network_id, NULL);
    bridge->name = name ? cut_name(name) : NULL;
    return true;
}

static json_t *
network_json(const NeutronVifFacts *facts, const Bridge *bridge)
{
    const json_t *owner = facts->network ? facts->network : facts->port;
    json_t *mtu = json_object_get(facts->network, "mtu");
    json_t *meta = json_pack(
        "{s:b, s:o, s:O?, s:o, s:b}", "injected", (int)facts->is_injected, "tenant_id",
        text_or_null(json_get_string(owner, "tenant_id", NULL)), "mtu", mtu, "physical_network",
        text_or_null(facts->physical_network), "tunneled", (int)facts->is_tunneled);

    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "id",
                     text_or_null(json_get_string(facts->port, "network_id", NULL)), "bridge",
                     text_or_null(bridge->name), "label",
                     text_or_null(json_get_string(facts->network, "name", NULL)), "subnets",
                     subnets_json(facts), "meta", meta);
}

json_t *
neutron_model_profile(const json_t *port)
{
    json_t *profile = json_get_object(port, "binding:profile");

    return profile ? json_deep_copy(profile) : json_object();
}

static bool
is_active(const json_t *port)
{
    return !json_get_bool(port, "admin_state_up", true) ||
           strcmp(json_get_string(port, "status", ""), "ACTIVE") == 0;
}

static json_t *
details_json(const json_t *port)
{
    json_t *details = json_get_object(port, "binding:vif_details");

    return details ? json_deep_copy(details) : json_object();
}

json_t *
neutron_model_vif(const NeutronVifFacts *facts, NovaError **err)
{
    const json_t *port = facts->port;
    const char *id = json_get_string(port, "id", "");
    g_autofree char *long_name = g_strconcat("tap", id, NULL);
    g_autofree char *device = cut_name(long_name);
    g_autofree char *bridge_name = NULL;
    Bridge bridge = {0};

    if (!find_bridge(facts, &bridge, err))
        return NULL;
    bridge_name = bridge.name;
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:n, s:n, s:b, s:s, s:o, s:b, s:b, s:{}}", "id", id,
        "address", text_or_null(json_get_string(port, "mac_address", NULL)), "network",
        network_json(facts, &bridge), "type",
        text_or_null(json_get_string(port, "binding:vif_type", NULL)), "details",
        details_json(port), "devname", device, "ovs_interfaceid",
        text_or_null(bridge.is_ovs ? id : NULL), "qbh_params", "qbg_params", "active",
        (int)is_active(port), "vnic_type", json_get_string(port, "binding:vnic_type", "normal"),
        "profile", neutron_model_profile(port), "preserve_on_delete", (int)facts->is_preexisting,
        "delegate_create", 1, "meta");
}

/* ---- provider networks ---- */

bool
neutron_model_physical(const json_t *network, const char **ret_physical_network,
                       bool *ret_is_tunneled, NovaError **err)
{
    json_t *segments = json_get_array(network, "segments");
    const char *type = json_get_string(network, "provider:network_type", "");
    json_t *segment;
    size_t i;

    json_array_foreach (segments, i, segment) {
        const char *name = json_get_string(segment, "provider:physical_network", "");

        if (*name) {
            *ret_physical_network = name;
            *ret_is_tunneled = false;
            return true;
        }
    }
    if (json_array_size(segments) > 0)
        return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION,
                              "None of the segments of network %s provides a physical_network",
                              json_get_string(network, "id", ""));
    *ret_physical_network = json_get_string(network, "provider:physical_network", NULL);
    *ret_is_tunneled = strcmp(type, "vxlan") == 0 || strcmp(type, "gre") == 0 ||
                       strcmp(type, "geneve") == 0;
    return true;
}
