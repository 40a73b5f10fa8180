/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From a request to its answer: lane, handler, and what the method's flags say.
 *
 * dispatcher_on_request() runs on the reader's thread and only enqueues. Refusals that need no work
 * (unknown version or method) are answered as oslo.messaging's dispatcher does. */

#include <glib.h>
#include <stdbool.h>

#include "agent/methods.h"
#include "agent/rpc/rpc_message.h"
#include "compute/operation.h"

typedef struct Dispatcher Dispatcher;

/* 'host' is borrowed and may be filled in until dispatcher_release(). Lanes other than URGENT are
 * held until then. */
Dispatcher *dispatcher_new(Host *host, const Options *options);

/* RpcServerCallbacks.on_request; takes ownership of the request. */
void dispatcher_on_request(RpcRequest *request, void *dispatcher);

/* Identity checks and init_host are done: work starts. */
void dispatcher_release(Dispatcher *dispatcher);

/* Runs work() in the DEFAULT lane, behind the jobs of 'key' (may be NULL). 'discard' is called
 * instead when the agent stops before. */
void dispatcher_queue(Dispatcher *dispatcher, const char *key, void (*work)(void *user),
                      void (*discard)(void *user), void *user);

/* Host.queue_method */
void dispatcher_queue_method(Host *host, const char *name, RequestContext *ctx, Instance *instance,
                             json_t *args);
/* Host.queue_work */
void dispatcher_queue_work(Host *host, const char *name,
                           void (*work)(Host *host, RequestContext *ctx, Instance *instance),
                           RequestContext *ctx, Instance *instance);

/* "DEFAULT 0 queued, 1 running, 3 threads; ..." for the state report; caller frees. */
char *dispatcher_state(Dispatcher *dispatcher);

/* Starts nothing more; true when all that ran has ended within the time. */
bool dispatcher_close(Dispatcher *dispatcher, int timeout_ms);
void dispatcher_free(Dispatcher *dispatcher);
