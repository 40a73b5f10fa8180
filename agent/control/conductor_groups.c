/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/conductor_groups.h"

InstanceGroup *
conductor_group_by_hint(Conductor *conductor, const RequestContext *ctx, const char *hint,
                        NovaError **err)
{
    const char *method = g_uuid_string_is_valid(hint) ? "get_by_uuid" : "get_by_name";
    json_auto_t *args = json_pack("[s]", hint);
    json_auto_t *group =
        conductor_class_action(conductor, ctx, "InstanceGroup", method, args, NULL, err);

    return group ? instance_group_from_json(group, err) : NULL;
}

json_t *
conductor_group_hosts(Conductor *conductor, const RequestContext *ctx, InstanceGroup *group,
                      const char *except_uuid, NovaError **err)
{
    json_auto_t *kwargs = json_pack("{s:[s]}", "exclude", except_uuid);
    json_t *hosts = NULL;

    if (!conductor_object_action(conductor, ctx, group, "get_hosts", kwargs, &hosts, err))
        return NULL;
    return hosts;
}
