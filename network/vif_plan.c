/* SPDX-License-Identifier: Apache-2.0 */
#include "network/vif_plan.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"

#define NAME_LENGTH       14 /* of devices */
#define OWN_BRIDGE        "pb"
#define FAR_PATCH         "ibp" /* of the pair that leads there */
#define PATCH_NAME_LENGTH 64 /* of ports that are no devices */

/* What every kind needs to make its steps. */
typedef struct Planner {
    const Vif *vif;
    const VifGuest *guest;
    const Options *options;
    VifPlan *plan;
} Planner;

typedef bool (*PlanKind)(Planner *planner, NovaError **err);

/* ---- reading the port ---- */

static bool
detail_is_true(const Planner *planner, const char *key)
{
    const json_t *value = json_object_get(planner->vif->details, key);

    return json_is_true(value) || json_string_length(value) > 0 || json_integer_value(value) != 0;
}

/* NULL for "" too, as Python's truth has it. */
static const char *
detail_text(const Planner *planner, const char *key)
{
    const char *text = json_get_string(planner->vif->details, key, NULL);

    return text && *text ? text : NULL;
}

static bool
vnic_is(const Planner *planner, const char *type)
{
    const char *vnic_type = planner->vif->vnic_type;

    return strcmp(vnic_type ? vnic_type : "normal", type) == 0;
}

static int
detail_number(const Planner *planner, const char *key)
{
    const json_t *value = json_object_get(planner->vif->details, key);

    return json_is_string(value) ? (int)g_ascii_strtoll(json_string_value(value), NULL, 10)
                                 : (int)json_integer_value(value);
}

static int
network_mtu(const Planner *planner)
{
    return (int)json_get_int(planner->vif->network->meta, "mtu", 0);
}

static int
os_vif_mtu(const Planner *planner)
{
    int mtu = network_mtu(planner);

    return mtu > 0 ? mtu : (int)planner->options->os_vif_ovs.network_device_mtu;
}

static bool
need_pci_slot(const Planner *planner, const char **ret_slot, NovaError **err)
{
    *ret_slot = json_get_string(planner->vif->profile, "pci_slot", NULL);
    return *ret_slot || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'pci_slot'");
}

/* ---- names ---- */

static const char *
keep(Planner *planner, const char *text)
{
    return text ? g_string_chunk_insert_const(planner->plan->strings, text) : NULL;
}

static const char *
make_name(Planner *planner, const char *prefix, size_t length)
{
    g_autofree char *name = g_strconcat(prefix, planner->vif->id, NULL);

    return g_string_chunk_insert_len(planner->plan->strings, name,
                                     (gssize)MIN(strlen(name), length));
}

static const char *
device_name(Planner *planner)
{
    return planner->vif->devname ? keep(planner, planner->vif->devname)
                                 : make_name(planner, "nic", NAME_LENGTH);
}

static const char *
need_bridge(Planner *planner, NovaError **err)
{
    const char *bridge = planner->vif->network->bridge;

    if (bridge && *bridge)
        return keep(planner, bridge);
    nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                   "Failure running os_vif plugin plug method: no bridge is known for port %s",
                   planner->vif->id);
    return NULL;
}

/* ---- steps ---- */

static VifStep *
add_step(Planner *planner, VifStepKind kind, VifStepWhen when)
{
    GArray *steps = planner->plan->steps;

    g_array_set_size(steps, steps->len + 1);
    VifStep *step = &g_array_index(steps, VifStep, steps->len - 1);
    step->kind = kind;
    step->when = when;
    return step;
}

static VifStep *
add_device(Planner *planner, VifStepKind kind, VifStepWhen when, const char *device)
{
    VifStep *step = add_step(planner, kind, when);

    step->device = device;
    return step;
}

/* What comes after 'argv' are its arguments and NULL. */
static void G_GNUC_NULL_TERMINATED
add_command(Planner *planner, VifStepWhen when, ...)
{
    VifStep *step = add_step(planner, VIF_STEP_COMMAND, when);
    va_list arguments;
    const char *text;
    int n = 0;

    va_start(arguments, when);
    while ((text = va_arg(arguments, const char *)) && n < VIF_STEP_MAX_ARGS - 1)
        step->argv[n++] = keep(planner, text);
    va_end(arguments);
}

