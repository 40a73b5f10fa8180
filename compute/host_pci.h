/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The host's PCI devices, as libvirt's node devices and sysfs tell them
 * (Host._get_pcidev_info(), LibvirtDriver._get_pci_passthrough_devices()). */

#include <glib.h>
#include <jansson.h>

/* A list of dicts, one a PCI device, with Nova's keys: address, vendor_id, product_id, dev_type,
 * numa_node, label, dev_id; parent_addr, parent_ifname, capabilities and mac_address where they are
 * known. 'node_devices' are XML texts of PCI, network and vDPA devices, 'sysfs' is "/sys". What
 * cannot be understood is left out. New reference. */
json_t *host_pci_devices(const GPtrArray *node_devices, const char *sysfs);

/* PCI address → /dev/vhost-vdpa-N; new, owning table. */
GHashTable *host_pci_vdpa_paths(const GPtrArray *node_devices);
