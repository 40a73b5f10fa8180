/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.cinder"
#include "storage/cinder.h"

#include <stdatomic.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/keystone.h"
#include "agent/control/rest.h"
#include "conf/options.h"

#define ATTACHMENTS_VERSION "3.44"
#define REIMAGE_VERSION "3.68"
#define ATTEMPTS 5
/* It answers when its back end has, which may take minutes; what is given up here goes on there. */
#define ANSWER_S 1800

/* Forms of a volume, newest first: shared_targets of three values, of two, not at all. */
static const char *const volume_versions[] = {"3.69", "3.48", NULL};

struct Cinder {
    const Options *options;
    RestClient *rest;
    AdapterOptions adapter; /* from [cinder]catalog_info; its strings are ours */
    char *interfaces[2];
    atomic_uint volume_version; /* index of the first that Cinder did not refuse */
};

/* "volumev3:cinder:publicURL" */
static void
read_catalog_info(Cinder *cinder, const OptionsCinder *options)
{
    g_auto(GStrv) parts = g_strsplit(options->catalog_info ? options->catalog_info : "", ":", 3);
    guint n = g_strv_length(parts);
    const char *interface = n > 2 ? parts[2] : "public";
    size_t length = strlen(interface);

    if (g_str_has_suffix(interface, "URL"))
        length -= strlen("URL");
    cinder->interfaces[0] = g_strndup(interface, length);
    cinder->adapter.service_type = g_strdup(n > 0 && *parts[0] ? parts[0] : "volumev3");
    cinder->adapter.service_name = n > 1 && *parts[1] ? g_strdup(parts[1]) : NULL;
    cinder->adapter.region_name = options->os_region_name;
    cinder->adapter.valid_interfaces = cinder->interfaces;
}

Cinder *
cinder_new(const Options *options, struct Keystone *keystone)
{
    Cinder *cinder = g_new0(Cinder, 1);
    const RestSettings settings = {
        .keystone = keystone,
        .group = "cinder",
        .auth = &options->cinder.auth,
        .session = &options->cinder.session,
        .adapter = &cinder->adapter,
        .connect_retries = (int)options->cinder.http_retries,
        .timeout_s = ANSWER_S,
        .options = options,
    };

    cinder->options = options;
    read_catalog_info(cinder, &options->cinder);
    cinder->rest = rest_client_new(&settings);
    return cinder;
}

void
cinder_free(Cinder *cinder)
{
    if (!cinder)
        return;
    rest_client_free(cinder->rest);
    g_free(cinder->adapter.service_type);
    g_free(cinder->adapter.service_name);
    g_free(cinder->interfaces[0]);
    g_free(cinder);
}

/* ---- requests ---- */

/* [cinder]endpoint_template % context.to_dict(); NULL: there is none, the catalog says. */
static char *
template_endpoint(const Cinder *cinder, const RequestContext *ctx)
{
    const char *template = cinder->options->cinder.endpoint_template;
    GString *url;
    const char *key;
    json_t *value;

    if (!template || !*template)
        return NULL;
    url = g_string_new(template);
    json_object_foreach (ctx->values, key, value) {
        g_autofree char *mark = g_strdup_printf("%%(%s)s", key);

        if (json_is_string(value))
            g_string_replace(url, mark, json_string_value(value), 0);
    }
    while (url->len > 0 && url->str[url->len - 1] == '/')
        g_string_truncate(url, url->len - 1);
    return g_string_free(url, FALSE);
}

static bool
connection_failed(NovaError *error, NovaError **err)
{
    if (!nova_error_is(error, NOVA_ERROR_CONNECT_FAILURE))
        return nova_error_propagate(err, error);
    nova_error_set(err, NOVA_ERROR_CINDER_CONNECTION_FAILED, "Connection to cinder host failed: %s",
                   nova_error_message(error));
    if (err)
        nova_error_set_kwarg(*err, "reason", nova_error_message(error));
    nova_error_free(error);
    return false;
}

/* 'version' NULL: the oldest form. Whatever was answered. */
static HttpResponse *
send(Cinder *cinder, const RequestContext *ctx, const char *method, const char *path,
     const char *version, json_t *body, NovaError **err)
{
    g_autofree char *endpoint = template_endpoint(cinder, ctx);
    g_autofree char *microversion = version ? g_strconcat("volume ", version, NULL) : NULL;
    const RestRequest request = {
        .ctx = ctx,
        .endpoint = endpoint,
        .method = method,
        .path = path,
        .microversion = microversion,
        .json = body,
        .not_idempotent = strcmp(method, "POST") == 0,
    };
    NovaError *error = NULL;
    HttpResponse *response = rest_send(cinder->rest, &request, &error);

    if (!response)
        connection_failed(error, err);
    return response;
}

