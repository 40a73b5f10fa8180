/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane's side of a port: InstanceInfoCache and VirtualInterface. */
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "network/neutron_private.h"

#define LOG_NAME "kilonova.network.neutron"

json_t *
neutron_cached_vifs(const Instance *instance)
{
    const char *text = instance->info_cache ? instance->info_cache->network_info : NULL;
    json_t *vifs = text ? json_parse(text, strlen(text), NULL) : NULL;

    if (json_is_array(vifs))
        return vifs;
    json_decref(vifs);
    return json_array();
}

bool
neutron_refresh_cache(const NeutronCaller *caller, NovaError **err)
{
    return conductor_info_cache_refresh(caller->neutron->conductor, caller->ctx, caller->instance,
                                        err);
}

bool
neutron_save_cache(const NeutronCaller *caller, json_t *vifs, NovaError **err)
{
    g_autofree char *text = NULL;

    if (instance_is_deleted(caller->instance)) {
        LOG_DEBUG("Instance is deleted, no further info cache update");
        return true;
    }
    text = json_to_python_text(vifs);
    if (!text)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "network info that is no JSON");
    LOG_DEBUG("Updating instance_info_cache with network_info: %s", text);
    return conductor_info_cache_save(caller->neutron->conductor, caller->ctx, caller->instance,
                                     text, err);
}

NetworkInfo *
neutron_network_info(json_t *vifs, NovaError **err)
{
    return network_info_from_json(vifs, err);
}

/* The table wants MAC addresses to be unique, Neutron's are not: Nova appends the port's id. */
bool
neutron_create_vif_row(const NeutronCaller *caller, const json_t *port, const char *tag,
                       VirtualInterface **ret_row, NovaError **err)
{
    const char *id = json_get_string(port, "id", "");
    g_autofree char *address =
        g_strdup_printf("%s/%s", json_get_string(port, "mac_address", ""), id);
    g_autoptr(VirtualInterface) row = object_new(&VIRTUAL_INTERFACE_TYPE);

    OBJECT_SET_STRING(row, uuid, id);
    OBJECT_SET_STRING(row, address, address);
    OBJECT_SET_STRING(row, tag, tag);
    OBJECT_SET_STRING(row, instance_uuid, caller->instance->uuid);
    if (!conductor_vif_create(caller->neutron->conductor, caller->ctx, row, err))
        return false;
    *ret_row = g_steal_pointer(&row);
    return true;
}

bool
neutron_destroy_vif_row(const NeutronCaller *caller, VirtualInterface *row, NovaError **err)
{
    return conductor_vif_destroy(caller->neutron->conductor, caller->ctx, row, err);
}

bool
neutron_delete_vif_row_of_port(const NeutronCaller *caller, const char *port_id, NovaError **err)
{
    g_autoptr(VirtualInterface) row = NULL;

    if (!conductor_vif_get(caller->neutron->conductor, caller->ctx, port_id, &row, err))
        return false;
    if (!row)
        LOG_DEBUG("VirtualInterface not found for port: %s", port_id);
    return !row || neutron_destroy_vif_row(caller, row, err);
}

bool
neutron_delete_vif_rows(const NeutronCaller *caller, NovaError **err)
{
    return conductor_vifs_delete_by_instance(caller->neutron->conductor, caller->ctx,
                                             caller->instance->uuid, err);
}

GPtrArray *
neutron_vif_row_order(const NeutronCaller *caller, NovaError **err)
{
    g_autoptr(GPtrArray) rows = conductor_vifs_by_instance(
        caller->neutron->conductor, caller->ctx, caller->instance->uuid, err);
    GPtrArray *ids = rows ? g_ptr_array_new_with_free_func(g_free) : NULL;

    /* The database gives them by id, which is the order of their creation. */
    for (guint i = 0; rows && i < rows->len; i++)
        g_ptr_array_add(ids, g_strdup(((VirtualInterface *)g_ptr_array_index(rows, i))->uuid));
    return ids;
}
