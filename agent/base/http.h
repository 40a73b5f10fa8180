/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* HTTP requests over libcurl with persistent connections.
 *
 * One HttpClient for each remote service (placement, neutron, ...): it keeps a few idle easy
 * handles and with them the open connections, shared by all threads. A request blocks the calling
 * thread; timeouts always apply. Errors: NOVA_ERROR_CONNECT_FAILURE when nothing was answered (the
 * text is curl's), otherwise the status is the caller's to judge. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/nova_error.h"

typedef struct HttpClient HttpClient;

/* keystoneauth's session and adapter options that concern transport. */
typedef struct HttpSettings {
    const char *ca_file;    /* NULL: the system's */
    const char *cert_file;
    const char *key_file;
    bool insecure;
    int timeout_s;          /* whole request; 0: 60 */
    int connect_retries;    /* when no connection could be made */
    double connect_retry_delay_s; /* first delay, doubled each time; <= 0: 0.5 */
    int status_code_retries;      /* on 503 */
    double status_code_retry_delay_s;
    const char *user_agent; /* NULL: "kilonova/VERSION" */
} HttpSettings;

/* Called with each piece of a body; false aborts the transfer (the callback's own NovaError is
 * what the caller reports). */
typedef bool (*HttpSink)(const char *data, size_t length, void *user, NovaError **err);
/* Fills up to 'size' bytes; returns the count, 0 at the end, -1 with err set to abort. */
typedef ssize_t (*HttpSource)(char *buffer, size_t size, void *user, NovaError **err);

typedef struct HttpRequest {
    const char *method;           /* "GET", "POST", ... */
    const char *url;
    const char *const *headers;   /* "Name: value", NULL-terminated; NULL: none */
    json_t *json;                 /* borrowed; sent as application/json; NULL: none */
    HttpSource source;            /* streamed body (chunked) instead of json */
    HttpSink sink;                /* streamed 2xx answer instead of 'body' */
    void *user;                   /* for source and sink */
    int timeout_s;                /* 0: the client's; -1: none but a stall of 60 s aborts;
                                   * below: the same with a stall of that many seconds */
    bool not_idempotent;          /* never retried once it may have reached the peer */
} HttpRequest;

typedef struct HttpResponse {
    long status;
    char *body;        /* NUL-terminated, may hold anything; never NULL; limited to 64 MiB */
    size_t length;
    json_t *json;      /* parsed when the content type is JSON and it parses, else NULL */
    GHashTable *headers; /* lower-case name → value */
} HttpResponse;

HttpClient *http_client_new(const HttpSettings *settings);
void http_client_free(HttpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpClient, http_client_free)

/* NULL only when no answer came at all. */
HttpResponse *http_client_send(HttpClient *client, const HttpRequest *request, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void http_response_free(HttpResponse *response);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpResponse, http_response_free)

/* "?a=b&c=d" with values percent-encoded, from NULL-terminated name, value pairs; a pair with a
 * NULL value is left out. Caller frees. */
char *http_query(const char *name, ...) G_GNUC_NULL_TERMINATED;
