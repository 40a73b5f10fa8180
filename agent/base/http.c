/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "agent/base/json.h"

#define MAX_BODY (64 * 1024 * 1024)
#define MAX_IDLE_HANDLES 4
#define MAX_REDIRECTS 5
#define MAX_RETRY_DELAY_S 60.0
#define DEFAULT_TIMEOUT_S 60
#define CONNECT_TIMEOUT_S 30
#define STALL_TIMEOUT_S 60
#define DEFAULT_RETRY_DELAY_S 0.5

struct HttpClient {
    HttpSettings settings; /* immutable; its strings are owned by this */
    CURLSH *share;         /* name lookups and TLS sessions, under share_locks */
    pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
    pthread_mutex_t lock;
    CURL *idle[MAX_IDLE_HANDLES]; /* guarded by lock; each keeps its connections open */
    unsigned n_idle;              /* guarded by lock */
};

/* One attempt at one request. */
typedef struct Transfer {
    const HttpRequest *request;
    CURL *curl;
    struct curl_slist *headers;
    char *json_text;
    GString *body;
    GHashTable *answer_headers;
    bool streamed; /* source or sink has been called: this cannot be sent again */
    bool too_long;
    NovaError *callback_error;
    char curl_text[CURL_ERROR_SIZE];
} Transfer;

static void
transfer_clear(Transfer *transfer)
{
    curl_slist_free_all(transfer->headers);
    g_free(transfer->json_text);
    if (transfer->body)
        g_string_free(transfer->body, TRUE);
    g_clear_pointer(&transfer->answer_headers, g_hash_table_unref);
    nova_error_free(transfer->callback_error);
    memset(transfer, 0, sizeof(*transfer));
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Transfer, transfer_clear)

/* ---- handles ---- */

static void
share_lock(CURL *curl, curl_lock_data data, curl_lock_access access, void *user)
{
    HttpClient *client = user;

    (void)curl;
    (void)access;
    pthread_mutex_lock(&client->share_locks[data]);
}

static void
share_unlock(CURL *curl, curl_lock_data data, void *user)
{
    HttpClient *client = user;

    (void)curl;
    pthread_mutex_unlock(&client->share_locks[data]);
}

static void
curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static CURLSH *
share_new(HttpClient *client)
{
    CURLSH *share = curl_share_init();

    curl_share_setopt(share, CURLSHOPT_LOCKFUNC, share_lock);
    curl_share_setopt(share, CURLSHOPT_UNLOCKFUNC, share_unlock);
    curl_share_setopt(share, CURLSHOPT_USERDATA, client);
    curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return share;
}

static CURL *
handle_take(HttpClient *client)
{
    CURL *curl = NULL;

    pthread_mutex_lock(&client->lock);
    if (client->n_idle > 0)
        curl = client->idle[--client->n_idle];
    pthread_mutex_unlock(&client->lock);
    if (!curl) {
        curl = curl_easy_init();
        if (!curl)
            g_error("curl_easy_init failed");
        curl_easy_setopt(curl, CURLOPT_SHARE, client->share);
    }
    return curl;
}

