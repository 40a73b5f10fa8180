/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a compute asks of itself or another compute the way the API asks for it: the task is set,
 * the action recorded, the method cast (nova.compute.api from inside the compute manager). The
 * task state lets a user's request that came first win: UnexpectedTaskStateError. */

#include "agent/objects/migration.h"
#include "compute/operation.h"

bool own_request_stop(Host *host, RequestContext *ctx, Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool own_request_unrescue(Host *host, RequestContext *ctx, Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Of a shelved server whose time on this host is over. */
bool own_request_shelve_offload(Host *host, RequestContext *ctx, Instance *instance,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* At the migration's source, whose compute must be up (ServiceUnavailable). */
bool own_request_confirm_resize(Host *host, RequestContext *ctx, Instance *instance,
                                Migration *migration, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
