/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/keystone.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "agent/base/http.h"
#include "agent/base/json.h"
#include "agent/base/log.h"

#define LOG_NAME "kilonova.control.keystone"

/* keystoneauth's MIN_TOKEN_LIFE_SECONDS: a token that ends sooner is not used any more. */
#define MIN_TOKEN_LIFE_S 120
#define DEFAULT_TOKEN_LIFE_S 3600

struct KeystoneSession {
    char *group;                   /* immutable, as the next two */
    const KeystoneAuthOptions *auth;
    const SessionOptions *options;
    HttpClient *http;
    pthread_mutex_t lock;          /* of all below; held while Keystone is asked */
    char *identity_url;            /* ".../v3", NULL: not discovered yet */
    char *token;                   /* NULL: none */
    gint64 renew_at_us;            /* monotonic */
    json_t *catalog;
    char *project_id;
};

struct Keystone {
    pthread_mutex_t lock;
    GPtrArray *sessions; /* of KeystoneSession; guarded by lock */
};

/* ---- sessions ---- */

static void
session_free(void *data)
{
    KeystoneSession *session = data;

    http_client_free(session->http);
    pthread_mutex_destroy(&session->lock);
    g_free(session->group);
    g_free(session->identity_url);
    g_free(session->token);
    g_free(session->project_id);
    json_decref(session->catalog);
    g_free(session);
}

Keystone *
keystone_new(void)
{
    Keystone *keystone = g_new0(Keystone, 1);

    pthread_mutex_init(&keystone->lock, NULL);
    keystone->sessions = g_ptr_array_new_with_free_func(session_free);
    return keystone;
}

void
keystone_free(Keystone *keystone)
{
    if (!keystone)
        return;
    g_ptr_array_unref(keystone->sessions);
    pthread_mutex_destroy(&keystone->lock);
    g_free(keystone);
}

static bool
same_auth(const KeystoneAuthOptions *a, const KeystoneAuthOptions *b)
{
#define SAME(member) (g_strcmp0(a->member, b->member) == 0)
    return SAME(auth_type) && SAME(auth_url) && SAME(username) && SAME(user_id) &&
           SAME(password) && SAME(user_domain_name) && SAME(user_domain_id) &&
           SAME(project_name) && SAME(project_id) && SAME(project_domain_name) &&
           SAME(project_domain_id) && SAME(default_domain_name) && SAME(default_domain_id) &&
           SAME(domain_name) && SAME(domain_id) && SAME(system_scope) && SAME(trust_id) &&
           SAME(application_credential_id) && SAME(application_credential_name) &&
           SAME(application_credential_secret) && SAME(token);
#undef SAME
}

static bool
same_transport(const SessionOptions *a, const SessionOptions *b)
{
    return g_strcmp0(a->cafile, b->cafile) == 0 && g_strcmp0(a->certfile, b->certfile) == 0 &&
           g_strcmp0(a->keyfile, b->keyfile) == 0 && a->insecure == b->insecure;
}

static KeystoneSession *
session_new(const char *group, const KeystoneAuthOptions *auth, const SessionOptions *options)
{
    KeystoneSession *session = g_new0(KeystoneSession, 1);
    HttpSettings settings = {
        .ca_file = options->cafile,
        .cert_file = options->certfile,
        .key_file = options->keyfile,
        .insecure = options->insecure,
        .timeout_s = options->timeout.is_set ? (int)ceil(options->timeout.value) : 0,
    };

    session->group = g_strdup(group);
    session->auth = auth;
    session->options = options;
    session->http = http_client_new(&settings);
    pthread_mutex_init(&session->lock, NULL);
    return session;
}

KeystoneSession *
keystone_session(Keystone *keystone, const char *group, const KeystoneAuthOptions *auth,
                 const SessionOptions *options)
{
    KeystoneSession *session = NULL;

    pthread_mutex_lock(&keystone->lock);
    for (guint i = 0; i < keystone->sessions->len && !session; i++) {
        KeystoneSession *known = g_ptr_array_index(keystone->sessions, i);

        if (same_auth(known->auth, auth) && same_transport(known->options, options))
            session = known;
    }
    if (!session) {
        session = session_new(group, auth, options);
        g_ptr_array_add(keystone->sessions, session);
    }
    pthread_mutex_unlock(&keystone->lock);
    return session;
}

