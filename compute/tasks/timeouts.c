/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that stay in a state for longer than an operator wants. Each task is one request to the
 * conductor while there is no such server. */
#define LOG_NAME "kilonova.tasks.timeouts"
#include "compute/tasks/tasks.h"

#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "agent/control/conductor_tasks.h"
#include "compute/own_requests.h"

/* What a task does with each server that it finds. */
typedef struct Visit {
    Host *host;
    RequestContext *ctx;
} Visit;

/* Takes ownership of the filters. */
static void
visit(Host *host, RequestContext *ctx, json_t *owned, const char *const *attributes,
      InstanceVisitor visitor)
{
    json_auto_t *filters = owned;
    g_autoptr(NovaError) error = NULL;
    Visit who = {host, ctx};

    if (!conductor_visit_instances(host->conductor, ctx, filters, attributes, visitor, &who, &error))
        LOG_ERROR("Failed to list instances: %s", nova_error_details(error));
}

/* ---- builds ---- */

static bool
fail_slow_build(Instance **found, void *user)
{
    Visit *who = user;
    Instance *instance = *found;
    g_autoptr(NovaError) error = NULL;
    LOG_SCOPE(who->ctx, instance->uuid);

    if (!task_is_older(instance->created_at, who->host->options->default_group.instance_build_timeout))
        return true;
    OBJECT_SET(instance, vm_state, VM_STATE_ERROR);
    if (conductor_save_instance(who->host->conductor, who->ctx, instance, EXPECT_ANY, &error))
        LOG_WARNING("Instance build timed out. Set to error state.");
    else
        LOG_WARNING("Failed to end a build that timed out: %s", nova_error_details(error));
    return true;
}

void
task_check_instance_build_time(Host *host, RequestContext *ctx)
{
    visit(host, ctx, json_pack("{s:s, s:s, s:b}", "vm_state", "building", "host", host->name,
                               "deleted", 0), NULL, fail_slow_build);
}

/* ---- rescued ---- */

static bool
unrescue_late(Instance **found, void *user)
{
    Visit *who = user;
    Instance *instance = *found;
    g_autoptr(NovaError) error = NULL;
    LOG_SCOPE(who->ctx, instance->uuid);

    if (task_is_older(instance->launched_at, who->host->options->default_group.rescue_timeout) &&
        !own_request_unrescue(who->host, who->ctx, instance, &error))
        LOG_WARNING("Failed to end a rescue that timed out: %s", nova_error_details(error));
    return true;
}

void
task_poll_rescued_instances(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {"system_metadata", NULL};

    visit(host, ctx, json_pack("{s:s, s:s}", "vm_state", "rescued", "host", host->name), attributes,
          unrescue_late);
}

/* ---- shelved ---- */

static bool
offload_late(Instance **found, void *user)
{
    Visit *who = user;
    Instance *instance = *found;
    const char *since = instance->system_metadata
                            ? g_hash_table_lookup(instance->system_metadata, "shelved_at") : NULL;
    g_autoptr(NovaError) error = NULL;
    LOG_SCOPE(who->ctx, instance->uuid);

    if (task_is_older(since, who->host->options->default_group.shelved_offload_time) &&
        !own_request_shelve_offload(who->host, who->ctx, instance, &error))
        LOG_WARNING("Periodic task failed to offload instance: %s", nova_error_details(error));
    return true;
}

void
task_poll_shelved_instances(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {"system_metadata", NULL};

    visit(host, ctx, json_pack("{s:s, s:n, s:s}", "vm_state", "shelved", "task_state", "host",
                               host->name), attributes, offload_late);
}

/* ---- resized ---- */

static void
fail_migration(Host *host, RequestContext *ctx, Migration *migration, const char *reason)
{
    g_autoptr(NovaError) error = NULL;

    LOG_WARNING("Setting migration %" G_GINT64_FORMAT " to error: %s", migration->id, reason);
    OBJECT_SET_STRING(migration, status, "error");
    if (!conductor_migration_save(host->conductor, ctx, migration, &error))
        LOG_WARNING("Saving the migration: %s", nova_error_details(error));
}

/* A server that is being deleted, or whose record is about to say RESIZED, is no error. */
static bool
is_passing(TaskState task)
{
    return task == TASK_STATE_DELETING || task == TASK_STATE_SOFT_DELETING ||
           task == TASK_STATE_RESIZE_FINISH;
}

static void
confirm(Host *host, RequestContext *ctx, Migration *migration)
{
    static const char *const attributes[] = {"metadata", "system_metadata", NULL};
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Instance) instance = conductor_instance_get(host->conductor, ctx,
                                                          migration->instance_uuid, attributes, &error);
    LOG_SCOPE(ctx, migration->instance_uuid);

    if (!instance && nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND)) {
        fail_migration(host, ctx, migration, "Instance not found");
    } else if (!instance) {
        LOG_WARNING("Reading a resized instance: %s", nova_error_details(error));
    } else if (instance->vm_state == VM_STATE_ERROR) {
        fail_migration(host, ctx, migration, "In ERROR state");
    } else if (is_passing(instance->task_state)) {
        LOG_DEBUG("Not confirmed now: the instance has a task");
    } else if (instance->vm_state != VM_STATE_RESIZED || instance->task_state != TASK_STATE_NONE) {
        fail_migration(host, ctx, migration, "Not RESIZED without a task");
    } else {
        LOG_INFO("Automatically confirming migration %" G_GINT64_FORMAT, migration->id);
        if (!own_request_confirm_resize(host, ctx, instance, migration, &error))
            LOG_INFO("Error auto-confirming resize: %s. Will retry later.", nova_error_details(error));
    }
}

void
task_poll_unconfirmed_resizes(Host *host, RequestContext *ctx)
{
    int64_t window_s = host->options->default_group.resize_confirm_window;
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) migrations =
        conductor_migrations_unconfirmed(host->conductor, ctx, host->name, window_s, &error);

    if (!migrations) {
        LOG_ERROR("Failed to list unconfirmed resizes: %s", nova_error_details(error));
        return;
    }
    if (migrations->len > 0)
        LOG_INFO("Found %u unconfirmed migrations older than %" G_GINT64_FORMAT " seconds",
                 migrations->len, window_s);
    for (guint i = 0; i < migrations->len; i++)
        confirm(host, ctx, migrations->pdata[i]);
}
