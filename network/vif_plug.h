/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Carries plans out: plug and unplug for all VIFs of an instance at once. Any thread. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "conf/options.h"
#include "network/ovsdb.h"
#include "network/vif_plan.h"

/* How long the switch's database has time for one request. */
int vif_switch_timeout_ms(const Options *options);

/* Every VIF of the list (of Vif*): first what the kernel has to do, then one transaction that the
 * switch acknowledged. Repeating it changes nothing. What it had made in the kernel is gone again
 * when it fails: VirtualInterfacePlugException, InternalError, and vif_plan_make()'s. */
bool vif_plug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs,
                  const VifGuest *guest, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Once libvirt has made the taps and the switch has opened them: those that are there are up.
 * ovs-vswitchd reads and writes a tap's flags when it opens it, which may be just when libvirt sets
 * it up: one of the two is lost then, and the guest hears nothing. */
void vif_bring_up_all(const Options *options, const GPtrArray *vifs);

/* The reverse; a VIF that cannot be planned any more is skipped (there is nothing of ours). */
bool vif_unplug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs,
                    const VifGuest *guest, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Ports that were found in the switch (const OvsdbPort*), with what hybrid plugging made for them in the kernel
 * and the bridges that they have for themselves. */
bool vif_delete_ports(Ovsdb *ovsdb, const Options *options, const GPtrArray *ports,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
