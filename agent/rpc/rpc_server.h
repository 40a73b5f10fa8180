/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Listens on topics as oslo.messaging's RPC server does: one reader thread with a link of its own
 * declares exchanges and queues, consumes at once, drops duplicates, lets the journal keep a
 * request, acknowledges, and hands it on. It never waits for work.
 *
 * Answers go out through the sender's thread, exactly once for a call, never for a cast; while a
 * handler runs, keep-alives every _timeout/2. (oslo_messaging amqpdriver.AMQPListener,
 * rpc/server.py, rpc.md 4.) */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/rpc/amqp_sender.h"
#include "agent/rpc/rpc_message.h"
#include "agent/rpc/transport_settings.h"

typedef struct RpcServer RpcServer;

typedef struct RpcServerCallbacks {
    /* Takes ownership of the request; runs on the reader thread, so it only enqueues. */
    void (*on_request)(RpcRequest *request, void *data);
    /* Between read and ack; false: the request is neither acknowledged nor handed on, and the
     * link is dropped so that the broker delivers it again. May be NULL. */
    bool (*journal)(RpcRequest *request, void *data);
    /* Was a message with this _unique_id taken on by a process before us, which died before its
     * acknowledgement arrived? May be NULL. */
    bool (*is_known)(const char *unique_id, void *data);
    void *data;
} RpcServerCallbacks;

/* 'topics' is NULL-terminated ("compute", "compute-alt"), 'server' the host's name; all copied but
 * settings and sender, which must live longer. Starts consuming as soon as the broker answers; keeps
 * trying while it does not. */
RpcServer *rpc_server_new(const TransportSettings *settings, AmqpSender *sender,
                          const char *const *topics, const char *server,
                          const RpcServerCallbacks *callbacks);

/* True when all queues were consumed at least once before the time is over; timeout_ms < 0: no
 * limit. False also when it is stopped meanwhile. */
bool rpc_server_wait_consuming(RpcServer *server, int timeout_ms);
bool rpc_server_is_consuming(RpcServer *server);

/* Stops consuming and ends the reader thread; deletes the fanout queues as oslo.messaging does.
 * Requests handed on can still be answered. */
void rpc_server_stop(RpcServer *server);
/* After stop. */
void rpc_server_free(RpcServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcServer, rpc_server_free)

/* Answer a request; any thread. A cast or a request answered before: nothing is sent. 'result' is
 * borrowed; NULL is null. */
void rpc_reply_result(RpcRequest *request, json_t *result);
void rpc_reply_failure(RpcRequest *request, const NovaError *failure);
bool rpc_request_wants_reply(const RpcRequest *request);

/* For a request from the journal: lets it be answered through this server's sender, keep-alives
 * included. Done for every request that the reader hands on. */
void rpc_server_adopt_request(RpcServer *server, RpcRequest *request);
