/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The conductor's part in moves of servers: Migration records, the instance's migration context
 * and asking for another host. As conductor.h otherwise. */

#include "agent/control/conductor.h"
#include "agent/objects/migration.h"

bool conductor_migration_create(Conductor *conductor, const RequestContext *ctx,
                                Migration *migration, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_migration_save(Conductor *conductor, const RequestContext *ctx, Migration *migration,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Of Migration: those from or to this node that are not over. */
GPtrArray *conductor_migrations_under_way(Conductor *conductor, const RequestContext *ctx,
                                          const char *host, const char *node, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* And those in error. */
GPtrArray *conductor_migrations_in_progress(Conductor *conductor, const RequestContext *ctx,
                                            const char *host, const char *node, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Instance.drop_migration_context(): nothing else of the instance may be unsaved. */
bool conductor_drop_migration_context(Conductor *conductor, const RequestContext *ctx,
                                      Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* BlockDeviceMapping.update_or_create() */
bool conductor_bdm_create(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
