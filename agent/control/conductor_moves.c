/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/conductor_moves.h"

bool
conductor_migration_create(Conductor *conductor, const RequestContext *ctx, Migration *migration,
                           NovaError **err)
{
    return conductor_object_action(conductor, ctx, migration, "create", NULL, NULL, err);
}

bool
conductor_migration_save(Conductor *conductor, const RequestContext *ctx, Migration *migration,
                         NovaError **err)
{
    return conductor_object_action(conductor, ctx, migration, "save", NULL, NULL, err);
}

static GPtrArray *
migrations_of_node(Conductor *conductor, const RequestContext *ctx, const char *method,
                   const char *host, const char *node, NovaError **err)
{
    json_auto_t *args = json_pack("[s, s]", host, node);
    json_auto_t *list =
        conductor_class_action(conductor, ctx, "MigrationList", method, args, NULL, err);

    return list ? object_list_from_json(&MIGRATION_TYPE, list, err) : NULL;
}

GPtrArray *
conductor_migrations_under_way(Conductor *conductor, const RequestContext *ctx, const char *host,
                               const char *node, NovaError **err)
{
    return migrations_of_node(conductor, ctx, "get_in_progress_by_host_and_node", host, node, err);
}

GPtrArray *
conductor_migrations_in_progress(Conductor *conductor, const RequestContext *ctx, const char *host,
                                 const char *node, NovaError **err)
{
    return migrations_of_node(conductor, ctx, "get_in_progress_and_error", host, node, err);
}

bool
conductor_drop_migration_context(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                                 NovaError **err)
{
    return conductor_object_action(conductor, ctx, instance, "drop_migration_context", NULL, NULL,
                                   err);
}

bool
conductor_bdm_create(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                     NovaError **err)
{
    return conductor_object_action(conductor, ctx, bdm, "update_or_create", NULL, NULL, err);
}