/* The most recently used handle is taken first, so that the others' connections can age. */
static void
handle_give_back(HttpClient *client, CURL *curl)
{
    curl_easy_reset(curl);
    pthread_mutex_lock(&client->lock);
    if (client->n_idle < MAX_IDLE_HANDLES) {
        client->idle[client->n_idle++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&client->lock);
    if (curl)
        curl_easy_cleanup(curl);
}

HttpClient *
http_client_new(const HttpSettings *settings)
{
    static pthread_once_t started = PTHREAD_ONCE_INIT;
    HttpClient *client = g_new0(HttpClient, 1);

    pthread_once(&started, curl_start);
    client->settings = *settings;
    client->settings.ca_file = g_strdup(settings->ca_file);
    client->settings.cert_file = g_strdup(settings->cert_file);
    client->settings.key_file = g_strdup(settings->key_file);
    client->settings.user_agent =
        g_strdup(settings->user_agent ? settings->user_agent : "kilonova/" PACKAGE_VERSION);
    pthread_mutex_init(&client->lock, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(client->share_locks); i++)
        pthread_mutex_init(&client->share_locks[i], NULL);
    client->share = share_new(client);
    return client;
}

void
http_client_free(HttpClient *client)
{
    if (!client)
        return;
    for (unsigned i = 0; i < client->n_idle; i++)
        curl_easy_cleanup(client->idle[i]);
    curl_share_cleanup(client->share);
    for (size_t i = 0; i < G_N_ELEMENTS(client->share_locks); i++)
        pthread_mutex_destroy(&client->share_locks[i]);
    pthread_mutex_destroy(&client->lock);
    g_free((char *)client->settings.ca_file);
    g_free((char *)client->settings.cert_file);
    g_free((char *)client->settings.key_file);
    g_free((char *)client->settings.user_agent);
    g_free(client);
}

/* ---- what curl calls ---- */

static bool
is_success(CURL *curl)
{
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t
on_body(char *data, size_t size, size_t n, void *user)
{
    Transfer *transfer = user;
    const HttpRequest *request = transfer->request;
    size_t length = size * n;

    if (request->sink && is_success(transfer->curl)) {
        transfer->streamed = true;
        return request->sink(data, length, request->user, &transfer->callback_error) ? length : 0;
    }
    if (transfer->body->len + length > MAX_BODY) {
        transfer->too_long = true;
        return 0;
    }
    g_string_append_len(transfer->body, data, (gssize)length);
    return length;
}

static size_t
on_header(char *data, size_t size, size_t n, void *user)
{
    Transfer *transfer = user;
    size_t length = size * n;
    const char *colon = memchr(data, ':', length);

    if (length > 5 && strncmp(data, "HTTP/", 5) == 0) {
        /* Another answer after a redirect or a 100: what came before does not count. */
        g_hash_table_remove_all(transfer->answer_headers);
        g_string_truncate(transfer->body, 0);
    } else if (colon) {
        char *name = g_ascii_strdown(data, colon - data);
        char *value = g_strndup(colon + 1, length - (size_t)(colon - data) - 1);

        g_hash_table_replace(transfer->answer_headers, name, g_strstrip(value));
    }
    return length;
}

static size_t
on_source(char *buffer, size_t size, size_t n, void *user)
{
    Transfer *transfer = user;
    const HttpRequest *request = transfer->request;
    ssize_t count = request->source(buffer, size * n, request->user, &transfer->callback_error);

    transfer->streamed = true;
    return count < 0 ? CURL_READFUNC_ABORT : (size_t)count;
}

/* ---- one attempt ---- */

static void
set_header(Transfer *transfer, const char *line)
{
    transfer->headers = curl_slist_append(transfer->headers, line);
}

static bool
has_header(const HttpRequest *request, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; request->headers && request->headers[i]; i++)
        if (g_ascii_strncasecmp(request->headers[i], name, length) == 0)
            return true;
    return false;
}

static void
set_headers(Transfer *transfer)
{
    const HttpRequest *request = transfer->request;

    for (size_t i = 0; request->headers && request->headers[i]; i++)
        set_header(transfer, request->headers[i]);
    if (!request->sink && !has_header(request, "Accept:"))
        set_header(transfer, "Accept: application/json");
    if (!has_header(request, "Content-Type:")) /* without a body none, rather than curl's form type */
        set_header(transfer, request->json ? "Content-Type: application/json" : "Content-Type:");
    set_header(transfer, "Expect:");
    curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, transfer->headers);
}

static bool
method_is(const HttpRequest *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

static void
set_body(Transfer *transfer)
{
    const HttpRequest *request = transfer->request;
    CURL *curl = transfer->curl;

    if (request->source) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_source);
        curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
        set_header(transfer, "Transfer-Encoding: chunked");
    } else if (request->json) {
        transfer->json_text = json_to_text(request->json);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)strlen(transfer->json_text));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, transfer->json_text);
    } else if (method_is(request, "POST") || method_is(request, "PUT")) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    } else if (method_is(request, "HEAD")) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void
set_security(CURL *curl, const HttpSettings *settings)
{
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    if (settings->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
    if (settings->cert_file)
        curl_easy_setopt(curl, CURLOPT_SSLCERT, settings->cert_file);
    if (settings->key_file)
        curl_easy_setopt(curl, CURLOPT_SSLKEY, settings->key_file);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, settings->insecure ? 0L : 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, settings->insecure ? 0L : 2L);
}

static void
set_times(CURL *curl, const HttpSettings *settings, int timeout_s)
{
    if (timeout_s == 0)
        timeout_s = settings->timeout_s > 0 ? settings->timeout_s : DEFAULT_TIMEOUT_S;
    if (timeout_s > 0) {
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)timeout_s);
    } else {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                         timeout_s == -1 ? (long)STALL_TIMEOUT_S : -(long)timeout_s);
        timeout_s = CONNECT_TIMEOUT_S;
    }
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)MIN(timeout_s, CONNECT_TIMEOUT_S));
}

static void
transfer_prepare(Transfer *transfer, const HttpSettings *settings, const HttpRequest *request,
                 CURL *curl)
{
    transfer->request = request;
    transfer->curl = curl;
    transfer->body = g_string_new(NULL);
    transfer->answer_headers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, settings->user_agent);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->curl_text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    set_security(curl, settings);
    set_times(curl, settings, request->timeout_s);
    set_body(transfer);
    set_headers(transfer);
}

