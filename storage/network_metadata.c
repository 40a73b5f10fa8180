/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/network_metadata.h"

#include <arpa/inet.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"

/* A network in CIDR notation, taken apart. */
typedef struct Cidr {
    char network[INET6_ADDRSTRLEN];
    char netmask[INET6_ADDRSTRLEN];
} Cidr;

static bool
cidr_parse(const char *text, Cidr *ret_cidr)
{
    g_auto(GStrv) parts = g_strsplit(text ? text : "", "/", 2);
    uint8_t address[16], mask[16] = {0};
    int family = parts[0] && strchr(parts[0], ':') ? AF_INET6 : AF_INET;
    unsigned n_bytes = family == AF_INET6 ? 16 : 4;
    unsigned long prefix = 8 * n_bytes;

    if (!parts[0] || inet_pton(family, parts[0], address) != 1)
        return false;
    if (parts[1])
        prefix = strtoul(parts[1], NULL, 10);
    for (unsigned bit = 0; bit < MIN(prefix, 8 * n_bytes); bit++)
        mask[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
    for (unsigned i = 0; i < n_bytes; i++)
        address[i] &= mask[i];
    inet_ntop(family, address, ret_cidr->network, sizeof ret_cidr->network);
    inet_ntop(family, mask, ret_cidr->netmask, sizeof ret_cidr->netmask);
    return true;
}

static bool
is_truthy(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_integer(value))
        return json_integer_value(value) != 0;
    return json_is_true(value) || json_object_size(value) > 0 || json_array_size(value) > 0;
}

static const json_t *
meta(const json_t *model, const char *key)
{
    return json_path(model, "meta", key, NULL);
}

static bool
has_meta(const json_t *model, const char *key)
{
    const json_t *value = meta(model, key);

    return value && !json_is_null(value);
}

static const json_t *
first_subnet(const json_t *subnets, int64_t version)
{
    const json_t *subnet;
    size_t i;

    json_array_foreach(subnets, i, subnet) {
        if (json_get_int(subnet, "version", 0) == version)
            return subnet;
    }
    return NULL;
}

/* Types that guests have always been shown; all others are "phy". */
static const char *
link_type(const json_t *vif)
{
    static const char *const shown[] = {"bridge", "dvs", "hw_veb",    "hyperv",
                                        "ovs",    "tap", "vhostuser", "vif", NULL};
    const char *type = json_get_string(vif, "type", "");

    return g_strv_contains(shown, type) ? type : "phy";
}

/* Null where DHCP tells the MTU. */
static json_t *
link_mtu(const json_t *network, const json_t *subnets)
{
    const json_t *mtu = meta(network, "mtu");
    const json_t *subnet;
    size_t i;

    json_array_foreach(subnets, i, subnet) {
        if (is_truthy(meta(subnet, "dhcp_server")))
            return json_null();
    }
    return mtu ? json_incref((json_t *)mtu) : json_null();
}

static json_t *
member_or_null(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return value ? json_incref(value) : json_null();
}

static json_t *
make_link(const json_t *vif, const json_t *network, const json_t *subnets, unsigned index)
{
    g_autofree char *numbered = g_strdup_printf("interface%u", index);
    const char *name = json_get_string(vif, "devname", "");

    return json_pack("{s:s, s:o, s:s, s:o, s:o}", "id", name[0] ? name : numbered, "vif_id",
                     member_or_null(vif, "id"), "type", link_type(vif), "mtu",
                     link_mtu(network, subnets), "ethernet_mac_address",
                     member_or_null(vif, "address"));
}

static json_t *
dns_services(const json_t *subnet)
{
    json_t *services = json_array();
    const json_t *dns;
    size_t i;

    json_array_foreach(json_object_get(subnet, "dns"), i, dns)
        json_array_append_new(services, json_pack("{s:s, s:o}", "type", "dns", "address",
                                                  member_or_null(dns, "address")));
    return services;
}

static void
append_route(json_t *routes, const char *network, const char *netmask, json_t *gateway)
{
    json_array_append_new(routes, json_pack("{s:s, s:s, s:o}", "network", network, "netmask",
                                            netmask, "gateway", gateway));
}

static json_t *
make_routes(const json_t *subnet, int64_t version)
{
    const char *any = version == 4 ? "0.0.0.0" : "::";
    const json_t *gateway = json_object_get(subnet, "gateway");
    json_t *routes = json_array();
    const json_t *route;
    size_t i;

    if (is_truthy(json_object_get(gateway, "address")))
        append_route(routes, any, any, member_or_null(gateway, "address"));
    json_array_foreach(json_object_get(subnet, "routes"), i, route) {
        Cidr cidr;

        if (cidr_parse(json_get_string(route, "cidr", NULL), &cidr))
            append_route(routes, cidr.network, cidr.netmask,
                         member_or_null(json_object_get(route, "gateway"), "address"));
    }
    return routes;
}