static void
add_mtu(Planner *planner, const char *device)
{
    add_device(planner, VIF_STEP_MTU, VIF_ON_PLUG, device)->mtu = os_vif_mtu(planner);
}

/* ---- Open vSwitch ---- */

static bool
is_trunk_bridge(const char *bridge)
{
    return g_str_has_prefix(bridge, "tbr-");
}

/* Trunk bridges go with the port; the others stay. */
static void
add_ovs_bridge(Planner *planner, const char *bridge, VifStepWhen when, const char *fallback)
{
    VifStep *step = add_step(planner, VIF_STEP_OVS_BRIDGE,
                             is_trunk_bridge(bridge) ? when | VIF_ON_UNPLUG : when);
    const char *datapath_type = detail_text(planner, "datapath_type");

    step->bridge = bridge;
    step->datapath_type = keep(planner, datapath_type ? datapath_type : fallback);
}

/* os-vif's external ids of an interface; Neutron finds a trunk's ports by its bridge. */
static void
set_external_ids(Planner *planner, VifStep *step, const char *iface_id)
{
    const char *const ids[] = {
        "iface-id",     iface_id,
        "iface-status", "active",
        "attached-mac", planner->vif->address,
        "vm-uuid",      planner->guest->uuid,
        "bridge_name",  is_trunk_bridge(step->bridge) && !step->type ? step->bridge : NULL,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(ids) && ids[i + 1]; i += 2) {
        step->external_ids[i] = ids[i];
        step->external_ids[i + 1] = keep(planner, ids[i + 1]);
    }
}

static const char *
iface_id(const Planner *planner)
{
    const char *id = planner->vif->ovs_interfaceid;

    return id && *id ? id : planner->vif->id;
}

/* A port with neither ids nor QoS. */
static VifStep *
add_bare_port(Planner *planner, VifStepWhen when, const char *port, const char *bridge)
{
    VifStep *step = add_device(planner, VIF_STEP_OVS_PORT, when, port);

    step->bridge = bridge;
    step->isolates = planner->options->os_vif_ovs.isolate_vif && !is_trunk_bridge(bridge);
    return step;
}

/* Only the kernel's data path has queueing disciplines. */
static const char *
qos_type(Planner *planner)
{
    const char *datapath_type = detail_text(planner, "datapath_type");
    bool is_system = !datapath_type || strcmp(datapath_type, "system") == 0;

    return is_system ? keep(planner, planner->options->os_vif_ovs.default_qos_type) : NULL;
}

static VifStep *
add_ovs_port(Planner *planner, VifStepWhen when, const char *port, const char *bridge)
{
    VifStep *step = add_bare_port(planner, when, port, bridge);

    step->qos_type = qos_type(planner);
    set_external_ids(planner, step, iface_id(planner));
    return step;
}

/* A bridge of the port's own, where the iptables firewall sees its packets, and a veth pair from
 * there into the switch. */
static void
add_hybrid(Planner *planner, VifStepWhen when, const char *bridge)
{
    const char *own = make_name(planner, "qbr", NAME_LENGTH);
    const char *inner = make_name(planner, "qvb", NAME_LENGTH);
    const char *outer = make_name(planner, "qvo", NAME_LENGTH);
    VifStep *step;

    add_device(planner, VIF_STEP_BRIDGE, when, own)->forgets_nothing = true;
    step = add_device(planner, VIF_STEP_VETH, when, inner);
    step->peer = outer;
    step->bridge = own;
    step->mtu = os_vif_mtu(planner);
    add_ovs_port(planner, when, outer, bridge);
}

static void
add_tap(Planner *planner, const char *device)
{
    VifStep *step = add_device(planner, VIF_STEP_TAP, VIF_ON_BOTH, device);

    step->mac = keep(planner, planner->vif->address);
    step->mtu = os_vif_mtu(planner);
    step->is_multiqueue = planner->guest->is_multiqueue;
    step->disables_ipv6 = true;
}

/* The tap, which the guest's libvirt makes and which may be left when it has died, or one of ours.
 */
static void
add_guest_tap(Planner *planner, const char *device)
{
    if (detail_is_true(planner, "ovs_create_tap")) {
        add_tap(planner, device);
        return;
    }
    add_mtu(planner, device);
    add_device(planner, VIF_STEP_TAP, VIF_ON_UNPLUG, device);
}

