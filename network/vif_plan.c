/* SPDX-License-Identifier: Apache-2.0 */
#include "network/vif_plan.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"

static bool
is_type(const Vif *vif, const char *type)
{
    return g_strcmp0(vif->type, type) == 0;
}

static bool
detail_is_true(const Vif *vif, const char *key)
{
    return vif->details && json_get_bool(vif->details, key, false);
}

static bool
refuse(NovaError **err, const Vif *vif, const char *what)
{
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "%s vif_type=%s vnic_type=%s of port %s",
                          what, vif->type ? vif->type : "None",
                          vif->vnic_type ? vif->vnic_type : "normal", vif->id);
}

/* What of Neutron's "ovs" this release plugs: the direct one, with or without delegated creation. */
static bool
check_ovs(const Vif *vif, NovaError **err)
{
    if (vif->vnic_type && strcmp(vif->vnic_type, "normal") != 0)
        return refuse(err, vif, "This release does not plug");
    if (detail_is_true(vif, "ovs_hybrid_plug"))
        return refuse(err, vif, "This release does not plug hybrid (iptables firewall)");
    if (!vif->network || !vif->network->bridge || !*vif->network->bridge)
        return refuse(err, vif, "No bridge is known for");
    return true;
}

/* A virtual function that is the guest's own PCI device: libvirt gives it address and VLAN. */
static bool
check_virtual_function(const Vif *vif, NovaError **err)
{
    if (g_strcmp0(vif->vnic_type, "direct") != 0)
        return refuse(err, vif, "This release does not plug");
    return !(json_get_bool(vif->profile, "trusted", false) ||
             is_true_string(json_get_string(vif->profile, "trusted", NULL))) ||
           refuse(err, vif, "This release does not trust the virtual function of");
}

static VifPlan *
plan_nothing(void)
{
    VifPlan *plan = g_new0(VifPlan, 1);

    plan->kind = VIF_PLAN_NOTHING;
    return plan;
}

static VifPlan *
plan_ovs(const Vif *vif, const char *instance_uuid, const Options *options)
{
    VifPlan *plan = g_new0(VifPlan, 1);
    const char *datapath = vif->details ? json_get_string(vif->details, "datapath_type", NULL) : NULL;

    plan->kind = VIF_PLAN_OVS;
    plan->port = vif_make_devname(vif);
    plan->bridge = g_strdup(vif->network->bridge);
    plan->datapath_type = g_strdup(datapath);
    plan->iface_id = g_strdup(vif->ovs_interfaceid ? vif->ovs_interfaceid : vif->id);
    plan->mac = g_strdup(vif->address);
    plan->vm_uuid = g_strdup(instance_uuid);
    if (g_str_has_prefix(plan->bridge, "tbr-"))
        plan->trunk_bridge = g_strdup(plan->bridge);
    plan->isolate = options->os_vif_ovs.isolate_vif;
    return plan;
}

VifPlan *
vif_plan_make(const Vif *vif, const char *instance_uuid, const Options *options, NovaError **err)
{
    if (is_type(vif, "ovs"))
        return check_ovs(vif, err) ? plan_ovs(vif, instance_uuid, options) : NULL;
    if (is_type(vif, "hw_veb"))
        return check_virtual_function(vif, err) ? plan_nothing() : NULL;
    if (is_type(vif, "binding_failed") || is_type(vif, "unbound")) {
        nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
                       "Virtual interface plugin failed");
        nova_error_prefix(err, "port %s is %s", vif->id, vif->type);
        return NULL;
    }
    if (is_type(vif, "other") || is_type(vif, "hostdev_physical"))
        return plan_nothing();
    refuse(err, vif, "This release does not plug");
    return NULL;
}

void
vif_plan_free(VifPlan *plan)
{
    if (!plan)
        return;
    g_free(plan->port);
    g_free(plan->bridge);
    g_free(plan->datapath_type);
    g_free(plan->iface_id);
    g_free(plan->mac);
    g_free(plan->vm_uuid);
    g_free(plan->trunk_bridge);
    g_free(plan);
}