/* ---- refusals ---- */

/* What a 404 is about. */
typedef struct Subject {
    NovaErrorKind kind;
    const char *message; /* with one %s for the id */
    const char *kwarg;
    const char *id;
} Subject;

static Subject
subject_volume(const char *id)
{
    return (Subject){NOVA_ERROR_VOLUME_NOT_FOUND, "Volume %s could not be found.", "volume_id", id};
}

static Subject
subject_attachment(const char *id)
{
    return (Subject){NOVA_ERROR_VOLUME_ATTACHMENT_NOT_FOUND, "Volume attachment %s could not be found.",
                     "attachment_id", id};
}

static Subject
subject_snapshot(const char *id)
{
    return (Subject){NOVA_ERROR_SNAPSHOT_NOT_FOUND, "Snapshot %s could not be found.", "snapshot_id", id};
}

static bool
not_found(const Subject *subject, NovaError **err)
{
    g_auto(GStrv) around = g_strsplit(subject->message, "%s", 2);
    NovaError *error = NULL;

    nova_error_set(&error, subject->kind, "%s%s%s", around[0], subject->id, around[1]);
    nova_error_set_kwarg(error, subject->kwarg, subject->id);
    return nova_error_propagate(err, error);
}

/* "message (HTTP 400) (Request-ID: req-...)", as python-cinderclient words it. */
static char *
refusal_text(const HttpResponse *response)
{
    const char *request_id = g_hash_table_lookup(response->headers, "x-compute-request-id");
    void *member = json_is_object(response->json) ? json_object_iter(response->json) : NULL;
    const char *said = member ? json_get_string(json_object_iter_value(member), "message", NULL) : NULL;
    g_autofree char *other = said ? NULL : rest_error_text(response);

    return g_strdup_printf("%s (HTTP %ld)%s%s%s", said ? said : other, response->status,
                           request_id ? " (Request-ID: " : "", request_id ? request_id : "",
                           request_id ? ")" : "");
}

static bool
invalid_input(const char *reason, NovaError **err)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_INVALID_INPUT, "Invalid input received: %s", reason);
    nova_error_set_kwarg(error, "reason", reason);
    return nova_error_propagate(err, error);
}

/* 'subject' NULL: nothing that was named. */
static bool
refused(const HttpResponse *response, const Subject *subject, NovaError **err)
{
    g_autofree char *text = refusal_text(response);

    switch (response->status) {
    case 400:
        return invalid_input(text, err);
    case 401:
        return nova_error_set(err, NOVA_ERROR_UNAUTHORIZED, "%s", text);
    case 403:
        return nova_error_set(err, NOVA_ERROR_FORBIDDEN, "%s", text);
    case 404:
        return subject ? not_found(subject, err) : nova_error_set(err, NOVA_ERROR_NOT_FOUND, "%s", text);
    case 413:
        return nova_error_set(err, NOVA_ERROR_OVER_QUOTA, "%s", text);
    default:
        return nova_error_set(err, NOVA_ERROR_CINDER_CLIENT_EXCEPTION, "%s", text);
    }
}

static bool
is_success(long status)
{
    return status >= 200 && status < 300;
}

/* One request that has to succeed. */
static HttpResponse *
ask(Cinder *cinder, const RequestContext *ctx, const char *method, const char *path,
    const char *version, json_t *body, const Subject *subject, NovaError **err)
{
    g_autoptr(HttpResponse) response = send(cinder, ctx, method, path, version, body, err);

    if (!response)
        return NULL;
    if (is_success(response->status))
        return g_steal_pointer(&response);
    refused(response, subject, err);
    return NULL;
}

/* The same for what Nova asks five times when Cinder has failed or its proxy gave up. */
static HttpResponse *
ask_again(Cinder *cinder, const RequestContext *ctx, const char *method, const char *path, json_t *body,
          NovaError **err)
{
    for (int attempt = 1;; attempt++) {
        HttpResponse *response = send(cinder, ctx, method, path, ATTACHMENTS_VERSION, body, err);

        if (!response || attempt == ATTEMPTS || (response->status != 500 && response->status != 504))
            return response;
        http_response_free(response);
    }
}