char *
vif_plan_own_bridge(const char *port)
{
    g_autofree char *name = NULL;

    if (!g_str_has_prefix(port, FAR_PATCH))
        return NULL;
    name = g_strconcat(OWN_BRIDGE, port + strlen(FAR_PATCH), NULL);
    return g_strndup(name, NAME_LENGTH);
}

/* The tap on a bridge of its own that a pair of patches joins to the integration bridge. */
static void
add_port_bridge(Planner *planner, const char *tap, const char *bridge)
{
    const char *own = make_name(planner, OWN_BRIDGE, NAME_LENGTH);
    const char *own_patch = make_name(planner, "pbp", PATCH_NAME_LENGTH);
    const char *far_patch = make_name(planner, FAR_PATCH, PATCH_NAME_LENGTH);
    VifStep *step;

    add_ovs_bridge(planner, own, VIF_ON_BOTH, "system");
    add_bare_port(planner, VIF_ON_BOTH, tap, own)->qos_type = qos_type(planner);
    step = add_bare_port(planner, VIF_ON_BOTH, far_patch, bridge);
    step->type = "patch";
    step->options[0] = "peer";
    step->options[1] = own_patch;
    set_external_ids(planner, step, planner->vif->id);
    step = add_bare_port(planner, VIF_ON_BOTH, own_patch, own);
    step->type = "patch";
    step->options[0] = "peer";
    step->options[1] = far_patch;
    step->isolates = false;
}

static bool
plan_ovs_direct(Planner *planner, NovaError **err)
{
    const char *bridge = need_bridge(planner, err);
    const char *tap = device_name(planner);

    if (!bridge)
        return false;
    add_ovs_bridge(planner, bridge, VIF_ON_PLUG, "system");
    if (planner->options->os_vif_ovs.per_port_bridge) {
        add_guest_tap(planner, tap);
        add_port_bridge(planner, tap, bridge);
        return true;
    }
    add_hybrid(planner, VIF_ON_UNPLUG, bridge); /* of a binding that has been hybrid before */
    if (planner->vif->delegate_create) {
        add_guest_tap(planner, tap);
        add_ovs_port(planner, VIF_ON_BOTH, tap, bridge);
    } else { /* libvirt makes the port */
        add_device(planner, VIF_STEP_TAP, VIF_ON_UNPLUG, tap);
        add_ovs_port(planner, VIF_ON_UNPLUG, tap, bridge);
    }
    return true;
}

static bool
plan_ovs_hybrid(Planner *planner, NovaError **err)
{
    const char *bridge = need_bridge(planner, err);

    if (!bridge)
        return false;
    add_ovs_bridge(planner, bridge, VIF_ON_PLUG, "system");
    add_hybrid(planner, VIF_ON_BOTH, bridge);
    return true;
}

/* A virtual function whose representor is the switch's port (also below a vDPA device). */
static bool
plan_ovs_representor(Planner *planner, NovaError **err)
{
    const char *slot, *bridge;
    VifStep *step;

    if (!need_pci_slot(planner, &slot, err) || !(bridge = need_bridge(planner, err)))
        return false;
    add_step(planner, VIF_STEP_OVS_BRIDGE, is_trunk_bridge(bridge) ? VIF_ON_BOTH : VIF_ON_PLUG)
        ->bridge = bridge;
    step = add_step(planner, VIF_STEP_REPRESENTOR, VIF_ON_BOTH);
    step->pci_slot = slot = keep(planner, slot);
    step->mtu = os_vif_mtu(planner);
    step = add_ovs_port(planner, VIF_ON_BOTH, NULL, bridge);
    step->pci_slot = slot;
    step->qos_type = keep(planner, planner->options->os_vif_ovs.default_qos_type);
    return true;
}

static bool
plan_ovs(Planner *planner, NovaError **err)
{
    const char *slot;

    if (vnic_is(planner, "direct") || vnic_is(planner, "vdpa"))
        return plan_ovs_representor(planner, err);
    if (vnic_is(planner, "remote-managed")) /* the card plugs it */
        return need_pci_slot(planner, &slot, err);
    if (detail_is_true(planner, "ovs_hybrid_plug"))
        return plan_ovs_hybrid(planner, err);
    return plan_ovs_direct(planner, err);
}

