/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "network/neutron_model.h"
#include "network/neutron_private.h"

#define LOG_NAME "kilonova.network.neutron"

/* Everything Neutron knows around some ports, asked once for all of them. */
typedef struct Surroundings {
    json_t *networks;     /* as the project sees them */
    json_t *subnets;
    json_t *dhcp_ports;
    json_t *floating_ips;
    json_t *providers;    /* {network id: network with provider fields} */
    GPtrArray *preexisting;
    json_t *cached;       /* the cache before */
} Surroundings;

static void
surroundings_clear(Surroundings *around)
{
    json_decref(around->networks);
    json_decref(around->subnets);
    json_decref(around->dhcp_ports);
    json_decref(around->floating_ips);
    json_decref(around->providers);
    json_decref(around->cached);
    g_clear_pointer(&around->preexisting, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Surroundings, surroundings_clear)

json_t *
neutron_find_by_id(const json_t *list, const char *id)
{
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (g_strcmp0(json_get_string(item, "id", NULL), id) == 0)
            return item;
    return NULL;
}

GPtrArray *
neutron_preexisting_ports(const json_t *vifs)
{
    GPtrArray *ids = g_ptr_array_new();
    json_t *vif;
    size_t i;

    json_array_foreach (vifs, i, vif) {
        const char *id = json_get_string(vif, "id", NULL);

        if (id && json_get_bool(vif, "preserve_on_delete", false))
            g_ptr_array_add(ids, (void *)id);
    }
    return ids;
}

/* ---- asking ---- */

json_t *
neutron_fetch_networks(const NeutronCaller *caller, NeutronIdentity identity,
                       const GPtrArray *ids, NovaError **err)
{
    g_autoptr(GString) path = g_string_new("/networks");

    if (ids->len == 0)
        return json_array();
    for (guint i = 0; i < ids->len; i++)
        neutron_add_query(path, "id", g_ptr_array_index(ids, i));
    return neutron_fetch_list(caller, identity, path->str, "networks", err);
}

static void
add_unique(GPtrArray *ids, const char *id)
{
    if (id && !neutron_has_id(ids, id))
        g_ptr_array_add(ids, (void *)id);
}

static bool
fetch_subnets(const NeutronCaller *caller, const json_t *ports, Surroundings *around,
              NovaError **err)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    g_autoptr(GString) path = g_string_new("/subnets");
    json_t *port, *fixed;
    size_t i, j;

    json_array_foreach (ports, i, port)
        json_array_foreach (json_get_array(port, "fixed_ips"), j, fixed)
            add_unique(ids, json_get_string(fixed, "subnet_id", NULL));
    if (ids->len == 0) {
        around->subnets = json_array();
        return true;
    }
    for (guint k = 0; k < ids->len; k++)
        neutron_add_query(path, "id", g_ptr_array_index(ids, k));
    around->subnets = neutron_fetch_list(caller, AS_ADMIN, path->str, "subnets", err);
    return around->subnets != NULL;
}

static bool
fetch_dhcp_ports(const NeutronCaller *caller, Surroundings *around, NovaError **err)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    json_t *subnet;
    size_t i;

    around->dhcp_ports = json_array();
    json_array_foreach (around->subnets, i, subnet)
        add_unique(ids, json_get_string(subnet, "network_id", NULL));
    for (guint k = 0; k < ids->len; k++) {
        g_autofree char *query = http_query("network_id", (char *)g_ptr_array_index(ids, k),
                                            "device_owner", "network:dhcp", NULL);
        g_autofree char *path = g_strconcat("/ports", query, NULL);
        json_auto_t *ports = neutron_fetch_list(caller, AS_ADMIN, path, "ports", err);

        if (!ports)
            return false;
        json_array_extend(around->dhcp_ports, ports);
    }
    return true;
}

