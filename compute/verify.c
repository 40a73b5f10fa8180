/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.verify"
#include "compute/verify.h"

#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "compute/ops/steps.h"
#include "compute/recovery.h"
#include "compute/resource_tracker.h"
#include "compute/vif_guest.h"
#include "network/vif_plug.h"
#include "storage/disks.h"

#define UUID_LENGTH 36

typedef struct Reading {
    Host *host;
    const RequestContext *ctx;
    GPtrArray *unread;
    DriftFacts facts;
    GPtrArray *late; /* of Instance*: deleted, but a request for it is queued or under way */
} Reading;

static GHashTable *
new_set(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void
reading_clear(Reading *reading)
{
    const GPtrArray *lists[] = {reading->facts.instances, reading->facts.domains, reading->facts.ports,
                                reading->facts.folders};
    GHashTable *sets[] = {reading->facts.busy, reading->facts.deleted, reading->facts.consumers,
                          reading->facts.moves};

    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
        if (lists[i])
            g_ptr_array_unref((GPtrArray *)lists[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(sets); i++)
        if (sets[i])
            g_hash_table_unref(sets[i]);
    if (reading->late)
        g_ptr_array_unref(reading->late);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reading, reading_clear)

/* Takes ownership of the error. */
static void
not_read(Reading *reading, const char *what, NovaError *error)
{
    LOG_WARNING("verify: %s: %s", what, nova_error_details(error));
    g_ptr_array_add(reading->unread, g_strdup_printf("%s: %s", what, nova_error_details(error)));
    nova_error_free(error);
}

/* ---- reading ---- */

static void
read_consumers(Reading *reading)
{
    Host *host = reading->host;
    NovaError *error = NULL;
    const char *node = resource_tracker_node_uuid(host->tracker);
    json_auto_t *allocations =
        node ? placement_fetch_allocations_for_provider(host->placement, reading->ctx, node, &error) : NULL;
    const char *consumer;
    json_t *value;

    if (!node)
        nova_error_set(&error, NOVA_ERROR_NOVA_EXCEPTION, "the node is not known yet");
    if (error) {
        not_read(reading, "Placement", error);
        return;
    }
    reading->facts.consumers = new_set();
    json_object_foreach (allocations, consumer, value)
        g_hash_table_add(reading->facts.consumers, g_strdup(consumer));
}

static void
read_moves(Reading *reading)
{
    Host *host = reading->host;
    NovaError *error = NULL;
    g_autoptr(GPtrArray) moves = conductor_migrations_in_progress(host->conductor, reading->ctx,
                                                                  host->name, host->node, &error);

    for (guint i = 0; moves && i < moves->len; i++)
        g_hash_table_add(reading->facts.moves, g_strdup(((const Migration *)moves->pdata[i])->uuid));
    if (error)
        not_read(reading, "the migrations", error);
}

static void
read_host(Reading *reading)
{
    Host *host = reading->host;
    int timeout_ms = vif_switch_timeout_ms(host->options);
    NovaError *libvirt = NULL, *ovs = NULL;

    reading->facts.domains = hypervisor_list_domains(host->hypervisor, &libvirt);
    if (libvirt)
        not_read(reading, "libvirt", libvirt);
    reading->facts.ports = ovsdb_list_ports(host->ovsdb, timeout_ms, &ovs);
    if (ovs)
        not_read(reading, "Open vSwitch", ovs);
    reading->facts.folders = disks_list_folders(host->options);
}

static void
add_unknown(json_t *uuids, GHashTable *known, const char *uuid)
{
    if (uuid && !g_hash_table_contains(known, uuid)) {
        g_hash_table_add(known, g_strdup(uuid));
        json_array_append_new(uuids, json_string(uuid));
    }
}

/* All that is here and no instance of this host. New reference. */
static json_t *
list_unknown(const DriftFacts *facts)
{
    g_autoptr(GHashTable) known = new_set();
    json_t *uuids = json_array();
    GHashTableIter iter;
    gpointer consumer;

    for (guint i = 0; i < facts->instances->len; i++)
        g_hash_table_add(known, g_strdup(((const Instance *)facts->instances->pdata[i])->uuid));
    for (guint i = 0; facts->domains && i < facts->domains->len; i++)
        add_unknown(uuids, known, ((const DomainSummary *)facts->domains->pdata[i])->uuid);
    for (guint i = 0; facts->ports && i < facts->ports->len; i++)
        add_unknown(uuids, known, ((const OvsdbPort *)facts->ports->pdata[i])->vm_uuid);
    for (guint i = 0; facts->folders && i < facts->folders->len; i++) {
        g_autofree char *uuid = g_strndup(facts->folders->pdata[i], UUID_LENGTH);

        add_unknown(uuids, known, uuid);
    }
    if (facts->consumers)
        g_hash_table_iter_init(&iter, facts->consumers);
    while (facts->consumers && g_hash_table_iter_next(&iter, &consumer, NULL))
        add_unknown(uuids, known, consumer);
    return uuids;
}

static void
note_busy(Reading *reading, const char *uuid)
{
    if (reading->host->has_request(reading->host, uuid, NULL))
        g_hash_table_add(reading->facts.busy, g_strdup(uuid));
}

/* Only what the database knows as deleted, and as having been here, is ours to remove. */
static void
read_deleted(Reading *reading)
{
    Host *host = reading->host;
    g_autoptr(RequestContext) all = request_context_elevated(reading->ctx, "yes");
    json_t *unknown = list_unknown(&reading->facts);
    json_auto_t *filters = json_pack("{s:o, s:s, s:b}", "uuid", unknown, "host", host->name, "deleted", 1);
    g_autoptr(GPtrArray) instances = NULL;
    NovaError *error = NULL;
    size_t i;
    json_t *uuid;

    json_array_foreach (unknown, i, uuid)
        note_busy(reading, json_string_value(uuid));
    if (json_array_size(unknown) == 0)
        return;
    instances = conductor_instances_by_filters(host->conductor, all, filters, NULL, &error);
    for (guint j = instances ? instances->len : 0; j-- > 0;) {
        const char *deleted = ((const Instance *)instances->pdata[j])->uuid;

        g_hash_table_add(reading->facts.deleted, g_strdup(deleted));
        if (g_hash_table_contains(reading->facts.busy, deleted))
            g_ptr_array_add(reading->late, g_ptr_array_steal_index_fast(instances, j));
    }
    if (error)
        not_read(reading, "deleted instances", error);
}

static GPtrArray *
find_drift(Reading *reading, NovaError **err)
{
    static const char *const attributes[] = {"info_cache", NULL};
    Host *host = reading->host;

    reading->facts.busy = new_set();
    reading->facts.deleted = new_set();
    reading->facts.moves = new_set();
    reading->late = g_ptr_array_new_with_free_func((GDestroyNotify)instance_free);
    /* What is on the host is read first: a server that comes meanwhile is in the database then. */
    read_host(reading);
    read_consumers(reading);
    read_moves(reading);
    reading->facts.instances =
        conductor_instances_by_host(host->conductor, reading->ctx, host->name, attributes, err);
    if (!reading->facts.instances)
        return NULL;
    for (guint i = 0; i < reading->facts.instances->len; i++)
        note_busy(reading, ((const Instance *)reading->facts.instances->pdata[i])->uuid);
    read_deleted(reading);
    return drift_find(&reading->facts);
}

GPtrArray *
verify_host(Host *host, const RequestContext *ctx, GPtrArray *unread, NovaError **err)
{
    g_auto(Reading) reading = {.host = host, .ctx = ctx, .unread = unread};

    return find_drift(&reading, err);
}

/* ---- mending ---- */

static bool
plug_ports(Host *host, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    static const char *const attributes[] = {"info_cache", NULL};
    g_autoptr(Instance) instance = conductor_instance_get(host->conductor, ctx, uuid, attributes, err);
    g_autoptr(NetworkInfo) network = instance ? step_cached_network(instance, err) : NULL;

    VifGuest guest;

    if (!network)
        return false;
    guest = vif_guest_of(host, instance);
    return vif_plug_all(host->ovsdb, host->options, network->vifs, &guest, err);
}

bool
verify_heal(Host *host, const RequestContext *ctx, const Drift *drift, NovaError **err)
{
    switch (drift->kind) {
    case DRIFT_DOMAIN_UNOWNED:
    case DRIFT_PORT_UNOWNED:
    case DRIFT_FILES_UNOWNED:
        return recovery_remove_local(host, drift->uuid) ||
               nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "the domain cannot be removed");
    case DRIFT_ALLOCATION_UNOWNED:
        return placement_delete_allocations(host->placement, ctx, drift->uuid, true, NULL, err);
    case DRIFT_PORT_MISSING:
        return plug_ports(host, ctx, drift->uuid, err);
    default:
        return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "%s is not ours to mend",
                              drift_text(drift->kind));
    }
}

