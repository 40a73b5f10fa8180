/* SPDX-License-Identifier: Apache-2.0 */
/* external_instance_event: what Neutron and Cinder report through Nova's API. It only wakes waiters;
 * work that an event carries is queued as a job of its own. */
#define LOG_NAME "kilonova.compute.events"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/external_event.h"

/* network-changed: the cache is built anew. */
static void
refresh_network(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    NeutronRefresh how = {0};
    g_autoptr(NetworkInfo) network =
        neutron_fetch_instance_nw_info(host->neutron, ctx, instance, &how, &error);

    if (!network && !nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
        LOG_WARNING("Refreshing the network info failed: %s", nova_error_details(error));
}

static const json_t *
instance_of_event(const json_t *instances, const char *uuid)
{
    size_t i;
    json_t *item;

    json_array_foreach (instances, i, item)
        if (strcmp(json_get_string(json_object_get(item, "nova_object.data"), "uuid", ""), uuid) == 0)
            return item;
    return NULL;
}

static void
begin_refresh(Operation *op, Instance *owned, const char *tag G_GNUC_UNUSED)
{
    op->host->queue_work(op->host, "network-changed", refresh_network, op->ctx, owned);
}

/* The port is gone from Neutron: it leaves the guest and the cache. */
static void
begin_detach(Operation *op, Instance *owned, const char *tag)
{
    json_auto_t *args = json_pack("{s:s}", "port_id", tag);

    op->host->queue_method(op->host, "_detach_deleted_port", op->ctx, owned, args);
}

/* Host and guest are told of the volume's new size. */
static void
begin_extend(Operation *op, Instance *owned, const char *tag)
{
    json_auto_t *args = json_pack("{s:s}", "extended_volume_id", tag);

    op->host->queue_method(op->host, "extend_volume", op->ctx, owned, args);
}

/* Events that are work; all others are waited for. */
static const struct {
    const char *name;
    void (*begin)(Operation *op, Instance *owned, const char *tag);
} works[] = {
    {"network-changed", begin_refresh},
    {"network-vif-deleted", begin_detach},
    {"volume-extended", begin_extend},
};

/* True when the event is work. */
static bool
begin_work(Operation *op, const InstanceExternalEvent *event, const char *tag)
{
    const json_t *primitive = instance_of_event(json_object_get(op->args, "instances"), event->instance_uuid);
    Instance *instance;
    size_t i = 0;

    while (i < G_N_ELEMENTS(works) && strcmp(event->name, works[i].name) != 0)
        i++;
    if (i == G_N_ELEMENTS(works))
        return false;
    instance = primitive ? instance_from_json(primitive, NULL) : NULL;
    if (instance)
        works[i].begin(op, instance, tag);
    return true;
}

static void
handle_event(Operation *op, const InstanceExternalEvent *event)
{
    const char *tag = event->tag ? event->tag : "";

    LOG_SCOPE(op->ctx, event->instance_uuid);
    LOG_DEBUG("Received event %s-%s", event->name, tag);
    if (!begin_work(op, event, tag) &&
        !instance_events_deliver(op->host->events, event->instance_uuid, event->name, tag,
                                 event->status ? event->status : "completed"))
        LOG_DEBUG("No waiting events found dispatching %s-%s", event->name, tag);
}

bool
op_external_instance_event(Operation *op, NovaError **err)
{
    const json_t *events = json_object_get(op->args, "events");
    size_t i;
    json_t *item;

    if (!json_is_array(events))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "events is no list");
    json_array_foreach (events, i, item) {
        g_autoptr(NovaError) error = NULL;
        g_autoptr(InstanceExternalEvent) event = instance_external_event_from_json(item, &error);

        if (event && event->instance_uuid && event->name)
            handle_event(op, event);
        else
            LOG_WARNING("Ignoring an event that cannot be read: %s",
                        error ? nova_error_details(error) : "no instance or name");
    }
    return true;
}
