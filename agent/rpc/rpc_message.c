/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/rpc_message.h"

#include <string.h>
#include <time.h>

#include "agent/base/json.h"
#include "agent/rpc/rpc_message_private.h"

#define ENVELOPE_VERSION "2.0"

char *
rpc_new_id(void)
{
    g_autofree char *uuid = g_uuid_string_random();
    char *out = g_malloc(33);
    unsigned n = 0;

    for (const char *c = uuid; *c; c++)
        if (*c != '-' && n < 32)
            out[n++] = *c;
    out[n] = '\0';
    return out;
}

/* oslo_utils' rule for envelopes: same major version, at most our minor one. */
static bool
is_known_envelope(const json_t *version)
{
    const char *text = json_string_value(version);

    return text && strcmp(text, ENVELOPE_VERSION) == 0;
}

/* The inner message, an object; new reference. */
static json_t *
open_envelope(const char *body, size_t length, NovaError **err)
{
    json_auto_t *outer = json_parse(body, length, err);
    const json_t *version = json_object_get(outer, "oslo.version");
    const json_t *message = json_object_get(outer, "oslo.message");
    json_auto_t *inner = NULL;

    if (!outer)
        return NULL;
    if (version && message) {
        if (!is_known_envelope(version)) {
            nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "unsupported envelope version");
            return NULL;
        }
        if (!json_is_string(message)) {
            nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "oslo.message is not a string");
            return NULL;
        }
        inner = json_parse(json_string_value(message), json_string_length(message), err);
        if (!inner)
            return NULL;
    } else {
        inner = json_incref(outer);
    }
    if (!json_is_object(inner)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "the message is not an object");
        return NULL;
    }
    return g_steal_pointer(&inner);
}

static char *
dup_string(const json_t *message, const char *key)
{
    return g_strdup(json_get_string(message, key, NULL));
}

/* null: the caller has no monitor. Fractions count as the whole second below them. */
static int
keepalive_timeout_s(const json_t *message)
{
    const json_t *value = json_object_get(message, "_timeout");
    double seconds = json_number_value(value);

    if (!json_is_number(value) || seconds <= 0)
        return -1;
    return seconds > 86400 * 365 ? 86400 * 365 : (int)seconds;
}

/* Reads what a handler needs; what is wrong with it is the answer to the caller. */
static bool
read_request(RpcRequest *request, const json_t *message, NovaError **err)
{
    json_t *args = json_object_get(message, "args");

    request->ctx = request_context_from_message(message, err);
    if (!request->ctx)
        return false;
    if (!request->method)
        return nova_error_set(err, NOVA_ERROR_NO_SUCH_METHOD,
                              "Endpoint does not support RPC method None");
    if (args && !json_is_null(args) && !json_is_object(args))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "args of '%s' is not an object",
                              request->method);
    request->args = json_is_object(args) ? json_incref(args) : json_object();
    return true;
}

RpcRequest *
rpc_request_parse(const char *body, size_t length, NovaError **err)
{
    json_auto_t *message = open_envelope(body, length, err);
    RpcRequest *request;

    if (!message)
        return NULL;
    request = g_new0(RpcRequest, 1);
    request->method = dup_string(message, "method");
    request->namespace = dup_string(message, "namespace");
    request->version = g_strdup(json_get_string(message, "version", "1.0"));
    request->unique_id = dup_string(message, "_unique_id");
    request->msg_id = dup_string(message, "_msg_id");
    request->reply_q = dup_string(message, "_reply_q");
    request->timeout_s = keepalive_timeout_s(message);
    if (!read_request(request, message, &request->defect) && !request->defect)
        nova_error_set(&request->defect, NOVA_ERROR_VALUE_ERROR, "not a request");
    return request;
}

void
rpc_request_free(RpcRequest *request)
{
    if (!request)
        return;
    if (request->reply)
        request->reply->free(request->reply);
    if (request->ctx)
        request_context_unref(request->ctx);
    g_free(request->method);
    g_free(request->namespace);
    g_free(request->version);
    json_decref(request->args);
    g_free(request->unique_id);
    g_free(request->msg_id);
    g_free(request->reply_q);
    g_free(request->topic);
    g_free(request->raw);
    nova_error_free(request->defect);
    g_free(request);
}

/* The failure is JSON text within the message; old peers may send the object itself. */
static NovaError *
read_failure(const json_t *failure)
{
    json_auto_t *object = NULL;

    if (!failure || json_is_null(failure))
        return NULL;
    if (json_is_string(failure))
        object = json_parse(json_string_value(failure), json_string_length(failure), NULL);
    return nova_error_from_failure(object ? object : failure);
}