static bool
need_socket(const Planner *planner, const char **ret_path, NovaError **err)
{
    *ret_path = detail_text(planner, "vhostuser_socket");
    return *ret_path || nova_error_set(err, NOVA_ERROR_VIF_DETAILS_MISSING_VHOSTUSER_SOCK_PATH,
                                       "vhostuser_sock_path not present in vif_details for vif %s",
                                       planner->vif->id);
}

/* The mode is QEMU's part: a server there is a client in the switch. */
static bool
plan_vhost_user_ovs(Planner *planner, NovaError **err)
{
    bool is_client = g_strcmp0(json_get_string(planner->vif->details, "vhostuser_mode", "server"),
                               "client") == 0;
    const char *path, *bridge;
    VifStep *step;

    if (!need_socket(planner, &path, err) || !(bridge = need_bridge(planner, err)))
        return false;
    add_ovs_bridge(planner, bridge, VIF_ON_PLUG, "netdev");
    step = add_ovs_port(planner, VIF_ON_BOTH, make_name(planner, "vhu", NAME_LENGTH), bridge);
    step->type = is_client ? "dpdkvhostuser" : "dpdkvhostuserclient";
    step->mtu_request = os_vif_mtu(planner);
    if (!is_client) {
        step->options[0] = "vhost-server-path";
        step->options[1] = keep(planner, path);
    }
    return true;
}

/* Plugins that are not os-vif's own: nobody has them here. */
static bool
need_plugin(const char *plugin, NovaError **err)
{
    return nova_error_set(
        err, NOVA_ERROR_INTERNAL_ERROR,
        "Failure running os_vif plugin plug method: No VIF plugin was found with the name %s",
        plugin);
}

static bool
plan_vhost_user(Planner *planner, NovaError **err)
{
    const char *path;

    if (!detail_is_true(planner, "vhostuser_fp_plug") &&
        detail_is_true(planner, "vhostuser_ovs_plug"))
        return plan_vhost_user_ovs(planner, err);
    if (!need_socket(planner, &path, err))
        return false;
    if (detail_is_true(planner, "vhostuser_fp_plug"))
        return need_plugin("vhostuser_fp", err);
    if (detail_is_true(planner, "vhostuser_vrouter_plug"))
        return need_plugin("contrail_vrouter", err);
    return true; /* whoever made the socket plugs it */
}

static bool
plan_agilio(Planner *planner, NovaError **err)
{
    if (vnic_is(planner, "direct") || vnic_is(planner, "virtio-forwarder"))
        return need_plugin("agilio_ovs", err);
    return plan_ovs(planner, err);
}

static bool
plan_ivs(Planner *planner G_GNUC_UNUSED, NovaError **err)
{
    return need_plugin("ivs", err);
}

static bool
plan_vrouter(Planner *planner, NovaError **err)
{
    if (!vnic_is(planner, "normal") && !vnic_is(planner, "direct") &&
        !vnic_is(planner, "virtio-forwarder"))
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
    return need_plugin("vrouter", err);
}

/* ---- what Nova plugs itself ---- */

/* Neutron's agent makes the bridge, too; whoever comes first. It is other ports' as well. */
static bool
plan_bridge(Planner *planner, NovaError **err)
{
    const char *bridge;

    if (planner->guest->release >= 34)
        return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION,
                              "Linux bridge VIF type is no longer supported");
    if (!(bridge = need_bridge(planner, err)))
        return false;
    if (json_get_bool(planner->vif->network->meta, "should_create_bridge", false))
        add_device(planner, VIF_STEP_BRIDGE, VIF_ON_PLUG, bridge);
    return true;
}

static bool
is_trusted(const Planner *planner)
{
    const json_t *value = json_object_get(planner->vif->profile, "trusted");

    return json_is_true(value) ||
           (json_is_string(value) && is_true_string(json_string_value(value)));
}

/* A virtual function whose macvtap is the guest's card, or which is the guest's own PCI device;
 * libvirt gives the latter address and VLAN. */
static bool
plan_hw_veb(Planner *planner, NovaError **err)
{
    const char *slot;
    VifStep *step;

    if (!vnic_is(planner, "direct") && !vnic_is(planner, "macvtap"))
        return true;
    if (!need_pci_slot(planner, &slot, err))
        return false;
    slot = keep(planner, slot);
    if (vnic_is(planner, "direct")) {
        if (json_object_get(planner->vif->profile, "trusted"))
            add_step(planner, VIF_STEP_VF_TRUST, is_trusted(planner) ? VIF_ON_BOTH : VIF_ON_UNPLUG)
                ->pci_slot = slot;
        return true;
    }
    if (!json_object_get(planner->vif->details, "vlan"))
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'vlan'");
    step = add_step(planner, VIF_STEP_VF_ADDRESS, VIF_ON_BOTH);
    step->pci_slot = slot;
    step->mac = keep(planner, planner->vif->address);
    step->vlan = detail_number(planner, "vlan");
    return true;
}

