/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Ports of the switch whose guest is gone: they name one (os-vif's vm-uuid, libvirt's vm-id) that libvirt
 * does not know. Pure; one thread at a time. */

#include <glib.h>

/* Between the first sight of one and the second, after which it is removed. */
#define ORPHAN_PORT_AGE_US (60 * G_USEC_PER_SEC)

/* Remembers since when each is seen. */
typedef GHashTable OrphanPorts;
OrphanPorts *orphan_ports_new(void);

/* One look. 'ports' (of OvsdbPort*) were read before 'domains' (of DomainSummary*), so that a guest that comes
 * meanwhile is known. Of what is new, and of what has been seen for long enough, OvsdbPort* borrowed from
 * 'ports'; the latter are told at every look, for as long as they are there. */
typedef struct OrphanSight {
    GPtrArray *fresh;
    GPtrArray *due;
} OrphanSight;
void orphan_ports_look(OrphanPorts *seen, const GPtrArray *ports, const GPtrArray *domains, gint64 now_us,
                       OrphanSight *ret_sight);
void orphan_sight_clear(OrphanSight *sight);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(OrphanSight, orphan_sight_clear)
