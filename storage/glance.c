/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/glance.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "agent/base/http.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/keystone.h"
#include "agent/control/rest.h"
#include "conf/options.h"
#include "storage/image_errors.h"

#define LOG_NAME "kilonova.storage.glance"

#define RETRY_DELAY_S 1
#define TEXT_LIMIT 500

/* One way to reach Glance: an entry of api_servers, or the catalog. */
typedef struct Server {
    AdapterOptions adapter; /* the group's, with endpoint_override set */
    char *name;             /* for messages */
    RestClient *client;
} Server;

struct Glance {
    const Options *options;
    GPtrArray *servers; /* of Server, at least one; immutable */
};

static void
server_free(void *data)
{
    Server *server = data;

    rest_client_free(server->client);
    g_free(server->name);
    g_free(server);
}

static bool
is_version(const char *text)
{
    static const char digits[] = "0123456789";
    size_t major = *text == 'v' ? strspn(text + 1, digits) : 0;
    const char *rest = text + 1 + major;

    return major > 0 && (!*rest || (*rest == '.' && rest[1] && !rest[1 + strspn(rest + 1, digits)]));
}

static void
strip_slashes(char *url)
{
    for (size_t length = strlen(url); length > 0 && url[length - 1] == '/'; length--)
        url[length - 1] = '\0';
}

/* glanceclient puts /v2 behind every endpoint, so a version that is there ("/v2", "/v2.1/") goes. */
static char *
without_version(const char *url)
{
    char *bare = g_strdup(url);
    char *last;

    strip_slashes(bare);
    last = strrchr(bare, '/');
    if (last && is_version(last + 1)) {
        *last = '\0';
        strip_slashes(bare);
    }
    return bare;
}

/* 'url' NULL: the catalog's endpoint, or the adapter's own override. */
static void
add_server(Glance *glance, Keystone *keystone, const char *url)
{
    Server *server = g_new0(Server, 1);

    server->name = g_strdup(url ? url : "glance");
    server->adapter = glance->options->glance.adapter;
    if (url)
        server->adapter.endpoint_override = server->name;
    server->client = rest_client_new(&(RestSettings){
        .keystone = keystone,
        .group = "glance",
        .session = &glance->options->glance.session,
        .adapter = &server->adapter,
        .service_type = "image",
        .path_prefix = "/v2",
        .options = glance->options,
    });
    g_ptr_array_add(glance->servers, server);
}

Glance *
glance_new(const struct Options *options, struct Keystone *keystone)
{
    Glance *glance = g_new0(Glance, 1);

    glance->options = options;
    glance->servers = g_ptr_array_new_with_free_func(server_free);
    for (char **url = options->glance.api_servers; *url; url++) {
        g_autofree char *bare = without_version(*url);

        add_server(glance, keystone, bare);
    }
    if (glance->servers->len == 0)
        add_server(glance, keystone, NULL);
    return glance;
}

void
glance_free(Glance *glance)
{
    if (!glance)
        return;
    g_ptr_array_unref(glance->servers);
    g_free(glance);
}

/* One call: starts at a random server and goes on to the next at each attempt. */
typedef struct Attempts {
    Glance *glance;
    unsigned first;
    int64_t made;
} Attempts;

static Attempts
attempts_start(Glance *glance)
{
    return (Attempts){glance, g_random_int(), 0};
}

static Server *
attempts_server(const Attempts *attempts)
{
    GPtrArray *servers = attempts->glance->servers;

    return servers->pdata[(attempts->first + (unsigned)attempts->made) % servers->len];
}

/* After a failure worth another try. False with GlanceConnectionFailed when there are no more. */
static bool
attempts_again(Attempts *attempts, const char *method, const char *reason, NovaError **err)
{
    const Server *server = attempts_server(attempts);
    bool is_last = attempts->made >= attempts->glance->options->glance.num_retries;

    LOG_ERROR("Error contacting glance server '%s' for '%s', %s: %s", server->name, method,
              is_last ? "done trying" : "retrying", reason);
    if (is_last) {
        nova_error_set(err, NOVA_ERROR_GLANCE_CONNECTION_FAILED,
                       "Connection to glance host %s failed: %s", server->name, reason);
        if (err) {
            nova_error_set_kwarg(*err, "server", server->name);
            nova_error_set_kwarg(*err, "reason", reason);
        }
        return false;
    }
    attempts->made++;
    g_usleep(RETRY_DELAY_S * G_USEC_PER_SEC);
    return true;
}

