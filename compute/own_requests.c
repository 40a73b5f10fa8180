/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.own_requests"
#include "compute/own_requests.h"

#include "agent/control/conductor_moves.h"
#include "agent/control/conductor_tasks.h"

/* Sets the task and records the action. */
static bool
announce(Host *host, RequestContext *ctx, Instance *instance, TaskState task, const char *action,
         NovaError **err)
{
    OBJECT_SET(instance, task_state, task);
    return conductor_save_instance(host->conductor, ctx, instance, EXPECT(NONE), err) &&
           conductor_action_start(host->conductor, ctx, instance->uuid, action, err);
}

/* Over the bus, as the API's requests come. 'args' is owned and gets the instance. */
static bool
cast(Host *host, RequestContext *ctx, const Instance *instance, const char *method, json_t *owned,
     NovaError **err)
{
    json_auto_t *args = owned;

    json_object_set_new(args, "instance", object_to_json(instance));
    return peers_cast(host->peers, ctx, host->name, method, args, err);
}

bool
own_request_stop(Host *host, RequestContext *ctx, Instance *instance, NovaError **err)
{
    OBJECT_SET_INT(instance, progress, 0);
    return announce(host, ctx, instance, TASK_STATE_POWERING_OFF, "stop", err) &&
           cast(host, ctx, instance, "stop_instance", json_pack("{s:b}", "clean_shutdown", 1), err);
}

bool
own_request_unrescue(Host *host, RequestContext *ctx, Instance *instance, NovaError **err)
{
    return announce(host, ctx, instance, TASK_STATE_UNRESCUING, "unrescue", err) &&
           cast(host, ctx, instance, "unrescue_instance", json_object(), err);
}

bool
own_request_shelve_offload(Host *host, RequestContext *ctx, Instance *instance, NovaError **err)
{
    OBJECT_SET(instance, task_state, TASK_STATE_SHELVING_OFFLOADING);
    return conductor_save_instance(host->conductor, ctx, instance, EXPECT(NONE), err) &&
           cast(host, ctx, instance, "shelve_offload_instance",
                json_pack("{s:b, s:[]}", "clean_shutdown", 0, "accel_uuids"), err);
}

bool
own_request_confirm_resize(Host *host, RequestContext *ctx, Instance *instance, Migration *migration,
                           NovaError **err)
{
    json_auto_t *args = NULL;

    if (!conductor_service_is_up(host->conductor, ctx, migration->source_compute,
                                 host->options->default_group.service_down_time, err))
        return false;
    OBJECT_SET_STRING(migration, status, "confirming");
    if (!conductor_migration_save(host->conductor, ctx, migration, err) ||
        !conductor_action_start(host->conductor, ctx, instance->uuid, "confirmResize", err))
        return false;
    args = json_pack("{s:o, s:o}", "instance", object_to_json(instance), "migration",
                     object_to_json(migration));
    return peers_cast(host->peers, ctx, migration->source_compute, "confirm_resize", args, err);
}
