/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a guest is told about its network (pure): nova.virt.netutils.get_network_metadata() and
 * get_ec2_ip_info(). 'network_info' is the list of the info cache; anything that is not as it
 * should be in it is left out. */

#include <jansson.h>

/* network_data.json: {"links", "networks", "services"}; {} without any network. New reference. */
json_t *network_metadata_make(const json_t *network_info);

/* The first fixed IPv4 address, the first floating address; NULL: there is none. Borrowed. */
const char *network_metadata_fixed_ip(const json_t *network_info);
const char *network_metadata_floating_ip(const json_t *network_info);
