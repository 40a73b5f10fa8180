/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The host's PCI devices one by one, and the pools that they make: devices become pools, requests
 * take devices out of them (nova.pci.stats.PciDeviceStats with devices, nova.pci.manager's device
 * tree). One thread at a time. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/pci_device.h"
#include "compute/fit/pci_pools.h"
#include "compute/fit/pci_requests.h"
#include "compute/fit/pci_spec.h"

/* A device and its relatives; a physical function and its virtual ones exclude each other. */
typedef struct PciUnit {
    PciDevice *device;      /* owned */
    struct PciUnit *parent; /* these borrowed from the same list; NULL: none */
    GPtrArray *children;    /* of PciUnit */
} PciUnit;

/* Takes ownership of the device. */
PciUnit *pci_unit_new(PciDevice *device);
void pci_unit_free(PciUnit *unit);

/* A new available device out of what the hypervisor tells about it. */
PciDevice *pci_device_from_dict(const json_t *dict, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same for a device that is known: what changed is taken over. */
bool pci_device_update(PciDevice *device, const json_t *dict, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Sorts the units by address and links physical and virtual functions; removed ones stay alone. */
void pci_units_link(GPtrArray *units);

/* The spec that lets guests have the device; *ret_spec is NULL when there is none. */
bool pci_unit_find_spec(const PciUnit *unit, const GPtrArray *specs, const PciSpec **ret_spec,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Puts the device into its pool, which is made if need be; nothing when no spec matches. */
bool pci_pools_add_unit(PciPools *pools, PciUnit *unit, const GPtrArray *specs, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* PciDevicePoolEmpty when its pool is not there. */
bool pci_pools_remove_unit(PciPools *pools, PciUnit *unit, const GPtrArray *specs, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* A free device that has become one of another type changes its pool. */
bool pci_pools_update_unit(PciPools *pools, PciUnit *unit, const GPtrArray *specs, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool pci_pools_have_unit(const PciPools *pools, const PciUnit *unit);

/* Takes devices for the requests: *ret_taken holds borrowed PciUnit, in order, with the request's id.
 * PciDeviceRequestFailed leaves everything in the pools. */
bool pci_requests_consume(const GPtrArray *requests, PciPools *pools, const GPtrArray *specs,
                          const PciCells *cells, GPtrArray **ret_taken, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
