/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.move_claim"
#include "compute/move_claim.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "agent/objects/migration_context.h"
#include "compute/numa_claim.h"
#include "compute/pci_alias.h"
#include "compute/resource_tracker_private.h"

char *
move_claim_host_address(const Options *options, const char *host_name)
{
    g_auto(GStrv) parts = g_strsplit(options->libvirt.migration_inbound_addr, "%s", -1);

    return g_strjoinv(host_name, parts);
}

const Flavor *
move_claim_flavor(const Instance *instance, const Migration *migration, bool is_source, bool is_target,
                  bool is_here)
{
    bool resizes = g_strcmp0(migration->migration_type, "resize") == 0;
    const Flavor *old_flavor = resizes ? instance->old_flavor : instance->flavor;
    const Flavor *new_flavor = resizes ? instance->new_flavor : instance->flavor;

    if (is_source && is_target)
        return instance->instance_type_id.value == migration->old_instance_type_id.value ? new_flavor
                                                                                         : old_flavor;
    if (is_here)
        return NULL;
    return is_target ? new_flavor : is_source ? old_flavor : NULL;
}

/* ---- counting ---- */

static bool
is_this_node(const ResourceTracker *tracker, const char *host, const char *node)
{
    return g_strcmp0(host, tracker->options->default_group.host) == 0 &&
           g_strcmp0(node, tracker->facts->hostname) == 0;
}

static bool
is_source(const ResourceTracker *tracker, const Migration *migration)
{
    return is_this_node(tracker, migration->source_compute, migration->source_node);
}

static bool
is_target(const ResourceTracker *tracker, const Migration *migration)
{
    return is_this_node(tracker, migration->dest_compute, migration->dest_node);
}

/* Where the server was, or will be, on this side of the move; NULL: anywhere. */
static InstanceNuma *
numa_of_side(const Instance *instance, MoveSide side)
{
    const json_t *primitive = migration_context_get(instance, side, "numa_topology");
    g_autoptr(NovaError) error = NULL;
    InstanceNuma *numa = primitive ? instance_numa_from_json(primitive, &error) : NULL;

    if (error)
        LOG_ERROR("The NUMA topology that a move of instance %s holds is not counted: %s",
                  instance->uuid, nova_error_details(error));
    return numa;
}

static void
hold(ResourceTracker *tracker, const Instance *instance, const Migration *migration,
     const Flavor *flavor, MoveSide side)
{
    Usage *usage = tracker_usage_of(instance, flavor, numa_of_side(instance, side));

    usage->migration_uuid = g_strdup(migration->uuid);
    usage->is_moving_here = is_source(tracker, migration) && is_target(tracker, migration);
    g_hash_table_replace(tracker->moves, g_strdup(instance->uuid), usage);
}

static void
count_move(ResourceTracker *tracker, const Instance *instance, const Migration *migration)
{
    bool is_here = g_hash_table_contains(tracker->usages, instance->uuid);
    bool is_new = is_target(tracker, migration);
    const Flavor *flavor =
        move_claim_flavor(instance, migration, is_source(tracker, migration), is_new, is_here);

    if (flavor && flavor == instance->old_flavor)
        is_new = false;
    if (flavor)
        hold(tracker, instance, migration, flavor, is_new ? MOVE_NEW : MOVE_OLD);
    else
        g_hash_table_remove(tracker->moves, instance->uuid);
}

/* _instance_in_resize_state(), _instance_is_live_migrating() */
static bool
is_moving(const Instance *instance)
{
    static const TaskStates resizing =
        EXPECT(RESIZE_PREP, RESIZE_MIGRATING, RESIZE_MIGRATED) | EXPECT(RESIZE_FINISH) |
        EXPECT(REBUILDING, REBUILD_BLOCK_DEVICE_MAPPING, REBUILD_SPAWNING);
    TaskStates task = instance->task_state > 0 ? UINT64_C(1) << instance->task_state : 0;

    if (instance->vm_state == VM_STATE_RESIZED)
        return true;
    if (instance->vm_state == VM_STATE_ACTIVE || instance->vm_state == VM_STATE_STOPPED)
        if (task & resizing)
            return true;
    return (task & EXPECT(MIGRATING)) &&
           (instance->vm_state == VM_STATE_ACTIVE || instance->vm_state == VM_STATE_PAUSED);
}

