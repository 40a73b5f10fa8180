/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What periodic tasks ask of the conductor. As conductor.h otherwise. */

#include "agent/control/conductor.h"
#include "agent/objects/migration.h"
#include "agent/objects/task_log.h"

/* Records that a user's request (here: our own) has begun; events hang on it by the request's id. */
bool conductor_action_start(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                            const char *action, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The compute of that host has reported within 'down_time_s' and is not forced down; else
 * ServiceUnavailable. */
bool conductor_service_is_up(Conductor *conductor, const RequestContext *ctx, const char *host,
                             int64_t down_time_s, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* JSON list of the uuids of the host's servers: all that several tasks need of them. New reference. */
json_t *conductor_uuids_by_host(Conductor *conductor, const RequestContext *ctx, const char *host,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Visits servers by InstanceList.get_by_filters(), a slice of the list at a time, so that neither
 * side holds a large host's records at once. The visitor may keep the instance by stealing it:
 * *instance = NULL. It returns false to stop. 'filters' is borrowed. */
typedef bool (*InstanceVisitor)(Instance **instance, void *user);
bool conductor_visit_instances(Conductor *conductor, const RequestContext *ctx, json_t *filters,
                               const char *const *attributes, InstanceVisitor visit, void *user,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same for those that existed in a period: _get_active_by_window_joined(). */
bool conductor_visit_active(Conductor *conductor, const RequestContext *ctx, const char *host,
                            gint64 begin_us, gint64 end_us, const char *const *attributes,
                            InstanceVisitor visit, void *user, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Of Migration: resizes to this host that are finished for longer than 'window_s'. */
GPtrArray *conductor_migrations_unconfirmed(Conductor *conductor, const RequestContext *ctx,
                                            const char *host, int64_t window_s, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Of Migration, by MigrationList.get_by_filters(); 'filters' is borrowed. */
GPtrArray *conductor_migrations_by_filters(Conductor *conductor, const RequestContext *ctx,
                                           json_t *filters, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

bool conductor_console_auths_clean_expired(Conductor *conductor, const RequestContext *ctx,
                                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* *ret_found: the task has run for that period on that host. */
bool conductor_task_log_find(Conductor *conductor, const RequestContext *ctx, const char *task,
                             gint64 begin_us, gint64 end_us, const char *host, bool *ret_found,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_task_log_begin(Conductor *conductor, const RequestContext *ctx, TaskLog *log,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_task_log_end(Conductor *conductor, const RequestContext *ctx, TaskLog *log,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
