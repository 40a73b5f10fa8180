/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Carries plans out (os_vif.plug and unplug for all VIFs of an instance at once). Any thread. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/network_info.h"
#include "conf/options.h"
#include "network/ovsdb.h"

/* Every VIF of the list (of Vif*), in one transaction that the switch acknowledged. Repeating it
 * changes nothing. VirtualInterfacePlugException, and vif_plan_make()'s. */
bool vif_plug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs,
                  const char *instance_uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Once libvirt has made the taps and the switch has opened them: those that are there are up. ovs-vswitchd
 * reads and writes a tap's flags when it opens it, which may be just when libvirt sets it up: one of the
 * two is lost then, and the guest hears nothing. */
void vif_bring_up_all(const Options *options, const GPtrArray *vifs, const char *instance_uuid);

/* The reverse; a VIF that cannot be planned any more is skipped (there is nothing of ours). */
bool vif_unplug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs,
                    const char *instance_uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
