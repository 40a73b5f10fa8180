/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/conductor_shares.h"

/* The first release whose servers can have shares. */
#define SHARES_RELEASE 29

bool
conductor_share_save(Conductor *conductor, const RequestContext *ctx, ShareMapping *mapping,
                     NovaError **err)
{
    return conductor_object_action(conductor, ctx, mapping, "save", NULL, NULL, err);
}

bool
conductor_share_delete(Conductor *conductor, const RequestContext *ctx, ShareMapping *mapping,
                       NovaError **err)
{
    return conductor_object_action(conductor, ctx, mapping, "delete", NULL, NULL, err);
}

static GPtrArray *
mappings_by(Conductor *conductor, const RequestContext *ctx, const char *method, const char *id,
            NovaError **err)
{
    json_auto_t *args = json_pack("[s]", id);
    json_auto_t *list = NULL;

    if (conductor_release(conductor) < SHARES_RELEASE)
        return g_ptr_array_new_with_free_func(object_free);
    list = conductor_class_action(conductor, ctx, "ShareMappingList", method, args, NULL, err);
    return list ? object_list_from_json(&SHARE_MAPPING_TYPE, list, err) : NULL;
}

GPtrArray *
conductor_shares_by_share(Conductor *conductor, const RequestContext *ctx, const char *share_id,
                          NovaError **err)
{
    return mappings_by(conductor, ctx, "get_by_share_id", share_id, err);
}

GPtrArray *
conductor_shares_by_instance(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                             NovaError **err)
{
    return mappings_by(conductor, ctx, "get_by_instance_uuid", uuid, err);
}
