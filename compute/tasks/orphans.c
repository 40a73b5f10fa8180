/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that guests left in the switch: told at the first sight, removed after the second. Nova has no such
 * task; its operators find them by hand. */
#define LOG_NAME "kilonova.tasks.orphans"
#include "compute/tasks/tasks.h"

#include "agent/base/log.h"
#include "agent/control/conductor_tasks.h"
#include "compute/guest.h"
#include "compute/orphan_ports.h"
#include "network/vif_plug.h"

static bool
remove_ports_of(Host *host, const char *uuid, NovaError **err)
{
    g_autoptr(GPtrArray) ports = ovsdb_list_ports(host->ovsdb, vif_switch_timeout_ms(host->options), err);
    g_autoptr(GPtrArray) left = g_ptr_array_new();

    for (guint i = 0; ports && i < ports->len; i++) {
        OvsdbPort *port = ports->pdata[i];

        if (g_strcmp0(port->vm_uuid, uuid) != 0)
            continue;
        LOG_INFO("Removing port %s, whose guest is gone, from %s", port->name, port->bridge);
        g_ptr_array_add(left, port);
    }
    if (!ports || left->len == 0)
        return ports != NULL;
    if (!vif_delete_ports(host->ovsdb, host->options, left, err))
        return false;
    g_atomic_int_add(&host->tasks->n_orphans_removed, (gint)left->len);
    return true;
}

/* Behind the server's operations, which may have given it a guest meanwhile. */
static void
remove_orphans(Host *host, RequestContext *ctx G_GNUC_UNUSED, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    if (!guest && !error)
        remove_ports_of(host, instance->uuid, &error);
    if (error)
        LOG_WARNING("Failed to remove the ports of a guest that is gone: %s", nova_error_details(error));
}

typedef struct Search {
    Host *host;
    RequestContext *ctx;
} Search;

/* A server under way to or from here has its ports before and after its guest. */
static bool
queue_idle(Instance **instance, void *user)
{
    Search *search = user;

    if (((*instance)->task_state == TASK_STATE_NONE || instance_is_deleted(*instance)) &&
        !search->host->has_request(search->host, (*instance)->uuid, NULL))
        search->host->queue_work(search->host, "_remove_orphan_ports", remove_orphans, search->ctx,
                                 g_steal_pointer(instance));
    return true;
}

/* Only of servers that the database knows, deleted or not: other ports have an owner that is not Nova. */
static bool
remove_due(Host *host, RequestContext *ctx, const GPtrArray *ports, NovaError **err)
{
    g_autoptr(RequestContext) deleted_too = request_context_elevated(ctx, "yes");
    json_t *uuids = json_array();
    json_auto_t *filters = json_pack("{s:o}", "uuid", uuids);
    Search search = {host, deleted_too};

    for (guint i = 0; i < ports->len; i++)
        json_array_append_new(uuids, json_string(((const OvsdbPort *)ports->pdata[i])->vm_uuid));
    return conductor_visit_instances(host->conductor, deleted_too, filters, NULL, queue_idle, &search, err);
}

static void
look_for_orphans(Host *host, RequestContext *ctx)
{
    TaskMemory *memory = host->tasks;
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) ports = ovsdb_list_ports(host->ovsdb, vif_switch_timeout_ms(host->options), &error);
    g_autoptr(GPtrArray) domains = ports ? hypervisor_list_domains(host->hypervisor, &error) : NULL;
    g_auto(OrphanSight) sight = {0};

    if (domains)
        orphan_ports_look(memory->orphan_ports, ports, domains, g_get_monotonic_time(), &sight);
    g_atomic_int_set(&memory->n_orphan_ports, (gint)g_hash_table_size(memory->orphan_ports));
    for (guint i = 0; domains && i < sight.fresh->len; i++) {
        const OvsdbPort *port = sight.fresh->pdata[i];

        LOG_WARNING("Port %s of %s belongs to server %s, which has no guest here", port->name, port->bridge,
                    port->vm_uuid);
    }
    if (!domains || (sight.due->len > 0 && !remove_due(host, ctx, sight.due, &error)))
        LOG_ERROR("Failed to look for ports without a guest: %s", nova_error_details(error));
}

/* A host without a switch has none, and its answer is not waited for each minute. */
void
task_remove_orphan_ports(Host *host, RequestContext *ctx)
{
    if (ovsdb_is_connected(host->ovsdb))
        look_for_orphans(host, ctx);
}