/* The VLAN's device is other ports' as well: it stays. */
static bool
plan_macvtap(Planner *planner, NovaError **err)
{
    const char *lower = detail_text(planner, "physical_interface");
    const char *device = detail_text(planner, "macvtap_source");
    VifStep *step;

    if (!detail_is_true(planner, "vlan"))
        return true;
    if (!lower || !device)
        return nova_error_set(err, NOVA_ERROR_VIF_DETAILS_MISSING_MACVTAP_PARAMETERS,
                              "Parameters ['%s'] not present in vif_details for vif %s",
                              device ? "physical_interface" : "macvtap_source", planner->vif->id);
    step = add_device(planner, VIF_STEP_VLAN, VIF_ON_PLUG, keep(planner, device));
    step->lower = keep(planner, lower);
    step->vlan = detail_number(planner, "vlan");
    return true;
}

static bool
plan_tap(Planner *planner, NovaError **err G_GNUC_UNUSED)
{
    VifStep *step = add_device(planner, VIF_STEP_TAP, VIF_ON_BOTH, device_name(planner));

    step->mac = keep(planner, detail_text(planner, "mac_address"));
    step->mtu = network_mtu(planner);
    step->is_multiqueue = planner->guest->is_multiqueue;
    return true;
}

static bool
plan_midonet(Planner *planner, NovaError **err G_GNUC_UNUSED)
{
    const char *device = device_name(planner);

    add_device(planner, VIF_STEP_TAP, VIF_ON_BOTH, device);
    add_command(planner, VIF_ON_PLUG, "mm-ctl", "--bind-port", planner->vif->id, device, NULL);
    add_command(planner, VIF_ON_UNPLUG, "mm-ctl", "--unbind-port", planner->vif->id, NULL);
    return true;
}

static bool
plan_iovisor(Planner *planner, NovaError **err G_GNUC_UNUSED)
{
    const Vif *vif = planner->vif;
    const char *device = device_name(planner);
    g_autofree char *network = g_strconcat("pgtag2=", vif->network->id, NULL);
    g_autofree char *project = g_strconcat("pgtag1=", planner->guest->project_id, NULL);

    add_device(planner, VIF_STEP_TAP, VIF_ON_BOTH, device);
    add_command(planner, VIF_ON_PLUG, "ifc_ctl", "gateway", "add_port", device, NULL);
    add_command(planner, VIF_ON_PLUG, "ifc_ctl", "gateway", "ifup", device, "access_vm", vif->id,
                vif->address, network, project, NULL);
    add_command(planner, VIF_ON_UNPLUG, "ifc_ctl", "gateway", "del_port", device, NULL);
    add_command(planner, VIF_ON_UNPLUG, "ifc_ctl", "gateway", "ifdown", device, NULL);
    return true;
}

static bool
plan_ib_hostdev(Planner *planner, NovaError **err)
{
    const Vif *vif = planner->vif;
    const char *fabric = json_get_string(vif->network->meta, "physical_network", NULL);
    const char *slot;

    if (!fabric)
        fabric = detail_text(planner, "physical_network");
    if (!fabric)
        return nova_error_set(err, NOVA_ERROR_NETWORK_MISSING_PHYSICAL_NETWORK,
                              "Physical network is missing for network %s", vif->network->id);
    if (!need_pci_slot(planner, &slot, err))
        return false;
    add_command(planner, VIF_ON_PLUG, "ebrctl", "add-port", vif->address, planner->guest->uuid,
                fabric, "ib_hostdev", slot, NULL);
    add_command(planner, VIF_ON_UNPLUG, "ebrctl", "del-port", fabric, vif->address, NULL);
    return true;
}

static bool
plan_nothing(Planner *planner G_GNUC_UNUSED, NovaError **err G_GNUC_UNUSED)
{
    return true;
}

