/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For the files that are the resource tracker: resource_tracker.c, move_claim.c, tracker_pci.c. */

#include <pthread.h>

#include "compute/fit/host_numa.h"
#include "compute/fit/instance_numa.h"
#include "compute/pci_tracker.h"
#include "compute/resource_tracker.h"

/* What one instance counts for, or the other end of its move. */
typedef struct Usage {
    int64_t memory_mib;
    int64_t vcpus;
    int64_t disk_mib;
    VmState vm_state;
    TaskState task_state;
    char *os_type;
    char *project_id;
    InstanceNuma *numa;   /* where it is placed; NULL: anywhere */
    char *migration_uuid; /* of a move's usage, which is no further server; else NULL */
    bool is_moving_here;  /* such a move from this node to itself */
} Usage;

struct ResourceTracker {
    const Options *options; /* immutable, as the next three */
    Conductor *conductor;
    Placement *placement;
    Hypervisor *hypervisor;
    pthread_mutex_t lock;   /* of all below */
    char *node_uuid;
    int64_t service_id;
    NodeFacts *facts;
    ComputeNode *node;      /* NULL: not created or read yet */
    GHashTable *usages;     /* instance uuid → Usage */
    GHashTable *moves;      /* instance uuid → Usage: what a move under way holds besides */
    PciTracker *pci;        /* NULL: not read yet */
    PciSysfs sysfs;
    json_t *provider_configs;    /* the operator's additions, {} without any */
    GHashTable *absent_providers; /* set of those of them that Placement does not have */
    GHashTable *migrating;  /* set of instance uuids: all moves that are not over, or failed */
    int64_t failed_builds;
};

/* All with the lock held. */

/* Of an instance as if it had this flavor and were placed there; takes ownership of 'numa'. */
Usage *tracker_usage_of(const Instance *instance, const Flavor *flavor, InstanceNuma *numa);
/* Where it is placed; NULL: anywhere. */
InstanceNuma *tracker_numa_of(const Instance *instance);
/* The host's cells and what all guests together take of them; NULL: it tells none. */
HostNuma *tracker_host_numa(const ResourceTracker *tracker);
/* ComputeResourcesUnavailable while the node has no record. */
bool tracker_check_node(const ResourceTracker *tracker, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Usage has changed: into the node's record, which is saved. A failure is the next update's to
 * mend. */
void tracker_save_usage(ResourceTracker *tracker, const RequestContext *ctx);

/* move_claim.c: counts the moves under way anew; 'instances' are this host's. */
bool move_claims_count(ResourceTracker *tracker, const RequestContext *ctx,
                       const GPtrArray *instances, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Is the consumer of an allocation a move that is counted? */
bool move_claims_have(const ResourceTracker *tracker, const char *migration_uuid);

/* tracker_pci.c: reads the devices of the database and of the host, once. */
bool tracker_start_pci(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* [pci]report_in_placement, or that it is not used: changes 'tree' as the callback of placement_sync().
 * *ret_healed: {consumer: its allocations}, to be written after it; new reference. */
bool tracker_report_pci(ResourceTracker *tracker, const RequestContext *ctx, ProviderTree *tree,
                        json_t **ret_healed, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void tracker_heal_allocations(ResourceTracker *tracker, const RequestContext *ctx, const json_t *healed);
/* Are there free devices of cards that manage themselves (device_spec's remote_managed)? */
bool tracker_has_remote_managed_pci(const ResourceTracker *tracker);
/* The pools into the node's record. */
void tracker_fill_pci_pools(ResourceTracker *tracker);
/* Of PciRequest; empty for none (NULL). Owning array. */
GPtrArray *tracker_pci_requests(const InstancePCIRequests *requests, NovaError **err);
/* Takes devices for a guest that is placed so ('topology' NULL: anywhere); *ret_claimed (may be NULL)
 * is pci_tracker_claim()'s. */
bool tracker_claim_pci(ResourceTracker *tracker, const GPtrArray *requests,
                       const InstanceNUMATopology *topology, const char *instance_uuid,
                       GPtrArray **ret_claimed, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* What is claimed for the instance is its own now. */
void tracker_allocate_pci(ResourceTracker *tracker, Instance *instance);
void tracker_release_pci(ResourceTracker *tracker, const char *instance_uuid);
/* Devices of guests that are not counted here any more are free. */
void tracker_release_unknown_pci(ResourceTracker *tracker);
