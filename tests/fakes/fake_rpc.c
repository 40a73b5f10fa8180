/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fakes/fake_rpc.h"

#include <string.h>

static struct {
    FakeRpcAnswer answer;
    void *user;
    unsigned n_calls, n_casts, n_notifications;
    char *last_cast;
} fake;

void
fake_rpc_reset(FakeRpcAnswer answer, void *user)
{
    g_free(fake.last_cast);
    memset(&fake, 0, sizeof fake);
    fake.answer = answer;
    fake.user = user;
}

unsigned
fake_rpc_calls(void)
{
    return fake.n_calls;
}

unsigned
fake_rpc_casts(void)
{
    return fake.n_casts;
}

const char *
fake_rpc_last_cast(void)
{
    return fake.last_cast;
}

unsigned
fake_rpc_notifications(void)
{
    return fake.n_notifications;
}

json_t *
rpc_call(RpcClient *client, const RequestContext *ctx, const RpcTarget *target, const char *method,
         json_t *args, int timeout_s, int monitor_s, NovaError **err)
{
    (void)client;
    (void)ctx;
    (void)timeout_s;
    (void)monitor_s;
    fake.n_calls++;
    return fake.answer(target, method, args, fake.user, err);
}

bool
rpc_cast(RpcClient *client, const RequestContext *ctx, const RpcTarget *target, const char *method,
         json_t *args, NovaError **err)
{
    (void)client;
    (void)ctx;
    (void)args;
    (void)err;
    fake.n_casts++;
    g_free(fake.last_cast);
    fake.last_cast = g_strdup_printf("%s %s", target->topic, method);
    return true;
}

bool
rpc_fanout(RpcClient *client, const RequestContext *ctx, const RpcTarget *target, const char *method,
           json_t *args, NovaError **err)
{
    return rpc_cast(client, ctx, target, method, args, err);
}

void
rpc_notify(RpcClient *client, const RequestContext *ctx, const char *topic,
           const RpcNotification *notification)
{
    (void)client;
    (void)ctx;
    (void)topic;
    (void)notification;
    fake.n_notifications++;
}