static char *
path_of(const char *before, const char *id, const char *after)
{
    g_autofree char *escaped = g_uri_escape_string(id, NULL, FALSE);

    return g_strconcat(before, escaped, after, NULL);
}

static bool
act_on_volume(Cinder *cinder, const RequestContext *ctx, const char *volume_id, const char *version,
              json_t *body, json_t **ret_answer, NovaError **err)
{
    g_autofree char *path = path_of("/volumes/", volume_id, "/action");
    const Subject subject = subject_volume(volume_id);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "POST", path, version, body, &subject, err);

    if (response && ret_answer)
        *ret_answer = json_incref(response->json);
    return response != NULL;
}

static bool
malformed(const char *what, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s' (not in Cinder's answer)", what);
}

/* ---- volumes ---- */

static const char *
text_of(const json_t *object, const char *key)
{
    return json_get_string(object, key, NULL);
}

static SharedTargets
shared_targets_of(const json_t *volume)
{
    const json_t *shared = json_object_get(volume, "shared_targets");

    if (json_is_null(shared))
        return TARGETS_ALWAYS_LOCKED;
    return json_is_true(shared) ? TARGETS_SHARED : TARGETS_NOT_SHARED;
}

static CinderVolume *
volume_from(const HttpResponse *response, NovaError **err)
{
    json_t *json = json_get_object(response->json, "volume");
    CinderVolume *volume;

    if (!json || !text_of(json, "id")) {
        malformed("volume", err);
        return NULL;
    }
    volume = g_new0(CinderVolume, 1);
    volume->json = json_incref(json);
    volume->id = text_of(json, "id");
    volume->status = json_get_string(json, "status", "");
    volume->availability_zone = text_of(json, "availability_zone");
    volume->volume_type = text_of(json, "volume_type");
    volume->migration_status = text_of(json, "migration_status");
    volume->service_uuid = text_of(json, "service_uuid");
    volume->size_gib = json_get_int(json, "size", 0);
    volume->is_multiattach = json_get_bool(json, "multiattach", false);
    volume->shared_targets = shared_targets_of(json);
    return volume;
}

void
cinder_volume_free(CinderVolume *volume)
{
    if (!volume)
        return;
    json_decref(volume->json);
    g_free(volume);
}

unsigned
cinder_volume_count_servers(const CinderVolume *volume, const json_t *uuids)
{
    unsigned n = 0;
    size_t i;
    json_t *attachment;

    json_array_foreach (json_get_array(volume->json, "attachments"), i, attachment)
        n += json_has_string(uuids, json_get_string(attachment, "server_id", ""));
    return n;
}

/* Cinder answers 406 to a version that it does not know: no round trip asks for its versions first. */
CinderVolume *
cinder_volume_get(Cinder *cinder, const RequestContext *ctx, const char *volume_id, NovaError **err)
{
    g_autofree char *path = path_of("/volumes/", volume_id, NULL);
    const Subject subject = subject_volume(volume_id);

    for (;;) {
        unsigned index = atomic_load(&cinder->volume_version);
        const char *version = volume_versions[index];
        g_autoptr(HttpResponse) response = send(cinder, ctx, "GET", path, version, NULL, err);

        if (!response)
            return NULL;
        if (is_success(response->status))
            return volume_from(response, err);
        if (response->status != 406 || !version) {
            refused(response, &subject, err);
            return NULL;
        }
        atomic_compare_exchange_strong(&cinder->volume_version, &index, index + 1);
    }
}

CinderVolume *
cinder_volume_create(Cinder *cinder, const RequestContext *ctx, const CinderNewVolume *what,
                     NovaError **err)
{
    json_auto_t *body = json_pack(
        "{s:{s:o, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?}}", "volume", "size",
        what->size_gib > 0 ? json_integer(what->size_gib) : json_null(), "name", what->name,
        "description", what->description, "snapshot_id", what->snapshot_id, "imageRef", what->image_id,
        "volume_type", what->volume_type, "availability_zone", what->availability_zone);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "POST", "/volumes", NULL, body, NULL, err);

    return response ? volume_from(response, err) : NULL;
}

bool
cinder_volume_delete(Cinder *cinder, const RequestContext *ctx, const char *volume_id, NovaError **err)
{
    g_autofree char *path = path_of("/volumes/", volume_id, NULL);
    const Subject subject = subject_volume(volume_id);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "DELETE", path, NULL, NULL, &subject, err);

    return response != NULL;
}