RpcReply *
rpc_reply_parse(const char *body, size_t length, NovaError **err)
{
    json_auto_t *message = open_envelope(body, length, err);
    const char *msg_id = json_get_string(message, "_msg_id", NULL);
    json_t *result = json_object_get(message, "result");
    RpcReply *reply;

    if (!message)
        return NULL;
    if (!msg_id) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "a reply without _msg_id");
        return NULL;
    }
    reply = g_new0(RpcReply, 1);
    reply->msg_id = g_strdup(msg_id);
    reply->unique_id = dup_string(message, "_unique_id");
    reply->result = result ? json_incref(result) : json_null();
    reply->failure = read_failure(json_object_get(message, "failure"));
    reply->is_ending = json_get_bool(message, "ending", false);
    return reply;
}

void
rpc_reply_free(RpcReply *reply)
{
    if (!reply)
        return;
    g_free(reply->msg_id);
    g_free(reply->unique_id);
    json_decref(reply->result);
    nova_error_free(reply->failure);
    g_free(reply);
}

/* Message format 1.0. */
static char *
close_bare(json_t *message)
{
    g_autofree char *id = rpc_new_id();

    json_set_string(message, "_unique_id", id);
    return json_to_text(message);
}

static char *
close_envelope(json_t *message)
{
    g_autofree char *inner = close_bare(message);
    json_auto_t *outer = json_object();

    json_set_string(outer, "oslo.version", ENVELOPE_VERSION);
    json_set_string(outer, "oslo.message", inner);
    return json_to_text(outer);
}

char *
rpc_message_make_request(const RequestContext *ctx, const char *namespace, const char *version,
                         const char *method, json_t *args, const char *msg_id,
                         const char *reply_q, int timeout_s)
{
    json_auto_t *message = json_object();

    json_set_string(message, "method", method);
    json_object_set_new(message, "args", args ? json_incref(args) : json_object());
    if (namespace)
        json_set_string(message, "namespace", namespace);
    if (version)
        json_set_string(message, "version", version);
    if (msg_id) {
        json_set_string(message, "_msg_id", msg_id);
        json_set_string(message, "_reply_q", reply_q);
        json_object_set_new(message, "_timeout",
                            timeout_s < 0 ? json_null() : json_integer(timeout_s));
    }
    request_context_to_message(ctx, message);
    return close_envelope(message);
}

static char *
make_reply(const char *msg_id, json_t *result, const char *failure, bool is_ending)
{
    json_auto_t *message = json_object();

    json_object_set_new(message, "result", result ? json_incref(result) : json_null());
    json_set_string(message, "failure", failure);
    json_object_set_new(message, "ending", json_boolean(is_ending));
    json_set_string(message, "_msg_id", msg_id);
    return close_envelope(message);
}

char *
rpc_message_make_reply(const char *msg_id, json_t *result)
{
    return make_reply(msg_id, result, NULL, true);
}

char *
rpc_message_make_failure(const char *msg_id, const NovaError *failure, int release)
{
    json_auto_t *object = nova_error_to_failure(failure, release);
    g_autofree char *text = json_to_text(object);

    return make_reply(msg_id, NULL, text, true);
}

char *
rpc_message_make_keepalive(const char *msg_id)
{
    return make_reply(msg_id, NULL, NULL, false);
}

/* "2026-01-02 03:04:05.678901", UTC: str(timeutils.utcnow()). */
static char *
notification_timestamp(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();

    return g_date_time_format(now, "%Y-%m-%d %H:%M:%S.%f");
}

char *
rpc_message_make_notification(const RequestContext *ctx, const RpcNotification *notification)
{
    g_autoptr(RequestContext) shown = request_context_redacted(ctx);
    json_auto_t *message = json_object();
    g_autofree char *id = g_uuid_string_random();
    g_autofree char *priority = g_ascii_strup(notification->priority, -1);
    g_autofree char *timestamp = notification_timestamp();

    json_set_string(message, "message_id", id);
    json_set_string(message, "publisher_id", notification->publisher_id);
    json_set_string(message, "event_type", notification->event_type);
    json_set_string(message, "priority", priority);
    json_object_set(message, "payload", notification->payload);
    json_set_string(message, "timestamp", timestamp);
    request_context_to_message(shown, message);
    return notification->is_bare ? close_bare(message) : close_envelope(message);
}
