/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which device of the guest carries which tag, VLAN or trust: what the metadata service and the config
 * drive tell the guest (LibvirtDriver._build_device_metadata). Pure. */

#include <glib.h>
#include <jansson.h>

#include "agent/objects/network_info.h"

typedef struct DeviceMetadataInput {
    const char *domain_xml;     /* with the addresses that libvirt gave */
    const NetworkInfo *network;
    const GPtrArray *vif_rows;  /* of VirtualInterface; NULL: none */
    const GPtrArray *bdms;      /* of BlockDeviceMapping; NULL: none */
} DeviceMetadataInput;

/* Is there anything that could be told of? Else the domain's XML need not be read. */
bool device_metadata_is_needed(const DeviceMetadataInput *input);

/* InstanceDeviceMetadata as an object's primitive, new reference; NULL: nothing to tell. */
json_t *device_metadata_make(const DeviceMetadataInput *input);