/* What Nova lets through as glanceclient raises it. */
static void
client_exception(const HttpResponse *response, const char *text, NovaError **err)
{
    static const struct {
        long status;
        const char *class;
    } classes[] = {
        {405, "HTTPMethodNotAllowed"}, {409, "HTTPConflict"},   {500, "HTTPInternalServerError"},
        {501, "HTTPNotImplemented"},   {502, "HTTPBadGateway"},
    };
    const char *class = "HTTPException";
    g_autofree char *message = g_strdup_printf("HTTP %ld: %.*s", response->status, TEXT_LIMIT, text);
    json_auto_t *failure = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
        if (classes[i].status == response->status)
            class = classes[i].class;
    failure = json_pack("{s:s, s:s, s:s}", "class", class, "module", "glanceclient.exc", "message",
                        message);
    nova_error_propagate(err, nova_error_from_failure(failure));
}

static void
translate_status(const char *image_id, const HttpResponse *response, NovaError **err)
{
    g_autofree char *text = rest_error_text(response);

    switch (response->status) {
    case 401:
    case 403:
        nova_error_set(err, NOVA_ERROR_IMAGE_NOT_AUTHORIZED, "Not authorized for image %s.",
                       image_id);
        break;
    case 404:
        image_errors_not_found(err, image_id);
        return;
    case 400:
        nova_error_set(err, NOVA_ERROR_IMAGE_BAD_REQUEST,
                       "Request of image %s got BadRequest response: %.*s", image_id, TEXT_LIMIT,
                       text);
        break;
    case 413:
        nova_error_set(err, NOVA_ERROR_IMAGE_QUOTA_EXCEEDED,
                       "Quota exceeded or out of space for image %s in the image service.",
                       image_id);
        break;
    default:
        client_exception(response, text, err);
        return;
    }
    if (err)
        nova_error_set_kwarg(*err, "image_id", image_id);
}

/* Image ids come in messages; what is no plain name must not become another path. */
static bool
is_plain_id(const char *image_id)
{
    return image_id && image_id[0] &&
           strspn(image_id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") ==
               strlen(image_id);
}

json_t *
glance_show(Glance *glance, const RequestContext *ctx, const char *image_id, NovaError **err)
{
    g_autofree char *path = g_strconcat("/images/", image_id, NULL);
    Attempts attempts = attempts_start(glance);
    const RestRequest request = {.ctx = ctx, .method = "GET", .path = path};

    if (!is_plain_id(image_id)) {
        image_errors_not_found(err, image_id);
        return NULL;
    }
    for (;;) {
        g_autoptr(NovaError) failure = NULL;
        g_autoptr(HttpResponse) response =
            rest_send(attempts_server(&attempts)->client, &request, &failure);

        if (response && response->status == 200 && json_is_object(response->json))
            return json_incref(response->json);
        if (response && response->status != 503 && response->status != 200) {
            translate_status(image_id, response, err);
            return NULL;
        }
        if (!response && nova_error_kind(failure) != NOVA_ERROR_CONNECT_FAILURE) {
            nova_error_propagate(err, g_steal_pointer(&failure));
            return NULL;
        }
        if (!attempts_again(&attempts, "get",
                            !response                  ? nova_error_message(failure)
                            : response->status == 503 ? "HTTP 503 Service Unavailable"
                                                       : "the answer is no image record",
                            err))
            return NULL;
    }
}

/* Attributes every image has (the schema's base properties); all others are the image's own. */
static bool
is_base_attribute(const char *name)
{
    static const char *const names[] = {
        "id",           "name",          "status",     "os_hidden",  "checksum",
        "os_hash_algo", "os_hash_value", "owner",      "size",       "container_format",
        "disk_format",  "created_at",    "updated_at", "min_ram",    "min_disk",
        NULL,
    };

    return g_strv_contains(names, name);
}

static bool
is_omitted_attribute(const char *name)
{
    static const char *const names[] = {"self", "schema",     "protected", "virtual_size", "file",
                                        "tags", "direct_url", "locations", NULL};

    return g_strv_contains(names, name);
}

/* block_device_mapping and mappings are JSON in a string. */
static json_t *
property_value(const char *name, json_t *value)
{
    if (json_is_string(value) &&
        (g_str_equal(name, "block_device_mapping") || g_str_equal(name, "mappings"))) {
        json_t *parsed = json_parse(json_string_value(value), json_string_length(value), NULL);

        if (parsed)
            return parsed;
    }
    return json_incref(value);
}

static json_t *
translated(const json_t *record)
{
    json_t *properties = json_object();
    json_t *image = json_pack("{s:o, s:b, s:n, s:n, s:n, s:n, s:n}", "properties", properties,
                              "deleted", 0, "deleted_at", "disk_format", "container_format", "name",
                              "checksum");
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)record, name, value) {
        if (is_omitted_attribute(name))
            continue;
        if (g_str_equal(name, "visibility"))
            json_object_set_new(image, "is_public",
                                json_boolean(g_strcmp0(json_string_value(value), "public") == 0));
        else if (g_str_equal(name, "size") && json_is_null(value))
            json_object_set_new(image, "size", json_integer(0));
        else if (is_base_attribute(name))
            json_object_set(image, name, value);
        else
            json_object_set_new(properties, name, property_value(name, value));
    }
    return image;
}

