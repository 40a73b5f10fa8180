/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/drift.h"

#include <string.h>

#include "agent/objects/network_info.h"
#include "agent/objects/states.h"
#include "compute/hypervisor.h"
#include "network/ovsdb.h"

#define UUID_LENGTH 36

static const struct {
    const char *name;
    const char *text;
} kinds[N_DRIFTS] = {
    [DRIFT_DOMAIN_UNOWNED] = {"domain-unowned", "domain without an instance"},
    [DRIFT_DOMAIN_MISSING] = {"domain-missing", "instance without its domain"},
    [DRIFT_POWER_STATE] = {"power-state", "power state is not what the database says"},
    [DRIFT_PORT_UNOWNED] = {"port-unowned", "switch port without an instance"},
    [DRIFT_PORT_MISSING] = {"port-missing", "running instance without its switch port"},
    [DRIFT_FILES_UNOWNED] = {"files-unowned", "files without an instance"},
    [DRIFT_FILES_MISSING] = {"files-missing", "instance without its files"},
    [DRIFT_ALLOCATION_UNOWNED] = {"allocation-unowned", "allocation without an instance"},
    [DRIFT_ALLOCATION_MISSING] = {"allocation-missing", "instance without its allocation"},
    [DRIFT_TASK_WITHOUT_REQUEST] = {"task-without-request", "task that nobody works on"},
};

const char *
drift_text(DriftKind kind)
{
    return kinds[kind].text;
}

const char *
drift_name(DriftKind kind)
{
    return kinds[kind].name;
}

void
drift_free(Drift *drift)
{
    g_free(drift->uuid);
    g_free(drift->detail);
    g_free(drift);
}

/* ---- finding ---- */

typedef struct Search {
    const DriftFacts *facts;
    GHashTable *by_uuid; /* uuid → Instance* */
    GPtrArray *found;
} Search;

static void
add(Search *search, DriftKind kind, const char *uuid, char *detail, bool is_ours)
{
    Drift *drift = g_new(Drift, 1);

    *drift = (Drift){kind, g_strdup(uuid), detail, is_ours};
    g_ptr_array_add(search->found, drift);
}

static bool
is_busy(const Search *search, const char *uuid)
{
    return g_hash_table_contains(search->facts->busy, uuid);
}

static void
check_owner(Search *search, DriftKind kind, const char *uuid, const char *detail)
{
    if (g_hash_table_contains(search->by_uuid, uuid) || is_busy(search, uuid))
        return;
    add(search, kind, uuid, g_strdup(detail), g_hash_table_contains(search->facts->deleted, uuid));
}

static void
find_unowned(Search *search)
{
    const DriftFacts *facts = search->facts;
    GHashTableIter iter;
    gpointer consumer;

    for (guint i = 0; facts->domains && i < facts->domains->len; i++) {
        const DomainSummary *domain = facts->domains->pdata[i];

        check_owner(search, DRIFT_DOMAIN_UNOWNED, domain->uuid, domain->name);
    }
    for (guint i = 0; facts->ports && i < facts->ports->len; i++) {
        const OvsdbPort *port = facts->ports->pdata[i];

        if (port->vm_uuid)
            check_owner(search, DRIFT_PORT_UNOWNED, port->vm_uuid, port->name);
    }
    for (guint i = 0; facts->folders && i < facts->folders->len; i++) {
        g_autofree char *uuid = g_strndup(facts->folders->pdata[i], UUID_LENGTH);

        check_owner(search, DRIFT_FILES_UNOWNED, uuid, facts->folders->pdata[i]);
    }
    if (!facts->consumers)
        return;
    g_hash_table_iter_init(&iter, facts->consumers);
    while (g_hash_table_iter_next(&iter, &consumer, NULL))
        if (!g_hash_table_contains(facts->moves, consumer))
            check_owner(search, DRIFT_ALLOCATION_UNOWNED, consumer, NULL);
}