/* ---- the identity URL ---- */

static char *
without_trailing_slashes(const char *url)
{
    size_t length = strlen(url);

    while (length > 0 && url[length - 1] == '/')
        length--;
    return g_strndup(url, length);
}

/* The list in the three forms that Keystone and its proxies use. */
static json_t *
listed_versions(json_t *document)
{
    json_t *values = json_path(document, "versions", "values", NULL);

    if (json_is_array(values))
        return values;
    return json_get_array(document, "versions");
}

static const char *
self_link(const json_t *version)
{
    json_t *links = json_get_array(version, "links");
    json_t *link;
    size_t i;

    json_array_foreach (links, i, link)
        if (strcmp(json_get_string(link, "rel", ""), "self") == 0)
            return json_get_string(link, "href", NULL);
    return NULL;
}

static char *
v3_url_in(json_t *document)
{
    json_t *versions = listed_versions(document);
    json_t *single = json_get_object(document, "version");
    json_t *version;
    size_t i;

    if (single && g_str_has_prefix(json_get_string(single, "id", ""), "v3") && self_link(single))
        return without_trailing_slashes(self_link(single));
    json_array_foreach (versions, i, version) {
        const char *status = json_get_string(version, "status", "stable");

        if (g_str_has_prefix(json_get_string(version, "id", ""), "v3") && self_link(version) &&
            g_ascii_strcasecmp(status, "deprecated") != 0)
            return without_trailing_slashes(self_link(version));
    }
    return NULL;
}

static char *
discover_identity_url(KeystoneSession *session, const char *auth_url, NovaError **err)
{
    HttpRequest request = {.method = "GET", .url = auth_url};
    g_autoptr(HttpResponse) response = http_client_send(session->http, &request, err);
    char *url;

    if (!response)
        return NULL;
    url = v3_url_in(response->json);
    if (!url && response->status >= 500)
        nova_error_set(err, NOVA_ERROR_CONNECT_FAILURE, "Keystone at %s answered HTTP %ld",
                       auth_url, response->status);
    else if (!url)
        nova_error_set(err, NOVA_ERROR_DISCOVERY_FAILURE,
                       "Could not find a version 3 identity URL at [%s]auth_url %s (HTTP %ld)",
                       session->group, auth_url, response->status);
    return url;
}

/* An auth_url that names a version is taken at its word; an outdated v2.0 means the v3 next to
 * it. */
static bool
find_identity_url(KeystoneSession *session, NovaError **err)
{
    g_autofree char *url = NULL;

    if (session->identity_url)
        return true;
    if (!session->auth->auth_url || !*session->auth->auth_url)
        return nova_error_set(err, NOVA_ERROR_MISSING_AUTH_PLUGIN, "[%s]auth_url is not set",
                              session->group);
    url = without_trailing_slashes(session->auth->auth_url);
    if (g_str_has_suffix(url, "/v3"))
        session->identity_url = g_steal_pointer(&url);
    else if (g_str_has_suffix(url, "/v2.0"))
        session->identity_url =
            g_strdup_printf("%.*s/v3", (int)(strlen(url) - strlen("/v2.0")), url);
    else
        session->identity_url = discover_identity_url(session, url, err);
    return session->identity_url != NULL;
}

/* ---- the request for a token ---- */

static json_t *
domain_json(const char *id, const char *name, const KeystoneAuthOptions *auth)
{
    if (!id && !name) {
        id = auth->default_domain_id;
        name = auth->default_domain_name;
    }
    if (id)
        return json_pack("{s:s}", "id", id);
    return name ? json_pack("{s:s}", "name", name) : NULL;
}

