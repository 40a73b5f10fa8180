/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/glance.h"

#include <errno.h>
#include <fcntl.h>
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

/* glanceclient puts /v2 behind every endpoint, so a version that is there goes. */
static char *
without_version(const char *url)
{
    g_autoptr(GRegex) version = g_regex_new("/v\\d+(\\.\\d+)?/?$", 0, 0, NULL);
    char *bare = g_regex_replace_literal(version, url, -1, 0, "", 0, NULL);
    size_t length = strlen(bare);

    while (length > 0 && bare[length - 1] == '/')
        bare[--length] = '\0';
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
        nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "Glance answered %ld for image %s: %.*s",
                       response->status, image_id, TEXT_LIMIT, text);
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
