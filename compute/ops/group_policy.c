/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/ops/group_policy.h"

#include <stdlib.h>

#include "agent/base/json.h"
#include "agent/control/conductor_groups.h"
#include "agent/control/conductor_moves.h"
#include "agent/control/conductor_tasks.h"

/* A request spec keeps lists, filter properties the value itself. */
static const char *
group_hint(const json_t *args)
{
    const json_t *hint =
        json_path(args, "request_spec", "nova_object.data", "scheduler_hints", "group", NULL);

    if (!hint)
        hint = json_path(args, "filter_properties", "scheduler_hints", "group", NULL);
    return json_string_value(json_is_array(hint) ? json_array_get(hint, 0) : hint);
}

static bool
violation(const Operation *op, const char *policy, NovaError **err)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_GROUP_AFFINITY_VIOLATION,
                   "%s instance group policy was violated", policy);
    nova_error_set_kwarg(error, "instance_uuid", op->instance->uuid);
    nova_error_set_kwarg(error, "policy", policy);
    return nova_error_propagate(err, error);
}

/* ---- anti-affinity: at most so many of the group's servers on a host ---- */

/* {uuid: null} of the servers that are here or on their way from or to here. */
static json_t *
servers_here(const Operation *op, NovaError **err)
{
    const Host *host = op->host;
    json_auto_t *uuids = conductor_uuids_by_host(host->conductor, op->ctx, host->name, err);
    g_autoptr(GPtrArray) moves = NULL;
    json_t *here;
    size_t i;
    json_t *uuid;

    if (!uuids)
        return NULL;
    moves = conductor_migrations_under_way(host->conductor, op->ctx, host->name, host->node, err);
    if (!moves)
        return NULL;
    here = json_object();
    json_array_foreach (uuids, i, uuid)
        json_object_set_new(here, json_string_value(uuid), json_null());
    for (guint n = 0; n < moves->len; n++)
        json_object_set_new(here, ((const Migration *)moves->pdata[n])->instance_uuid, json_null());
    return here;
}

static long
max_servers_per_host(const InstanceGroup *group)
{
    const char *text = group->rules ? g_hash_table_lookup(group->rules, "max_server_per_host") : NULL;

    return text ? strtol(text, NULL, 10) : 1;
}

static bool
check_anti_affinity(const Operation *op, const InstanceGroup *group, NovaError **err)
{
    json_auto_t *here = servers_here(op, err);
    long n_others = 0;
    size_t i;
    json_t *uuid;

    if (!here)
        return false;
    json_array_foreach (group->members, i, uuid)
        if (g_strcmp0(json_string_value(uuid), op->instance->uuid) != 0 &&
            json_object_get(here, json_string_value(uuid)))
            n_others++;
    return n_others < max_servers_per_host(group) || violation(op, "Anti-affinity", err);
}

/* ---- affinity: all on one host ---- */

static bool
check_affinity(const Operation *op, InstanceGroup *group, NovaError **err)
{
    json_auto_t *hosts =
        conductor_group_hosts(op->host->conductor, op->ctx, group, op->instance->uuid, err);

    if (!hosts)
        return false;
    return json_has_string(hosts, op->host->name) || json_array_size(hosts) == 0 || violation(op, "Affinity", err);
}

bool
group_policy_check(const Operation *op, NovaError **err)
{
    const char *hint = group_hint(op->args);
    g_autoptr(InstanceGroup) group = NULL;
    NovaError *error = NULL;

    if (!hint || op->host->options->workarounds.disable_group_policy_check_upcall)
        return true;
    group = conductor_group_by_hint(op->host->conductor, op->ctx, hint, &error);
    if (nova_error_is(error, NOVA_ERROR_INSTANCE_GROUP_NOT_FOUND)) {
        nova_error_free(error);
        return true;
    }
    if (!group)
        return nova_error_propagate(err, error);
    if (g_strcmp0(group->policy, "anti-affinity") == 0)
        return check_anti_affinity(op, group, err);
    return g_strcmp0(group->policy, "affinity") != 0 || check_affinity(op, group, err);
}
