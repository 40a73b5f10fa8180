/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One RPC request being worked on, and all that it may touch. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/conductor.h"
#include "agent/control/notifier.h"
#include "agent/control/peers.h"
#include "agent/control/placement.h"
#include "agent/objects/instance.h"
#include "compute/hypervisor.h"
#include "compute/instance_events.h"
#include "conf/options.h"
#include "network/neutron.h"
#include "network/ovsdb.h"
#include "storage/cinder.h"
#include "storage/connector.h"
#include "storage/glance.h"
#include "storage/image_cache.h"
#include "storage/key_manager.h"
#include "storage/manila.h"

struct ResourceTracker;
struct GuestConfig;
struct Journal;
struct Operation;
struct TaskMemory;

/* What the operations of a process share. Immutable once the lanes open; each member says itself
 * which threads may use it. */
typedef struct Host {
    const Options *options;
    const char *name;       /* [DEFAULT]host: the service's */
    const char *node;       /* hypervisor_hostname: the node's */
    Conductor *conductor;
    Peers *peers;
    Notifier *notifier;
    Placement *placement;
    Neutron *neutron;
    Glance *glance;
    Manila *manila;
    Cinder *cinder;
    KeyManager *key_manager;
    Connectors *connectors;
    Keystone *keystone;
    ImageCache *image_cache;
    Ovsdb *ovsdb;
    Hypervisor *hypervisor;
    InstanceEvents *events;
    struct ResourceTracker *tracker;
    struct TaskMemory *tasks;         /* what periodic tasks remember (compute/tasks/tasks.h) */
    struct GuestConfig *guest_config; /* what domain XML is made from besides the instance */

    /* Runs work(host, ctx, instance) later in the DEFAULT lane, after the jobs of that instance
     * that are queued already; takes ownership of 'instance', refs ctx. */
    void (*queue_work)(struct Host *host, const char *name,
                       void (*work)(struct Host *host, RequestContext *ctx, Instance *instance),
                       RequestContext *ctx, Instance *instance);
    /* Carries a method of the table out later, as if it had been called for the instance, which is
     * owned then; refs ctx and args (without "instance"). */
    void (*queue_method)(struct Host *host, const char *method, RequestContext *ctx,
                         Instance *instance, json_t *args);
    /* Carries a method of the table out now, for the instance of 'op' and on its behalf: with an event
     * and notifications of its own. args (without "instance") are borrowed. */
    bool (*call_method)(struct Operation *op, const char *method, json_t *args, NovaError **err);
    /* Is there a request, queued or under way, that changes the instance, besides 'except' (may be
     * NULL)? */
    bool (*has_request)(struct Host *host, const char *uuid, const struct Operation *except);
    /* Is there one of this method? A step that is begun again asks so for the one after it. */
    bool (*has_method)(struct Host *host, const char *uuid, const char *method);
    /* May be NULL; see operation_step(). */
    void (*show_step)(struct Operation *op, const char *step);
    void *agent; /* these functions' own */
    struct Journal *journal; /* see operation_note() */
} Host;

typedef struct Operation {
    Host *host;
    RequestContext *ctx;
    const char *method;
    Instance *instance; /* NULL when the method has none; owned by the dispatcher */
    json_t *args;       /* borrowed */
    json_t *result;     /* set by the handler, ownership goes to the dispatcher; NULL: null */

    /* A process before us had begun it and was killed somewhere in between: 'instance' is then as the
     * database has it, and what is found half done may be its work. */
    bool is_resumed;
    unsigned n_begun; /* how many processes have */
    uint64_t journal_id;    /* 0: not in the journal */
    const GPtrArray *notes; /* what that process noted; NULL: nothing */
    void *ticket;           /* the dispatcher's */
} Operation;

/* What ends the process this often is not tried once more. */
#define OPERATION_MAX_ATTEMPTS 5

/* Tells the process after us what it could not see otherwise; written before this returns. */
void operation_note(Operation *op, const char *note);
/* Did a process before us note that? */
bool operation_has_note(const Operation *op, const char *note);

/* For who asks what the agent is doing; 'step' is static text. */
void operation_step(Operation *op, const char *step);

typedef bool (*OperationHandler)(Operation *op, NovaError **err);