static bool
is_of_deleted_server(const Drift *drift)
{
    return drift->is_ours && drift->kind != DRIFT_PORT_MISSING;
}

static void
reap(Host *host, const RequestContext *ctx, const GPtrArray *drifts)
{
    for (guint i = 0; i < drifts->len; i++) {
        const Drift *drift = drifts->pdata[i];
        g_autoptr(NovaError) failure = NULL;

        if (!is_of_deleted_server(drift))
            continue;
        LOG_INFO("Deleted while no agent ran: %s, %s", drift->uuid, drift_text(drift->kind));
        if (!verify_heal(host, ctx, drift, &failure))
            LOG_ERROR("Removing it: %s", nova_error_details(failure));
    }
}

/* What is told of a deleted server when the agent comes back ("network-vif-deleted") keeps it busy just now: it is
 * looked at again behind that. */
static void
reap_later(Reading *reading)
{
    while (reading->late->len > 0)
        reading->host->queue_work(reading->host, "remove what a deleted server left", verify_reap,
                                  (RequestContext *)reading->ctx, g_ptr_array_steal_index_fast(reading->late, 0));
}

void
verify_reap(Host *host, RequestContext *ctx, Instance *unused G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) unread = g_ptr_array_new_with_free_func(g_free);
    g_auto(Reading) reading = {.host = host, .ctx = ctx, .unread = unread};
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) drifts = NULL;

    if (g_strcmp0(host->options->default_group.running_deleted_instance_action, "reap") != 0)
        return;
    drifts = find_drift(&reading, &error);
    if (drifts) {
        reap(host, ctx, drifts);
        reap_later(&reading);
    }
    if (error)
        LOG_ERROR("Looking for what deleted servers left: %s", nova_error_details(error));
}
