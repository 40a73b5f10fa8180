/* SPDX-License-Identifier: Apache-2.0 */
#include "network/neutron.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "network/neutron_private.h"

#define LOG_NAME "kilonova.network.neutron"

Neutron *
neutron_new(Keystone *keystone, Conductor *conductor, const Options *options)
{
    Neutron *neutron = g_new0(Neutron, 1);
    RestSettings settings = {
        .keystone = keystone,
        .group = "neutron",
        .auth = &options->neutron.auth,
        .session = &options->neutron.session,
        .adapter = &options->neutron.adapter,
        .service_type = "network",
        .path_prefix = "/v2.0",
        .connect_retries = (int)options->neutron.http_retries,
        .options = options,
    };

    neutron->rest = rest_client_new(&settings);
    neutron->conductor = conductor;
    neutron->options = options;
    pthread_mutex_init(&neutron->lock, NULL);
    neutron->instances = key_lock_new();
    return neutron;
}

void
neutron_free(Neutron *neutron)
{
    if (!neutron)
        return;
    rest_client_free(neutron->rest);
    key_lock_free(neutron->instances);
    g_clear_pointer(&neutron->extensions, g_hash_table_unref);
    pthread_mutex_destroy(&neutron->lock);
    g_free(neutron);
}

/* ---- one instance at a time ---- */

void
neutron_lock_instance(Neutron *neutron, const char *uuid)
{
    key_lock_take(neutron->instances, uuid);
}

void
neutron_unlock_instance(Neutron *neutron, const char *uuid)
{
    key_lock_release(neutron->instances, uuid);
}

/* ---- requests ---- */

char *
neutron_path(const char *collection, const char *id)
{
    g_autofree char *encoded = g_uri_escape_string(id, NULL, FALSE);

    return g_strconcat(collection, encoded, NULL);
}

void
neutron_add_query(GString *path, const char *name, const char *value)
{
    g_string_append_c(path, strchr(path->str, '?') ? '&' : '?');
    g_string_append_uri_escaped(path, name, NULL, FALSE);
    g_string_append_c(path, '=');
    g_string_append_uri_escaped(path, value, NULL, FALSE);
}

bool
neutron_is_ok(const HttpResponse *response)
{
    return response->status >= 200 && response->status < 300;
}

/* What neutronclient's 401 and 403 become (ClientWrapper). */
static bool
is_denied(const HttpResponse *response, NeutronIdentity identity, NovaError **err)
{
    if (response->status == 401 && identity == AS_ADMIN) {
        nova_error_set(err, NOVA_ERROR_NEUTRON_ADMIN_CREDENTIAL_CONFIGURATION_INVALID,
                       "Networking client is experiencing an unauthorized exception.");
        return true;
    }
    if (response->status == 401) {
        nova_error_set(err, NOVA_ERROR_UNAUTHORIZED, "Not authorized.");
        return true;
    }
    if (response->status == 403) {
        g_autofree char *text = rest_error_text(response);

        nova_error_set(err, NOVA_ERROR_FORBIDDEN, "%s", text);
        return true;
    }
    return false;
}

HttpResponse *
neutron_send(const NeutronCaller *caller, NeutronIdentity identity, const char *method,
             const char *path, json_t *body, NovaError **err)
{
    RestRequest request = {
        .ctx = caller->ctx,
        .as_admin = identity == AS_ADMIN,
        .method = method,
        .path = path,
        .json = body,
        .not_idempotent = strcmp(method, "POST") == 0,
    };
    g_autoptr(HttpResponse) response = rest_send(caller->neutron->rest, &request, err);

    if (!response || is_denied(response, identity, err))
        return NULL;
    return g_steal_pointer(&response);
}

bool
neutron_refused(const HttpResponse *response, const char *what, NovaError **err)
{
    g_autofree char *text = rest_error_text(response);

    return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "Neutron answered %s with %ld: %s", what,
                          response->status, text);
}

