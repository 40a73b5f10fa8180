/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which servers are to have which shares. As conductor.h otherwise. */

#include "agent/control/conductor.h"
#include "agent/objects/share_mapping.h"

bool conductor_share_save(Conductor *conductor, const RequestContext *ctx, ShareMapping *mapping,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_share_delete(Conductor *conductor, const RequestContext *ctx, ShareMapping *mapping,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Of ShareMapping: everybody who has the share. */
GPtrArray *conductor_shares_by_share(Conductor *conductor, const RequestContext *ctx,
                                     const char *share_id, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Of ShareMapping: all that the server has. */
GPtrArray *conductor_shares_by_instance(Conductor *conductor, const RequestContext *ctx,
                                        const char *uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
