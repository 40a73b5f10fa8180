/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/rest.h"

#include <math.h>
#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"

#define LOG_NAME "kilonova.control.rest"

#define MAX_ERROR_TEXT 1000

struct RestClient {
    RestSettings settings;        /* immutable, as the rest */
    HttpClient *http;
    KeystoneSession *session;     /* our credentials; NULL: none configured */
    KeystoneSession *service_user; /* NULL: no X-Service-Token */
    const char *service_type;
    const char *const *interfaces;
};

static const char *const default_interfaces[] = {"internal", "public", NULL};

static int
count_or(const OptInt *option, int fallback)
{
    return option->is_set ? (int)option->value : fallback;
}

static HttpSettings
http_settings(const RestSettings *settings)
{
    const SessionOptions *session = settings->session;
    const AdapterOptions *adapter = settings->adapter;
    HttpSettings http = {.connect_retries = settings->connect_retries, .timeout_s = settings->timeout_s};

    if (session) {
        http.ca_file = session->cafile;
        http.cert_file = session->certfile;
        http.key_file = session->keyfile;
        http.insecure = session->insecure;
        if (session->timeout.is_set)
            http.timeout_s = (int)ceil(session->timeout.value);
    }
    if (adapter) {
        http.connect_retries = count_or(&adapter->connect_retries, settings->connect_retries);
        http.status_code_retries = count_or(&adapter->status_code_retries, 0);
        if (adapter->connect_retry_delay.is_set)
            http.connect_retry_delay_s = adapter->connect_retry_delay.value;
        if (adapter->status_code_retry_delay.is_set)
            http.status_code_retry_delay_s = adapter->status_code_retry_delay.value;
    }
    return http;
}

static bool
has_interfaces(const AdapterOptions *adapter)
{
    return adapter && adapter->valid_interfaces && adapter->valid_interfaces[0];
}

RestClient *
rest_client_new(const RestSettings *settings)
{
    RestClient *client = g_new0(RestClient, 1);
    const AdapterOptions *adapter = settings->adapter;
    HttpSettings http = http_settings(settings);

    client->settings = *settings;
    client->http = http_client_new(&http);
    client->service_type = adapter && adapter->service_type ? adapter->service_type
                                                            : settings->service_type;
    client->interfaces = has_interfaces(adapter)
                             ? (const char *const *)adapter->valid_interfaces
                             : default_interfaces;
    if (settings->auth && settings->session)
        client->session = keystone_session(settings->keystone, settings->group, settings->auth,
                                           settings->session);
    if (settings->options && settings->options->service_user.send_service_user_token)
        client->service_user =
            keystone_session(settings->keystone, "service_user",
                             &settings->options->service_user.auth,
                             &settings->options->service_user.session);
    return client;
}

void
rest_client_free(RestClient *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    g_free(client);
}

/* ---- where to ---- */

static char *
endpoint_from_override(RestClient *client, const char *override, NovaError **err)
{
    static const char *const marks[] = {"%(project_id)s", "%(tenant_id)s", "$(project_id)s",
                                        "$(tenant_id)s"};
    g_autoptr(GString) url = g_string_new(override);

    for (size_t i = 0; i < G_N_ELEMENTS(marks); i++) {
        g_autofree char *project_id = NULL;

        if (!strstr(url->str, marks[i]))
            continue;
        project_id = client->session ? keystone_session_project_id(client->session, err)
                                     : g_strdup("");
        if (!project_id)
            return NULL;
        g_string_replace(url, marks[i], project_id, 0);
    }
    while (url->len > 0 && url->str[url->len - 1] == '/')
        g_string_truncate(url, url->len - 1);
    return g_strdup(url->str);
}

static char *
endpoint_from_catalogs(RestClient *client, const RequestContext *ctx, NovaError **err)
{
    const AdapterOptions *adapter = client->settings.adapter;
    EndpointFilter filter = {
        .service_type = client->service_type,
        .service_name = adapter ? adapter->service_name : NULL,
        .region_name = adapter ? adapter->region_name : NULL,
        .interfaces = client->interfaces,
    };
    json_t *catalog = ctx ? json_get_array(ctx->values, "service_catalog") : NULL;
    char *url = keystone_endpoint_from_catalog(catalog, &filter);

    if (url)
        return url;
    if (client->session)
        return keystone_session_endpoint(client->session, &filter, err);
    nova_error_set(err, NOVA_ERROR_ENDPOINT_NOT_FOUND,
                   "No endpoint for the %s service: not in the request's catalog, and "
                   "[%s]endpoint_override is not set",
                   client->service_type, client->settings.group);
    return NULL;
}

/* 'ctx' is NULL for requests with our own credentials: the catalog is that of our token. */
static char *
find_endpoint(RestClient *client, const RequestContext *ctx, NovaError **err)
{
    const AdapterOptions *adapter = client->settings.adapter;
    const char *prefix = client->settings.path_prefix;
    g_autofree char *url =
        adapter && adapter->endpoint_override
            ? endpoint_from_override(client, adapter->endpoint_override, err)
            : endpoint_from_catalogs(client, ctx, err);

    if (url && prefix && !g_str_has_suffix(url, prefix))
        return g_strconcat(url, prefix, NULL);
    return g_steal_pointer(&url);
}

char *
rest_client_endpoint(RestClient *client, const RequestContext *ctx, NovaError **err)
{
    return find_endpoint(client, ctx, err);
}

/* ---- with which headers ---- */

/* Names and values may come from a message: one with a line break in it would be another header. */
static void
add_header(GPtrArray *headers, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return;
    g_ptr_array_add(headers, g_strdup_printf("%s: %s", name, value));
}

