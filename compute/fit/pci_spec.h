/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [pci]device_spec: which of the host's PCI devices guests may have, and how they are tagged
 * (nova.pci.devspec.PciDeviceSpec, nova.pci.whitelist.Whitelist). Immutable once made. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/fit/pci_address.h"

/* What only the host's sysfs knows. */
typedef struct PciSysfs {
    bool (*is_physical_function)(void *user, const char *address);
    /* The address of a network interface's device, g_free(); NULL: no such interface. */
    char *(*address_of_interface)(void *user, const char *name, bool *ret_is_physical_function);
    void *user;
} PciSysfs;

typedef struct PciSpec PciSpec;

/* A device as a spec looks at it; all borrowed. */
typedef struct PciCandidate {
    const char *vendor_id;
    const char *product_id;
    const char *address;
    const char *parent_address;      /* NULL: none */
    bool has_serial_number;          /* of the card, in its vital product data */
} PciCandidate;

/* 'sysfs' is borrowed for the spec's life. */
PciSpec *pci_spec_new(const json_t *object, const PciSysfs *sysfs, bool report_in_placement,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void pci_spec_free(PciSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciSpec, pci_spec_free)

bool pci_spec_matches(const PciSpec *spec, const PciCandidate *device, bool *ret_matches,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Borrowed: {tag: value}. */
const json_t *pci_spec_tags(const PciSpec *spec);
/* Both borrowed: what the operator has written; the network interface that names the device, NULL: an
 * address does. */
const json_t *pci_spec_conf(const PciSpec *spec);
const char *pci_spec_interface(const PciSpec *spec);
/* Does it look at the card's serial number? */
bool pci_spec_is_remote_managed(const PciSpec *spec);

/* The specs of the option's texts, each an object or a list of objects; owning array. NULL with
 * PciConfigInvalidSpec and others. */
GPtrArray *pci_specs_parse(const char *const *texts, const PciSysfs *sysfs,
                           bool report_in_placement, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