json_t *
glance_show_translated(Glance *glance, const RequestContext *ctx, const char *image_id,
                       NovaError **err)
{
    json_auto_t *record = glance_show(glance, ctx, image_id, err);

    return record ? translated(record) : NULL;
}

/* Where the data of one attempt goes, and what it adds up to. */
typedef struct Download {
    const char *path;
    int fd;
    EVP_MD_CTX *digest; /* NULL: nothing to check against */
    const char *expected; /* hex */
} Download;

static bool
write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, data, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        data += written;
        length -= (size_t)written;
    }
    return true;
}

static bool
take_data(const char *data, size_t length, void *user, NovaError **err)
{
    Download *download = user;

    if (!write_all(download->fd, data, length))
        return image_errors_os(err, errno, download->path);
    if (download->digest)
        EVP_DigestUpdate(download->digest, data, length);
    return true;
}

/* The image's own hash, else its MD5 checksum, else nothing (as glanceclient). */
static bool
download_choose_digest(Download *download, const json_t *record, NovaError **err)
{
    const char *algorithm = "md5";
    const char *expected = json_get_string(record, "os_hash_value", NULL);
    const EVP_MD *method;

    if (expected)
        algorithm = json_get_string(record, "os_hash_algo", "");
    else
        expected = json_get_string(record, "checksum", NULL);
    if (!expected)
        return true;
    method = EVP_get_digestbyname(algorithm);
    if (!method)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "unsupported hash type %s", algorithm);
    download->digest = EVP_MD_CTX_new();
    if (!EVP_DigestInit_ex(download->digest, method, NULL))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "unsupported hash type %s", algorithm);
    download->expected = expected;
    return true;
}

static bool
download_is_intact(Download *download, char **ret_got)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    g_autoptr(GString) text = g_string_new(NULL);

    if (!download->digest)
        return true;
    EVP_DigestFinal_ex(download->digest, sum, &length);
    for (unsigned i = 0; i < length; i++)
        g_string_append_printf(text, "%02x", sum[i]);
    *ret_got = g_strdup(text->str);
    return g_ascii_strcasecmp(text->str, download->expected) == 0;
}