static json_t *
user_json(const KeystoneAuthOptions *auth)
{
    json_t *domain;

    if (auth->user_id)
        return json_pack("{s:s}", "id", auth->user_id);
    domain = domain_json(auth->user_domain_id, auth->user_domain_name, auth);
    return json_pack("{s:s, s:o*}", "name", auth->username ? auth->username : "", "domain",
                     domain);
}

static json_t *
scope_json(const KeystoneAuthOptions *auth)
{
    if (auth->trust_id)
        return json_pack("{s:{s:s}}", "OS-TRUST:trust", "id", auth->trust_id);
    if (auth->project_id)
        return json_pack("{s:{s:s}}", "project", "id", auth->project_id);
    if (auth->project_name)
        return json_pack(
            "{s:{s:s, s:o*}}", "project", "name", auth->project_name, "domain",
            domain_json(auth->project_domain_id, auth->project_domain_name, auth));
    if (auth->domain_id || auth->domain_name)
        return json_pack("{s:o}", "domain", domain_json(auth->domain_id, auth->domain_name, auth));
    if (auth->system_scope)
        return json_pack("{s:{s:b}}", "system", auth->system_scope, 1);
    return NULL;
}

static json_t *
password_json(const KeystoneAuthOptions *auth)
{
    json_t *user = user_json(auth);

    json_set_string(user, "password", auth->password ? auth->password : "");
    return json_pack("{s:{s:[s], s:{s:o}}, s:o*}", "identity", "methods", "password", "password",
                     "user", user, "scope", scope_json(auth));
}

static json_t *
token_json(const KeystoneAuthOptions *auth)
{
    return json_pack("{s:{s:[s], s:{s:s}}, s:o*}", "identity", "methods", "token", "token", "id",
                     auth->token ? auth->token : "", "scope", scope_json(auth));
}

/* Such a credential carries its project; a scope would be refused. */
static json_t *
application_credential_json(const KeystoneAuthOptions *auth)
{
    json_t *credential = json_object();

    json_set_string(credential, "secret", auth->application_credential_secret);
    if (auth->application_credential_id) {
        json_set_string(credential, "id", auth->application_credential_id);
    } else {
        json_set_string(credential, "name", auth->application_credential_name);
        json_object_set_new(credential, "user", user_json(auth));
    }
    return json_pack("{s:{s:[s], s:o}}", "identity", "methods", "application_credential",
                     "application_credential", credential);
}

typedef struct AuthPlugin {
    const char *name; /* auth_type */
    json_t *(*make)(const KeystoneAuthOptions *auth);
} AuthPlugin;

static const AuthPlugin plugins[] = {
    {"password", password_json},
    {"v3password", password_json},
    {"token", token_json},
    {"v3token", token_json},
    {"v3applicationcredential", application_credential_json},
};

static json_t *
auth_body(const KeystoneSession *session, NovaError **err)
{
    const char *type = session->auth->auth_type;

    for (size_t i = 0; type && i < G_N_ELEMENTS(plugins); i++)
        if (strcmp(plugins[i].name, type) == 0)
            return json_pack("{s:o}", "auth", plugins[i].make(session->auth));
    if (type)
        nova_error_set(err, NOVA_ERROR_MISSING_AUTH_PLUGIN,
                       "[%s]auth_type '%s' is not one of password, v3password, token, v3token, "
                       "v3applicationcredential, none",
                       session->group, type);
    else
        nova_error_set(err, NOVA_ERROR_MISSING_AUTH_PLUGIN,
                       "An auth plugin is required to determine endpoint URL: [%s]auth_type is "
                       "not set",
                       session->group);
    return NULL;
}

/* ---- the answer ---- */

static gint64
time_us(const char *iso8601)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = iso8601 ? g_date_time_new_from_iso8601(iso8601, utc) : NULL;

    return time ? g_date_time_to_unix(time) * G_USEC_PER_SEC : -1;
}

