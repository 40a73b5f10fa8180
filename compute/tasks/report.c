/* SPDX-License-Identifier: Apache-2.0 */
/* What the control plane is told about this host. */
#define LOG_NAME "kilonova.tasks.report"
#include "compute/tasks/tasks.h"

#include "agent/base/log.h"
#include "agent/control/audit_period.h"
#include "agent/control/conductor_tasks.h"
#include "compute/resource_tracker.h"

TaskMemory *
task_memory_new(void)
{
    TaskMemory *memory = g_new0(TaskMemory, 1);

    memory->orphan_ports = orphan_ports_new();
    return memory;
}

void
task_memory_free(TaskMemory *memory)
{
    if (!memory)
        return;
    json_decref(memory->to_heal);
    g_hash_table_unref(memory->orphan_ports);
    g_free(memory);
}

bool
task_is_older(const char *text, int64_t seconds)
{
    return text && g_get_real_time() / G_USEC_PER_SEC - object_time_seconds(text) > seconds;
}

void
task_update_available_resource(Host *host, RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;

    if (!resource_tracker_update(host->tracker, ctx, &error))
        LOG_ERROR("Error updating resources for node %s: %s", host->node, nova_error_details(error));
}

void
task_sync_scheduler_instance_info(Host *host, RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *uuids = NULL;

    if (!host->options->filter_scheduler.track_instance_changes)
        return;
    uuids = conductor_uuids_by_host(host->conductor, ctx, host->name, &error);
    if (uuids)
        conductor_scheduler_sync(host->conductor, ctx, host->name, uuids);
    else
        LOG_ERROR("Failed to list the host's instances: %s", nova_error_details(error));
}

/* ---- usage ---- */

static bool
collect(Instance **instance, void *user)
{
    g_ptr_array_add(user, g_steal_pointer(instance));
    return true;
}

static TaskLog *
new_task_log(const Host *host, gint64 begin_us, gint64 end_us, guint n_instances)
{
    TaskLog *log = object_new(&TASK_LOG_TYPE);
    g_autofree char *begin = object_time_text(begin_us / G_USEC_PER_SEC);
    g_autofree char *end = object_time_text(end_us / G_USEC_PER_SEC);

    OBJECT_SET_STRING(log, task_name, "instance_usage_audit");
    OBJECT_SET_STRING(log, period_beginning, begin);
    OBJECT_SET_STRING(log, period_ending, end);
    OBJECT_SET_STRING(log, host, host->name);
    OBJECT_SET(log, task_items, n_instances);
    OBJECT_SET_STRING(log, message, "Instance usage audit started...");
    return log;
}

/* Tells that each server existed in the period, and writes down that it was told. */
static bool
audit(Host *host, RequestContext *ctx, gint64 begin_us, gint64 end_us, NovaError **err)
{
    static const char *const attributes[] = {"system_metadata", "info_cache", "metadata", "flavor", NULL};
    static const ExistsNotice last_period = {.is_current_period = false};
    g_autoptr(GPtrArray) instances = g_ptr_array_new_with_free_func((GDestroyNotify)instance_free);
    gint64 started = g_get_monotonic_time();
    g_autofree char *message = NULL;
    TaskLog *log;
    bool ok;

    if (!conductor_visit_active(host->conductor, ctx, host->name, begin_us, end_us, attributes,
                                collect, instances, err))
        return false;
    LOG_INFO("Running instance usage audit for host %s: %u instances.", host->name, instances->len);
    log = new_task_log(host, begin_us, end_us, instances->len);
    ok = conductor_task_log_begin(host->conductor, ctx, log, err);
    for (guint i = 0; ok && i < instances->len; i++)
        notifier_exists(host->notifier, ctx, instances->pdata[i], &last_period);
    message = g_strdup_printf("Instance usage audit ran for host %s, %u instances in %f seconds.",
                              host->name, instances->len,
                              (double)(g_get_monotonic_time() - started) / 1e6);
    OBJECT_SET(log, errors, 0);
    OBJECT_SET_STRING(log, message, message);
    ok = ok && conductor_task_log_end(host->conductor, ctx, log, err);
    object_free(log);
    return ok;
}

void
task_instance_usage_audit(Host *host, RequestContext *ctx)
{
    gint64 begin, end;
    bool was_told = false;
    g_autoptr(NovaError) error = NULL;

    if (!host->options->default_group.instance_usage_audit ||
        !audit_period_last(host->options->default_group.instance_usage_audit_period,
                           g_get_real_time(), &begin, &end) ||
        end == host->tasks->audited_until)
        return;
    if (conductor_task_log_find(host->conductor, ctx, "instance_usage_audit", begin, end, host->name,
                                &was_told, &error) &&
        (was_told || audit(host, ctx, begin, end, &error)))
        host->tasks->audited_until = end;
    if (error)
        LOG_ERROR("Failed to run the usage audit: %s", nova_error_details(error));
}