/* A plugin without routers answers 404: no floating addresses. */
static bool
fetch_floating_ips(const NeutronCaller *caller, const json_t *ports, Surroundings *around,
                   NovaError **err)
{
    g_autoptr(GString) path = g_string_new("/floatingips");
    g_autoptr(HttpResponse) response = NULL;
    json_t *port;
    size_t i;

    around->floating_ips = json_array();
    json_array_foreach (ports, i, port)
        if (json_array_size(json_get_array(port, "fixed_ips")) > 0)
            neutron_add_query(path, "port_id", json_get_string(port, "id", ""));
    if (!strchr(path->str, '?'))
        return true;
    response = neutron_send(caller, AS_ADMIN, "GET", path->str, NULL, err);
    if (!response)
        return false;
    if (response->status == 404)
        return true;
    if (!neutron_is_ok(response))
        return neutron_refused(response, "GET /floatingips", err);
    json_array_extend(around->floating_ips, json_get_array(response->json, "floatingips"));
    return true;
}

json_t *
neutron_fetch_provider(const NeutronCaller *caller, const char *network_id, NovaError **err)
{
    g_autofree char *bare = neutron_path("/networks/", network_id);
    g_autoptr(GString) path = g_string_new(bare);
    bool has_segments;
    json_t *network;

    if (!neutron_extension(caller, AS_ADMIN, "multi-provider", &has_segments, err))
        return NULL;
    if (has_segments)
        neutron_add_query(path, "fields", "segments");
    neutron_add_query(path, "fields", "provider:physical_network");
    neutron_add_query(path, "fields", "provider:network_type");
    network = neutron_fetch_object(caller, AS_ADMIN, path->str, "network", err);
    if (network)
        json_set_string(network, "id", network_id);
    return network;
}

/* The fields that only an admin sees. */
static bool
fetch_providers(const NeutronCaller *caller, const json_t *ports, Surroundings *around,
                NovaError **err)
{
    json_t *port;
    size_t i;

    around->providers = json_object();
    json_array_foreach (ports, i, port) {
        const char *id = json_get_string(port, "network_id", "");
        json_t *network;

        if (json_object_get(around->providers, id))
            continue;
        network = neutron_fetch_provider(caller, id, err);
        if (!network)
            return false;
        json_object_set_new(around->providers, id, network);
    }
    return true;
}

static bool
look_around(const NeutronCaller *caller, const json_t *ports, Surroundings *around,
            NovaError **err)
{
    return fetch_floating_ips(caller, ports, around, err) &&
           fetch_subnets(caller, ports, around, err) && fetch_dhcp_ports(caller, around, err) &&
           fetch_providers(caller, ports, around, err);
}

static json_t *
fetch_instance_ports(const NeutronCaller *caller, NovaError **err)
{
    const Instance *instance = caller->instance;
    g_autofree char *query =
        http_query("tenant_id", instance->project_id, "device_id", instance->uuid, NULL);
    g_autofree char *path = g_strconcat("/ports", query, NULL);

    return neutron_fetch_list(caller, AS_ADMIN, path, "ports", err);
}

/* ---- one VIF ---- */

static void
warn_if_vnic_type_changed(const json_t *old, const json_t *vif)
{
    const char *before = json_get_string(old, "vnic_type", "");
    const char *now = json_get_string(vif, "vnic_type", "");

    if (*before && strcmp(before, now) != 0)
        LOG_ERROR("The vnic_type of the bound port %s has been changed in neutron from \"%s\" to "
                  "\"%s\". Changing vnic_type of a bound port is not supported by Nova. To avoid "
                  "breaking the connectivity of the instance please change the port vnic_type "
                  "back to \"%s\".",
                  json_get_string(vif, "id", ""), before, now, before);
}

static json_t *
build_vif(const NeutronCaller *caller, const json_t *port, const Surroundings *around,
          NovaError **err)
{
    const Options *options = caller->neutron->options;
    const char *id = json_get_string(port, "id", "");
    const char *network_id = json_get_string(port, "network_id", "");
    NeutronVifFacts facts = {
        .port = port,
        .network = neutron_find_by_id(around->networks, network_id),
        .subnets = around->subnets,
        .dhcp_ports = around->dhcp_ports,
        .floating_ips = around->floating_ips,
        .is_preexisting = neutron_has_id(around->preexisting, id),
        .is_injected = options->default_group.flat_injected,
        .ovs_bridge = options->neutron.ovs_bridge,
    };
    json_t *vif;

    if (!facts.network)
        LOG_WARNING("Network %s not matched with the tenants network! The ports tenant %s will be "
                    "used.",
                    network_id, json_get_string(port, "tenant_id", ""));
    if (!neutron_model_physical(json_object_get(around->providers, network_id),
                                &facts.physical_network, &facts.is_tunneled, err))
        return NULL;
    vif = neutron_model_vif(&facts, err);
    warn_if_vnic_type_changed(neutron_find_by_id(around->cached, id), vif);
    return vif;
}

