/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The node's PCI devices and who has them (nova.pci.manager.PciDevTracker): the devices of the
 * database and those of the host become one list, free ones stand in pools, claims take them out.
 *
 * What changes is saved by pci_tracker_save(). Guarded by the resource tracker's lock. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/conductor.h"
#include "agent/objects/instance.h"
#include "compute/fit/pci_units.h"

typedef struct PciTracker {
    int64_t node_id;
    GPtrArray *units; /* of PciUnit, sorted by address */
    GPtrArray *specs; /* [pci]device_spec, of PciSpec */
    PciPools *pools;  /* of units that are free */
    GHashTable
        *stale; /* address → what the host says of a device in use, taken over when it is free */
    GHashTable
        *departing; /* addresses of devices in use that are gone from the host or the option */
} PciTracker;

/* 'devices' are the database's (of PciDevice), 'specs' the option's; takes ownership of both in any
 * case. */
PciTracker *pci_tracker_new(int64_t node_id, GPtrArray *devices, GPtrArray *specs,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void pci_tracker_free(PciTracker *tracker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciTracker, pci_tracker_free)

/* Takes over what the host has, a list of host_pci_devices(): known devices are updated, new ones
 * added, and those that are gone removed as soon as nobody has them. */
bool pci_tracker_update(PciTracker *tracker, const json_t *host_devices,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Takes devices for the requests (of PciRequest) out of the pools; they are claimed for the
 * instance. *ret_claimed (of PciUnit, borrowed; may be NULL) tells which. PciDeviceRequestFailed.
 */
bool pci_tracker_claim(PciTracker *tracker, const GPtrArray *requests, const PciCells *cells,
                       const char *instance_uuid, GPtrArray **ret_claimed,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* What such a claim got is free again. */
void pci_tracker_unclaim(PciTracker *tracker, const GPtrArray *claimed);
/* What is claimed for the instance is allocated to it, and stands in its pci_devices if they are
 * loaded. */
bool pci_tracker_allocate(PciTracker *tracker, Instance *instance,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Everything that is claimed for or allocated to the instance is free again. */
void pci_tracker_release(PciTracker *tracker, const char *instance_uuid);
/* One device of it, by the database's id. */
void pci_tracker_release_device(PciTracker *tracker, int64_t device_id, const char *instance_uuid);
/* What it got for one request. */
void pci_tracker_release_request(PciTracker *tracker, const char *request_id, const char *instance_uuid);
/* Everything of all instances that are not in 'known' (a set of uuids). */
void pci_tracker_release_unknown(PciTracker *tracker, GHashTable *known);

/* Borrowed; NULL: no such device. */
const PciDevice *pci_tracker_find(const PciTracker *tracker, const char *address);

bool pci_tracker_has_changes(const PciTracker *tracker);
/* Tells the conductor what has changed; devices that are gone leave the list. */
bool pci_tracker_save(PciTracker *tracker, Conductor *conductor, const RequestContext *ctx,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