bool
cinder_volume_find(Cinder *cinder, const RequestContext *ctx, const char *name, char **ret_id, NovaError **err)
{
    g_autofree char *path = path_of("/volumes?name=", name, NULL);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "GET", path, NULL, NULL, NULL, err);
    const json_t *found = response ? json_get_array(response->json, "volumes") : NULL;

    if (response && !found)
        malformed("volumes", err);
    if (!found)
        return false;
    *ret_id = g_strdup(json_get_string(json_array_get(found, 0), "id", NULL));
    return true;
}

bool
cinder_volume_rename(Cinder *cinder, const RequestContext *ctx, const char *volume_id, const char *name,
                     NovaError **err)
{
    json_auto_t *body = json_pack("{s:{s:s}}", "volume", "name", name);
    g_autofree char *path = path_of("/volumes/", volume_id, NULL);
    const Subject subject = subject_volume(volume_id);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "PUT", path, NULL, body, &subject, err);

    return response != NULL;
}

json_t *
cinder_volume_encryption(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                         NovaError **err)
{
    g_autofree char *path = path_of("/volumes/", volume_id, "/encryption");
    const Subject subject = subject_volume(volume_id);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "GET", path, NULL, NULL, &subject, err);

    if (response && !json_is_object(response->json))
        malformed("encryption", err);
    return response && json_is_object(response->json) ? json_incref(response->json) : NULL;
}

bool
cinder_volume_reimage(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                      const char *image_id, bool is_reserved, NovaError **err)
{
    json_auto_t *body = json_pack("{s:{s:s, s:b}}", "os-reimage", "image_id", image_id,
                                  "reimage_reserved", is_reserved);

    return act_on_volume(cinder, ctx, volume_id, REIMAGE_VERSION, body, NULL, err);
}

char *
cinder_migrate_completion(Cinder *cinder, const RequestContext *ctx, const char *old_volume_id,
                          const char *new_volume_id, bool failed, NovaError **err)
{
    json_auto_t *body = json_pack("{s:{s:s, s:b}}", "os-migrate_volume_completion", "new_volume",
                                  new_volume_id, "error", failed);
    json_t *answer = NULL;
    json_auto_t *owned = NULL;
    const char *id;

    if (!act_on_volume(cinder, ctx, old_volume_id, NULL, body, &answer, err))
        return NULL;
    owned = answer;
    id = text_of(answer, "save_volume_id");
    if (!id)
        malformed("save_volume_id", err);
    return g_strdup(id);
}

static bool
plain_action(Cinder *cinder, const RequestContext *ctx, const char *volume_id, const char *action,
             NovaError **err)
{
    json_auto_t *body = json_pack("{s:n}", action);

    return act_on_volume(cinder, ctx, volume_id, NULL, body, NULL, err);
}

bool
cinder_roll_detaching(Cinder *cinder, const RequestContext *ctx, const char *volume_id, NovaError **err)
{
    return plain_action(cinder, ctx, volume_id, "os-roll_detaching", err);
}

bool
cinder_unreserve(Cinder *cinder, const RequestContext *ctx, const char *volume_id, NovaError **err)
{
    return plain_action(cinder, ctx, volume_id, "os-unreserve", err);
}

/* ---- snapshots ---- */

json_t *
cinder_snapshot_get(Cinder *cinder, const RequestContext *ctx, const char *snapshot_id, NovaError **err)
{
    g_autofree char *path = path_of("/snapshots/", snapshot_id, NULL);
    const Subject subject = subject_snapshot(snapshot_id);
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "GET", path, NULL, NULL, &subject, err);
    json_t *snapshot = response ? json_get_object(response->json, "snapshot") : NULL;

    if (response && !snapshot)
        malformed("snapshot", err);
    return json_incref(snapshot);
}

bool
cinder_snapshot_update_status(Cinder *cinder, const RequestContext *ctx, const char *snapshot_id,
                              const char *status, NovaError **err)
{
    g_autofree char *path = path_of("/snapshots/", snapshot_id, "/action");
    const Subject subject = subject_snapshot(snapshot_id);
    json_auto_t *body = json_pack("{s:{s:s, s:s}}", "os-update_snapshot_status", "status", status,
                                  "progress", "90%"); /* the rest is Cinder's */
    g_autoptr(HttpResponse) response = ask(cinder, ctx, "POST", path, NULL, body, &subject, err);

    return response != NULL;
}

