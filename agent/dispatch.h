/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From a request to its answer: lane, handler, and what the method's flags say.
 *
 * dispatcher_on_request() runs on the reader's thread and only enqueues. Refusals that need no work
 * (unknown version or method) are answered as oslo.messaging's dispatcher does. */

#include <glib.h>
#include <stdbool.h>

#include "agent/jobs.h"
#include "agent/methods.h"
#include "agent/rpc/rpc_message.h"
#include "agent/rpc/rpc_server.h"
#include "compute/operation.h"

typedef struct Dispatcher Dispatcher;

/* 'host' is borrowed and may be filled in until dispatcher_release(). Lanes other than URGENT are
 * held until then. */
Dispatcher *dispatcher_new(Host *host, const Options *options);

/* RpcServerCallbacks: on_request takes ownership of the request. */
void dispatcher_on_request(RpcRequest *request, void *dispatcher);
bool dispatcher_keep(RpcRequest *request, void *dispatcher);
bool dispatcher_is_known(const char *unique_id, void *dispatcher);

/* Queues what the process before us left (of JournalEntry*, borrowed); before anything is consumed.
 * Host.journal is set by then. */
void dispatcher_resume(Dispatcher *dispatcher, const GPtrArray *entries);
/* Answers to requests from the journal go out through this one. Before dispatcher_release(). */
void dispatcher_set_server(Dispatcher *dispatcher, RpcServer *server);

/* Identity checks and init_host are done: work starts. */
void dispatcher_release(Dispatcher *dispatcher);

/* Runs work() in the DEFAULT lane, behind the jobs of 'key' (may be NULL). 'discard' is called
 * instead when the agent stops before. */
void dispatcher_queue(Dispatcher *dispatcher, const char *key, void (*work)(void *user),
                      void (*discard)(void *user), void *user);

/* Host.queue_method */
void dispatcher_queue_method(Host *host, const char *name, RequestContext *ctx, Instance *instance,
                             json_t *args);
/* Host.call_method */
bool dispatcher_call_method(Operation *op, const char *name, json_t *args, NovaError **err);
/* Host.queue_work */
void dispatcher_queue_work(Host *host, const char *name,
                           void (*work)(Host *host, RequestContext *ctx, Instance *instance),
                           RequestContext *ctx, Instance *instance);

/* Host.has_request, Host.has_method, Host.show_step */
bool dispatcher_has_request(Host *host, const char *uuid, const Operation *except);
bool dispatcher_has_method(Host *host, const char *uuid, const char *method);
void dispatcher_show_step(Operation *op, const char *step);

Jobs *dispatcher_jobs(Dispatcher *dispatcher);
/* {"default": {"queued": 0, "running": 1, "threads": 3}, ...}; new reference. */
json_t *dispatcher_lanes_to_json(Dispatcher *dispatcher);

/* "DEFAULT 0 queued, 1 running, 3 threads; ..." for the state report; caller frees. */
char *dispatcher_state(Dispatcher *dispatcher);

/* Nothing more is started; what runs goes on. */
void dispatcher_hold(Dispatcher *dispatcher);
/* Starts nothing more; true when all that ran has ended within the time. */
bool dispatcher_close(Dispatcher *dispatcher, int timeout_ms);
void dispatcher_free(Dispatcher *dispatcher);
