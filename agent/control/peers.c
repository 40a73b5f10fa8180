/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/peers.h"

/* The first release whose computes listen on the second topic. */
#define ALT_TOPIC_RELEASE 33

struct Peers {
    RpcClient *client;
    Conductor *conductor;
};

Peers *
peers_new(RpcClient *client, Conductor *conductor)
{
    Peers *peers = g_new(Peers, 1);

    *peers = (Peers){client, conductor};
    return peers;
}

void
peers_free(Peers *peers)
{
    g_free(peers);
}

static RpcTarget
target_of(const Peers *peers, const char *host)
{
    bool has_alt = conductor_release(peers->conductor) >= ALT_TOPIC_RELEASE;

    return (RpcTarget){has_alt ? "compute-alt" : "compute", host, NULL, "6.0"};
}

bool
peers_cast(Peers *peers, const RequestContext *ctx, const char *host, const char *method,
           json_t *args, NovaError **err)
{
    RpcTarget target = target_of(peers, host);

    return rpc_cast(peers->client, ctx, &target, method, args, err);
}

json_t *
peers_call(Peers *peers, const RequestContext *ctx, const char *host, const char *method,
           json_t *args, NovaError **err)
{
    RpcTarget target = target_of(peers, host);

    return rpc_call(peers->client, ctx, &target, method, args, 0, 0, err);
}
