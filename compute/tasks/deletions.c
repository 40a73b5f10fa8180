/* SPDX-License-Identifier: Apache-2.0 */
/* Servers whose deletion is due, or left something behind. */
#define LOG_NAME "kilonova.tasks.deletions"
#include "compute/tasks/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "agent/control/conductor_tasks.h"
#include "compute/ops/ops.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/recovery.h"
#include "storage/disks.h"

typedef struct Visit {
    Host *host;
    RequestContext *ctx;
    GPtrArray *migrations; /* of Migration; only where they are what is cleaned up */
} Visit;

static const char *
deleted_at(const Instance *instance)
{
    return json_get_string(instance->base.kept, "deleted_at", NULL);
}

static bool
is_deleted_for(const Instance *instance, int64_t seconds)
{
    const char *since = deleted_at(instance);

    return !since || task_is_older(since, seconds);
}

/* ---- soft-deleted ---- */

/* Without the events and faults of a user's request: Nova calls _delete_instance() itself. */
static void
reclaim(Host *host, RequestContext *ctx, Instance *instance)
{
    json_auto_t *args = json_pack("{s:n}", "bdms");
    g_autoptr(NovaError) error = NULL;
    Operation op = {.host = host, .ctx = ctx, .method = "terminate_instance", .instance = instance,
                    .args = args};

    LOG_INFO("Reclaiming deleted instance");
    if (!op_terminate_instance(&op, &error))
        LOG_WARNING("Periodic reclaim failed to delete instance: %s", nova_error_details(error));
}

static bool
reclaim_old(Instance **found, void *user)
{
    Visit *who = user;

    if (is_deleted_for(*found, who->host->options->default_group.reclaim_instance_interval))
        who->host->queue_work(who->host, "_reclaim_queued_deletes", reclaim, who->ctx,
                              g_steal_pointer(found));
    return true;
}

void
task_reclaim_queued_deletes(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {"metadata", "system_metadata", "info_cache", "flavor", NULL};
    json_auto_t *filters =
        json_pack("{s:s, s:n, s:s}", "vm_state", "soft-delete", "task_state", "host", host->name);
    Visit who = {.host = host, .ctx = ctx};
    g_autoptr(NovaError) error = NULL;

    if (!conductor_visit_instances(host->conductor, ctx, filters, attributes, reclaim_old, &who, &error))
        LOG_ERROR("Failed to list soft-deleted instances: %s", nova_error_details(error));
}

/* ---- deleted, but running ---- */

static void
shut_down(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    (void)ctx;
    LOG_INFO("Powering off instance which is marked as DELETED but still present on host.");
    if (error || (guest && !guest_power_off(guest, &error)))
        LOG_WARNING("Failed to power off instance: %s", nova_error_details(error));
}

/* _shutdown_instance(), _cleanup_volumes() */
static bool
destroy(Host *host, RequestContext *ctx, Instance *instance, NovaError **err)
{
    Operation op = {.host = host, .ctx = ctx, .instance = instance};
    g_autoptr(NetworkInfo) network = step_cached_network(instance, err);
    g_autoptr(GPtrArray) bdms =
        network ? conductor_bdms_by_instance(host->conductor, ctx, instance->uuid, err) : NULL;

    instance_events_cancel(host->events, instance->uuid);
    if (!bdms || !step_destroy_guest(host, instance, network, false, err))
        return false;
    /* The API that deleted it without an agent has emptied its info cache. */
    recovery_remove_switch_ports(host, instance->uuid);
    volumes_forget_detached(host, ctx, bdms);
    volumes_release(&op, bdms);
    if (!step_remove_files(host, instance, err) ||
        !neutron_deallocate_for_instance(host->neutron, ctx, instance, NULL, err))
        return false;
    volumes_delete(host, ctx, bdms);
    return true;
}

static void
reap(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;

    LOG_INFO("Destroying instance which is marked as DELETED but still present on host.");
    if (!destroy(host, ctx, instance, &error))
        LOG_WARNING("Periodic cleanup failed to delete instance: %s", nova_error_details(error));
}

static bool
treat_running_deleted(Instance **found, void *user)
{
    Visit *who = user;
    const OptionsDefault *options = &who->host->options->default_group;
    const char *action = options->running_deleted_instance_action;
    LOG_SCOPE(who->ctx, (*found)->uuid);

    if (!is_deleted_for(*found, options->running_deleted_instance_timeout))
        return true;
    if (strcmp(action, "log") == 0)
        LOG_WARNING("Detected instance which is marked as DELETED but still present on host.");
    else
        who->host->queue_work(who->host, "_cleanup_running_deleted_instances",
                              strcmp(action, "shutdown") == 0 ? shut_down : reap, who->ctx,
                              g_steal_pointer(found));
    return true;
}

/* Uuids of domains that are no server of this host; new reference. */
static json_t *
strange_domains(Host *host, RequestContext *ctx, NovaError **err)
{
    json_auto_t *ours = conductor_uuids_by_host(host->conductor, ctx, host->name, err);
    g_autoptr(GPtrArray) domains = ours ? hypervisor_list_domains(host->hypervisor, err) : NULL;
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    json_t *strange;
    size_t i;
    json_t *uuid;

    if (!domains)
        return NULL;
    json_array_foreach (ours, i, uuid)
        if (json_is_string(uuid))
            g_hash_table_add(known, (char *)json_string_value(uuid));
    strange = json_array();
    for (guint at = 0; at < domains->len; at++)
        if (!g_hash_table_contains(known, ((DomainSummary *)domains->pdata[at])->uuid))
            json_array_append_new(strange, json_string(((DomainSummary *)domains->pdata[at])->uuid));
    return strange;
}