static HttpResponse *
response_from_transfer(Transfer *transfer)
{
    HttpResponse *response = g_new0(HttpResponse, 1);
    const char *type = g_hash_table_lookup(transfer->answer_headers, "content-type");

    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &response->status);
    response->length = transfer->body->len;
    response->body = g_string_free(g_steal_pointer(&transfer->body), FALSE);
    response->headers = g_steal_pointer(&transfer->answer_headers);
    if (type && response->length > 0 && strstr(type, "json"))
        response->json = json_parse(response->body, response->length, NULL);
    return response;
}

static bool
transfer_failed(Transfer *transfer, CURLcode code, NovaError **err)
{
    const char *text = transfer->curl_text[0] ? transfer->curl_text : curl_easy_strerror(code);

    if (transfer->callback_error)
        return nova_error_propagate(err, g_steal_pointer(&transfer->callback_error));
    if (transfer->too_long)
        return nova_error_set(err, NOVA_ERROR_CONNECT_FAILURE,
                              "The answer to %s %s is longer than %d MiB",
                              transfer->request->method, transfer->request->url,
                              MAX_BODY / (1024 * 1024));
    return nova_error_set(err, NOVA_ERROR_CONNECT_FAILURE,
                          "Unable to establish connection to %s: %s", transfer->request->url,
                          text);
}

/* Nothing has left for the peer yet: even a request that must not arrive twice may be repeated. */
static bool
was_never_sent(CURLcode code, CURL *curl)
{
    curl_off_t connected = 0;

    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT)
        return true;
    curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connected);
    return code == CURLE_OPERATION_TIMEDOUT && connected == 0;
}

static bool
may_repeat(const Transfer *transfer, CURLcode code)
{
    if (transfer->streamed || transfer->callback_error || transfer->too_long)
        return false;
    if (was_never_sent(code, transfer->curl))
        return true;
    if (transfer->request->not_idempotent)
        return false;
    return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_PARTIAL_FILE;
}

/* NULL without *err set: the same may be tried again. */
static HttpResponse *
attempt(HttpClient *client, const HttpRequest *request, bool is_last, NovaError **err)
{
    g_auto(Transfer) transfer = {0};
    CURL *curl = handle_take(client);
    HttpResponse *response = NULL;
    CURLcode code;

    transfer_prepare(&transfer, &client->settings, request, curl);
    code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        response = response_from_transfer(&transfer);
    else if (is_last || !may_repeat(&transfer, code))
        transfer_failed(&transfer, code, err);
    handle_give_back(client, curl);
    return response;
}

/* ---- a request with its retries ---- */

/* Waits as keystoneauth does: the delay doubles each time. */
static void
wait_before_retry(double first_delay_s, int retry)
{
    double delay_s = first_delay_s > 0 ? first_delay_s : DEFAULT_RETRY_DELAY_S;
    struct timespec time;

    for (int i = 0; i < retry && delay_s < MAX_RETRY_DELAY_S; i++)
        delay_s *= 2;
    delay_s = MIN(delay_s, MAX_RETRY_DELAY_S);
    time.tv_sec = (time_t)delay_s;
    time.tv_nsec = (long)((delay_s - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

static HttpResponse *
send_until_answered(HttpClient *client, const HttpRequest *request, NovaError **err)
{
    const HttpSettings *settings = &client->settings;

    for (int retry = 0;; retry++) {
        bool is_last = retry >= settings->connect_retries;
        NovaError *failure = NULL;
        HttpResponse *response = attempt(client, request, is_last, &failure);

        if (response)
            return response;
        if (failure) {
            nova_error_propagate(err, failure);
            return NULL;
        }
        wait_before_retry(settings->connect_retry_delay_s, retry);
    }
}

HttpResponse *
http_client_send(HttpClient *client, const HttpRequest *request, NovaError **err)
{
    const HttpSettings *settings = &client->settings;
    int retry = 0;

    for (;;) {
        HttpResponse *response = send_until_answered(client, request, err);

        if (!response || response->status != 503 || request->source ||
            retry >= settings->status_code_retries)
            return response;
        http_response_free(response);
        wait_before_retry(settings->status_code_retry_delay_s, retry++);
    }
}

void
http_response_free(HttpResponse *response)
{
    if (!response)
        return;
    g_free(response->body);
    json_decref(response->json);
    g_hash_table_unref(response->headers);
    g_free(response);
}

char *
http_query(const char *name, ...)
{
    GString *text = g_string_new(NULL);
    va_list pairs;

    va_start(pairs, name);
    for (; name; name = va_arg(pairs, const char *)) {
        const char *value = va_arg(pairs, const char *);

        if (!value)
            continue;
        g_string_append_c(text, text->len ? '&' : '?');
        g_string_append_uri_escaped(text, name, NULL, FALSE);
        g_string_append_c(text, '=');
        g_string_append_uri_escaped(text, value, NULL, FALSE);
    }
    va_end(pairs);
    return g_string_free(text, FALSE);
}