/* A record of an earlier move that never ended. */
static bool
is_stale(const Instance *instance, const Migration *migration)
{
    int64_t current;

    return migration_context_id(instance, &current) && current != migration->id;
}

static void
give_up(ResourceTracker *tracker, const RequestContext *ctx, Migration *migration)
{
    g_autoptr(NovaError) error = NULL;

    LOG_INFO("Migration %s is not the instance's current one, marking it as error. This can occur if a "
             "previous migration for this instance did not complete.", migration->uuid);
    OBJECT_SET_STRING(migration, status, "error");
    if (!conductor_migration_save(tracker->conductor, ctx, migration, &error))
        LOG_WARNING("Saving the stale migration: %s", nova_error_details(error));
}

/* The server may be at the other end, or deleted halfway. */
static Instance *
fetch_moving(ResourceTracker *tracker, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    static const char *const attributes[] = {"flavor", "migration_context", NULL};
    g_autoptr(RequestContext) reader = request_context_elevated(ctx, "yes");

    return conductor_instance_get(tracker->conductor, reader, uuid, attributes, err);
}

static const Instance *
find_instance(const GPtrArray *instances, const char *uuid)
{
    for (guint i = 0; i < instances->len; i++)
        if (g_strcmp0(((Instance *)instances->pdata[i])->uuid, uuid) == 0)
            return instances->pdata[i];
    return NULL;
}

static void
count_migration(ResourceTracker *tracker, const RequestContext *ctx, Migration *migration,
                const GPtrArray *instances)
{
    const Instance *instance = find_instance(instances, migration->instance_uuid);
    g_autoptr(Instance) fetched = NULL;
    g_autoptr(NovaError) error = NULL;

    if (!instance)
        instance = fetched = fetch_moving(tracker, ctx, migration->instance_uuid, &error);
    if (!instance)
        LOG_DEBUG("Migration instance not found: %s", nova_error_details(error));
    else if (!is_moving(instance))
        LOG_DEBUG("Skipping migration as instance is neither resizing nor live-migrating.");
    else if (is_stale(instance, migration))
        give_up(tracker, ctx, migration);
    else
        count_move(tracker, instance, migration);
}

static const char *
time_of(const Migration *migration)
{
    return migration->updated_at ? migration->updated_at : migration->created_at;
}

/* The latest migration of an instance counts, so they are looked at in the order of time. */
static int
compare_times(const void *a, const void *b)
{
    return g_strcmp0(time_of(*(Migration *const *)a), time_of(*(Migration *const *)b));
}

bool
move_claims_count(ResourceTracker *tracker, const RequestContext *ctx, const GPtrArray *instances,
                  NovaError **err)
{
    g_autoptr(GPtrArray) migrations = conductor_migrations_in_progress(
        tracker->conductor, ctx, tracker->options->default_group.host, tracker->facts->hostname, err);

    if (!migrations)
        return false;
    g_hash_table_remove_all(tracker->moves);
    g_hash_table_remove_all(tracker->migrating);
    g_ptr_array_sort(migrations, compare_times);
    for (guint i = 0; i < migrations->len; i++) {
        Migration *migration = migrations->pdata[i];

        g_hash_table_add(tracker->migrating, g_strdup(migration->instance_uuid));
        count_migration(tracker, ctx, migration, instances);
    }
    return true;
}

bool
move_claims_have(const ResourceTracker *tracker, const char *migration_uuid)
{
    GHashTableIter iter;
    void *usage;

    g_hash_table_iter_init(&iter, tracker->moves);
    while (g_hash_table_iter_next(&iter, NULL, &usage))
        if (g_strcmp0(((Usage *)usage)->migration_uuid, migration_uuid) == 0)
            return true;
    return false;
}

/* ---- a move begins ---- */

static const char *const resource_attributes[] = {
    "flavor",       "old_flavor",  "new_flavor", "numa_topology", "pci_requests",
    "pci_devices",  "resources",   "migration_context", NULL,
};

