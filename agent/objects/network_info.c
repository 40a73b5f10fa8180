/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/network_info.h"

#include <string.h>

#include "agent/base/json.h"

/* nova.network.model.NIC_NAME_LEN */
#define NIC_NAME_LENGTH 14

static void
ip_free(void *data)
{
    VifIp *ip = data;

    g_free(ip->address);
    g_free(ip->type);
    g_free(ip);
}

static void
subnet_free(void *data)
{
    VifSubnet *subnet = data;

    g_free(subnet->cidr);
    g_ptr_array_unref(subnet->ips);
    g_free(subnet);
}

static void
network_free(VifNetwork *network)
{
    g_free(network->id);
    g_free(network->bridge);
    g_free(network->label);
    json_decref(network->meta);
    g_ptr_array_unref(network->subnets);
    g_free(network);
}

static void
vif_free(void *data)
{
    Vif *vif = data;

    g_free(vif->id);
    g_free(vif->address);
    g_free(vif->type);
    g_free(vif->vnic_type);
    g_free(vif->devname);
    g_free(vif->ovs_interfaceid);
    json_decref(vif->details);
    json_decref(vif->profile);
    json_decref(vif->qbg_params);
    network_free(vif->network);
    g_free(vif);
}

static char *
dup_string(const json_t *object, const char *key)
{
    return g_strdup(json_get_string(object, key, NULL));
}

static json_t *
ref_object(const json_t *object, const char *key)
{
    json_t *value = json_get_object(object, key);

    return value ? json_incref(value) : json_object();
}

static VifSubnet *
subnet_new(const json_t *json)
{
    VifSubnet *subnet = g_new0(VifSubnet, 1);
    size_t i;
    json_t *item;

    subnet->cidr = dup_string(json, "cidr");
    subnet->ips = g_ptr_array_new_with_free_func(ip_free);
    json_array_foreach (json_get_array(json, "ips"), i, item) {
        VifIp *ip = g_new0(VifIp, 1);

        ip->address = dup_string(item, "address");
        ip->type = dup_string(item, "type");
        ip->version = json_get_int(item, "version", 4);
        g_ptr_array_add(subnet->ips, ip);
    }
    return subnet;
}

static VifNetwork *
network_new(const json_t *json)
{
    VifNetwork *network = g_new0(VifNetwork, 1);
    size_t i;
    json_t *item;

    network->id = dup_string(json, "id");
    network->bridge = dup_string(json, "bridge");
    network->label = dup_string(json, "label");
    network->meta = ref_object(json, "meta");
    network->subnets = g_ptr_array_new_with_free_func(subnet_free);
    json_array_foreach (json_get_array(json, "subnets"), i, item)
        g_ptr_array_add(network->subnets, subnet_new(item));
    return network;
}

static Vif *
vif_new(const json_t *json)
{
    Vif *vif = g_new0(Vif, 1);

    vif->id = dup_string(json, "id");
    vif->address = dup_string(json, "address");
    vif->type = dup_string(json, "type");
    vif->vnic_type = dup_string(json, "vnic_type");
    vif->devname = dup_string(json, "devname");
    vif->ovs_interfaceid = dup_string(json, "ovs_interfaceid");
    vif->details = ref_object(json, "details");
    vif->profile = ref_object(json, "profile");
    vif->qbg_params = json_incref(json_object_get(json, "qbg_params"));
    vif->active = json_get_bool(json, "active", false);
    vif->preserve_on_delete = json_get_bool(json, "preserve_on_delete", false);
    vif->delegate_create = json_get_bool(json, "delegate_create", false);
    vif->network = network_new(json_object_get(json, "network"));
    return vif;
}

NetworkInfo *
network_info_from_json(const json_t *list, NovaError **err)
{
    g_autoptr(NetworkInfo) info = g_new0(NetworkInfo, 1);
    size_t i;
    json_t *item;

    info->vifs = g_ptr_array_new_with_free_func(vif_free);
    info->json = json_incref((json_t *)list);
    if (!json_is_array(list)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "network info is no list");
        return NULL;
    }
    json_array_foreach (list, i, item) {
        Vif *vif = vif_new(item);

        g_ptr_array_add(info->vifs, vif);
        if (!vif->id) {
            nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "network info has a VIF without an id");
            return NULL;
        }
    }
    return g_steal_pointer(&info);
}

NetworkInfo *
network_info_from_text(const char *text, NovaError **err)
{
    json_auto_t *list = text && *text ? json_parse(text, strlen(text), err) : json_array();

    return list ? network_info_from_json(list, err) : NULL;
}

char *
network_info_to_text(const NetworkInfo *info)
{
    return json_to_python_text(info->json);
}

void
network_info_free(NetworkInfo *info)
{
    if (!info)
        return;
    g_ptr_array_unref(info->vifs);
    json_decref(info->json);
    g_free(info);
}

char *
vif_make_devname(const Vif *vif)
{
    g_autofree char *name = NULL;

    if (vif->devname && *vif->devname)
        return g_strdup(vif->devname);
    name = g_strconcat("tap", vif->id, NULL);
    return g_strndup(name, NIC_NAME_LENGTH);
}