/* Counted from now rather than until expires_at: our clock may differ from Keystone's. */
static gint64
token_life_us(const json_t *token)
{
    gint64 ends = time_us(json_get_string(token, "expires_at", NULL));
    gint64 begins = time_us(json_get_string(token, "issued_at", NULL));

    return ends > begins && begins >= 0 ? ends - begins
                                        : (gint64)DEFAULT_TOKEN_LIFE_S * G_USEC_PER_SEC;
}

static bool
keep_token(KeystoneSession *session, const HttpResponse *response, NovaError **err)
{
    const char *text = g_hash_table_lookup(response->headers, "x-subject-token");
    json_t *token = json_get_object(response->json, "token");
    gint64 life_us;

    if (!text || !*text || !token)
        return nova_error_set(err, NOVA_ERROR_DISCOVERY_FAILURE,
                              "%s answered a request for a token without one",
                              session->identity_url);
    life_us = token_life_us(token);
    life_us -= MIN((gint64)MIN_TOKEN_LIFE_S * G_USEC_PER_SEC, life_us / 2);
    g_free(session->token);
    session->token = g_strdup(text);
    session->renew_at_us = g_get_monotonic_time() + life_us;
    json_decref(session->catalog);
    session->catalog = json_incref(json_get_array(token, "catalog"));
    g_free(session->project_id);
    session->project_id =
        g_strdup(json_get_string(json_get_object(token, "project"), "id", ""));
    LOG_DEBUG("New token of [%s] for project %s, good for %" G_GINT64_FORMAT " s", session->group,
              session->project_id, life_us / G_USEC_PER_SEC);
    return true;
}

static bool
refused(const KeystoneSession *session, const HttpResponse *response, NovaError **err)
{
    const char *text = json_get_string(json_get_object(response->json, "error"), "message", "");

    if (response->status == 401 || response->status == 403)
        return nova_error_set(err, NOVA_ERROR_UNAUTHORIZED,
                              "Keystone at %s refused the credentials of [%s] (HTTP %ld): %s",
                              session->identity_url, session->group, response->status, text);
    if (response->status >= 500)
        return nova_error_set(err, NOVA_ERROR_CONNECT_FAILURE,
                              "Keystone at %s answered HTTP %ld: %s", session->identity_url,
                              response->status, text);
    return nova_error_set(err, NOVA_ERROR_DISCOVERY_FAILURE,
                          "Keystone at %s answered HTTP %ld to a request for a token: %s",
                          session->identity_url, response->status, text);
}

static bool
authenticate(KeystoneSession *session, NovaError **err)
{
    g_autofree char *url = NULL;
    json_auto_t *body = auth_body(session, err);
    HttpRequest request = {.method = "POST", .json = body};
    g_autoptr(HttpResponse) response = NULL;

    if (!body || !find_identity_url(session, err))
        return false;
    url = g_strconcat(session->identity_url, "/auth/tokens", NULL);
    request.url = url;
    response = http_client_send(session->http, &request, err);
    if (!response)
        return false;
    if (response->status != 201 && response->status != 200)
        return refused(session, response, err);
    return keep_token(session, response, err);
}

/* With the lock held. */
static bool
need_token(KeystoneSession *session, const char *refused_token, NovaError **err)
{
    bool is_bad = !session->token || g_get_monotonic_time() >= session->renew_at_us ||
                  g_strcmp0(session->token, refused_token) == 0;

    return !is_bad || authenticate(session, err);
}

static bool
needs_no_token(const KeystoneSession *session)
{
    return g_strcmp0(session->auth->auth_type, "none") == 0;
}

char *
keystone_session_token(KeystoneSession *session, const char *refused_token, NovaError **err)
{
    char *token = NULL;

    if (needs_no_token(session))
        return g_strdup("");
    pthread_mutex_lock(&session->lock);
    if (need_token(session, refused_token, err))
        token = g_strdup(session->token);
    pthread_mutex_unlock(&session->lock);
    return token;
}

