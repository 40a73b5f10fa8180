/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.pci_states"
#include "compute/pci_states.h"

#include <inttypes.h>

#include "agent/base/log.h"
#include "agent/base/python_text.h"

#define AVAILABLE   "available"
#define CLAIMED     "claimed"
#define ALLOCATED   "allocated"
#define UNCLAIMABLE "unclaimable" /* a relative is claimed */
#define UNAVAILABLE "unavailable" /* a relative is allocated */
#define REMOVED     "removed"

/* Statuses that a step allows, and Python's text of them for the error. */
typedef struct Allowed {
    const char *statuses[4];
    const char *text;
} Allowed;

static const Allowed only_available = {{AVAILABLE}, "['available']"};
static const Allowed for_allocation = {{AVAILABLE, CLAIMED}, "('available', 'claimed')"};
static const Allowed for_release = {{ALLOCATED, CLAIMED}, "('allocated', 'claimed')"};
static const Allowed for_removal = {{AVAILABLE, UNAVAILABLE, UNCLAIMABLE},
                                    "['available', 'unavailable', 'unclaimable']"};
static const Allowed of_parent = {{AVAILABLE, UNCLAIMABLE, UNAVAILABLE},
                                  "('available', 'unclaimable', 'unavailable')"};
static const Allowed of_claimed_children = {{AVAILABLE, UNCLAIMABLE, UNAVAILABLE}, NULL};
static const Allowed of_allocated_children = {{AVAILABLE, UNCLAIMABLE}, NULL};

bool
pci_unit_has_status(const PciUnit *unit, const char *status)
{
    return g_strcmp0(unit->device->status, status) == 0;
}

static void
set_status(PciUnit *unit, const char *status)
{
    OBJECT_SET_STRING(unit->device, status, status);
}

static bool
is_allowed(const PciUnit *unit, const Allowed *allowed)
{
    return unit->device->status && is_one_of(unit->device->status, allowed->statuses);
}

static bool
need_status(const PciUnit *unit, const Allowed *allowed, NovaError **err)
{
    return is_allowed(unit, allowed) ||
           nova_error_set(err, NOVA_ERROR_PCI_DEVICE_INVALID_STATUS,
                          "PCI device %" PRId64 ":%s is %s instead of %s",
                          unit->device->compute_node_id.value, unit->device->address,
                          unit->device->status, allowed->text);
}

static bool
need_owner(const PciUnit *unit, const char *owner, NovaError **err)
{
    return g_strcmp0(unit->device->instance_uuid, owner) == 0 ||
           nova_error_set(err, NOVA_ERROR_PCI_DEVICE_INVALID_OWNER,
                          "PCI device %" PRId64 ":%s is owned by %s instead of %s",
                          unit->device->compute_node_id.value, unit->device->address,
                          unit->device->instance_uuid ? unit->device->instance_uuid : "None",
                          owner ? owner : "None");
}

/* ---- relatives ---- */

static bool
need_children(const PciUnit *unit, const Allowed *allowed, NovaError **err)
{
    for (guint i = 0; i < unit->children->len; i++)
        if (!is_allowed(unit->children->pdata[i], allowed))
            return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_VF_INVALID_STATUS,
                                  "Not all Virtual Functions of PF %" PRId64 ":%s are free.",
                                  unit->device->compute_node_id.value, unit->device->address);
    return true;
}

static bool
need_parent(const PciUnit *unit, NovaError **err)
{
    const PciDevice *device = unit->device;

    return !unit->parent || is_allowed(unit->parent, &of_parent) ||
           nova_error_set(
               err, NOVA_ERROR_PCI_DEVICE_PF_INVALID_STATUS,
               "Physical Function %" PRId64 ":%s, related to VF %" PRId64 ":%s is %s instead of %s",
               device->compute_node_id.value, device->parent_addr, device->compute_node_id.value,
               device->address, device->status, of_parent.text);
}

/* The parent of a child that is taken is itself available, its other children are, too. */
static void
warn_of_inconsistent_children(const PciUnit *unit)
{
    for (guint i = 0; i < unit->children->len; i++) {
        const PciUnit *child = unit->children->pdata[i];

        if (!pci_unit_has_status(child, AVAILABLE))
            LOG_WARNING("Child device %s of parent %s is in an inconsistent state: %s",
                        child->device->address, unit->device->address, child->device->status);
    }
}

static void
set_children(PciUnit *unit, const char *status)
{
    for (guint i = 0; i < unit->children->len; i++)
        set_status(unit->children->pdata[i], status);
}

/* ---- the steps ---- */

bool
pci_unit_claim(PciUnit *unit, const char *instance_uuid, NovaError **err)
{
    if (!need_status(unit, &only_available, err) ||
        !need_children(unit, &of_claimed_children, err) || !need_parent(unit, err))
        return false;
    warn_of_inconsistent_children(unit);
    set_children(unit, UNCLAIMABLE);
    if (unit->parent && pci_unit_has_status(unit->parent, AVAILABLE))
        set_status(unit->parent, UNCLAIMABLE);
    set_status(unit, CLAIMED);
    OBJECT_SET_STRING(unit->device, instance_uuid, instance_uuid);
    return true;
}

bool
pci_unit_allocate(PciUnit *unit, const char *instance_uuid, NovaError **err)
{
    if (!need_status(unit, &for_allocation, err) ||
        (pci_unit_has_status(unit, CLAIMED) && !need_owner(unit, instance_uuid, err)) ||
        !need_children(unit, &of_allocated_children, err) || !need_parent(unit, err))
        return false;
    set_children(unit, UNAVAILABLE);
    if (unit->parent)
        set_status(unit->parent, UNAVAILABLE);
    set_status(unit, ALLOCATED);
    OBJECT_SET_STRING(unit->device, instance_uuid, instance_uuid);
    return true;
}

static bool
siblings_are_available(const PciUnit *unit)
{
    for (guint i = 0; i < unit->parent->children->len; i++) {
        const PciUnit *sibling = unit->parent->children->pdata[i];

        if (sibling != unit && !pci_unit_has_status(sibling, AVAILABLE))
            return false;
    }
    return true;
}

bool
pci_unit_release(PciUnit *unit, GPtrArray *freed, NovaError **err)
{
    if (!need_status(unit, &for_release, err))
        return false;
    set_children(unit, AVAILABLE);
    for (guint i = 0; i < unit->children->len; i++)
        g_ptr_array_add(freed, unit->children->pdata[i]);
    if (unit->parent && siblings_are_available(unit)) {
        set_status(unit->parent, AVAILABLE);
        g_ptr_array_add(freed, unit->parent);
    }
    set_status(unit, AVAILABLE);
    OBJECT_SET_STRING(unit->device, instance_uuid, NULL);
    OBJECT_SET_STRING(unit->device, request_id, NULL);
    g_ptr_array_add(freed, unit);
    return true;
}

bool
pci_unit_remove(PciUnit *unit, NovaError **err)
{
    if (!need_status(unit, &for_removal, err) || !need_owner(unit, NULL, err))
        return false;
    set_status(unit, REMOVED);
    OBJECT_SET_STRING(unit->device, instance_uuid, NULL);
    OBJECT_SET_STRING(unit->device, request_id, NULL);
    return true;
}
