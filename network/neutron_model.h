/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From Neutron's JSON to one entry of an instance's network info (nova.network.model), pure.
 *
 * All JSON may come from a broken or hostile peer: what is absent or of another type counts as
 * null. Key order is Nova's, so that the text of the cache is too. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

/* What is known of a port's surroundings; all borrowed, any may be NULL. */
typedef struct NeutronVifFacts {
    const json_t *port;
    const json_t *network;      /* {"name", "tenant_id", "mtu"}; NULL: not the project's */
    const json_t *subnets;      /* list, of any networks */
    const json_t *dhcp_ports;   /* list of ports with owner network:dhcp, of any networks */
    const json_t *floating_ips; /* list, of any ports */
    const char *physical_network;
    bool is_tunneled;
    bool is_preexisting;
    bool is_injected;        /* flat_injected */
    const char *ovs_bridge;  /* [neutron]ovs_bridge */
} NeutronVifFacts;

/* New reference. NovaException for a binding that Nova has given up (Linux bridge). */
json_t *neutron_model_vif(const NeutronVifFacts *facts, NovaError **err);

/* A port's "binding:profile", empty when it has none; new reference, a copy. */
json_t *neutron_model_profile(const json_t *port);

/* Physical network (borrowed, NULL: none) and tunneling of a network shown by an admin:
 * _get_physnet_tunneled_info(). NovaException when no segment has a physical network. */
bool neutron_model_physical(const json_t *network, const char **ret_physical_network,
                            bool *ret_is_tunneled, NovaError **err);

/* Is the address of this "a.b.c.d/n" or "a::/n"? False for anything malformed. */
bool neutron_model_in_subnet(const char *address, const char *cidr);
