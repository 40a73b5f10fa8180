/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The control plane in a test: stands in for agent/rpc/rpc_client.c at link time. */

#include <jansson.h>

#include "agent/rpc/rpc_client.h"

/* Answers a call: a new reference, or NULL with *err set. */
typedef json_t *(*FakeRpcAnswer)(const RpcTarget *target, const char *method, json_t *args,
                                 void *user, NovaError **err);

/* Forgets what was counted. 'client' for those that want one is any pointer. */
void fake_rpc_reset(FakeRpcAnswer answer, void *user);
unsigned fake_rpc_calls(void);
/* Casts and fanouts, "compute.stop_instance ..."; the last one's arguments. */
unsigned fake_rpc_casts(void);
const char *fake_rpc_last_cast(void);
/* Notifications; borrowed, NULL when there was none. */
unsigned fake_rpc_notifications(void);
