/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server has on either side of a move (nova.objects.MigrationContext), kept in the instance
 * until the move is confirmed or reverted. Pure. */

#include <jansson.h>
#include <stdint.h>

#include "agent/objects/instance.h"

/* What the server will have when the move is done; borrowed. */
typedef struct MoveResources {
    const InstanceNUMATopology *numa_topology; /* NULL: none */
    json_t *pci_devices;                       /* primitives of PciDevice, an array */
    const InstancePCIRequests *pci_requests;   /* NULL: none */
    json_t *resources;                         /* a ResourceList's primitive; NULL: none */
} MoveResources;

/* Sets instance->migration_context: what the instance has now as old_*, 'after' as new_*. The
 * instance has numa_topology, pci_devices, pci_requests and resources loaded. */
void migration_context_set(Instance *instance, int64_t migration_id, const MoveResources *after);

/* Whether one is set, and whose. */
bool migration_context_id(const Instance *instance, int64_t *ret_migration_id);

typedef enum MoveSide { MOVE_OLD, MOVE_NEW } MoveSide;

/* The member "numa_topology", "pci_devices", "pci_requests" or "resources" of one side; borrowed,
 * NULL when there is none or no context. */
const json_t *migration_context_get(const Instance *instance, MoveSide side, const char *member);

/* apply_migration_context() (MOVE_NEW), revert_migration_context() (MOVE_OLD): the instance gets what
 * the context has for that side; not saved. Without a context nothing changes. ValueError. */
bool migration_context_apply(Instance *instance, MoveSide side, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