/* ---- attachments ---- */

/* The form that block device mappings keep: what Cinder puts flat goes into "data". */
static json_t *
connection_info_of(const json_t *attachment)
{
    static const char *const moved[] = {"status", "instance", "attached_at", "detached_at"};
    static const char *const left_out[] = {"id", "attach_mode", "connection_info", NULL};
    json_t *flat = json_get_object(attachment, "connection_info");
    json_t *info = json_object();
    json_t *data, *type;
    const char *key;
    json_t *value;

    if (json_object_size(flat) == 0)
        return info;
    data = json_copy(flat);
    type = json_object_get(flat, "driver_volume_type");
    json_object_set_new(info, "driver_volume_type", type ? json_incref(type) : json_null());
    json_object_del(data, "driver_volume_type");
    json_object_del(data, "attachment_id");
    json_object_set_new(info, "data", data);
    for (size_t i = 0; i < G_N_ELEMENTS(moved); i++) {
        value = json_object_get(attachment, moved[i]);
        json_object_set_new(info, moved[i], value ? json_incref(value) : json_null());
    }
    json_object_foreach ((json_t *)attachment, key, value)
        if (!g_strv_contains(left_out, key) && !json_object_get(info, key))
            json_object_set(info, key, value);
    return info;
}

static json_t *
attachment_in(const HttpResponse *response, NovaError **err)
{
    json_t *attachment = json_get_object(response->json, "attachment");

    if (!attachment)
        malformed("attachment", err);
    return attachment;
}

/* Cinder is told the device's name within the connector. */
static json_t *
with_mountpoint(const json_t *connector, const char *mountpoint)
{
    json_t *copy = connector ? json_copy((json_t *)connector) : json_null();

    if (connector && mountpoint && !json_object_get(connector, "mountpoint"))
        json_object_set_new(copy, "mountpoint", json_string(mountpoint));
    return copy;
}

static void
log_refusal(const char *what, const char *id, const HttpResponse *response)
{
    g_autofree char *text = refusal_text(response);

    LOG_ERROR("%s %s. Error: %s Code: %ld", what, id, text, response->status);
}

char *
cinder_attachment_create(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                         const char *instance_uuid, const json_t *connector, const char *mountpoint,
                         NovaError **err)
{
    const Subject subject = subject_volume(volume_id);
    json_auto_t *body = json_pack("{s:{s:s, s:o, s:s}}", "attachment", "volume_uuid", volume_id,
                                  "connector", with_mountpoint(connector, mountpoint), "instance_uuid",
                                  instance_uuid);
    g_autoptr(HttpResponse) response =
        send(cinder, ctx, "POST", "/attachments", ATTACHMENTS_VERSION, body, err);
    const json_t *attachment;

    if (!response)
        return NULL;
    if (response->status == 406) {
        nova_error_set(err, NOVA_ERROR_CINDER_API_VERSION_NOT_AVAILABLE,
                       "Cinder API version %s is not available.", ATTACHMENTS_VERSION);
        return NULL;
    }
    if (!is_success(response->status)) {
        if (response->status != 400)
            log_refusal("Create attachment failed for volume", volume_id, response);
        refused(response, &subject, err);
        return NULL;
    }
    attachment = attachment_in(response, err);
    if (attachment && !text_of(attachment, "id"))
        malformed("id", err);
    return attachment ? g_strdup(text_of(attachment, "id")) : NULL;
}

json_t *
cinder_attachment_get(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                      NovaError **err)
{
    g_autofree char *path = path_of("/attachments/", attachment_id, NULL);
    const Subject subject = subject_attachment(attachment_id);
    g_autoptr(HttpResponse) response =
        ask(cinder, ctx, "GET", path, ATTACHMENTS_VERSION, NULL, &subject, err);
    const json_t *attachment = response ? attachment_in(response, err) : NULL;

    return attachment ? connection_info_of(attachment) : NULL;
}

json_t *
cinder_attachments_of_instance(Cinder *cinder, const RequestContext *ctx, const char *instance_uuid,
                               NovaError **err)
{
    g_autofree char *path = path_of("/attachments?instance_id=", instance_uuid, NULL);
    const Subject subject = subject_attachment(instance_uuid);
    g_autoptr(HttpResponse) response =
        ask(cinder, ctx, "GET", path, ATTACHMENTS_VERSION, NULL, &subject, err);
    json_t *list = response ? json_get_array(response->json, "attachments") : NULL;

    if (response && !list)
        malformed("attachments", err);
    return json_incref(list);
}