/* ---- which VIFs ---- */

static GPtrArray *
ids_of(const json_t *vifs)
{
    GPtrArray *ids = g_ptr_array_new();
    json_t *vif;
    size_t i;

    json_array_foreach (vifs, i, vif)
        if (json_get_string(vif, "id", NULL))
            g_ptr_array_add(ids, (void *)json_get_string(vif, "id", NULL));
    return ids;
}

static bool
fetch_networks_of_ports(const NeutronCaller *caller, const json_t *ports, Surroundings *around,
                        NovaError **err)
{
    g_autoptr(GPtrArray) ids = g_ptr_array_new();
    json_t *port;
    size_t i;

    json_array_foreach (ports, i, port)
        add_unique(ids, json_get_string(port, "network_id", NULL));
    around->networks = neutron_fetch_networks(caller, AS_ADMIN, ids, err);
    return around->networks != NULL;
}

/* The networks of this operation, and those of cached VIFs as the cache describes them: they need
 * not be asked for. */
static json_t *
networks_with_cached(const json_t *networks, const json_t *cached)
{
    json_t *all = json_copy((json_t *)networks);
    json_t *vif;
    size_t i;

    json_array_foreach (cached, i, vif) {
        json_t *network = json_get_object(vif, "network");
        json_t *meta = json_get_object(network, "meta");

        if (network && !neutron_find_by_id(all, json_get_string(network, "id", "")))
            json_array_append_new(all, json_pack("{s:O*, s:O*, s:O*, s:O*}", "id",
                                                 json_object_get(network, "id"), "name",
                                                 json_object_get(network, "label"), "tenant_id",
                                                 json_object_get(meta, "tenant_id"), "mtu",
                                                 json_object_get(meta, "mtu")));
    }
    return all;
}

/* Ports in the order of Nova's rows, unknown ones behind. */
static GPtrArray *
ordered_ports(const NeutronCaller *caller, const json_t *ports, NovaError **err)
{
    g_autoptr(GPtrArray) rows = neutron_vif_row_order(caller, err);
    GPtrArray *ids = rows ? g_ptr_array_new() : NULL;
    json_t *port;
    size_t i;

    if (!rows)
        return NULL;
    for (guint k = 0; k < rows->len; k++) {
        port = neutron_find_by_id(ports, g_ptr_array_index(rows, k));
        if (port)
            add_unique(ids, json_get_string(port, "id", NULL));
    }
    json_array_foreach (ports, i, port)
        add_unique(ids, json_get_string(port, "id", NULL));
    return ids;
}

/* The ids of all VIFs of the result, in NIC order. */
static GPtrArray *
choose_ports(const NeutronCaller *caller, const NeutronBuild *build, const json_t *ports,
             const json_t *cached, NovaError **err)
{
    GPtrArray *ids;

    if (!build->port_ids && build->from_neutron)
        return ordered_ports(caller, ports, err);
    ids = ids_of(cached);
    for (guint i = 0; build->port_ids && i < build->port_ids->len; i++) {
        const char *id = g_ptr_array_index(build->port_ids, i);
        guint index;

        /* A port that the cache had already stands where this operation puts it. */
        if (g_ptr_array_find_with_equal_func(ids, id, g_str_equal, &index))
            g_ptr_array_remove_index(ids, index);
        g_ptr_array_add(ids, (void *)id);
    }
    return ids;
}

/* Those of 'ports' that are wanted, in the order of 'ids'. */
static json_t *
select_ports(const json_t *ports, const GPtrArray *ids, bool is_refresh)
{
    json_t *chosen = json_array();

    for (guint i = 0; i < ids->len; i++) {
        const char *id = g_ptr_array_index(ids, i);
        json_t *port = neutron_find_by_id(ports, id);

        if (port)
            json_array_append(chosen, port);
        else if (is_refresh)
            LOG_INFO("Port %s from network info_cache is no longer associated with instance in "
                     "Neutron. Removing from network info_cache.",
                     id);
    }
    return chosen;
}

