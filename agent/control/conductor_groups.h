/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Server groups, which are of the API's database: a conductor of a cell may not reach it (then
 * [workarounds]disable_group_policy_check_upcall is set). As conductor.h otherwise. */

#include "agent/control/conductor.h"
#include "agent/objects/instance_group.h"

/* By uuid, or by name when 'hint' is none: InstanceGroupNotFound. */
InstanceGroup *conductor_group_by_hint(Conductor *conductor, const RequestContext *ctx,
                                       const char *hint, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* JSON list of the hosts that the group's servers are on, but for one server. New reference. */
json_t *conductor_group_hosts(Conductor *conductor, const RequestContext *ctx, InstanceGroup *group,
                              const char *except_uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
