/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [pci]report_in_placement: each PCI device, or physical function with its virtual ones, is a
 * resource provider below the node's (nova.compute.pci_placement_translator). Pure.
 *
 * PlacementPciException and its kind. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/control/provider_tree.h"
#include "compute/pci_tracker.h"

typedef struct PciPlacement {
    ProviderTree *tree;    /* changed into what the node has now */
    const char *root_uuid; /* the node's provider */
    const char *root_name;
    PciTracker *pci;     /* devices and pools learn their providers */
    json_t *allocations; /* of all consumers of the tree: {consumer: {"allocations": {provider:
                          * {"resources": ...}}, ...}}; missing ones of guests' devices are added */
    GHashTable *resizing_here; /* set of instance uuids, whose allocation their migration has */
    GHashTable *healed;        /* set of consumers whose allocations have been changed; filled */
} PciPlacement;

bool pci_placement_update(const PciPlacement *view, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Without the option: it must not have been used before. */
bool
pci_placement_check_unused(const ProviderTree *tree, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
