/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PCI addresses as [pci]device_spec names them: one address, a pattern with '*', or a regular
 * expression for each part (nova.pci.devspec). Immutable once made. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef enum PciAddressPart { PCI_DOMAIN, PCI_BUS, PCI_SLOT, PCI_FUNCTION, N_PCI_ADDRESS_PARTS } PciAddressPart;

typedef struct PciAddress {
    char *parts[N_PCI_ADDRESS_PARTS]; /* hexadecimal, or "*", or a regular expression */
    GRegex *regexes[N_PCI_ADDRESS_PARTS]; /* NULL: none */
} PciAddress;

/* "0000:04:10.7"; PciDeviceWrongAddressFormat, PciConfigInvalidSpec. */
PciAddress *pci_address_parse(const char *text, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* "*:04:*.*", where what is left out matches anything. */
PciAddress *pci_address_parse_glob(const char *text, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* {"domain": ".*", "bus": "02", "slot": "01", "function": "[0-2]"} */
PciAddress *pci_address_parse_regexes(const json_t *object, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void pci_address_free(PciAddress *address);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciAddress, pci_address_free)

/* Does 'address', which is one address, fit the pattern? */
bool pci_address_matches(const PciAddress *pattern, const PciAddress *address);
/* Are all parts hexadecimal? */
bool pci_address_is_single(const PciAddress *address);
/* "0000:04:10.7"; g_free(). */
char *pci_address_format(const PciAddress *address);

/* A hexadecimal number of at most 'max', written with 'width' digits; "*" stays. PciConfigInvalidSpec
 * names 'property'. Replaces *text. */
bool pci_normalize_hex(char **text, const char *property, int64_t max, int width, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
