/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.evacuated"
#include "compute/evacuated.h"

#include <string.h>

#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "agent/control/conductor_tasks.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/recovery.h"
#include "compute/resource_tracker.h"
#include "storage/disks.h"

/* 'uuid' NULL: of all servers. Begun ones count: a host that comes back amid an evacuation must not have the
 * server a second time. */
static GPtrArray *
list_migrations(Host *host, RequestContext *ctx, const char *uuid, NovaError **err)
{
    g_autoptr(RequestContext) deleted_too = request_context_elevated(ctx, "yes");
    json_auto_t *filters = json_pack("{s:s, s:[s, s, s], s:s, s:s*}", "source_compute", host->name, "status",
                                     "accepted", "pre-migrating", "done", "migration_type", "evacuation",
                                     "instance_uuid", uuid);

    return conductor_migrations_by_filters(host->conductor, deleted_too, filters, err);
}

GPtrArray *
evacuated_list(Host *host, RequestContext *ctx, NovaError **err)
{
    return list_migrations(host, ctx, NULL, err);
}

/* The evacuation has ended: who has the server since is what its record says. */
static bool
is_ended(const Migration *migration)
{
    return g_strcmp0(migration->status, "done") == 0;
}

static bool
is_at(const Host *host, const Instance *instance)
{
    return g_strcmp0(instance->host, host->name) == 0;
}

bool
evacuated_is(const GPtrArray *migrations, const Host *host, const Instance *instance)
{
    for (guint i = 0; i < migrations->len; i++) {
        const Migration *migration = migrations->pdata[i];

        if (g_strcmp0(migration->instance_uuid, instance->uuid) == 0 &&
            !(is_ended(migration) && is_at(host, instance)))
            return true;
    }
    return false;
}

typedef struct Left {
    bool disks, folder; /* not the other host's */
} Left;

static bool
remove_files(Host *host, const Instance *instance, Left left, NovaError **err)
{
    if (left.disks && !disks_remove_volumes(host->options, instance->uuid, err))
        return nova_error_prefix(err, "removing the disks");
    if (left.folder && !disks_delete(host->options, instance->uuid))
        LOG_WARNING("Some files of the instance could not be removed");
    return true;
}

/* It stops before anybody is asked anything. How the other host reaches the volumes is how this one does. */
static bool
remove_guest(Host *host, RequestContext *ctx, Instance *instance, const char *other, NovaError **err)
{
    g_autoptr(NetworkInfo) network =
        step_power_off(host, instance, false, err) ? step_cached_network(instance, err) : NULL;
    g_autoptr(GPtrArray) bdms =
        network ? conductor_bdms_by_instance(host->conductor, ctx, instance->uuid, err) : NULL;
    g_autoptr(BlockDevices) devices = NULL;
    Left left = {true, true};

    if (!bdms)
        return false;
    if (!instance_is_deleted(instance))
        left = (Left){!disks_are_shared(host->options), !recovery_shares_folder(host, ctx, instance->uuid, other)};
    devices = block_device_info_make(instance, bdms, VOLUMES_CONNECTED);
    if (!step_destroy_guest(host, instance, network, !left.folder, err))
        return false;
    volumes_let_go(host, ctx, instance, devices);
    return remove_files(host, instance, left, err);
}

/* A deleted server has none. */
static bool
end_allocation(Host *host, RequestContext *ctx, const Instance *instance, NovaError **err)
{
    return instance_is_deleted(instance) ||
           placement_remove_tree_from_allocations(host->placement, ctx, instance->uuid,
                                                  resource_tracker_node_uuid(host->tracker), err);
}

static bool
complete(Host *host, RequestContext *ctx, const GPtrArray *migrations, NovaError **err)
{
    for (guint i = 0; i < migrations->len; i++) {
        Migration *migration = migrations->pdata[i];

        OBJECT_SET_STRING(migration, status, "completed");
        if (!conductor_migration_save(host->conductor, ctx, migration, err))
            return false;
    }
    return true;
}

/* What fails is done at the next start. */
static void
clean_up(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) migrations = list_migrations(host, ctx, instance->uuid, &error);

    if (migrations && migrations->len == 0)
        return;
    if (migrations && !instance_is_deleted(instance) && !evacuated_is(migrations, host, instance)) {
        LOG_INFO("The instance has been evacuated from this host and is here again");
        if (!complete(host, ctx, migrations, &error))
            LOG_WARNING("Completing the evacuation: %s", nova_error_details(error));
        return;
    }
    LOG_INFO("Removing what is left of the instance, which has been evacuated from this host");
    if (!migrations ||
        !remove_guest(host, ctx, instance, ((const Migration *)migrations->pdata[0])->dest_compute, &error) ||
        !end_allocation(host, ctx, instance, &error) || !complete(host, ctx, migrations, &error))
        LOG_ERROR("Failed to clean up after an evacuation: %s", nova_error_details(error));
}

typedef struct Visit {
    Host *host;
    RequestContext *ctx;
} Visit;

static bool
queue_one(Instance **instance, void *user)
{
    Visit *who = user;

    who->host->queue_work(who->host, "clean up after the evacuation", clean_up, who->ctx, g_steal_pointer(instance));
    return true;
}

bool
evacuated_clean_up(Host *host, RequestContext *ctx, const GPtrArray *migrations, NovaError **err)
{
    static const char *const attributes[] = {"info_cache", "metadata", "system_metadata", "flavor", NULL};
    g_autoptr(RequestContext) deleted_too = request_context_elevated(ctx, "yes");
    json_t *uuids = json_array();
    json_auto_t *filters = json_pack("{s:o}", "uuid", uuids);
    Visit who = {host, ctx};

    for (guint i = 0; i < migrations->len; i++)
        json_array_append_new(uuids, json_string(((const Migration *)migrations->pdata[i])->instance_uuid));
    return migrations->len == 0 ||
           conductor_visit_instances(host->conductor, deleted_too, filters, attributes, queue_one, &who, err);
}