json_t *
cinder_attachment_update(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                         const json_t *connector, const char *mountpoint, NovaError **err)
{
    g_autofree char *path = path_of("/attachments/", attachment_id, NULL);
    const Subject subject = subject_attachment(attachment_id);
    json_auto_t *body =
        json_pack("{s:{s:o}}", "attachment", "connector", with_mountpoint(connector, mountpoint));
    g_autoptr(HttpResponse) response = ask_again(cinder, ctx, "PUT", path, body, err);
    const json_t *attachment;

    if (!response)
        return NULL;
    if (!is_success(response->status)) {
        log_refusal("Update attachment failed for attachment", attachment_id, response);
        refused(response, &subject, err);
        return NULL;
    }
    attachment = attachment_in(response, err);
    return attachment ? connection_info_of(attachment) : NULL;
}

bool
cinder_attachment_complete(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                           NovaError **err)
{
    g_autofree char *path = path_of("/attachments/", attachment_id, "/action");
    const Subject subject = subject_attachment(attachment_id);
    json_auto_t *body = json_pack("{s:n}", "os-complete");
    g_autoptr(HttpResponse) response = send(cinder, ctx, "POST", path, ATTACHMENTS_VERSION, body, err);

    if (!response || is_success(response->status))
        return response != NULL;
    log_refusal("Complete attachment failed for attachment", attachment_id, response);
    return refused(response, &subject, err);
}

bool
cinder_attachment_delete(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                         NovaError **err)
{
    g_autofree char *path = path_of("/attachments/", attachment_id, NULL);
    const Subject subject = subject_attachment(attachment_id);
    g_autoptr(HttpResponse) response = ask_again(cinder, ctx, "DELETE", path, NULL, err);

    if (!response || is_success(response->status))
        return response != NULL;
    if (response->status == 404) {
        LOG_WARNING("Attachment %s does not exist. Ignoring.", attachment_id);
        return true;
    }
    log_refusal("Delete attachment failed for attachment", attachment_id, response);
    return refused(response, &subject, err);
}

/* ---- without attachments ---- */

json_t *
cinder_initialize_connection(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                             const json_t *connector, NovaError **err)
{
    json_auto_t *body =
        json_pack("{s:{s:O}}", "os-initialize_connection", "connector", (json_t *)connector);
    json_t *answer = NULL;
    json_auto_t *owned = NULL;
    json_t *info;

    if (!act_on_volume(cinder, ctx, volume_id, NULL, body, &answer, err))
        return NULL;
    owned = answer;
    info = json_get_object(answer, "connection_info");
    if (!info) {
        malformed("connection_info", err);
        return NULL;
    }
    json_object_set(info, "connector", (json_t *)connector);
    return json_incref(info);
}

bool
cinder_terminate_connection(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                            const json_t *connector, NovaError **err)
{
    json_auto_t *body =
        json_pack("{s:{s:O}}", "os-terminate_connection", "connector", (json_t *)connector);

    return act_on_volume(cinder, ctx, volume_id, NULL, body, NULL, err);
}

/* A volume that more than one server may have is detached by its attachment. */
static const char *
attachment_of(const CinderVolume *volume, const char *instance_uuid)
{
    size_t i;
    json_t *attachment;

    if (!volume->is_multiattach)
        return NULL;
    json_array_foreach (json_get_array(volume->json, "attachments"), i, attachment)
        if (g_strcmp0(text_of(attachment, "server_id"), instance_uuid) == 0)
            return text_of(attachment, "attachment_id");
    LOG_WARNING("attachment_id couldn't be retrieved for volume %s with instance_uuid %s", volume->id,
                instance_uuid);
    return NULL;
}

bool
cinder_detach(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
              const char *instance_uuid, NovaError **err)
{
    g_autoptr(CinderVolume) volume = cinder_volume_get(cinder, ctx, volume_id, err);
    json_auto_t *body = NULL;

    if (!volume)
        return false;
    body = json_pack("{s:{s:s?}}", "os-detach", "attachment_id", attachment_of(volume, instance_uuid));
    return act_on_volume(cinder, ctx, volume_id, NULL, body, NULL, err);
}
