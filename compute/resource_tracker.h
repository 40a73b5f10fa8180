/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the node has and what of it is taken (nova.compute.resource_tracker), told to the conductor and
 * to Placement.
 *
 * One lock around everything that changes usage, as Nova's COMPUTE_RESOURCE_SEMAPHORE. Nothing is
 * sent when nothing has changed. Any thread. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/conductor.h"
#include "agent/control/placement.h"
#include "agent/objects/instance.h"
#include "agent/objects/migration_context.h"
#include "compute/hypervisor.h"
#include "compute/node_facts.h"
#include "conf/options.h"

typedef struct ResourceTracker ResourceTracker;

/* All borrowed for its life. */
ResourceTracker *resource_tracker_new(const Options *options, Conductor *conductor,
                                      Placement *placement, Hypervisor *hypervisor);
void resource_tracker_free(ResourceTracker *tracker);

/* [pci] as far as it can be wrong by itself: PciConfigInvalidSpec, PciInvalidAlias and their like. */
bool resource_tracker_check_options(const Options *options, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Reads [compute]provider_config_location, once and before the first update. ProviderConfigException. */
bool resource_tracker_load_providers(ResourceTracker *tracker, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Who the node is, before the first update. Takes ownership of 'facts'; copies the rest. */
void resource_tracker_identify(ResourceTracker *tracker, const char *node_uuid, int64_t service_id,
                               NodeFacts *facts);

/* update_available_resource(): reads the host and the instances anew, creates the node's record if
 * there is none, and tells whoever must know. */
bool resource_tracker_update(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* instance_claim(): places its NUMA cells within the scheduler's 'limits' (a dict or an object; may be
 * NULL), allocates its PCI devices, counts the instance, puts host and node into it and saves it.
 * ComputeResourcesUnavailable. */
bool resource_tracker_claim(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                            const json_t *limits, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The reverse, without saving the instance. */
void resource_tracker_drop_claim(ResourceTracker *tracker, const RequestContext *ctx,
                                 Instance *instance);

/* For Neutron: pci_profiles_of_instance(), pci_profiles_of_move() with this node's device_spec. New
 * references. */
json_t *resource_tracker_pci_profiles(ResourceTracker *tracker, const Instance *instance,
                                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
json_t *resource_tracker_moved_pci_profiles(ResourceTracker *tracker, const Instance *instance,
                                            MoveSide to, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* For a port that is attached: a device for the request (an InstancePCIRequest's primitive) becomes the
 * instance's, as its pci_requests (for the caller to save) and pci_devices say from now on.
 * PciDeviceRequestFailed. */
bool resource_tracker_add_device(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                                 const json_t *request, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The reverse. */
bool resource_tracker_remove_device(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                                    const char *request_id, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* update_usage(): counts the instance by its present state; one that is deleted is not counted. */
void resource_tracker_note(ResourceTracker *tracker, const RequestContext *ctx,
                           const Instance *instance);

/* stats["failed_builds"]: what the scheduler's BuildFailureWeigher looks at. */
void resource_tracker_build_failed(ResourceTracker *tracker, const RequestContext *ctx);
void resource_tracker_build_succeeded(ResourceTracker *tracker);

/* ComputeNode.id; 0 before the first update. */
int64_t resource_tracker_node_id(ResourceTracker *tracker);
/* Borrowed, until the next resource_tracker_identify(). */
const char *resource_tracker_node_uuid(const ResourceTracker *tracker);
