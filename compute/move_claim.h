/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a move holds on this node besides the server itself (nova.compute.claims.MoveClaim and the
 * move half of the resource tracker): the new size until the move is done or given up, the old one
 * until it is confirmed. Same lock, same errors, any thread. */

#include "agent/objects/image_meta.h"
#include "agent/objects/migration.h"
#include "compute/resource_tracker.h"

/* What the server becomes. */
typedef struct MoveTarget {
    const Flavor *flavor;
    const ImageMeta *image;
    const json_t *limits; /* the scheduler's, as numa_claim_place() takes them; NULL: none */
} MoveTarget;

/* resize_claim(): the migration gets this host as its target and is pre-migrating, the instance a
 * migration context with its new place among the NUMA cells and its new PCI devices; both are saved,
 * the new flavor is counted. Unset resources of the instance are read. ComputeResourcesUnavailable, or what flavor
 * and image contradict each other with. */
bool move_claim_resize(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                       Migration *migration, const MoveTarget *target, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The move has failed before it began: the reverse, without saving the migration. */
void move_claim_abort(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance);
/* The server is here, in its new size: from now on the old one is what the move holds. */
void move_claim_arrived(ResourceTracker *tracker, const RequestContext *ctx,
                        const Instance *instance, const Migration *migration);
/* drop_move_claim_at_source(): the migration is confirmed, the context is gone. */
bool move_claim_confirm(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                        Migration *migration, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* drop_move_claim_at_dest(): the migration is reverted, the instance has its old resources again;
 * saved with the expected task resize_reverting. */
bool move_claim_revert(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                       Migration *migration, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The flavor a move holds on a node beside the server (pure; NULL: none): 'is_source', 'is_target'
 * say which ends of it the node is, 'is_here' whether the server is counted already. */
const Flavor *move_claim_flavor(const Instance *instance, const Migration *migration, bool is_source,
                                bool is_target, bool is_here);

/* [libvirt]migration_inbound_addr, where a move's files come to; caller frees. */
char *move_claim_host_address(const Options *options, const char *host_name);
