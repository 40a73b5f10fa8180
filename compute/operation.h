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
#include "storage/glance.h"
#include "storage/image_cache.h"

struct ResourceTracker;
struct GuestConfig;

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
    Keystone *keystone;
    ImageCache *image_cache;
    Ovsdb *ovsdb;
    Hypervisor *hypervisor;
    InstanceEvents *events;
    struct ResourceTracker *tracker;
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
    void *agent; /* the two functions' own */
} Host;

typedef struct Operation {
    Host *host;
    RequestContext *ctx;
    const char *method;
    Instance *instance; /* NULL when the method has none; owned by the dispatcher */
    json_t *args;       /* borrowed */
    json_t *result;     /* set by the handler, ownership goes to the dispatcher; NULL: null */
} Operation;

typedef bool (*OperationHandler)(Operation *op, NovaError **err);