void
task_cleanup_running_deleted_instances(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {"info_cache", "system_metadata", "flavor", NULL};
    g_autoptr(RequestContext) deleted_too = request_context_elevated(ctx, "yes");
    g_autoptr(NovaError) error = NULL;
    json_auto_t *uuids = NULL, *filters = NULL;
    Visit who = {.host = host, .ctx = deleted_too};

    if (strcmp(host->options->default_group.running_deleted_instance_action, "noop") == 0)
        return;
    uuids = strange_domains(host, ctx, &error);
    if (uuids && json_array_size(uuids) == 0)
        return;
    filters = json_pack("{s:b, s:b, s:O?}", "deleted", 1, "soft_deleted", 0, "uuid", uuids);
    if (!uuids || !conductor_visit_instances(host->conductor, deleted_too, filters, attributes,
                                             treat_running_deleted, &who, &error))
        LOG_ERROR("Failed to look for running deleted instances: %s", nova_error_details(error));
}

/* ---- deleted, but with files ---- */

static int64_t
attempts_of(const Instance *instance)
{
    const char *text = instance->system_metadata
                           ? g_hash_table_lookup(instance->system_metadata, "clean_attempts") : NULL;

    return text ? atoll(text) : 0;
}

static bool
remove_files(Instance **found, void *user)
{
    Visit *who = user;
    Instance *instance = *found;
    g_autoptr(NovaError) error = NULL, files = NULL;
    LOG_SCOPE(who->ctx, instance->uuid);

    if (attempts_of(instance) >= who->host->options->default_group.maximum_instance_delete_attempts)
        return true;
    if (!step_remove_files(who->host, instance, &files))
        LOG_WARNING("%s", nova_error_details(files));
    if (!conductor_save_instance(who->host->conductor, who->ctx, instance, EXPECT_ANY, &error))
        LOG_WARNING("Recording that files were removed: %s", nova_error_details(error));
    return true;
}

void
task_run_pending_deletes(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {"system_metadata", NULL};
    g_autoptr(RequestContext) deleted_too = request_context_elevated(ctx, "yes");
    json_auto_t *filters = json_pack("{s:b, s:b, s:s, s:b}", "deleted", 1, "soft_deleted", 0, "host",
                                     host->name, "cleaned", 0);
    Visit who = {.host = host, .ctx = deleted_too};
    g_autoptr(NovaError) error = NULL;

    if (!conductor_visit_instances(host->conductor, deleted_too, filters, attributes, remove_files,
                                   &who, &error))
        LOG_ERROR("Failed to list deleted instances: %s", nova_error_details(error));
}

/* ---- deleted while they moved ---- */

static Migration *
migration_of(const GPtrArray *migrations, const char *uuid)
{
    for (guint i = 0; i < migrations->len; i++)
        if (g_strcmp0(((Migration *)migrations->pdata[i])->instance_uuid, uuid) == 0)
            return migrations->pdata[i];
    return NULL;
}

static bool
clean_up_migration(Instance **found, void *user)
{
    Visit *who = user;
    Migration *migration = migration_of(who->migrations, (*found)->uuid);
    g_autoptr(NovaError) error = NULL;
    LOG_SCOPE(who->ctx, (*found)->uuid);

    if (!migration || g_strcmp0((*found)->host, who->host->name) == 0)
        return true;
    if (!disks_delete(who->host->options, (*found)->uuid))
        LOG_WARNING("Some files of the instance could not be removed");
    OBJECT_SET_STRING(migration, status, "failed");
    if (!conductor_migration_save(who->host->conductor, who->ctx, migration, &error))
        LOG_WARNING("Saving migration %" G_GINT64_FORMAT ": %s", migration->id,
                    nova_error_details(error));
    return true;
}

static json_t *
uuids_of_migrations(const GPtrArray *migrations)
{
    json_t *uuids = json_array();

    for (guint i = 0; i < migrations->len; i++)
        json_array_append_new(uuids, json_string(((Migration *)migrations->pdata[i])->instance_uuid));
    return uuids;
}

void
task_cleanup_incomplete_migrations(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {"info_cache", "system_metadata", NULL};
    g_autoptr(RequestContext) deleted_too = request_context_elevated(ctx, "yes");
    json_auto_t *which = json_pack("{s:s, s:s}", "host", host->name, "status", "error");
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) migrations =
        conductor_migrations_by_filters(host->conductor, ctx, which, &error);
    Visit who = {host, deleted_too, migrations};
    json_auto_t *filters = NULL;

    if (migrations && migrations->len == 0)
        return;
    if (migrations)
        filters = json_pack("{s:b, s:b, s:o}", "deleted", 1, "soft_deleted", 0, "uuid",
                            uuids_of_migrations(migrations));
    if (!migrations || !conductor_visit_instances(host->conductor, deleted_too, filters, attributes,
                                                  clean_up_migration, &who, &error))
        LOG_ERROR("Failed to look for incomplete migrations: %s", nova_error_details(error));
}