static bool
download_open(Download *download, NovaError **err)
{
    download->fd =
        open(download->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    return download->fd >= 0 || image_errors_os(err, errno, download->path);
}

/* A crash of the host must not leave a corrupt file that looks whole. */
static bool
download_sync(Download *download, NovaError **err)
{
    if (fsync(download->fd) < 0 && errno != EINVAL)
        return image_errors_os(err, errno, download->path);
    return true;
}

static void
download_clear(Download *download)
{
    if (download->fd >= 0)
        close(download->fd);
    EVP_MD_CTX_free(download->digest);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Download, download_clear)

typedef enum Outcome { DONE, FAILED, WORTH_ANOTHER_TRY } Outcome;

/* Sets *err for FAILED and *ret_reason for WORTH_ANOTHER_TRY. */
static Outcome
download_once(Server *server, const RequestContext *ctx, const char *image_id, const char *path,
              const json_t *record, char **ret_reason, NovaError **err)
{
    g_autofree char *url = g_strdup_printf("/images/%s/file", image_id);
    g_auto(Download) download = {.path = path, .fd = -1};
    g_autoptr(NovaError) failure = NULL;
    g_autoptr(HttpResponse) response = NULL;
    g_autofree char *got = NULL;
    const RestRequest request = {.ctx = ctx, .method = "GET", .path = url, .sink = take_data,
                                 .user = &download, .timeout_s = -1};

    if (!download_choose_digest(&download, record, err) || !download_open(&download, err))
        return FAILED;
    response = rest_send(server->client, &request, &failure);
    if (!response && nova_error_kind(failure) == NOVA_ERROR_CONNECT_FAILURE) {
        *ret_reason = g_strdup(nova_error_message(failure));
        return WORTH_ANOTHER_TRY;
    }
    if (!response) {
        nova_error_propagate(err, g_steal_pointer(&failure));
        return FAILED;
    }
    if (response->status == 503) {
        *ret_reason = g_strdup("HTTP 503 Service Unavailable");
        return WORTH_ANOTHER_TRY;
    }
    if (response->status == 204) {
        image_errors_unacceptable(err, image_id, "Image has no associated data");
        return FAILED;
    }
    if (response->status != 200) {
        translate_status(image_id, response, err);
        return FAILED;
    }
    if (!download_is_intact(&download, &got)) {
        *ret_reason = g_strdup_printf("Corrupt image download. Hash was %s expected %s", got,
                                      download.expected);
        return WORTH_ANOTHER_TRY;
    }
    return download_sync(&download, err) ? DONE : FAILED;
}

static bool
download_record(Glance *glance, const RequestContext *ctx, const char *image_id, const char *path,
                const json_t *record, NovaError **err)
{
    Attempts attempts = attempts_start(glance);

    for (;;) {
        g_autofree char *reason = NULL;
        Outcome outcome = download_once(attempts_server(&attempts), ctx, image_id, path, record,
                                        &reason, err);

        if (outcome != WORTH_ANOTHER_TRY)
            return outcome == DONE;
        if (!attempts_again(&attempts, "data", reason, err))
            return false;
    }
}

bool
glance_download(Glance *glance, const RequestContext *ctx, const char *image_id, const char *path,
                json_t **ret_record, NovaError **err)
{
    json_auto_t *record = NULL;

    /* An image whose signature cannot be checked must not be used unchecked. */
    if (glance->options->glance.verify_glance_signatures)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "[glance]verify_glance_signatures is not supported");
    record = glance_show(glance, ctx, image_id, err);
    if (!record)
        return false;
    if (!download_record(glance, ctx, image_id, path, record, err)) {
        unlink(path);
        return false;
    }
    if (ret_record)
        *ret_record = json_incref(record);
    return true;
}

/* ---- writing ---- */

/* A store may take its time to commit the last piece; glanceclient waits as long. */
#define UPLOAD_STALL_S 600
#define LOOK_EVERY_US (10 * G_USEC_PER_SEC)

typedef struct Upload {
    Glance *glance;
    const RequestContext *ctx;
    const char *image_id;
    const char *path;
    int fd;
    int64_t size;
    int64_t sent;
    gint64 look_at; /* next time to see whether the image is still wanted */
} Upload;

static bool
rewind_upload(Upload *upload, NovaError **err)
{
    upload->sent = 0;
    return lseek(upload->fd, 0, SEEK_SET) == 0 || image_errors_os(err, errno, upload->path);
}

/* Any answer but 503, which is tried again like a failed connection. 'upload' NULL: no data. */
static HttpResponse *
ask(Glance *glance, const RestRequest *request, const char *name, Upload *upload, NovaError **err)
{
    Attempts attempts = attempts_start(glance);

    for (;;) {
        g_autoptr(NovaError) failure = NULL;
        HttpResponse *response;

        if (upload && !rewind_upload(upload, err))
            return NULL;
        response = rest_send(attempts_server(&attempts)->client, request, &failure);
        if (response && response->status != 503)
            return response;
        if (!response && nova_error_kind(failure) != NOVA_ERROR_CONNECT_FAILURE) {
            nova_error_propagate(err, g_steal_pointer(&failure));
            return NULL;
        }
        http_response_free(response);
        if (!attempts_again(&attempts, name,
                            failure ? nova_error_message(failure) : "HTTP 503 Service Unavailable", err))
            return NULL;
    }
}

/* JSON-patch operations that make the record have these attributes. */
static json_t *
patch_of(const json_t *record, json_t *attributes)
{
    json_t *patch = json_array();
    const char *name;
    json_t *value;

    json_object_foreach (attributes, name, value) {
        const json_t *old = json_object_get(record, name);
        g_autofree char *path = g_strconcat("/", name, NULL);

        if (!old || !json_equal(old, value))
            json_array_append_new(patch, json_pack("{s:s, s:s, s:O}", "op", old ? "replace" : "add",
                                                   "path", path, "value", value));
    }
    return patch;
}