/* The member of that type of an answer to GET. */
static json_t *
fetch_member(const NeutronCaller *caller, NeutronIdentity identity, const char *path,
             const char *key, json_type type, NovaError **err)
{
    g_autofree char *what = g_strconcat("GET ", path, NULL);
    g_autoptr(HttpResponse) response = neutron_send(caller, identity, "GET", path, NULL, err);
    json_t *member = response ? json_object_get(response->json, key) : NULL;

    if (!response)
        return NULL;
    if (neutron_is_ok(response) && member && json_typeof(member) == type)
        return json_incref(member);
    if (response->status == 404 && strcmp(key, "network") == 0)
        nova_error_set(err, NOVA_ERROR_NETWORK_NOT_FOUND, "Network %s could not be found.",
                       strrchr(path, '/') + 1);
    else
        neutron_refused(response, what, err);
    return NULL;
}

json_t *
neutron_fetch_list(const NeutronCaller *caller, NeutronIdentity identity, const char *path,
                   const char *key, NovaError **err)
{
    return fetch_member(caller, identity, path, key, JSON_ARRAY, err);
}

json_t *
neutron_fetch_object(const NeutronCaller *caller, NeutronIdentity identity, const char *path,
                     const char *key, NovaError **err)
{
    return fetch_member(caller, identity, path, key, JSON_OBJECT, err);
}

json_t *
neutron_show_port(const NeutronCaller *caller, const char *port_id, const char *fields,
                  NovaError **err)
{
    g_autofree char *bare = neutron_path("/ports/", port_id);
    g_autofree char *path = g_strconcat(bare, fields, NULL);
    g_autoptr(HttpResponse) response = neutron_send(caller, AS_ADMIN, "GET", path, NULL, err);
    json_t *port = response ? json_get_object(response->json, "port") : NULL;
    g_autofree char *text = NULL;

    if (!response)
        return NULL;
    if (neutron_is_ok(response) && port)
        return json_incref(port);
    text = rest_error_text(response);
    if (response->status == 404)
        nova_error_set(err, NOVA_ERROR_PORT_NOT_FOUND, "Port id %s could not be found.", port_id);
    else
        nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "Failed to access port %s: %s", port_id,
                       text);
    return NULL;
}

json_t *
neutron_fetch_port(Neutron *neutron, const RequestContext *ctx, const char *port_id,
                   NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, NULL};

    return neutron_show_port(&caller, port_id, "", err);
}

/* ---- extensions ---- */

static bool
extensions_are_fresh(Neutron *neutron)
{
    gint64 limit_us = neutron->options->neutron.extension_sync_interval * G_USEC_PER_SEC;

    return neutron->extensions &&
           g_get_monotonic_time() - neutron->extensions_at_us < limit_us;
}

static GHashTable *
aliases_in(const json_t *list)
{
    GHashTable *aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    json_t *extension;
    size_t i;

    json_array_foreach (list, i, extension)
        g_hash_table_add(aliases, g_strdup(json_get_string(extension, "alias", "")));
    return aliases;
}

static bool
sync_extensions(const NeutronCaller *caller, NeutronIdentity identity, NovaError **err)
{
    Neutron *neutron = caller->neutron;
    json_auto_t *list = neutron_fetch_list(caller, identity, "/extensions", "extensions", err);

    if (!list)
        return false;
    pthread_mutex_lock(&neutron->lock);
    g_clear_pointer(&neutron->extensions, g_hash_table_unref);
    neutron->extensions = aliases_in(list);
    neutron->extensions_at_us = g_get_monotonic_time();
    pthread_mutex_unlock(&neutron->lock);
    return true;
}

bool
neutron_extension(const NeutronCaller *caller, NeutronIdentity identity, const char *alias,
                  bool *ret_has, NovaError **err)
{
    Neutron *neutron = caller->neutron;
    bool is_fresh;

    pthread_mutex_lock(&neutron->lock);
    is_fresh = extensions_are_fresh(neutron);
    pthread_mutex_unlock(&neutron->lock);
    if (!is_fresh && !sync_extensions(caller, identity, err))
        return false;
    pthread_mutex_lock(&neutron->lock);
    *ret_has = g_hash_table_contains(neutron->extensions, alias);
    pthread_mutex_unlock(&neutron->lock);
    return true;
}

bool
neutron_has_extension(Neutron *neutron, const RequestContext *ctx, const char *alias,
                      bool *ret_has, NovaError **err)
{
    NeutronCaller caller = {neutron, ctx, NULL};

    return neutron_extension(&caller, AS_ADMIN, alias, ret_has, err);
}