static const char *
global_id(const RequestContext *ctx)
{
    return *ctx->global_request_id ? ctx->global_request_id : ctx->request_id;
}

static GPtrArray *
make_headers(const RestRequest *request, const char *token, const char *service_token)
{
    GPtrArray *headers = g_ptr_array_new_with_free_func(g_free);

    add_header(headers, "OpenStack-API-Version", request->microversion);
    if (request->ctx)
        add_header(headers, "X-OpenStack-Request-ID", global_id(request->ctx));
    add_header(headers, "X-Auth-Token", token);
    add_header(headers, "X-Service-Token", service_token);
    for (size_t i = 0; request->headers && request->headers[i]; i++)
        g_ptr_array_add(headers, g_strdup(request->headers[i]));
    g_ptr_array_add(headers, NULL);
    return headers;
}

typedef struct Tokens {
    char *user;    /* X-Auth-Token, whoever's; NULL: not fetched yet */
    char *service; /* X-Service-Token or NULL */
} Tokens;

static void
tokens_clear(Tokens *tokens)
{
    g_free(tokens->user);
    g_free(tokens->service);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Tokens, tokens_clear)

/* Replaces one of our own tokens, which was just refused (or is not there yet). */
static bool
renew(KeystoneSession *session, char **token, NovaError **err)
{
    char *fresh = keystone_session_token(session, *token, err);

    if (!fresh)
        return false;
    g_free(*token);
    *token = fresh;
    return true;
}

/* The tokens for one attempt; at the second one 'tokens' holds those that were refused. */
static bool
need_tokens(RestClient *client, const RestRequest *request, bool as_admin, Tokens *tokens,
            NovaError **err)
{
    if (as_admin && !client->session)
        return nova_error_set(err, NOVA_ERROR_UNAUTHORIZED,
                              "There are no credentials in [%s] of nova.conf",
                              client->settings.group);
    if (as_admin)
        return renew(client->session, &tokens->user, err);
    if (!request->ctx || !*request->ctx->auth_token)
        return nova_error_set(err, NOVA_ERROR_UNAUTHORIZED, "Not authorized.");
    g_free(tokens->user);
    tokens->user = g_strdup(request->ctx->auth_token);
    return !client->service_user || renew(client->service_user, &tokens->service, err);
}

static HttpResponse *
send_once(RestClient *client, const RestRequest *request, const char *url, const Tokens *tokens,
          NovaError **err)
{
    g_autoptr(GPtrArray) headers = make_headers(request, tokens->user, tokens->service);
    HttpRequest http = {
        .method = request->method,
        .url = url,
        .headers = (const char *const *)headers->pdata,
        .json = request->json,
        .source = request->source,
        .sink = request->sink,
        .user = request->user,
        .timeout_s = request->timeout_s,
        .not_idempotent = request->not_idempotent,
    };
    bool changes = strcmp(request->method, "GET") != 0;
    HttpResponse *response;

    if (changes)
        FAIL_POINT("rest.change:before", request->path);
    response = http_client_send(client->http, &http, err);
    if (changes)
        FAIL_POINT("rest.change:after", request->path);
    if (response)
        LOG_DEBUG("%s %s: %ld", request->method, url, response->status);
    return response;
}

HttpResponse *
rest_send(RestClient *client, const RestRequest *request, NovaError **err)
{
    const RequestContext *ctx = request->ctx;
    bool as_admin = request->as_admin || !ctx || (ctx->is_admin && !*ctx->auth_token);
    bool has_own_token = as_admin || client->service_user;
    g_auto(Tokens) tokens = {0};
    HttpResponse *response = NULL;

    for (int attempt = 0; attempt < 2; attempt++) {
        g_autofree char *endpoint = NULL;
        g_autofree char *url = NULL;

        http_response_free(response);
        response = NULL;
        if (!need_tokens(client, request, as_admin, &tokens, err))
            return NULL;
        endpoint = request->endpoint ? g_strdup(request->endpoint)
                                     : find_endpoint(client, as_admin ? NULL : ctx, err);
        if (!endpoint)
            return NULL;
        url = g_strconcat(endpoint, request->path, NULL);
        response = send_once(client, request, url, &tokens, err);
        if (!response || response->status != 401 || !has_own_token || request->source)
            break;
    }
    return response;
}

/* ---- what an error answer says ---- */

static json_t *
first_error(const HttpResponse *response)
{
    return json_array_get(json_get_array(response->json, "errors"), 0);
}

static const char *
error_message(const HttpResponse *response)
{
    json_t *neutron = json_object_get(response->json, "NeutronError");
    const char *text = json_get_string(first_error(response), "detail", NULL);

    if (!text && json_is_string(neutron))
        text = json_string_value(neutron);
    if (!text)
        text = json_get_string(neutron, "message", NULL);
    if (!text)
        text = json_get_string(json_get_object(response->json, "error"), "message", NULL);
    if (!text)
        text = json_get_string(response->json, "message", NULL);
    return text ? text : response->body;
}

char *
rest_error_text(const HttpResponse *response)
{
    g_autofree char *text = g_strndup(error_message(response), MAX_ERROR_TEXT);
    char *valid = g_utf8_make_valid(text, -1);

    for (char *c = valid; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return g_strstrip(valid);
}

const char *
rest_error_code(const HttpResponse *response)
{
    const char *code = json_get_string(first_error(response), "code", NULL);

    return code ? code
                : json_get_string(json_get_object(response->json, "NeutronError"), "type", "");
}