/* The new flavor's devices, and those of the ports, which stay. */
static InstancePCIRequests *
requests_after(const ResourceTracker *tracker, const Instance *instance, const MoveTarget *target,
               NovaError **err)
{
    const GPtrArray *now = instance->pci_requests ? instance->pci_requests->requests : NULL;
    g_autoptr(InstancePCIRequests) after =
        pci_alias_requests(tracker->options, target->flavor, instance->uuid, err);

    for (guint i = 0; after && now && i < now->len; i++) {
        const InstancePCIRequest *request = now->pdata[i];
        json_auto_t *primitive = request->alias_name ? NULL : object_to_json(request);
        InstancePCIRequest *copy = primitive ? instance_pci_request_from_json(primitive, err) : NULL;

        if (primitive && !copy)
            return NULL;
        if (copy)
            g_ptr_array_add(after->requests, copy);
    }
    return g_steal_pointer(&after);
}

/* Beside all that is here, the server as it is included. */
static bool
place(const ResourceTracker *tracker, const MoveTarget *target, const GPtrArray *requests,
      InstanceNUMATopology **ret_topology, NovaError **err)
{
    const GuestRequest request = {target->flavor, target->image};
    g_autoptr(HostNuma) numa = tracker_host_numa(tracker);
    const ClaimHost host = {.numa = numa,
                            .pci_pools = tracker->pci->pools,
                            .pci_requests = requests,
                            .limits = target->limits};

    return numa_claim_place_request(tracker->options, &host, &request, ret_topology, err);
}

static bool
claim_migration(ResourceTracker *tracker, const RequestContext *ctx, Migration *migration,
                NovaError **err)
{
    g_autofree char *address = move_claim_host_address(tracker->options, tracker->facts->hostname);

    OBJECT_SET_STRING(migration, dest_compute, tracker->options->default_group.host);
    OBJECT_SET_STRING(migration, dest_node, tracker->facts->hostname);
    OBJECT_SET_INT(migration, dest_compute_id, tracker->node->id);
    OBJECT_SET_STRING(migration, dest_host, address);
    OBJECT_SET_STRING(migration, status, "pre-migrating");
    return conductor_migration_save(tracker->conductor, ctx, migration, err);
}

/* As they are claimed: that they are allocated then, only their records say. */
static json_t *
devices_to_json(const GPtrArray *claimed)
{
    json_t *devices = json_array();

    for (guint i = 0; i < claimed->len; i++)
        json_array_append_new(devices, object_to_json(((PciUnit *)claimed->pdata[i])->device));
    return devices;
}

static bool
claim_locked(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
             Migration *migration, const MoveTarget *target, NovaError **err)
{
    g_autoptr(InstanceNUMATopology) topology = NULL;
    g_autoptr(InstancePCIRequests) asked = requests_after(tracker, instance, target, err);
    g_autoptr(GPtrArray) requests = asked ? tracker_pci_requests(asked, err) : NULL;
    g_autoptr(GPtrArray) claimed = NULL;
    json_auto_t *devices = NULL;

    if (!requests || !tracker_check_node(tracker, err) ||
        !place(tracker, target, requests, &topology, err) ||
        !claim_migration(tracker, ctx, migration, err) ||
        !tracker_claim_pci(tracker, requests, topology, instance->uuid, &claimed, err))
        return false;
    devices = devices_to_json(claimed);
    migration_context_set(instance, migration->id,
                          &(MoveResources){topology, devices, asked, instance->resources});
    if (!conductor_save_instance(tracker->conductor, ctx, instance, EXPECT_ANY, err)) {
        pci_tracker_unclaim(tracker->pci, claimed);
        return false;
    }
    tracker_allocate_pci(tracker, instance);
    hold(tracker, instance, migration, target->flavor, MOVE_NEW);
    tracker_save_usage(tracker, ctx);
    return true;
}