bool
glance_update(Glance *glance, const RequestContext *ctx, const char *image_id, json_t *attributes,
              NovaError **err)
{
    static const char *const headers[] = {
        "Content-Type: application/openstack-images-v2.1-json-patch", NULL};
    json_auto_t *record = glance_show(glance, ctx, image_id, err);
    json_auto_t *patch = record ? patch_of(record, attributes) : NULL;
    g_autofree char *path = g_strdup_printf("/images/%s", image_id);
    const RestRequest request = {
        .ctx = ctx, .method = "PATCH", .path = path, .json = patch, .headers = headers};
    g_autoptr(HttpResponse) response = NULL;

    if (!record)
        return false;
    if (json_array_size(patch) == 0)
        return true;
    response = ask(glance, &request, "update", NULL, err);
    if (response && response->status != 200)
        translate_status(image_id, response, err);
    return response && response->status == 200;
}

/* Glance 2024.1 and older have only the second way, which operators seldom open. */
bool
glance_add_location(Glance *glance, const RequestContext *ctx, const char *image_id, const char *url,
                    NovaError **err)
{
    static const char *const headers[] = {
        "Content-Type: application/openstack-images-v2.1-json-patch", NULL};
    json_auto_t *body = json_pack("{s:s, s:{}}", "url", url, "validation_data");
    json_auto_t *patch = json_pack("[{s:s, s:s, s:{s:s, s:{}}}]", "op", "add", "path", "/locations/-",
                                   "value", "url", url, "metadata");
    g_autofree char *image = g_strconcat("/images/", image_id, NULL);
    g_autofree char *locations = g_strconcat(image, "/locations", NULL);
    const RestRequest post = {.ctx = ctx, .method = "POST", .path = locations, .json = body};
    const RestRequest change = {
        .ctx = ctx, .method = "PATCH", .path = image, .json = patch, .headers = headers};
    g_autoptr(HttpResponse) response = NULL;

    if (!is_plain_id(image_id))
        return image_errors_not_found(err, image_id);
    response = ask(glance, &post, "add_image_location", NULL, err);
    if (response && (response->status == 404 || response->status == 405 || response->status == 501)) {
        http_response_free(response);
        response = ask(glance, &change, "add_location", NULL, err);
    }
    if (response && response->status >= 300)
        translate_status(image_id, response, err);
    return response && response->status < 300;
}

bool
glance_copy_to_store(Glance *glance, const RequestContext *ctx, const char *image_id, const char *store, NovaError **err)
{
    json_auto_t *body = json_pack("{s:{s:s}, s:[s]}", "method", "name", "copy-image", "stores", store);
    g_autofree char *path = g_strdup_printf("/images/%s/import", image_id);
    const RestRequest request = {.ctx = ctx, .method = "POST", .path = path, .json = body};
    g_autoptr(HttpResponse) response = NULL;

    if (!is_plain_id(image_id))
        return image_errors_not_found(err, image_id);
    response = ask(glance, &request, "image_import", NULL, err);
    if (!response)
        return false;
    if (response->status == 409) {
        g_autofree char *text = rest_error_text(response);

        return nova_error_set(err, NOVA_ERROR_IMAGE_IMPORT_IMPOSSIBLE, "Import of image %s refused: %.*s", image_id,
                              TEXT_LIMIT, text);
    }
    if (response->status >= 300)
        translate_status(image_id, response, err);
    return response->status < 300;
}

bool
glance_delete(Glance *glance, const RequestContext *ctx, const char *image_id, NovaError **err)
{
    g_autofree char *path = g_strconcat("/images/", image_id, NULL);
    const RestRequest request = {.ctx = ctx, .method = "DELETE", .path = path};
    g_autoptr(HttpResponse) response = NULL;

    if (!is_plain_id(image_id)) {
        image_errors_not_found(err, image_id);
        return false;
    }
    response = ask(glance, &request, "delete", NULL, err);
    if (!response)
        return false;
    if (response->status == 409) {
        g_autofree char *text = rest_error_text(response);

        return nova_error_set(err, NOVA_ERROR_IMAGE_DELETE_CONFLICT,
                              "Conflict deleting image. Reason: %s.", text);
    }
    if (response->status != 204)
        translate_status(image_id, response, err);
    return response->status == 204;
}