/* No real types: the binding failed, or there was none, or libvirt's driver has no plug for it. */
static bool
plan_unexpected(Planner *planner, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
                          "Plug VIF failed because of unexpected vif_type=%s", planner->vif->type);
}

/* clang-format off */
static const struct {
    const char *type;
    PlanKind plan;
} kinds[] = {
    {"ovs",              plan_ovs},
    {"vhostuser",        plan_vhost_user},
    {"bridge",           plan_bridge},
    {"agilio_ovs",       plan_agilio},
    {"ivs",              plan_ivs},
    {"vrouter",          plan_vrouter},
    {"hw_veb",           plan_hw_veb},
    {"macvtap",          plan_macvtap},
    {"tap",              plan_tap},
    {"midonet",          plan_midonet},
    {"iovisor",          plan_iovisor},
    {"ib_hostdev",       plan_ib_hostdev},
    {"hostdev_physical", plan_nothing},
    {"802.1qbg",         plan_nothing},
    {"802.1qbh",         plan_nothing},
    {"dvs",              plan_unexpected},
    {"binding_failed",   plan_unexpected},
    {"unbound",          plan_unexpected},
};
/* clang-format on */

static bool
plan_by_type(Planner *planner, NovaError **err)
{
    const char *type = planner->vif->type;

    if (!type)
        return nova_error_set(
            err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
            "vif_type parameter must be present for this vif_driver implementation");
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].plan(planner, err);
    return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "Unsupported VIF type %s", type);
}

VifPlan *
vif_plan_make(const Vif *vif, const VifGuest *guest, const Options *options, NovaError **err)
{
    g_autoptr(VifPlan) plan = g_new0(VifPlan, 1);
    Planner planner = {.vif = vif, .guest = guest, .options = options, .plan = plan};

    plan->steps = g_array_new(FALSE, TRUE, sizeof(VifStep));
    plan->strings = g_string_chunk_new(256);
    return plan_by_type(&planner, err) ? g_steal_pointer(&plan) : NULL;
}

void
vif_plan_free(VifPlan *plan)
{
    if (!plan)
        return;
    g_array_unref(plan->steps);
    g_string_chunk_free(plan->strings);
    g_free(plan);
}

/* ---- in words ---- */

static void
say(GString *line, const char *name, const char *value)
{
    if (value)
        g_string_append_printf(line, " %s=%s", name, value);
}

static void
say_number(GString *line, const char *name, int value)
{
    if (value)
        g_string_append_printf(line, " %s=%d", name, value);
}

static void
say_pairs(GString *line, const char *const *pairs)
{
    for (; pairs[0]; pairs += 2)
        say(line, pairs[0], pairs[1]);
}

static void
say_flags(GString *line, const VifStep *step)
{
    say(line, "ageing", step->forgets_nothing ? "0" : NULL);
    say(line, "multiqueue", step->is_multiqueue ? "yes" : NULL);
    say(line, "ipv6", step->disables_ipv6 ? "no" : NULL);
    say(line, "isolate", step->isolates ? "yes" : NULL);
}

static void
say_step(GString *text, const VifStep *step)
{
    static const char *const names[] = {"bridge",   "veth",        "tap",     "mtu",        "vlan",    "vf-address",
                                        "vf-trust", "representor", "command", "ovs-bridge", "ovs-port"};
    static const char *const signs[] = {"", "+", "-", "±"};

    g_string_append_printf(text, "%s %s", signs[step->when], names[step->kind]);
    say(text, "device", step->device);
    say(text, "peer", step->peer);
    say(text, "bridge", step->bridge);
    say(text, "lower", step->lower);
    say(text, "mac", step->mac);
    say(text, "pci", step->pci_slot);
    say_number(text, "mtu", step->mtu);
    say_number(text, "id", step->vlan);
    say_flags(text, step);
    say(text, "datapath", step->datapath_type);
    say(text, "type", step->type);
    say(text, "qos", step->qos_type);
    say_number(text, "mtu_request", step->mtu_request);
    say_pairs(text, step->options);
    say_pairs(text, step->external_ids);
    for (const char *const *word = step->argv; *word; word++)
        g_string_append_printf(text, " %s", *word);
    g_string_append_c(text, '\n');
}

char *
vif_plan_to_text(const VifPlan *plan)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < plan->steps->len; i++)
        say_step(text, &g_array_index(plan->steps, VifStep, i));
    return g_string_free(text, FALSE);
}
