/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of a server that moves: bindings made active at its new host, and removed at the old one. */
#define LOG_NAME "kilonova.network.neutron"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "network/neutron_model.h"
#include "network/neutron_private.h"

static char *
binding_path(const char *port_id, const char *host, const char *action)
{
    g_autofree char *port = neutron_path("/ports/", port_id);
    g_autofree char *name = g_uri_escape_string(host, NULL, false);

    return g_strconcat(port, "/bindings/", name, action, NULL);
}

static bool
activation_failed(const HttpResponse *response, const char *port_id, const char *host, NovaError **err)
{
    g_autofree char *text = rest_error_text(response);

    LOG_ERROR("Unexpected error trying to activate binding for port %s and host %s: %s", port_id, host,
              text);
    return nova_error_set(err, NOVA_ERROR_PORT_BINDING_ACTIVATION_FAILED,
                          "Failed to activate binding for port %s on host %s; please check neutron logs "
                          "for more information", port_id, host);
}

static bool
activate(const NeutronCaller *caller, const char *port_id, const char *host, NovaError **err)
{
    g_autofree char *path = binding_path(port_id, host, "/activate");
    g_autoptr(HttpResponse) response = neutron_send(caller, AS_ADMIN, "PUT", path, NULL, err);

    if (!response)
        return false;
    if (response->status == 409)
        LOG_WARNING("Binding for port %s and host %s is already active", port_id, host);
    return neutron_is_ok(response) || response->status == 409 ||
           activation_failed(response, port_id, host, err);
}

/* *ret_has is false when the port has no binding for the host: then no port of this move has. */
static bool
activate_binding(const NeutronCaller *caller, const char *port_id, const char *host, bool *ret_has,
                 NovaError **err)
{
    g_autofree char *path = binding_path(port_id, host, "");
    g_autoptr(HttpResponse) response = neutron_send(caller, AS_ADMIN, "GET", path, NULL, err);

    if (!response)
        return false;
    *ret_has = response->status != 404;
    if (!neutron_is_ok(response)) {
        if (*ret_has)
            LOG_ERROR("Unexpected error trying to get binding info for port %s and host %s: %ld", port_id,
                      host, response->status);
        return true; /* the binding is written anyhow when the move is finished */
    }
    if (g_strcmp0(json_get_string(json_get_object(response->json, "binding"), "status", NULL), "ACTIVE") == 0)
        return true;
    return activate(caller, port_id, host, err);
}

bool
neutron_migrate_instance_start(Neutron *neutron, const RequestContext *ctx, const Instance *instance,
                               const char *dest_host, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, (Instance *)instance};
    json_auto_t *vifs = neutron_cached_vifs(instance);
    bool has_extension, has_binding = true;
    json_t *vif;
    size_t i;

    if (!neutron_extension(&caller, AS_ADMIN, "binding-extended", &has_extension, err))
        return false;
    if (!has_extension)
        return true;
    json_array_foreach (vifs, i, vif)
        if (has_binding &&
            !activate_binding(&caller, json_get_string(vif, "id", ""), dest_host, &has_binding, err))
            return false;
    return true;
}

/* ---- the other end ---- */

static bool
clear_profile(const NeutronCaller *caller, const json_t *port, NovaError **err)
{
    json_auto_t *profile = neutron_model_profile(port);
    g_autofree char *path = neutron_path("/ports/", json_get_string(port, "id", ""));
    json_auto_t *body = NULL;
    g_autoptr(HttpResponse) response = NULL;

    if (json_object_del(profile, "migrating_to") < 0)
        return true;
    body = json_pack("{s:{s:O}}", "port", "binding:profile", profile);
    response = neutron_send(caller, AS_ADMIN, "PUT", path, body, err);
    if (!response)
        return false;
    return neutron_is_ok(response) || neutron_refused(response, "updating the port", err);
}

static bool
delete_binding(const NeutronCaller *caller, const char *port_id, const char *host)
{
    g_autofree char *path = binding_path(port_id, host, "");
    g_autoptr(NovaError) error = NULL;
    g_autoptr(HttpResponse) response = neutron_send(caller, AS_ADMIN, "DELETE", path, NULL, &error);

    if (response && (neutron_is_ok(response) || response->status == 404))
        return true;
    LOG_ERROR("Failed to delete binding for port %s on host %s: %s", port_id, host,
              error ? nova_error_details(error) : "refused");
    return false;
}

static bool
delete_bindings(const NeutronCaller *caller, const json_t *ports, const char *host, NovaError **err)
{
    GString *failed = g_string_new(NULL);
    g_autofree char *list = NULL;
    json_t *port;
    size_t i;

    json_array_foreach (ports, i, port) {
        const char *id = json_get_string(port, "id", "");

        if (!delete_binding(caller, id, host))
            g_string_append_printf(failed, "%s%s", failed->len ? "," : "", id);
    }
    list = g_string_free(failed, FALSE);
    return !*list || nova_error_set(err, NOVA_ERROR_PORT_BINDING_DELETION_FAILED,
                                    "Failed to delete binding for port(s) %s on host %s; please check "
                                    "neutron logs for more information", list, host);
}

bool
neutron_teardown_on_host(Neutron *neutron, const RequestContext *ctx, const Instance *instance,
                         const char *host, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, (Instance *)instance};
    bool has_left = host && g_strcmp0(instance->host, host) != 0;
    g_autofree char *query = http_query("device_id", instance->uuid, "tenant_id", instance->project_id,
                                        "binding:host_id", instance->host, NULL);
    g_autofree char *path = g_strconcat("/ports", query, NULL);
    json_auto_t *ports = neutron_fetch_list(&caller, AS_USER, path, "ports", err);
    bool has_extension = false;
    json_t *port;
    size_t i;

    if (!ports)
        return false;
    json_array_foreach (ports, i, port)
        if (!clear_profile(&caller, port, err))
            return false;
    if (!has_left)
        return true;
    return neutron_extension(&caller, AS_ADMIN, "binding-extended", &has_extension, err) &&
           (!has_extension || delete_bindings(&caller, ports, host, err));
}
