/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* oslo.messaging's envelope and the four things that travel in it: requests (casts and calls),
 * replies, failures and keep-alives. Pure: bytes in, structs out and back. Whatever the bytes are,
 * the outcome is a struct or a ValueError (oslo_messaging/_drivers/common.py, amqpdriver.py). */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"

/* Bodies that are longer are refused unread. */
#define RPC_MAX_BODY_BYTES (128 * 1024 * 1024)

struct RpcReplyState; /* rpc_server.c's: where and how often to answer */

/* One thread at a time: reader, then whoever it was handed to. */
typedef struct RpcRequest {
    RequestContext *ctx;
    char *method;
    char *namespace; /* NULL: the default one */
    char *version;   /* "1.0" when the message has none, as in oslo.messaging's dispatcher */
    json_t *args;    /* an object */
    char *unique_id; /* NULL when the sender gave none */
    char *msg_id;    /* NULL: a cast, never answered */
    char *reply_q;
    int timeout_s;   /* _timeout: keep-alives are wanted; -1: none */
    char *topic;     /* the topic it was consumed for, "compute"; NULL outside of a server */
    char *raw;       /* the body as it came: set by the reader while it asks the journal */
    size_t raw_length;
    NovaError *defect; /* readable as a message but no request ('method' may be NULL then): it
                          can only be answered with this; the reader does */
    uint64_t journal_id; /* 0: not in the journal */
    struct RpcReplyState *reply;
} RpcRequest;

/* 'body' is borrowed. Accepts envelopes 2.x and bare dicts. */
RpcRequest *rpc_request_parse(const char *body, size_t length, NovaError **err);
/* A call that was not answered gets no answer from this; see rpc_server.h. */
void rpc_request_free(RpcRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcRequest, rpc_request_free)

typedef struct RpcReply {
    char *msg_id;    /* never NULL */
    char *unique_id; /* may be NULL */
    json_t *result;  /* never NULL: JSON null */
    NovaError *failure; /* NULL: none */
    bool is_ending;  /* false: a keep-alive, or a part of the answer */
} RpcReply;

RpcReply *rpc_reply_parse(const char *body, size_t length, NovaError **err);
void rpc_reply_free(RpcReply *reply);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcReply, rpc_reply_free)

/* What oslo.messaging's messaging drivers send. */
typedef struct RpcNotification {
    const char *publisher_id; /* "compute.<host>" */
    const char *event_type;
    const char *priority;     /* "INFO", in any case */
    json_t *payload;          /* borrowed */
    bool is_bare;             /* driver "messaging": no envelope (message format 1.0) */
    int retry;                /* [oslo_messaging_notifications]retry: -1 keeps it for a dead bus */
} RpcNotification;

/* What all of these return is a whole message body in an envelope; g_free() it. Each has a new
 * _unique_id. 'args' and 'result' are borrowed; NULL args means {}. */

/* msg_id NULL: a cast; then reply_q and timeout_s are not used. timeout_s < 0 sends null. */
char *rpc_message_make_request(const RequestContext *ctx, const char *namespace,
                               const char *version, const char *method, json_t *args,
                               const char *msg_id, const char *reply_q, int timeout_s);
char *rpc_message_make_reply(const char *msg_id, json_t *result);
char *rpc_message_make_failure(const char *msg_id, const NovaError *failure, int release);
char *rpc_message_make_keepalive(const char *msg_id);
/* oslo.messaging.notify: message_id, publisher_id, event_type, priority, payload, timestamp, and
 * the context without its secrets. */
char *rpc_message_make_notification(const RequestContext *ctx, const RpcNotification *notification);

/* 32 hexadecimal digits, as uuid.uuid4().hex; g_free(). */
char *rpc_new_id(void);
