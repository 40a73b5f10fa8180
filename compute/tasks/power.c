/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.tasks.power"
#include "compute/tasks/tasks.h"

#include "agent/base/log.h"
#include "agent/control/conductor_tasks.h"
#include "compute/guest.h"
#include "compute/power_sync.h"

/* The first run compares every record. After that, of servers that run as they should, each run reads
 * the records of a sixth (so each one hourly, by default): a thousand of them are a megabyte. */
#define N_PARTS 6

typedef struct PowerCheck {
    Host *host;
    RequestContext *ctx;
    GHashTable *domains; /* uuid → DomainSummary, borrowed */
    GHashTable *seen;    /* uuids of the records that were compared */
} PowerCheck;

/* One server, behind its operations: what was seen may be over by now. */
static void
sync_one(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    if (!error && power_sync_instance(host, ctx, instance->uuid,
                                      guest ? guest_power_state(guest) : POWER_STATE_NOSTATE, &error))
        return;
    if (!nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND)) /* deleted meanwhile */
        LOG_ERROR("Periodic sync_power_state task had an error while processing an instance: %s",
                  nova_error_details(error));
}

static PowerState
actual_state(const PowerCheck *check, const char *uuid)
{
    const DomainSummary *domain = g_hash_table_lookup(check->domains, uuid);

    return domain ? domain->power_state : POWER_STATE_NOSTATE;
}

static void
queue_one(const PowerCheck *check, Instance *owned)
{
    check->host->queue_work(check->host, "_sync_power_states", sync_one, check->ctx, owned);
}

static bool
check_record(Instance **instance, void *user)
{
    PowerCheck *check = user;

    g_hash_table_add(check->seen, g_strdup((*instance)->uuid));
    if (power_sync_is_due(*instance, actual_state(check, (*instance)->uuid)))
        queue_one(check, g_steal_pointer(instance));
    return true;
}

/* Of servers whose record was not read we know that they are ACTIVE: they have to run. */
static void
check_unseen(PowerCheck *check, const json_t *uuids)
{
    size_t i;
    json_t *item;

    json_array_foreach (uuids, i, item) {
        const char *uuid = json_string_value(item);
        Instance *instance;

        if (!uuid || g_hash_table_contains(check->seen, uuid) ||
            actual_state(check, uuid) == POWER_STATE_RUNNING)
            continue;
        instance = object_new(&INSTANCE_TYPE);
        OBJECT_SET_STRING(instance, uuid, uuid);
        queue_one(check, instance);
    }
}

/* All records, or those of servers that are not ACTIVE. */
static json_t *
record_filters(const Host *host, bool is_full)
{
    json_t *filters = json_pack("{s:s, s:b, s:b}", "host", host->name, "deleted", 0, "soft_deleted", 1);
    json_t *states = json_array();

    for (int state = VM_STATE_NONE + 1; state < N_VM_STATES; state++)
        if (state != VM_STATE_ACTIVE)
            json_array_append_new(states, json_string(vm_state_names[state]));
    if (!is_full)
        json_object_set(filters, "vm_state", states);
    json_decref(states);
    return filters;
}

/* The records whose turn it is. */
static bool
compare_part(PowerCheck *check, const json_t *uuids, NovaError **err)
{
    json_t *turn = json_array();
    json_auto_t *filters = json_pack("{s:s, s:b, s:o}", "host", check->host->name, "deleted", 0, "uuid", turn);
    size_t i;
    json_t *uuid;

    json_array_foreach (uuids, i, uuid)
        if (json_is_string(uuid) && !g_hash_table_contains(check->seen, json_string_value(uuid)) &&
            (g_str_hash(json_string_value(uuid)) + check->host->tasks->n_power_syncs) % N_PARTS == 0)
            json_array_append(turn, uuid);
    return json_array_size(turn) == 0 ||
           conductor_visit_instances(check->host->conductor, check->ctx, filters, NULL, check_record,
                                     check, err);
}

static bool
compare(PowerCheck *check, guint n_domains, NovaError **err)
{
    Host *host = check->host;
    json_auto_t *filters = record_filters(host, host->tasks->n_power_syncs == 0);
    json_auto_t *uuids = NULL;

    if (!conductor_visit_instances(host->conductor, check->ctx, filters, NULL, check_record, check, err))
        return false;
    uuids = conductor_uuids_by_host(host->conductor, check->ctx, host->name, err);
    if (!uuids || !compare_part(check, uuids, err))
        return false;
    check_unseen(check, uuids);
    if (json_array_size(uuids) != n_domains)
        LOG_WARNING("While synchronizing instance power states, found %zu instances in the database "
                    "and %u instances on the hypervisor.", json_array_size(uuids), n_domains);
    host->tasks->n_power_syncs++;
    return true;
}

/* One call to libvirt and few to the conductor; a request for a server only where the two differ. */
void
task_sync_power_states(Host *host, RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) domains = hypervisor_list_domains(host->hypervisor, &error);
    g_autoptr(GHashTable) by_uuid = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    PowerCheck check = {host, ctx, by_uuid, seen};

    for (guint i = 0; domains && i < domains->len; i++)
        g_hash_table_insert(by_uuid, ((DomainSummary *)domains->pdata[i])->uuid, domains->pdata[i]);
    if (!domains || !compare(&check, domains->len, &error))
        LOG_ERROR("Failed to compare power states: %s", nova_error_details(error));
}
