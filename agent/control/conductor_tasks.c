/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/conductor_tasks.h"

#include <string.h>

#include "agent/base/json.h"

#define SLICE 200 /* servers in one answer of the conductor */

bool
conductor_action_start(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                       const char *action, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", uuid, action);
    json_auto_t *kwargs = json_pack("{s:b}", "want_result", 0);
    json_auto_t *result = conductor_class_action(conductor, ctx, "InstanceAction", "action_start",
                                                 args, kwargs, err);

    return result != NULL;
}

static bool
is_up(const Service *service, int64_t down_time_s)
{
    gint64 seen = object_time_seconds(service->last_seen_up ? service->last_seen_up : service->created_at);

    return !service->forced_down && ABS(g_get_real_time() / G_USEC_PER_SEC - seen) <= down_time_s;
}

bool
conductor_service_is_up(Conductor *conductor, const RequestContext *ctx, const char *host,
                        int64_t down_time_s, NovaError **err)
{
    Service *service = NULL;
    bool answer;

    if (!conductor_service_get(conductor, ctx, host, &service, err))
        return false;
    answer = service && is_up(service, down_time_s);
    service_free(service);
    return answer || nova_error_set(err, NOVA_ERROR_SERVICE_UNAVAILABLE,
                                    "Service is unavailable at this time.");
}

json_t *
conductor_uuids_by_host(Conductor *conductor, const RequestContext *ctx, const char *host,
                        NovaError **err)
{
    json_auto_t *args = json_pack("[s]", host);

    return conductor_class_action(conductor, ctx, "InstanceList", "get_uuids_by_host", args, NULL,
                                  err);
}

/* ---- servers, slice by slice ---- */

/* False when the visitor wants no more. The array keeps the instances that it did not take. */
static bool
visit_slice(GPtrArray *instances, InstanceVisitor visit, void *user)
{
    for (guint i = 0; i < instances->len; i++) {
        Instance *instance = instances->pdata[i];
        bool goes_on = visit(&instance, user);

        if (!instance)
            instances->pdata[i] = NULL;
        if (!goes_on)
            return false;
    }
    return true;
}

/* 'kwargs' gets limit and marker. */
static bool
visit_all(Conductor *conductor, const RequestContext *ctx, const char *method, json_t *args,
          json_t *kwargs, InstanceVisitor visit, void *user, NovaError **err)
{
    bool goes_on = true;

    json_object_set_new(kwargs, "limit", json_integer(SLICE));
    while (goes_on) {
        json_auto_t *list =
            conductor_class_action(conductor, ctx, "InstanceList", method, args, kwargs, err);
        g_autoptr(GPtrArray) instances =
            list ? object_list_from_json(&INSTANCE_TYPE, list, err) : NULL;

        if (!instances)
            return false;
        if (instances->len > 0)
            json_set_string(kwargs, "marker", ((Instance *)instances->pdata[instances->len - 1])->uuid);
        goes_on = visit_slice(instances, visit, user) && instances->len == SLICE;
    }
    return true;
}

static json_t *
attribute_list(const char *const *attributes)
{
    json_t *list = json_array();

    for (; attributes && *attributes; attributes++)
        json_array_append_new(list, json_string(*attributes));
    return list;
}

bool
conductor_visit_instances(Conductor *conductor, const RequestContext *ctx, json_t *filters,
                          const char *const *attributes, InstanceVisitor visit, void *user,
                          NovaError **err)
{
    json_auto_t *args = json_pack("[O]", filters);
    json_auto_t *kwargs = json_pack("{s:o, s:b}", "expected_attrs", attribute_list(attributes),
                                    "use_slave", 1);

    return visit_all(conductor, ctx, "get_by_filters", args, kwargs, visit, user, err);
}

bool
conductor_visit_active(Conductor *conductor, const RequestContext *ctx, const char *host,
                       gint64 begin_us, gint64 end_us, const char *const *attributes,
                       InstanceVisitor visit, void *user, NovaError **err)
{
    g_autofree char *begin = object_time_text(begin_us / G_USEC_PER_SEC);
    g_autofree char *end = object_time_text(end_us / G_USEC_PER_SEC);
    json_auto_t *args = json_pack("[s, s, n, s, o]", begin, end, host, attribute_list(attributes));
    json_auto_t *kwargs = json_pack("{s:b}", "use_slave", 1);

    return visit_all(conductor, ctx, "_get_active_by_window_joined", args, kwargs, visit, user, err);
}

/* ---- migrations, tokens, logs ---- */

static GPtrArray *
migration_list(Conductor *conductor, const RequestContext *ctx, const char *method, json_t *args,
               NovaError **err)
{
    json_auto_t *list =
        conductor_class_action(conductor, ctx, "MigrationList", method, args, NULL, err);

    return list ? object_list_from_json(&MIGRATION_TYPE, list, err) : NULL;
}

GPtrArray *
conductor_migrations_unconfirmed(Conductor *conductor, const RequestContext *ctx, const char *host,
                                 int64_t window_s, NovaError **err)
{
    json_auto_t *args = json_pack("[I, s]", (json_int_t)window_s, host);

    return migration_list(conductor, ctx, "get_unconfirmed_by_dest_compute", args, err);
}

GPtrArray *
conductor_migrations_by_filters(Conductor *conductor, const RequestContext *ctx, json_t *filters,
                                NovaError **err)
{
    json_auto_t *args = json_pack("[O]", filters);

    return migration_list(conductor, ctx, "get_by_filters", args, err);
}

bool
conductor_console_auths_clean_expired(Conductor *conductor, const RequestContext *ctx,
                                      NovaError **err)
{
    json_auto_t *result = conductor_class_action(conductor, ctx, "ConsoleAuthToken",
                                                 "clean_expired_console_auths", NULL, NULL, err);

    return result != NULL;
}

/* utils.strtime(): "2026-01-02T03:04:05.000000". */
static char *
strtime(gint64 time_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / G_USEC_PER_SEC);

    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%S.000000");
}

bool
conductor_task_log_find(Conductor *conductor, const RequestContext *ctx, const char *task,
                        gint64 begin_us, gint64 end_us, const char *host, bool *ret_found,
                        NovaError **err)
{
    g_autofree char *begin = strtime(begin_us);
    g_autofree char *end = strtime(end_us);
    json_auto_t *args = json_pack("[s, s, s, s]", task, begin, end, host);
    json_auto_t *result = conductor_class_action(conductor, ctx, "TaskLog", "get", args, NULL, err);

    if (!result)
        return false;
    *ret_found = !json_is_null(result);
    return true;
}

bool
conductor_task_log_begin(Conductor *conductor, const RequestContext *ctx, TaskLog *log,
                         NovaError **err)
{
    return conductor_object_action(conductor, ctx, log, "begin_task", NULL, NULL, err);
}

bool
conductor_task_log_end(Conductor *conductor, const RequestContext *ctx, TaskLog *log, NovaError **err)
{
    return conductor_object_action(conductor, ctx, log, "end_task", NULL, NULL, err);
}