char *
keystone_session_project_id(KeystoneSession *session, NovaError **err)
{
    char *project_id = NULL;

    if (needs_no_token(session))
        return g_strdup("");
    pthread_mutex_lock(&session->lock);
    if (need_token(session, NULL, err))
        project_id = g_strdup(session->project_id);
    pthread_mutex_unlock(&session->lock);
    return project_id;
}

/* ---- catalogs ---- */

/* The names under which a catalog may have a service, the official one first
 * (service-types-authority; only services that a compute asks). */
static const char *const aliases[][6] = {
    {"block-storage", "volumev3", "volumev2", "volume", "block-store", NULL},
    {"shared-file-system", "sharev2", "share", NULL},
};

static const char *const *
aliases_of(const char *type)
{
    for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++)
        for (size_t j = 0; aliases[i][j]; j++)
            if (strcmp(aliases[i][j], type) == 0)
                return aliases[i];
    return NULL;
}

static bool
in_region(const json_t *endpoint, const char *region)
{
    return !region || strcmp(json_get_string(endpoint, "region_id", ""), region) == 0 ||
           strcmp(json_get_string(endpoint, "region", ""), region) == 0;
}

/* Version 3 has one interface an endpoint, version 2 ("publicURL") all in one. */
static const char *
url_of_endpoint(const json_t *endpoint, const char *interface)
{
    g_autofree char *key = g_strconcat(interface, "URL", NULL);
    const char *has = json_get_string(endpoint, "interface", NULL);

    if (has)
        return strcmp(has, interface) == 0 || strcmp(has, key) == 0
                   ? json_get_string(endpoint, "url", NULL)
                   : NULL;
    return json_get_string(endpoint, key, NULL);
}

static const char *
url_of_service(const json_t *service, const EndpointFilter *filter)
{
    json_t *endpoints = json_get_array(service, "endpoints");

    for (size_t i = 0; filter->interfaces[i]; i++) {
        g_autofree char *interface = g_strdup(filter->interfaces[i]);
        json_t *endpoint;
        size_t j;

        if (g_str_has_suffix(interface, "URL"))
            interface[strlen(interface) - strlen("URL")] = '\0';
        json_array_foreach (endpoints, j, endpoint) {
            const char *url = in_region(endpoint, filter->region_name)
                                  ? url_of_endpoint(endpoint, interface)
                                  : NULL;

            if (url)
                return url;
        }
    }
    return NULL;
}

static const char *
url_of_type(const json_t *catalog, const char *type, const EndpointFilter *filter)
{
    json_t *service;
    size_t i;

    json_array_foreach (catalog, i, service) {
        const char *url;

        if (strcmp(json_get_string(service, "type", ""), type) != 0 ||
            (filter->service_name &&
             strcmp(json_get_string(service, "name", ""), filter->service_name) != 0))
            continue;
        url = url_of_service(service, filter);
        if (url)
            return url;
    }
    return NULL;
}

char *
keystone_endpoint_from_catalog(const json_t *catalog, const EndpointFilter *filter)
{
    const char *const *others = aliases_of(filter->service_type);
    const char *url;

    if (!json_is_array(catalog))
        return NULL;
    url = url_of_type(catalog, filter->service_type, filter);
    for (size_t i = 0; !url && others && others[i]; i++)
        url = url_of_type(catalog, others[i], filter);
    return url ? without_trailing_slashes(url) : NULL;
}

char *
keystone_session_endpoint(KeystoneSession *session, const EndpointFilter *filter, NovaError **err)
{
    g_autofree char *interfaces = g_strjoinv(", ", (char **)filter->interfaces);
    char *url = NULL;

    pthread_mutex_lock(&session->lock);
    if (needs_no_token(session) || need_token(session, NULL, err)) {
        url = keystone_endpoint_from_catalog(session->catalog, filter);
        if (!url)
            nova_error_set(err, NOVA_ERROR_ENDPOINT_NOT_FOUND,
                           "%s endpoint for %s service in %s region not found", interfaces,
                           filter->service_type,
                           filter->region_name ? filter->region_name : "any");
    }
    pthread_mutex_unlock(&session->lock);
    return url;
}
