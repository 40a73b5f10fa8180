/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/key_manager.h"

#include <string.h>

#include "agent/control/rest.h"
#include "conf/options.h"

/* The only key of nova.keymgr.conf_key_mgr. */
#define FIXED_KEY_ID "00000000-0000-0000-0000-000000000000"

struct KeyManager {
    const Options *options;
    RestClient *barbican;
    SessionOptions session; /* these from [barbican]; its strings are borrowed */
    AdapterOptions adapter;
    char *interfaces[2];
};

KeyManager *
key_manager_new(const struct Options *options, struct Keystone *keystone)
{
    KeyManager *manager = g_new0(KeyManager, 1);
    const OptionsBarbican *barbican = &options->barbican;
    const RestSettings settings = {
        .keystone = keystone,
        .group = "barbican",
        .session = &manager->session,
        .adapter = &manager->adapter,
        .service_type = "key-manager",
        .path_prefix = "/v1",
    };

    manager->options = options;
    manager->interfaces[0] = barbican->barbican_endpoint_type;
    manager->session.insecure = !barbican->verify_ssl;
    manager->session.cafile = barbican->verify_ssl_path;
    manager->adapter.valid_interfaces = manager->interfaces;
    manager->adapter.region_name = barbican->barbican_region_name;
    manager->adapter.endpoint_override = barbican->barbican_endpoint;
    manager->barbican = rest_client_new(&settings);
    return manager;
}

void
key_manager_free(KeyManager *manager)
{
    if (!manager)
        return;
    rest_client_free(manager->barbican);
    g_free(manager);
}

static char *
failed(const char *reason, NovaError **err)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_KEY_MANAGER_ERROR, "Key manager error: %s", reason);
    nova_error_set_kwarg(error, "reason", reason);
    nova_error_propagate(err, error);
    return NULL;
}

/* ---- the key of nova.conf ---- */

static bool
is_hexadecimal(const char *text)
{
    return strlen(text) % 2 == 0 && text[strspn(text, "0123456789abcdefABCDEF")] == '\0';
}

static char *
fixed_passphrase(const char *key, const char *key_id, NovaError **err)
{
    if (!key)
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "keymgr.fixed_key not defined");
    else if (strcmp(key_id, FIXED_KEY_ID) != 0)
        nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s != " FIXED_KEY_ID "'", key_id);
    else if (!is_hexadecimal(key))
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "[key_manager]fixed_key is not hexadecimal");
    else
        return g_ascii_strdown(key, -1);
    return NULL;
}

/* ---- Barbican ---- */

static HttpResponse *
ask_for_payload(KeyManager *manager, const RequestContext *ctx, const char *key_id, NovaError **err)
{
    static const char *const headers[] = {"Accept: application/octet-stream", NULL};
    g_autofree char *name = g_uri_escape_string(key_id, NULL, false);
    g_autofree char *path = g_strdup_printf("/secrets/%s/payload", name);
    const RestRequest request = {.ctx = ctx, .method = "GET", .path = path, .headers = headers};
    g_autoptr(NovaError) error = NULL;
    HttpResponse *response = rest_send(manager->barbican, &request, &error);

    if (!response)
        failed(nova_error_message(error), err);
    return response;
}

static char *
hexadecimal(const HttpResponse *response)
{
    GString *text = g_string_sized_new(2 * response->length + 1);

    for (size_t i = 0; i < response->length; i++)
        g_string_append_printf(text, "%02x", (unsigned char)response->body[i]);
    return g_string_free(text, FALSE);
}

static char *
fetch_from_barbican(KeyManager *manager, const RequestContext *ctx, const char *key_id, NovaError **err)
{
    g_autoptr(HttpResponse) response = ask_for_payload(manager, ctx, key_id, err);
    g_autofree char *text = NULL;

    if (!response)
        return NULL;
    if (response->status == 200 && response->length > 0)
        return hexadecimal(response);
    if (response->status == 200)
        return failed("The key is empty", err);
    text = rest_error_text(response);
    return failed(text, err);
}

char *
key_manager_fetch_passphrase(KeyManager *manager, const RequestContext *ctx, const char *key_id, NovaError **err)
{
    const OptionsKeyManager *options = &manager->options->key_manager;
    const char *backend = options->backend ? options->backend : "";

    if (!key_id)
        return failed("The volume names no key", err);
    if (strstr(backend, "ConfKeyManager"))
        return fixed_passphrase(options->fixed_key, key_id, err);
    if (strcmp(backend, "barbican") == 0 || g_str_has_suffix(backend, ".BarbicanKeyManager"))
        return fetch_from_barbican(manager, ctx, key_id, err);
    return failed("[key_manager]backend is neither Barbican nor ConfKeyManager", err);
}