static const DomainSummary *
domain_of(const Search *search, const char *uuid)
{
    const GPtrArray *domains = search->facts->domains;

    for (guint i = 0; domains && i < domains->len; i++)
        if (strcmp(((const DomainSummary *)domains->pdata[i])->uuid, uuid) == 0)
            return domains->pdata[i];
    return NULL;
}

/* States in which Nova's libvirt driver keeps a domain. */
static bool
has_guest(const Instance *instance)
{
    switch (instance->vm_state) {
    case VM_STATE_ACTIVE:
    case VM_STATE_PAUSED:
    case VM_STATE_SUSPENDED:
    case VM_STATE_STOPPED:
    case VM_STATE_RESCUED:
    case VM_STATE_SOFT_DELETED:
    case VM_STATE_RESIZED:
        return true;
    default:
        return false;
    }
}

static bool
has_port(const GPtrArray *ports, const char *port_id)
{
    for (guint i = 0; i < ports->len; i++)
        if (g_strcmp0(((const OvsdbPort *)ports->pdata[i])->iface_id, port_id) == 0)
            return true;
    return false;
}

static void
check_ports(Search *search, const Instance *instance)
{
    const char *text = instance->info_cache ? instance->info_cache->network_info : NULL;
    g_autoptr(NetworkInfo) network = network_info_from_text(text, NULL);

    for (guint i = 0; network && search->facts->ports && i < network->vifs->len; i++) {
        const Vif *vif = network->vifs->pdata[i];

        if (g_strcmp0(vif->type, "ovs") == 0 && !has_port(search->facts->ports, vif->id))
            add(search, DRIFT_PORT_MISSING, instance->uuid, g_strdup(vif->id), true);
    }
}

static void
check_guest(Search *search, const Instance *instance)
{
    const DomainSummary *domain = domain_of(search, instance->uuid);
    PowerState now = domain ? domain->power_state : POWER_STATE_NOSTATE;

    if (!search->facts->domains)
        return;
    if (!domain) {
        add(search, DRIFT_DOMAIN_MISSING, instance->uuid, NULL, false);
        return;
    }
    if ((PowerState)instance->power_state.value != now)
        add(search, DRIFT_POWER_STATE, instance->uuid,
            g_strdup_printf("database %s, libvirt %s",
                            power_state_text((PowerState)instance->power_state.value),
                            power_state_text(now)), false);
    if (now == POWER_STATE_RUNNING || now == POWER_STATE_PAUSED)
        check_ports(search, instance);
}

static bool
has_folder(const GPtrArray *folders, const char *uuid)
{
    for (guint i = 0; i < folders->len; i++)
        if (strcmp(folders->pdata[i], uuid) == 0)
            return true;
    return false;
}

static void
check_instance(Search *search, const Instance *instance)
{
    const DriftFacts *facts = search->facts;

    if (is_busy(search, instance->uuid))
        return;
    if (instance->task_state != TASK_STATE_NONE) {
        add(search, DRIFT_TASK_WITHOUT_REQUEST, instance->uuid,
            g_strdup(task_state_name(instance->task_state)), false);
        return;
    }
    if (!has_guest(instance))
        return;
    check_guest(search, instance);
    if (facts->folders && !has_folder(facts->folders, instance->uuid))
        add(search, DRIFT_FILES_MISSING, instance->uuid, NULL, false);
    if (facts->consumers && !g_hash_table_contains(facts->consumers, instance->uuid))
        add(search, DRIFT_ALLOCATION_MISSING, instance->uuid, NULL, false);
}

GPtrArray *
drift_find(const DriftFacts *facts)
{
    g_autoptr(GHashTable) by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
    Search search = {facts, by_uuid, g_ptr_array_new_with_free_func((GDestroyNotify)drift_free)};

    for (guint i = 0; i < facts->instances->len; i++)
        g_hash_table_insert(by_uuid, ((Instance *)facts->instances->pdata[i])->uuid,
                            facts->instances->pdata[i]);
    find_unowned(&search);
    for (guint i = 0; i < facts->instances->len; i++)
        check_instance(&search, facts->instances->pdata[i]);
    return search.found;
}
