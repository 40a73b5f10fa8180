/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notifications on the bus (nova.rpc, nova.notifications): legacy "compute.instance.*" and versioned
 * "instance.*", as [notifications]notification_format and [oslo_messaging_notifications]driver say.
 * Sending only queues: a dead bus holds up nobody. Any thread. */

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/objects/instance.h"
#include "agent/rpc/rpc_client.h"
#include "conf/options.h"

typedef struct Notifier Notifier;

/* 'client' and 'options' must outlive it. */
Notifier *notifier_new(RpcClient *client, const Options *options);
void notifier_free(Notifier *notifier);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Notifier, notifier_free)

/* An action's phase: action "create", phase "start", "end" or "error" (then with 'error'). */
void notifier_instance(Notifier *notifier, const RequestContext *ctx, const Instance *instance,
                       const char *action, const char *phase, const NovaError *error);

/* wrap_exception: a method failed. 'args' are the message's. */
void notifier_exception(Notifier *notifier, const RequestContext *ctx, const char *method,
                        const json_t *args, const NovaError *error);