static void
add_static_addresses(json_t *made, const json_t *subnet, int64_t version)
{
    const json_t *ip = json_array_get(json_object_get(subnet, "ips"), 0);
    Cidr cidr;

    json_object_set_new(made, "ip_address", member_or_null(ip, "address"));
    if (cidr_parse(json_get_string(subnet, "cidr", NULL), &cidr))
        json_object_set_new(made, "netmask", json_string(cidr.netmask));
    else
        json_object_set_new(made, "netmask", json_null());
    json_object_set_new(made, "routes", make_routes(subnet, version));
}

static json_t *
make_network(const json_t *network, const json_t *subnet, int64_t version, size_t index,
             const json_t *link)
{
    bool has_mode = has_meta(subnet, "ipv6_address_mode");
    bool has_dhcp = !has_mode && (has_meta(subnet, "dhcp_server") ||
                                  is_truthy(meta(subnet, "enable_dhcp")));
    const char *mode = has_mode ? json_string_value(meta(subnet, "ipv6_address_mode")) : NULL;
    g_autofree char *id = g_strdup_printf("network%zu", index);
    g_autofree char *type = g_strdup_printf("ipv%d%s%s", (int)version, mode ? "_" : "",
                                            mode       ? mode
                                            : has_dhcp ? "_dhcp"
                                                       : "");
    json_t *made = json_pack("{s:s, s:s, s:O}", "id", id, "type", type, "link",
                             json_object_get(link, "id"));

    if (!has_dhcp)
        add_static_addresses(made, subnet, version);
    json_object_set_new(made, "network_id", member_or_null(network, "id"));
    if (!has_dhcp)
        json_object_set_new(made, "services", dns_services(subnet));
    return made;
}

static bool
contains(const json_t *list, const json_t *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (json_equal(json_array_get(list, i), value))
            return true;
    }
    return false;
}

/* Those not known yet from an earlier subnet. */
static void
add_services(json_t *services, const json_t *subnet)
{
    json_auto_t *found = dns_services(subnet);
    size_t n_known = json_array_size(services);
    json_t *service;
    size_t i;

    json_array_foreach(found, i, service) {
        if (!contains(services, service, n_known))
            json_array_append(services, service);
    }
}

static void
add_network(json_t *networks, json_t *services, const json_t *network, const json_t *subnet,
            int64_t version, const json_t *link)
{
    if (json_array_size(json_object_get(subnet, "ips")) == 0)
        return;
    json_array_append_new(networks, make_network(network, subnet, version,
                                                 json_array_size(networks), link));
    add_services(services, subnet);
}

json_t *
network_metadata_make(const json_t *network_info)
{
    json_t *links, *networks, *services;
    const json_t *vif;
    unsigned index = 0;
    size_t i;

    if (json_array_size(network_info) == 0)
        return json_object();
    links = json_array();
    networks = json_array();
    services = json_array();
    json_array_foreach(network_info, i, vif) {
        const json_t *network = json_object_get(vif, "network");
        const json_t *subnets = json_object_get(network, "subnets");
        const json_t *subnet4 = first_subnet(subnets, 4);
        const json_t *subnet6 = first_subnet(subnets, 6);
        json_auto_t *link = NULL;

        if (json_array_size(subnets) == 0)
            continue;
        link = make_link(vif, network, subnets, index++);
        if (subnet4 || subnet6)
            json_array_append(links, link);
        add_network(networks, services, network, subnet4, 4, link);
        add_network(networks, services, network, subnet6, 6, link);
    }
    return json_pack("{s:o, s:o, s:o}", "links", links, "networks", networks, "services", services);
}

/* The first address for which 'choose' has an answer. */
static const char *
find_address(const json_t *network_info, const char *(*choose)(const json_t *ip))
{
    const json_t *vif, *subnet, *ip;
    size_t i, j, k;

    json_array_foreach(network_info, i, vif) {
        json_array_foreach(json_path(vif, "network", "subnets", NULL), j, subnet) {
            json_array_foreach(json_object_get(subnet, "ips"), k, ip) {
                const char *address = choose(ip);

                if (address)
                    return address;
            }
        }
    }
    return NULL;
}

static const char *
fixed_ip4_of(const json_t *ip)
{
    return json_get_int(ip, "version", 0) == 4 ? json_get_string(ip, "address", NULL) : NULL;
}

static const char *
floating_ip_of(const json_t *ip)
{
    return json_get_string(json_array_get(json_object_get(ip, "floating_ips"), 0), "address", NULL);
}

const char *
network_metadata_fixed_ip(const json_t *network_info)
{
    return find_address(network_info, fixed_ip4_of);
}

const char *
network_metadata_floating_ip(const json_t *network_info)
{
    return find_address(network_info, floating_ip_of);
}