bool
move_claim_resize(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                  Migration *migration, const MoveTarget *target, NovaError **err)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);
    bool ok;

    if (!conductor_instance_load(tracker->conductor, admin, instance, resource_attributes, err))
        return false;
    pthread_mutex_lock(&tracker->lock);
    ok = claim_locked(tracker, admin, instance, migration, target, err);
    pthread_mutex_unlock(&tracker->lock);
    return ok;
}

/* ---- a move ends ---- */

/* The devices of one side of the move are free; those of the other node are none of ours. */
static void
drop_devices(ResourceTracker *tracker, const Instance *instance, MoveSide side)
{
    const json_t *devices = json_path(migration_context_get(instance, side, "pci_devices"),
                                      "nova_object.data", "objects", NULL);
    size_t i;
    json_t *device;

    json_array_foreach (devices, i, device)
        if (tracker->pci)
            pci_tracker_release_device(
                tracker->pci, json_get_int(json_get_object(device, "nova_object.data"), "id", -1),
                instance->uuid);
}

static void
drop_context(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;

    if (!conductor_drop_migration_context(tracker->conductor, ctx, instance, &error))
        LOG_WARNING("Dropping the migration context: %s", nova_error_details(error));
}

void
move_claim_abort(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);

    pthread_mutex_lock(&tracker->lock);
    drop_devices(tracker, instance, MOVE_NEW);
    g_hash_table_remove(tracker->moves, instance->uuid);
    tracker_save_usage(tracker, admin);
    pthread_mutex_unlock(&tracker->lock);
    drop_context(tracker, admin, instance);
}

static void
count_server(ResourceTracker *tracker, const Instance *instance, const Flavor *flavor)
{
    g_hash_table_replace(tracker->usages, g_strdup(instance->uuid),
                         tracker_usage_of(instance, flavor, tracker_numa_of(instance)));
}

void
move_claim_arrived(ResourceTracker *tracker, const RequestContext *ctx, const Instance *instance,
                   const Migration *migration)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);

    pthread_mutex_lock(&tracker->lock);
    count_server(tracker, instance, instance->flavor);
    count_move(tracker, instance, migration);
    tracker_save_usage(tracker, admin);
    pthread_mutex_unlock(&tracker->lock);
}

static bool
confirm_locked(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
               Migration *migration, NovaError **err)
{
    OBJECT_SET_STRING(migration, status, "confirmed");
    if (!conductor_migration_save(tracker->conductor, ctx, migration, err))
        return false;
    drop_devices(tracker, instance, MOVE_OLD);
    g_hash_table_remove(tracker->moves, instance->uuid);
    if (is_target(tracker, migration))
        count_server(tracker, instance, instance->flavor);
    else
        g_hash_table_remove(tracker->usages, instance->uuid);
    tracker_save_usage(tracker, ctx);
    return conductor_drop_migration_context(tracker->conductor, ctx, instance, err);
}

bool
move_claim_confirm(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                   Migration *migration, NovaError **err)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);
    bool ok;

    pthread_mutex_lock(&tracker->lock);
    ok = confirm_locked(tracker, admin, instance, migration, err);
    pthread_mutex_unlock(&tracker->lock);
    return ok;
}

static bool
revert_locked(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
              Migration *migration, NovaError **err)
{
    OBJECT_SET_STRING(migration, status, "reverted");
    if (!conductor_migration_save(tracker->conductor, ctx, migration, err))
        return false;
    drop_devices(tracker, instance, MOVE_NEW);
    if (!migration_context_apply(instance, MOVE_OLD, err))
        return false;
    g_hash_table_remove(tracker->moves, instance->uuid);
    if (is_source(tracker, migration))
        count_server(tracker, instance, instance->old_flavor ? instance->old_flavor : instance->flavor);
    else
        g_hash_table_remove(tracker->usages, instance->uuid);
    tracker_save_usage(tracker, ctx);
    return conductor_save_instance(tracker->conductor, ctx, instance, EXPECT(RESIZE_REVERTING), err);
}

bool
move_claim_revert(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                  Migration *migration, NovaError **err)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);
    bool ok;

    pthread_mutex_lock(&tracker->lock);
    ok = revert_locked(tracker, admin, instance, migration, err);
    pthread_mutex_unlock(&tracker->lock);
    return ok;
}
