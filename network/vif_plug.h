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

/* The reverse; a VIF that cannot be planned any more is skipped (there is nothing of ours). */
bool vif_unplug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs,
                    const char *instance_uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
