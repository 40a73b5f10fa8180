/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Drift on this host (drift.h): reads everything that drift_find() compares, and mends what is ours. Any
 * thread; asks conductor, libvirt, switch and Placement once each. */

#include "compute/drift.h"
#include "compute/operation.h"

/* Of Drift*, owning. What could not be asked is named in 'unread' (of char *, owning). */
GPtrArray *verify_host(Host *host, const RequestContext *ctx, GPtrArray *unread, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Mends one that is ours: what belongs to a deleted instance goes, a missing port is plugged. */
bool verify_heal(Host *host, const RequestContext *ctx, const Drift *drift, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* At start: what is left of servers that were deleted while no agent ran, unless
 * running_deleted_instance_action is something else than "reap"; of those that are being worked on, once that is
 * over. Host.queue_work's signature. */
void verify_reap(Host *host, RequestContext *ctx, Instance *unused);
