/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a port is plugged on this host, decided from its VIF and nothing else (pure): what
 * nova.network.os_vif_util makes of a VIF and os-vif's plugin of that (network.md 9 and 10).
 *
 * A plan owns its strings. One thread at a time. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/network_info.h"
#include "conf/options.h"

typedef enum VifPlanKind {
    VIF_PLAN_NOTHING, /* somebody else plugs it */
    VIF_PLAN_OVS,     /* the tap that libvirt makes is a port of an Open vSwitch bridge */
} VifPlanKind;

typedef struct VifPlan {
    VifPlanKind kind;
    char *port;          /* "tap" and the start of the port's id: the interface's name */
    char *bridge;
    char *datapath_type; /* of a bridge that must be made; NULL: system */
    char *iface_id;      /* as the OVS agent knows the port */
    char *mac;
    char *vm_uuid;
    char *trunk_bridge;  /* external id bridge_name, of trunk bridges; else NULL */
    bool isolate;        /* starts in the dead VLAN */
} VifPlan;

/* InternalError for a vif_type that Nova or this release does not know, VirtualInterfacePlugException
 * for one whose binding failed. */
VifPlan *vif_plan_make(const Vif *vif, const char *instance_uuid, const Options *options,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void vif_plan_free(VifPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VifPlan, vif_plan_free)
