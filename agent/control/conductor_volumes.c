/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/conductor_volumes.h"

BlockDeviceMapping *
conductor_bdm_of_volume(Conductor *conductor, const RequestContext *ctx, const char *volume_id,
                        const char *instance_uuid, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", volume_id, instance_uuid);
    json_auto_t *found = conductor_class_action(conductor, ctx, "BlockDeviceMapping",
                                                "get_by_volume_and_instance", args, NULL, err);

    return found ? block_device_mapping_from_json(found, err) : NULL;
}

bool
conductor_bdm_add(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                  NovaError **err)
{
    return conductor_object_action(conductor, ctx, bdm, "create", NULL, NULL, err);
}

bool
conductor_volume_usage_save(Conductor *conductor, const RequestContext *ctx, VolumeUsage *usage, bool is_last,
                            NovaError **err)
{
    json_auto_t *kwargs = json_pack("{s:b}", "update_totals", is_last);

    return conductor_object_action(conductor, ctx, usage, "save", kwargs, NULL, err);
}

json_t *
conductor_uuids_on_host(Conductor *conductor, const RequestContext *ctx, const char *host,
                        NovaError **err)
{
    json_auto_t *args = json_pack("[s]", host);

    return conductor_class_action(conductor, ctx, "InstanceList", "get_uuids_by_host", args, NULL, err);
}
