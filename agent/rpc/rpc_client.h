/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Calls, casts, fanouts and notifications (oslo_messaging rpc/client.py, amqpdriver.py 5).
 *
 * Any thread may use it; each function blocks its caller only. The reply queue and the thread that
 * reads it exist from the first call on; replies nobody waits for are ignored. A caller keeps
 * waiting across a broken link until its own timeout: the queue outlives the link. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/rpc/amqp_sender.h"
#include "agent/rpc/rpc_message.h"
#include "agent/rpc/transport_settings.h"

typedef struct RpcClient RpcClient;

/* settings and sender must live longer. */
RpcClient *rpc_client_new(const TransportSettings *settings, AmqpSender *sender);
/* Callers that wait fail with MessagingTimeout at once; so does every later call. */
void rpc_client_stop(RpcClient *client);
/* After stop, when no caller is left. */
void rpc_client_free(RpcClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RpcClient, rpc_client_free)

typedef struct RpcTarget {
    const char *topic;      /* "conductor" */
    const char *server;     /* NULL: any */
    const char *namespace;  /* NULL: the default one */
    const char *version;    /* "3.0" */
} RpcTarget;

/* New reference to the result (JSON null for void), or NULL: MessagingTimeout, the remote's own
 * exception, MessageDeliveryFailure. timeout_s 0: rpc_response_timeout. monitor_s > 0 asks the
 * server for keep-alives (_timeout) and gives up when they stay away that long. */
json_t *rpc_call(RpcClient *client, const RequestContext *ctx, const RpcTarget *target,
                 const char *method, json_t *args, int timeout_s, int monitor_s, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* True when the broker has confirmed it, which does not mean that anybody listens. */
bool rpc_cast(RpcClient *client, const RequestContext *ctx, const RpcTarget *target,
              const char *method, json_t *args, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* To every server of the topic; target->server is not used. */
bool rpc_fanout(RpcClient *client, const RequestContext *ctx, const RpcTarget *target,
                const char *method, json_t *args, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* To the queue "<topic>.<priority>", declared as oslo.messaging's notifier does. Queued only: a
 * notification holds up nobody, and the queue is bounded. */
void rpc_notify(RpcClient *client, const RequestContext *ctx, const char *topic,
                const RpcNotification *notification);