static json_t *
build_vifs(const NeutronCaller *caller, const json_t *ports, const Surroundings *around,
           NovaError **err)
{
    json_auto_t *vifs = json_array();
    json_t *port;
    size_t i;

    json_array_foreach (ports, i, port) {
        json_t *vif = build_vif(caller, port, around, err);

        if (!vif)
            return NULL;
        json_array_append_new(vifs, vif);
    }
    return g_steal_pointer(&vifs);
}

static json_t *
build_all(const NeutronCaller *caller, const NeutronBuild *build, const json_t *ports,
          Surroundings *around, NovaError **err)
{
    g_autoptr(GPtrArray) ids = choose_ports(caller, build, ports, around->cached, err);
    json_auto_t *chosen = NULL;

    if (!ids)
        return NULL;
    chosen = select_ports(ports, ids, !build->port_ids);
    if (json_array_size(chosen) == 0)
        return json_array();
    if (build->networks)
        around->networks = networks_with_cached(build->networks, around->cached);
    else if (!fetch_networks_of_ports(caller, chosen, around, err))
        return NULL;
    if (!look_around(caller, chosen, around, err))
        return NULL;
    return build_vifs(caller, chosen, around, err);
}

/* network-changed: one port of the cache. A port that Neutron no longer has stays until detach or
 * delete, which need it to unplug the host's side. */
static json_t *
build_one(const NeutronCaller *caller, const char *port_id, const json_t *ports,
          Surroundings *around, NovaError **err)
{
    json_t *port = neutron_find_by_id(ports, port_id);
    json_auto_t *vifs = json_copy(around->cached);
    json_auto_t *chosen = json_array();
    json_t *fresh, *vif;
    size_t i;

    if (!port) {
        LOG_INFO("Port %s from network info_cache is no longer associated with instance in "
                 "Neutron. Keeping it in network info_cache until detach or instance delete "
                 "cleanup can unplug it.",
                 port_id);
        return g_steal_pointer(&vifs);
    }
    json_array_append(chosen, port);
    if (!fetch_networks_of_ports(caller, chosen, around, err) ||
        !look_around(caller, chosen, around, err))
        return NULL;
    fresh = build_vif(caller, port, around, err);
    if (!fresh)
        return NULL;
    json_array_foreach (vifs, i, vif)
        if (strcmp(json_get_string(vif, "id", ""), port_id) == 0) {
            json_array_set_new(vifs, i, fresh);
            return g_steal_pointer(&vifs);
        }
    json_array_append_new(vifs, fresh);
    return g_steal_pointer(&vifs);
}

json_t *
neutron_build_and_save(const NeutronCaller *caller, const NeutronBuild *build, NovaError **err)
{
    g_auto(Surroundings) around = {0};
    json_auto_t *ports = NULL;
    json_auto_t *vifs = NULL;

    if (!neutron_refresh_cache(caller, err))
        return NULL;
    around.cached = neutron_cached_vifs(caller->instance);
    ports = fetch_instance_ports(caller, err);
    if (!ports)
        return NULL;
    around.preexisting = neutron_preexisting_ports(around.cached);
    for (guint i = 0; build->given && i < build->given->len; i++)
        add_unique(around.preexisting, g_ptr_array_index(build->given, i));
    if (build->refresh_port_id && json_array_size(around.cached) > 0)
        vifs = build_one(caller, build->refresh_port_id, ports, &around, err);
    else
        vifs = build_all(caller, build, ports, &around, err);
    if (!vifs || !neutron_save_cache(caller, vifs, err))
        return NULL;
    return g_steal_pointer(&vifs);
}

NetworkInfo *
neutron_fetch_instance_nw_info(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                               const NeutronRefresh *how, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, instance};
    NeutronBuild build = {
        .refresh_port_id = how ? how->port_id : NULL,
        .from_neutron = how && how->from_neutron,
    };
    json_auto_t *vifs = NULL;

    neutron_lock_instance(neutron, instance->uuid);
    vifs = neutron_build_and_save(&caller, &build, err);
    neutron_unlock_instance(neutron, instance->uuid);
    return vifs ? neutron_network_info(vifs, err) : NULL;
}
