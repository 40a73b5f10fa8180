/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a port is plugged on this host, decided from its VIF and nothing else (pure): what
 * nova.network.os_vif_util and nova.virt.libvirt.vif make of a VIF, and os-vif's plugin of that
 * (network.md 9 and 10).
 *
 * A plan is a short list of steps. Plugging does those marked VIF_ON_PLUG from first to last,
 * unplugging takes back those marked VIF_ON_UNPLUG from last to first. A plan owns its strings. One
 * thread at a time. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/network_info.h"
#include "conf/options.h"

typedef enum VifStepKind {
    VIF_STEP_BRIDGE,      /* Linux bridge 'device' */
    VIF_STEP_VETH,        /* 'device' in Linux bridge 'bridge' and 'peer', up and promiscuous */
    VIF_STEP_TAP,         /* 'device', up; one that is there gets its MTU */
    VIF_STEP_MTU,         /* of 'device', if it is there */
    VIF_STEP_VLAN,        /* 'device', up, for 'vlan' of 'lower' */
    VIF_STEP_VF_ADDRESS,  /* MAC and VLAN of the virtual function at 'pci_slot', up if it has a VLAN
                           */
    VIF_STEP_VF_TRUST,    /* of the virtual function at 'pci_slot' */
    VIF_STEP_REPRESENTOR, /* the switch's device for the virtual function at 'pci_slot': up */
    VIF_STEP_COMMAND,     /* 'argv', whose failure Nova only logs */
    VIF_STEP_OVS_BRIDGE,  /* 'bridge' */
    VIF_STEP_OVS_PORT,    /* 'device' (NULL: the representor) on 'bridge' */
} VifStepKind;

typedef enum VifStepWhen {
    VIF_ON_PLUG = 1,
    VIF_ON_UNPLUG = 2,
    VIF_ON_BOTH = 3,
} VifStepWhen;

#define VIF_STEP_MAX_IDS  11 /* five pairs and the end */
#define VIF_STEP_MAX_ARGS 11

/* NULL and 0: not said. */
typedef struct VifStep {
    VifStepKind kind;
    VifStepWhen when;
    const char *device, *peer, *bridge, *lower;
    const char *mac, *pci_slot;
    int mtu, vlan;
    bool forgets_nothing; /* BRIDGE: ageing time 0, it floods (bug 1715317) */
    bool is_multiqueue;   /* TAP */
    bool disables_ipv6;   /* TAP: the host must not speak for the guest's MAC */
    bool isolates;        /* OVS_PORT: one that is new starts in the dead VLAN */
    const char *datapath_type, *type, *qos_type;
    const char *external_ids[VIF_STEP_MAX_IDS]; /* name, value, ..., NULL */
    const char *options[3];                     /* name, value, NULL */
    int mtu_request;
    const char *argv[VIF_STEP_MAX_ARGS];
} VifStep;

typedef struct VifPlan {
    GArray *steps;         /* of VifStep */
    GStringChunk *strings; /* of the steps */
} VifPlan;

/* Whose port it is. Strings are borrowed. */
typedef struct VifGuest {
    const char *uuid;
    const char *project_id; /* NULL: not known */
    bool is_multiqueue;     /* a tap that is made for it has several queues */
    int release;            /* the control plane's; with 34 Linux bridges are no more */
} VifGuest;

/* Nova's faults: VirtualInterfacePlugException for a binding that failed, NovaException for a type
 * that Nova does not know, InternalError for one whose os-vif plugin is not part of os-vif, ... */
VifPlan *vif_plan_make(const Vif *vif, const VifGuest *guest, const Options *options,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* A line a step, "+ " on plug, "- " on unplug, "± " both; caller frees. */
char *vif_plan_to_text(const VifPlan *plan);
void vif_plan_free(VifPlan *plan);

/* The bridge that a port of the integration bridge, found there by its name, has for itself
 * ([os_vif_ovs]per_port_bridge); NULL: none. Caller frees. */
char *vif_plan_own_bridge(const char *port);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VifPlan, vif_plan_free)
