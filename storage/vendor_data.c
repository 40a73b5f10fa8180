/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/vendor_data.h"

#include <errno.h>
#include <string.h>

#include "agent/base/http.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/keystone.h"
#include "agent/objects/instance.h"
#include "conf/options.h"
#include "storage/image_errors.h"

#define LOG_NAME "kilonova.storage.vendor_data"

void
vendor_data_clear(VendorData *data)
{
    json_decref(data->fixed);
    json_decref(data->all);
    *data = (VendorData){0};
}

/* [api]vendordata_jsonfile_path; {} when there is none. */
static json_t *
load_file(const Options *options, NovaError **err)
{
    const char *path = options->api.vendordata_jsonfile_path;
    g_autofree char *text = NULL;
    gsize length;
    json_t *data;

    if (!path || !path[0])
        return json_object();
    if (!g_file_get_contents(path, &text, &length, NULL)) {
        LOG_WARNING("vendordata_jsonfile_path[%s]: %s", path, g_strerror(errno));
        image_errors_os(err, errno, path);
        return NULL;
    }
    data = json_parse(text, length, err);
    if (!data)
        LOG_WARNING("vendordata_jsonfile_path[%s]: failed to load json", path);
    return data;
}

static json_t *
string_dict(GHashTable *table)
{
    json_t *object = json_object();
    GHashTableIter iter;
    gpointer key, value;

    if (!table)
        return object;
    g_hash_table_iter_init(&iter, table);
    while (g_hash_table_iter_next(&iter, &key, &value))
        json_set_string(object, key, value);
    return object;
}

static json_t *
request_body(const Instance *instance)
{
    const char *roles = instance->system_metadata
                            ? g_hash_table_lookup(instance->system_metadata, "boot_roles")
                            : NULL;
    json_t *body = json_object();

    json_set_string(body, "project-id", instance->project_id);
    json_set_string(body, "instance-id", instance->uuid);
    json_set_string(body, "image-id", instance->image_ref);
    json_set_string(body, "user-data", instance->user_data);
    json_set_string(body, "hostname", instance->hostname);
    json_object_set_new(body, "metadata", string_dict(instance->metadata));
    json_set_string(body, "boot-roles", roles ? roles : "");
    return body;
}

/* "X-Auth-Token: ..." with the credentials of [vendordata_dynamic_auth]; "" without any. NULL on
 * failure. */
static char *
auth_header(const Options *options, Keystone *keystone, NovaError **err)
{
    const KeystoneAuthOptions *auth = &options->vendordata_dynamic_auth.auth;
    KeystoneSession *session;
    g_autofree char *token = NULL;

    if (!auth->auth_type || !auth->auth_type[0]) {
        LOG_WARNING("Passing insecure dynamic vendordata requests because of missing or incorrect "
                    "service account configuration.");
        return g_strdup("");
    }
    session = keystone_session(keystone, "vendordata_dynamic_auth", auth,
                               &options->vendordata_dynamic_auth.session);
    token = keystone_session_token(session, NULL, err);
    return token ? g_strconcat("X-Auth-Token: ", token, NULL) : NULL;
}

static HttpClient *
client_for(const Options *options)
{
    const char *ca_file = options->api.vendordata_dynamic_ssl_certfile;

    return http_client_new(&(HttpSettings){
        .ca_file = ca_file && ca_file[0] ? ca_file : NULL,
        .timeout_s = (int)(options->api.vendordata_dynamic_connect_timeout +
                           options->api.vendordata_dynamic_read_timeout),
        .user_agent = "openstack-nova-vendordata",
    });
}

/* One round of questions about one server. */
typedef struct Round {
    const Options *options;
    HttpClient *client;
    char *authorization; /* a header; "" for none */
    json_t *body;
    json_t *answers;
} Round;

static void
round_clear(Round *round)
{
    http_client_free(round->client);
    g_free(round->authorization);
    json_decref(round->body);
    json_decref(round->answers);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Round, round_clear)

/* The answer's JSON, {} when it is empty. */
static json_t *
post(const Round *round, const char *url, NovaError **err)
{
    bool is_authorized = round->authorization[0] != '\0';
    const char *headers[] = {"Accept: application/json",
                             is_authorized ? round->authorization : NULL, NULL};
    const HttpRequest request = {.method = "POST", .url = url, .headers = headers,
                                 .json = round->body, .not_idempotent = true};
    g_autoptr(HttpResponse) response = http_client_send(round->client, &request, err);

    if (!response)
        return NULL;
    if (response->status >= 400) {
        nova_error_set(err, NOVA_ERROR_CONNECT_FAILURE, "HTTP status %ld", response->status);
        return NULL;
    }
    return response->length ? json_parse(response->body, response->length, err) : json_object();
}

/* One entry "name@url" of vendordata_dynamic_targets. */
static bool
ask_target(const Round *round, const char *target, NovaError **err)
{
    const char *at = strchr(target, '@');
    g_autofree char *name = at ? g_strndup(target, (gsize)(at - target)) : NULL;
    g_autoptr(NovaError) failure = NULL;
    json_t *answer;

    if (!name) {
        LOG_WARNING("Vendordata target %s lacks a name. Skipping", target);
        return true;
    }
    if (json_object_get(round->answers, name)) {
        LOG_WARNING("Vendordata already contains an entry named %s. Skipping", target);
        return true;
    }
    answer = post(round, at + 1, &failure);
    if (!answer) {
        LOG_WARNING("Error from dynamic vendordata service %s at %s: %s", name, at + 1,
                    nova_error_message(failure));
        if (round->options->api.vendordata_dynamic_failure_fatal)
            return nova_error_propagate(err, g_steal_pointer(&failure));
        answer = json_object();
    }
    json_object_set_new(round->answers, name, answer);
    return true;
}

static json_t *
fetch_dynamic(const Options *options, Keystone *keystone, const Instance *instance, NovaError **err)
{
    g_auto(Round) round = {.options = options, .answers = json_object()};

    if (!options->api.vendordata_dynamic_targets[0])
        return json_incref(round.answers);
    round.authorization = auth_header(options, keystone, err);
    if (!round.authorization)
        return NULL;
    round.client = client_for(options);
    round.body = request_body(instance);
    for (char **target = options->api.vendordata_dynamic_targets; *target; target++) {
        if (!ask_target(&round, *target, err))
            return NULL;
    }
    return json_incref(round.answers);
}

bool
vendor_data_fetch(const struct Options *options, struct Keystone *keystone,
                  const struct Instance *instance, VendorData *ret_data, NovaError **err)
{
    g_auto(VendorData) data = {.all = json_object()};

    for (char **provider = options->api.vendordata_providers; *provider; provider++) {
        if (g_str_equal(*provider, "StaticJSON")) {
            json_decref(data.fixed);
            data.fixed = load_file(options, err);
            if (!data.fixed)
                return false;
            json_object_set(data.all, "static", data.fixed);
        } else if (g_str_equal(*provider, "DynamicJSON")) {
            json_auto_t *answers = fetch_dynamic(options, keystone, instance, err);

            if (!answers)
                return false;
            /* What is there already stays (Nova removes the duplicate). */
            json_object_update_missing(data.all, answers);
        }
    }
    *ret_data = data;
    data = (VendorData){0};
    return true;
}
