/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names that operators give, as Placement takes them: standard ones stay, others become CUSTOM_NAME
 * (os_traits, os_resource_classes and nova.compute.pci_placement_translator). Pure. */

#include <glib.h>

/* "gpu" → "CUSTOM_GPU"; without a name (NULL or "") CUSTOM_PCI_VENDOR_PRODUCT. Caller frees. */
char *placement_resource_class(const char *name, const char *vendor_id, const char *product_id);

/* Of names separated by commas; NULL: none. Owning array of char *, without duplicates. */
GPtrArray *placement_traits(const char *names);
