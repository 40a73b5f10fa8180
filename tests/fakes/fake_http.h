/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A web server in the test's own process, on loopback, that answers from a script.
 *
 * A request takes the first answer not yet used up that names its method and path; without one it
 * gets a 404 and counts as unexpected. Every request is kept for the test to look at. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct FakeHttp FakeHttp;

typedef struct FakeRequest {
    char *method;
    char *path;          /* with the query */
    GHashTable *headers; /* lower-case name → value */
    char *body;          /* chunks already joined */
} FakeRequest;

typedef struct FakeAnswer {
    const char *method;   /* NULL: any */
    const char *path;     /* NULL: any; with the query; a trailing '*' matches any rest */
    int status;           /* 0: 200 */
    const char *body;     /* JSON text unless 'headers' says otherwise; NULL: none */
    const char *headers;  /* further lines, each ended by \r\n; NULL: none */
    const char *raw;      /* instead of all above: these bytes, then the connection is closed */
    int delay_ms;
    int times;            /* 0: once; -1: always */
} FakeAnswer;

FakeHttp *fake_http_new(void);
void fake_http_free(FakeHttp *fake);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeHttp, fake_http_free)

const char *fake_http_url(FakeHttp *fake); /* "http://127.0.0.1:PORT" */
void fake_http_answer(FakeHttp *fake, const FakeAnswer *answer); /* strings are copied */
/* The common case: one JSON answer, once. */
void fake_http_reply(FakeHttp *fake, const char *method, const char *path, int status,
                     const char *body);
/* Nothing listens any more, the port stays known. */
void fake_http_stop(FakeHttp *fake);

unsigned fake_http_n_requests(FakeHttp *fake);
unsigned fake_http_n_unexpected(FakeHttp *fake);
unsigned fake_http_n_connections(FakeHttp *fake);
unsigned fake_http_n_unused(FakeHttp *fake); /* answers that nobody asked for, but "always" ones */
/* Borrowed until the server is freed; negative: counted from the end. */
const FakeRequest *fake_http_request(FakeHttp *fake, int index);
const char *fake_request_header(const FakeRequest *request, const char *name);
/* New reference; NULL when the body is not JSON. */
json_t *fake_request_json(const FakeRequest *request);
/* "GET /a\nPUT /b\n": all requests so far; the caller frees it. */
char *fake_http_log(FakeHttp *fake);
