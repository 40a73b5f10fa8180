/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The other computes (nova.compute.rpcapi): what an operation asks of the host at the other end of
 * a move, which may be this one. Any thread. */

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/conductor.h"
#include "agent/rpc/rpc_client.h"

typedef struct Peers Peers;

/* All borrowed for its life. */
Peers *peers_new(RpcClient *client, Conductor *conductor);
void peers_free(Peers *peers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peers, peers_free)

/* On the topic that stays open while a compute shuts down (compute-alt, from release 33 on), so
 * that moves under way end. 'args' is borrowed. */
bool peers_cast(Peers *peers, const RequestContext *ctx, const char *host, const char *method,
                json_t *args, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* New reference to the result. */
json_t *peers_call(Peers *peers, const RequestContext *ctx, const char *host, const char *method,
                   json_t *args, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
