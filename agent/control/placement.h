/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Placement: the compute node's resource providers and the allocations on them
 * (nova.scheduler.client.report.SchedulerReportClient; facts: microversions as Nova 26 to 34 use).
 *
 * It remembers the providers' inventories, traits, aggregates and generations, and sends only what
 * differs from that; the memory is refreshed when [compute]resource_provider_association_refresh
 * is over or when Placement reports a conflict. Any thread may call; the memory is behind one lock
 * that is held while a request about providers runs. Allocation calls do not take it.
 *
 * Errors: Nova's (ResourceProviderCreationFailed, ResourceProviderRetrievalFailed,
 * ResourceProviderUpdateConflict, ResourceProviderSyncFailed, InventoryInUse,
 * AllocationUpdateFailed, ...), and those of rest.h when Placement or Keystone do not answer. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/keystone.h"
#include "agent/control/provider_tree.h"
#include "conf/options.h"

typedef struct Placement Placement;

Placement *placement_new(Keystone *keystone, const Options *options);
void placement_free(Placement *placement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Placement, placement_free)

/* ---- providers ---- */

/* Changes 'tree' (a copy) into what the host has now: the driver's update_provider_tree(). False
 * with err set gives the sync up. */
typedef bool (*PlacementUpdate)(ProviderTree *tree, void *user, NovaError **err);

/* The resource tracker's _update_to_placement(): gets the tree of the provider 'uuid' (created as
 * 'name' when it is not there), lets 'update' change it, writes the differences. All of it up to
 * four times while generations conflict. Providers and traits that 'update' leaves alone stay as
 * they are, whoever made them. */
bool placement_sync(Placement *placement, const RequestContext *ctx, const char *uuid,
                    const char *name, PlacementUpdate update, void *user, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The two halves, for callers with their own loop. The tree is the caller's. */
ProviderTree *placement_fetch_tree(Placement *placement, const RequestContext *ctx,
                                   const char *uuid, const char *name, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool placement_update_from_tree(Placement *placement, const RequestContext *ctx,
                                const ProviderTree *wanted, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Adds or removes one trait of an existing provider at once (COMPUTE_STATUS_DISABLED). */
bool placement_set_trait(Placement *placement, const RequestContext *ctx, const char *uuid,
                         const char *trait, bool wanted, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Deletes a provider, first the allocations on it when 'cascade'; absent is fine. */
bool placement_delete_provider(Placement *placement, const RequestContext *ctx, const char *uuid,
                               bool cascade, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Whoever made it; caller frees. ResourceProviderNotFound. */
char *placement_fetch_provider_name(Placement *placement, const RequestContext *ctx, const char *uuid,
                                    NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Forgets what is remembered: the next sync asks for everything (SIGHUP). */
void placement_clear_cache(Placement *placement);

/* ---- allocations ---- */

/* {consumer uuid: {"resources": {"VCPU": 1}}}; the caller owns it.
 * ResourceProviderAllocationRetrievalFailed. */
json_t *placement_fetch_allocations_for_provider(Placement *placement, const RequestContext *ctx,
                                                 const char *provider_uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The traits of a provider, a list; the caller's. ResourceProviderTraitRetrievalFailed. */
json_t *placement_fetch_traits(Placement *placement, const RequestContext *ctx, const char *provider_uuid,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* {"allocations": {provider: {"generation": 3, "resources": {...}}}, "consumer_generation": 1,
 * "project_id": ..., "user_id": ...}: "allocations" is empty for an unknown consumer. The caller
 * owns it. ConsumerAllocationRetrievalFailed. */
json_t *placement_fetch_allocations_for_consumer(Placement *placement, const RequestContext *ctx,
                                                 const char *consumer_uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Writes such a payload ("allocations": {} removes them). AllocationUpdateFailed when Placement
 * refuses it or the consumer was changed by somebody else. */
bool placement_put_allocations(Placement *placement, const RequestContext *ctx,
                               const char *consumer_uuid, json_t *payload, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* delete_allocation_for_instance(): with 'force' whatever the consumer's generation is (DELETE),
 * else by an empty PUT with it. True when nothing is left, *ret_had_some tells whether there was
 * anything (may be NULL). AllocationDeleteFailed. */
bool placement_delete_allocations(Placement *placement, const RequestContext *ctx,
                                  const char *consumer_uuid, bool force, bool *ret_had_some,
                                  NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Subtracts {provider: {"resources": {...}}} from a consumer's allocations, or adds it; retried
 * four times on conflicts. AllocationUpdateFailed. */
bool placement_remove_resources(Placement *placement, const RequestContext *ctx,
                                const char *consumer_uuid, json_t *resources, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool placement_add_resources(Placement *placement, const RequestContext *ctx,
                             const char *consumer_uuid, json_t *resources, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The first way in which the tree of the provider 'tree' can serve 'request' (as
 * neutron_fetch_resource_request() makes it): {"allocations": as above, "mappings": {group id: [provider]}}, the
 * caller's; NULL: there is none. */
bool placement_find_candidate(Placement *placement, const RequestContext *ctx, const char *tree,
                              const json_t *request, json_t **ret_candidate, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Takes the provider 'uuid' and all below it out of a consumer's allocations (evacuation,
 * failed moves). AllocationUpdateFailed. */
bool placement_remove_tree_from_allocations(Placement *placement, const RequestContext *ctx,
                                            const char *consumer_uuid, const char *uuid,
                                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Gives all allocations of 'source' to 'target' in one step, replacing target's (revert of a
 * resize: from the migration's uuid to the instance's). AllocationMoveFailed. */
bool placement_move_allocations(Placement *placement, const RequestContext *ctx,
                                const char *source_consumer, const char *target_consumer,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
