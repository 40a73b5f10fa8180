/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests to an OpenStack service: endpoint, token, request id, retries (keystoneauth1.Adapter).
 *
 * One RestClient for each service; all threads share it and its connections. A request is sent
 * either with the service's own credentials of nova.conf or with the token of the request being
 * worked on; [service_user] adds X-Service-Token to the latter. A 401 to our own token, or to our
 * service token, is answered once with a fresh one.
 *
 * Errors: those of keystone.h and http.h, Unauthorized when neither a user token nor credentials
 * are there. Any status is an answer: judging it is the caller's. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/http.h"
#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/keystone.h"
#include "conf/options.h"

typedef struct RestClient RestClient;

/* Everything but 'keystone' may be NULL; pointers are borrowed for good. */
typedef struct RestSettings {
    Keystone *keystone;
    const char *group;                /* nova.conf section, for messages */
    const KeystoneAuthOptions *auth;  /* NULL: user tokens only */
    const SessionOptions *session;
    const AdapterOptions *adapter;    /* NULL: 'service_type' and interfaces internal, public */
    const char *service_type;         /* when the adapter names none */
    const char *path_prefix;          /* "/v2.0": appended unless the endpoint ends with it */
    int connect_retries;              /* when the adapter sets none */
    int timeout_s;                    /* when the session sets none; 0: as http.h has it */
    const Options *options;           /* [service_user]; NULL: never a service token */
} RestSettings;

RestClient *rest_client_new(const RestSettings *settings);
void rest_client_free(RestClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RestClient, rest_client_free)

typedef struct RestRequest {
    const RequestContext *ctx;  /* whose request id, and token unless as_admin; may be NULL */
    bool as_admin;              /* with our own credentials; also when ctx is an admin's without token */
    const char *endpoint;       /* for this request alone; NULL: as settings and catalogs say */
    const char *method;
    const char *path;           /* "/ports/42?fields=id", already encoded */
    const char *microversion;   /* "placement 1.26"; NULL: none */
    json_t *json;               /* borrowed; NULL: no body */
    const char *const *headers; /* further ones; NULL: none */
    HttpSource source;          /* see http.h for these */
    HttpSink sink;
    void *user;
    int timeout_s;
    bool not_idempotent;
} RestRequest;

/* NULL only when no answer came. A streamed body (source) is not sent twice: its 401 is final. */
HttpResponse *rest_send(RestClient *client, const RestRequest *request, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The endpoint in use, for messages and links; the caller frees it. */
char *rest_client_endpoint(RestClient *client, const RequestContext *ctx, NovaError **err);

/* What an error answer says, whichever service sent it: Placement's errors[0].detail, Neutron's
 * NeutronError.message, Keystone's error.message, else the text; one line, at most 1000 bytes.
 * The caller frees it. */
char *rest_error_text(const HttpResponse *response);
/* Placement's errors[0].code or NeutronError.type; "" when there is none. Borrowed. */
const char *rest_error_code(const HttpResponse *response);
