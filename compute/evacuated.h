/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Servers that were evacuated from this host while no agent ran here: another host has them, or is about to
 * (ComputeManager._destroy_evacuated_instances()). What is left of them here must neither run nor be started.
 * START thread; the work itself is queued. */

#include <stdbool.h>

#include "agent/objects/migration.h"
#include "compute/operation.h"

/* Of Migration: evacuations from this host that it has not cleaned up after. */
GPtrArray *evacuated_list(Host *host, RequestContext *ctx, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* One that was given to this host again is none of them, though a record was never completed. */
bool evacuated_is(const GPtrArray *migrations, const Host *host, const Instance *instance);

/* Queues for each of these servers: its guest is stopped and forgotten, its disks go unless the other host
 * uses the same, its allocation on this node ends, its migration is completed. Servers that are deleted
 * for good and have no guest here are passed over. */
bool evacuated_clean_up(Host *host, RequestContext *ctx, const GPtrArray *migrations, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