static char *
list_path(json_t *properties)
{
    GString *path = g_string_new("/images?");
    const char *name;
    json_t *value;

    json_object_foreach (properties, name, value) {
        g_autofree char *text = g_uri_escape_string(json_string_value(value), NULL, true);

        g_string_append_printf(path, "%s=%s&", name, text);
    }
    g_string_append(path, "limit=200&sort_key=created_at&sort_dir=desc");
    return g_string_free(path, FALSE);
}

/* Glance names the next page with the version, which is in the endpoint already. */
static char *
next_page(const json_t *page)
{
    const char *next = json_get_string(page, "next", NULL);

    return next ? g_strdup(g_str_has_prefix(next, "/v2") ? next + strlen("/v2") : next) : NULL;
}

json_t *
glance_list(Glance *glance, const RequestContext *ctx, json_t *properties, NovaError **err)
{
    g_autofree char *path = list_path(properties);
    json_auto_t *images = json_array();

    while (path) {
        const RestRequest request = {.ctx = ctx, .method = "GET", .path = path};
        g_autoptr(HttpResponse) response = ask(glance, &request, "list", NULL, err);

        if (!response)
            return NULL;
        if (response->status != 200) {
            translate_status("", response, err);
            return NULL;
        }
        json_array_extend(images, json_get_array(response->json, "images"));
        g_free(path);
        path = next_page(response->json);
    }
    return json_incref(images);
}

/* ---- upload ---- */

/* Glance itself finds out only when it has all the data. */
static bool
is_still_wanted(Upload *upload, NovaError **err)
{
    g_autoptr(NovaError) failure = NULL;
    json_auto_t *record = NULL;

    if (g_get_monotonic_time() < upload->look_at)
        return true;
    upload->look_at = g_get_monotonic_time() + LOOK_EVERY_US;
    LOG_INFO("Uploading image %s: %" PRId64 " %% of %" PRId64 " MiB", upload->image_id,
             upload->size ? upload->sent * 100 / upload->size : 100, upload->size >> 20);
    record = glance_show(upload->glance, upload->ctx, upload->image_id, &failure);
    if (record || !nova_error_is(failure, NOVA_ERROR_IMAGE_NOT_FOUND))
        return true;
    return nova_error_propagate(err, g_steal_pointer(&failure));
}

static ssize_t
give_data(char *buffer, size_t size, void *user, NovaError **err)
{
    Upload *upload = user;
    ssize_t count;

    if (!is_still_wanted(upload, err))
        return -1;
    do
        count = read(upload->fd, buffer, size);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        image_errors_os(err, errno, upload->path);
    else
        upload->sent += count;
    return count;
}

static HttpResponse *
put_data(Upload *upload, NovaError **err)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", NULL};
    g_autofree char *path = g_strdup_printf("/images/%s/file", upload->image_id);
    const RestRequest request = {.ctx = upload->ctx, .method = "PUT", .path = path, .headers = headers,
                                 .source = give_data, .user = upload,
                                 .timeout_s = -UPLOAD_STALL_S};

    return ask(upload->glance, &request, "upload", upload, err);
}

/* 404 and 410: it was deleted before, or while, the data came. */
static bool
judge_upload(const Upload *upload, const HttpResponse *response, NovaError **err)
{
    if (response->status == 204)
        return true;
    if (response->status == 410) {
        image_errors_not_found(err, upload->image_id);
        return false;
    }
    translate_status(upload->image_id, response, err);
    return false;
}

bool
glance_upload(Glance *glance, const RequestContext *ctx, const char *image_id, const char *path,
              NovaError **err)
{
    Upload upload = {.glance = glance, .ctx = ctx, .image_id = image_id, .path = path,
                     .look_at = g_get_monotonic_time() + LOOK_EVERY_US};
    g_autoptr(HttpResponse) response = NULL;
    struct stat st;

    if (!is_plain_id(image_id)) {
        image_errors_not_found(err, image_id);
        return false;
    }
    upload.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (upload.fd < 0 || fstat(upload.fd, &st) < 0) {
        image_errors_os(err, errno, path);
        if (upload.fd >= 0)
            close(upload.fd);
        return false;
    }
    upload.size = st.st_size;
    response = put_data(&upload, err);
    close(upload.fd);
    return response && judge_upload(&upload, response, err);
}
