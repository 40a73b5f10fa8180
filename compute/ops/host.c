/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the host rather than of a server. */
#define LOG_NAME "kilonova.compute.host"
#include "compute/ops/ops.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/host_status.h"
#include "compute/node_facts.h"

bool
op_get_host_uptime(Operation *op, NovaError **err)
{
    g_autofree char *text = node_facts_fetch_uptime();

    (void)err;
    op->result = json_string(text);
    return true;
}

/* libvirt's driver has neither of the two. */
bool
op_host_power_action(Operation *op, NovaError **err)
{
    (void)op;
    return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
}

bool
op_host_maintenance_mode(Operation *op, NovaError **err)
{
    (void)op;
    return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
}

/* Keeps the scheduler away, or lets it come. */
bool
op_set_host_enabled(Operation *op, NovaError **err)
{
    bool enabled = json_get_bool(op->args, "enabled", true);

    (void)err;
    host_status_tell_placement(op->host, op->ctx, enabled);
    op->result = json_string(enabled ? "enabled" : "disabled");
    return true;
}

/* One image that cannot be had does not keep the others away. */
bool
op_cache_images(Operation *op, NovaError **err)
{
    const json_t *ids = json_get_array(op->args, "image_ids");
    json_t *item;
    size_t i;

    if (!ids)
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "image_ids is no list");
    LOG_INFO("Caching %zu image(s) by request", json_array_size(ids));
    op->result = json_object();
    json_array_foreach (ids, i, item) {
        g_autoptr(NovaError) error = NULL;
        const char *id = json_string_value(item);
        const char *outcome = id ? image_cache_precache(op->host->image_cache, op->ctx, id, &error) : NULL;

        if (error)
            LOG_ERROR("Failed to cache image %s: %s", id, nova_error_details(error));
        if (outcome)
            json_object_set_new(op->result, id, json_string(outcome));
    }
    return true;
}
