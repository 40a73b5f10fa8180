/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.network.vif_plug"
#include "network/vif_plug.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "network/net_device.h"
#include "network/virtual_function.h"

#define SYSFS "/sys"

static void
log_and_free(const char *what, NovaError *error)
{
    LOG_WARNING("%s: %s", what, nova_error_details(error));
    nova_error_free(error);
}

/* ---- what the kernel has to do ---- */

/* A kernel without IPv6, say, has no such file. */
static void
write_sysctl(const char *family, const char *device, const char *name, const char *value)
{
    g_autofree char *path = g_strdup_printf("/proc/sys/net/%s/conf/%s/%s", family, device, name);
    FILE *file = fopen(path, "we");

    if (!file || fputs(value, file) < 0)
        LOG_DEBUG("%s: %s", path, g_strerror(errno));
    if (file && fclose(file) != 0)
        LOG_WARNING("%s cannot be %s: %s", path, value, g_strerror(errno));
}

/* A device that several ports share: somebody else may have made it since we looked. */
static bool
made_by_other(const VifStep *step, NovaError *error, NovaError **err)
{
    if (!net_device_exists(step->device))
        return nova_error_propagate(err, error);
    nova_error_free(error);
    return true;
}

/* The host has no address there and answers for none of its others. */
static bool
do_bridge(const VifStep *step, bool *ret_made, NovaError **err)
{
    const NetDeviceSettings up = {.state = NET_DEVICE_UP};
    NovaError *error = NULL;

    if (!net_device_exists(step->device)) {
        *ret_made = net_device_add_bridge(step->device, step->forgets_nothing, &error);
        if (!*ret_made && !made_by_other(step, error, err))
            return false;
    }
    write_sysctl("ipv6", step->device, "disable_ipv6", "1");
    write_sysctl("ipv4", step->device, "arp_ignore", "1");
    write_sysctl("ipv4", step->device, "arp_announce", "2");
    return net_device_set(step->device, &up, err);
}

static bool
delete_device(const VifStep *step, NovaError **err)
{
    return net_device_delete(step->device, err);
}

/* One without the other is a left-over. */
static bool
do_veth(const VifStep *step, bool *ret_made, NovaError **err)
{
    const NetDeviceSettings inner = {.state = NET_DEVICE_UP,
                                     .is_promiscuous = true,
                                     .mtu = step->mtu,
                                     .master = step->bridge};
    const NetDeviceSettings outer = {
        .state = NET_DEVICE_UP, .is_promiscuous = true, .mtu = step->mtu};
    bool ok;

    if (net_device_exists(step->peer) && net_device_exists(step->device)) {
        ok = net_device_set(step->device, &inner, err);
    } else {
        ok = net_device_delete(step->device, err) && net_device_delete(step->peer, err) &&
             net_device_add_veth(step->device, step->peer, &inner, err);
        *ret_made = ok;
    }
    return ok && net_device_set(step->peer, &outer, err);
}

static bool
do_mtu(const VifStep *step, bool *ret_made G_GNUC_UNUSED, NovaError **err)
{
    const NetDeviceSettings settings = {.mtu = step->mtu};

    return step->mtu == 0 || !net_device_exists(step->device) ||
           net_device_set(step->device, &settings, err);
}

/* With the guest's MAC the kernel would take the guest's link-local address for itself. */
static bool
do_tap(const VifStep *step, bool *ret_made, NovaError **err)
{
    const NetDeviceSettings settings = {.state = NET_DEVICE_UP, .mac = step->mac, .mtu = step->mtu};

    if (net_device_exists(step->device))
        return do_mtu(step, ret_made, err);
    if (!net_device_add_tap(step->device, step->is_multiqueue, err))
        return false;
    *ret_made = true;
    if (step->disables_ipv6)
        write_sysctl("ipv6", step->device, "disable_ipv6", "1");
    return net_device_set(step->device, &settings, err);
}

static bool
do_vlan(const VifStep *step, bool *ret_made G_GNUC_UNUSED, NovaError **err)
{
    const NetDeviceSettings up = {.state = NET_DEVICE_UP};
    NovaError *error = NULL;

    if (net_device_exists(step->device))
        return true;
    return (net_device_add_vlan(step->device, step->lower, step->vlan, &error) ||
            made_by_other(step, error, err)) &&
           net_device_set(step->device, &up, err);
}

/* A function that has left the host took with it what was set of it. */
static bool
forgive_gone(NovaError *error, NovaError **err)
{
    if (nova_error_kind(error) != NOVA_ERROR_PCI_DEVICE_NOT_FOUND_BY_ID)
        return nova_error_propagate(err, error);
    log_and_free("Unplugging", error);
    return true;
}

/* What is set of an SR-IOV card's function stays when a later step fails: it may have been so before, for a
 * guest that runs. */

/* A driver that refuses is no failure in Nova either ("ip link set" may exit 2). */
static bool
set_vf_address(const VifStep *step, const char *mac, int vlan, NovaError **err)
{
    const NetDeviceSettings settings = {.mac = mac,
                                        .state = vlan > 0 ? NET_DEVICE_UP : NET_DEVICE_DOWN};
    g_auto(VirtualFunction) function = {0};
    g_autofree char *device = NULL;
    NovaError *error = NULL;

    if (!virtual_function_find(SYSFS, step->pci_slot, &function, err) ||
        !(device = virtual_function_device(SYSFS, step->pci_slot, err)))
        return false;
    if (!net_device_set_vf_address(function.parent, function.index, mac, vlan, &error))
        log_and_free(step->pci_slot, g_steal_pointer(&error));
    if (!net_device_set(device, &settings, &error))
        log_and_free(step->pci_slot, error);
    return true;
}

static bool
do_vf_address(const VifStep *step, bool *ret_made G_GNUC_UNUSED, NovaError **err)
{
    return set_vf_address(step, step->mac, step->vlan, err);
}

/* The guest's MAC must not stay: the physical function would send it nothing any more. */
static bool
undo_vf_address(const VifStep *step, NovaError **err)
{
    NovaError *error = NULL;

    return set_vf_address(step, "00:00:00:00:00:00", 0, &error) || forgive_gone(error, err);
}

static bool
set_vf_trust(const VifStep *step, bool is_trusted, NovaError **err)
{
    g_auto(VirtualFunction) function = {0};
    NovaError *error = NULL;

    if (!virtual_function_find(SYSFS, step->pci_slot, &function, err))
        return false;
    if (!net_device_set_vf_trust(function.parent, function.index, is_trusted, &error))
        log_and_free(step->pci_slot, error);
    return true;
}

static bool
do_vf_trust(const VifStep *step, bool *ret_made G_GNUC_UNUSED, NovaError **err)
{
    return set_vf_trust(step, true, err);
}

static bool
undo_vf_trust(const VifStep *step, NovaError **err)
{
    NovaError *error = NULL;

    return set_vf_trust(step, false, &error) || forgive_gone(error, err);
}

static bool
set_representor(const VifStep *step, NetDeviceState state, int mtu, NovaError **err)
{
    const NetDeviceSettings settings = {.state = state, .mtu = mtu};
    g_autofree char *device = virtual_function_representor(SYSFS, step->pci_slot, err);

    return device && net_device_set(device, &settings, err);
}

static bool
do_representor(const VifStep *step, bool *ret_made G_GNUC_UNUSED, NovaError **err)
{
    return set_representor(step, NET_DEVICE_UP, step->mtu, err);
}

static bool
undo_representor(const VifStep *step, NovaError **err)
{
    NovaError *error = NULL;

    return set_representor(step, NET_DEVICE_DOWN, 0, &error) || forgive_gone(error, err);
}

static bool
run_command(const VifStep *step)
{
    NovaError *error = NULL;
    g_auto(CommandResult) result = {0};

    if (!command_run(step->argv, &(CommandLimits){.timeout_s = 60}, &result, &error))
        log_and_free("Failed while plugging or unplugging vif", error);
    return true;
}

static bool
do_command(const VifStep *step, bool *ret_made G_GNUC_UNUSED, NovaError **err G_GNUC_UNUSED)
{
    return run_command(step);
}

static bool
undo_command(const VifStep *step, NovaError **err G_GNUC_UNUSED)
{
    return run_command(step);
}

/* 'ret_made' is set when the step must be taken back should a later one fail, unless others share what it made
 * (no VIF_ON_UNPLUG). A kind without an entry is the switch's. */
static const struct {
    bool (*plug)(const VifStep *step, bool *ret_made, NovaError **err);
    bool (*unplug)(const VifStep *step, NovaError **err);
} kinds[] = {
    [VIF_STEP_BRIDGE] = {do_bridge, delete_device},
    [VIF_STEP_VETH] = {do_veth, delete_device},
    [VIF_STEP_TAP] = {do_tap, delete_device},
    [VIF_STEP_MTU] = {do_mtu, NULL},
    [VIF_STEP_VLAN] = {do_vlan, NULL},
    [VIF_STEP_VF_ADDRESS] = {do_vf_address, undo_vf_address},
    [VIF_STEP_VF_TRUST] = {do_vf_trust, undo_vf_trust},
    [VIF_STEP_REPRESENTOR] = {do_representor, undo_representor},
    [VIF_STEP_COMMAND] = {do_command, undo_command},
    [VIF_STEP_OVS_PORT] = {NULL, NULL},
};

/* ---- what the switch has to do ---- */

/* Changes of one transaction, and the texts that are not the plans'. */
typedef struct Changes {
    GArray *changes;    /* of OvsdbChange */
    GPtrArray *devices; /* of char*: representors */
} Changes;

static void
changes_clear(Changes *changes)
{
    g_array_unref(changes->changes);
    g_ptr_array_unref(changes->devices);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Changes, changes_clear)

static Changes
changes_make(void)
{
    return (Changes){g_array_new(FALSE, FALSE, sizeof(OvsdbChange)),
                     g_ptr_array_new_with_free_func(g_free)};
}

static const char *
port_name(Changes *changes, const VifStep *step, NovaError **err)
{
    char *device;

    if (step->device)
        return step->device;
    device = virtual_function_representor(SYSFS, step->pci_slot, err);
    if (device)
        g_ptr_array_add(changes->devices, device);
    return device;
}

/* On unplug a port is wherever it is. */
static bool
append_port(Changes *changes, const VifStep *step, bool is_plug, NovaError **err)
{
    OvsdbChange change = {
        .kind = is_plug ? OVSDB_ADD_PORT : OVSDB_DEL_PORT,
        .bridge = is_plug ? step->bridge : NULL,
        .port = port_name(changes, step, err),
        .interface_type = step->type,
        .options = step->options,
        .external_ids = step->external_ids,
        .qos_type = step->qos_type,
        .mtu_request = step->mtu_request,
        .isolate = step->isolates,
    };

    if (!change.port)
        return false;
    g_array_append_val(changes->changes, change);
    return true;
}

static bool
append_change(Changes *changes, const VifStep *step, bool is_plug, NovaError **err)
{
    OvsdbChange bridge = {
        .kind = is_plug ? OVSDB_ADD_BRIDGE : OVSDB_DEL_BRIDGE,
        .bridge = step->bridge,
        .datapath_type = step->datapath_type,
    };

    if (step->kind == VIF_STEP_OVS_PORT)
        return append_port(changes, step, is_plug, err);
    if (step->kind == VIF_STEP_OVS_BRIDGE)
        g_array_append_val(changes->changes, bridge);
    return true;
}

int
vif_switch_timeout_ms(const Options *options)
{
    return (int)options->os_vif_ovs.ovs_vsctl_timeout * 1000;
}

static bool
apply(Ovsdb *ovsdb, const Options *options, const Changes *changes, NovaError **err)
{
    const GArray *list = changes->changes;
    bool ok;

    FAIL_POINT("ovsdb.apply:before", NULL);
    ok = ovsdb_apply(ovsdb, (const OvsdbChange *)(const void *)list->data, list->len,
                     vif_switch_timeout_ms(options), err);
    FAIL_POINT("ovsdb.apply:after", NULL);
    return ok;
}

/* ---- plug ---- */

static void
free_plan(void *plan)
{
    vif_plan_free(plan);
}

static bool
make_plans(GPtrArray *plans, const Options *options, const GPtrArray *vifs, const VifGuest *guest,
           NovaError **err)
{
    for (guint i = 0; i < vifs->len; i++) {
        VifPlan *plan = vif_plan_make(vifs->pdata[i], guest, options, err);

        if (!plan)
            return false;
        g_ptr_array_add(plans, plan);
    }
    return true;
}

/* 'made' gets the steps (const VifStep*) that would have to be taken back. */
static bool
plug_one(const VifPlan *plan, GPtrArray *made, Changes *changes, NovaError **err)
{
    for (guint i = 0; i < plan->steps->len; i++) {
        const VifStep *step = &g_array_index(plan->steps, VifStep, i);
        bool is_made = false, ok;

        if (!(step->when & VIF_ON_PLUG))
            continue;
        ok = kinds[step->kind].plug ? kinds[step->kind].plug(step, &is_made, err)
                                    : append_change(changes, step, true, err);
        if (is_made && step->when & VIF_ON_UNPLUG)
            g_ptr_array_add(made, (void *)step);
        if (!ok)
            return false;
    }
    return true;
}

static void
take_back(const GPtrArray *made)
{
    for (guint i = made->len; i-- > 0;) {
        const VifStep *step = made->pdata[i];
        NovaError *error = NULL;

        if (!kinds[step->kind].unplug(step, &error))
            log_and_free("Taking back a failed plug", error);
    }
}

bool
vif_plug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs, const VifGuest *guest,
             NovaError **err)
{
    g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func(free_plan);
    g_autoptr(GPtrArray) made = g_ptr_array_new();
    g_auto(Changes) changes = changes_make();
    bool ok = make_plans(plans, options, vifs, guest, err);

    for (guint i = 0; ok && i < plans->len; i++)
        ok = plug_one(plans->pdata[i], made, &changes, err);
    ok = ok && apply(ovsdb, options, &changes, err);
    if (!ok)
        take_back(made);
    return ok;
}

/* ---- up ---- */

/* With a tap in the switch's user-space data path or its kernel module alike. */
static void
bring_up(int fd, const char *tap)
{
    struct ifreq request = {0};

    g_strlcpy(request.ifr_name, tap, sizeof(request.ifr_name));
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0 || request.ifr_flags & IFF_UP)
        return; /* not there: the plug of somebody else, or the guest has ended */
    request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        LOG_WARNING("Tap %s is down and cannot be set up: %s", tap, g_strerror(errno));
    else
        LOG_INFO("Tap %s was down and has been set up", tap);
}

static void
bring_up_taps(int fd, const VifPlan *plan)
{
    for (guint i = 0; i < plan->steps->len; i++) {
        const VifStep *step = &g_array_index(plan->steps, VifStep, i);

        if (step->kind == VIF_STEP_TAP)
            bring_up(fd, step->device);
    }
}

void
vif_bring_up_all(const Options *options, const GPtrArray *vifs)
{
    const VifGuest guest = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    for (guint i = 0; fd >= 0 && i < vifs->len; i++) {
        g_autoptr(VifPlan) plan = vif_plan_make(vifs->pdata[i], &guest, options, NULL);

        if (plan)
            bring_up_taps(fd, plan);
    }
    if (fd >= 0)
        close(fd);
}

/* ---- unplug ---- */

static void
make_possible_plans(GPtrArray *plans, const Options *options, const GPtrArray *vifs,
                    const VifGuest *guest)
{
    for (guint i = 0; i < vifs->len; i++) {
        g_autoptr(NovaError) why = NULL;
        VifPlan *plan = vif_plan_make(vifs->pdata[i], guest, options, &why);

        if (plan)
            g_ptr_array_add(plans, plan);
        else
            LOG_DEBUG("nothing to unplug: %s", nova_error_details(why));
    }
}

/* A function that has left the host took its representor with it. */
static void
collect_changes(const VifPlan *plan, Changes *changes)
{
    for (guint i = plan->steps->len; i-- > 0;) {
        const VifStep *step = &g_array_index(plan->steps, VifStep, i);
        NovaError *error = NULL;

        if (step->when & VIF_ON_UNPLUG && !append_change(changes, step, false, &error))
            log_and_free("Unplugging", error);
    }
}

/* All of it, whatever fails; the first failure is the answer. */
static bool
unplug_devices(const VifPlan *plan, NovaError **err)
{
    bool ok = true;

    for (guint i = plan->steps->len; i-- > 0;) {
        const VifStep *step = &g_array_index(plan->steps, VifStep, i);
        NovaError *error = NULL;

        if (!(step->when & VIF_ON_UNPLUG) || !kinds[step->kind].unplug ||
            kinds[step->kind].unplug(step, &error))
            continue;
        if (ok)
            nova_error_propagate(err, error);
        else
            log_and_free("Unplugging", error);
        ok = false;
    }
    return ok;
}

bool
vif_unplug_all(Ovsdb *ovsdb, const Options *options, const GPtrArray *vifs, const VifGuest *guest,
               NovaError **err)
{
    g_autoptr(GPtrArray) plans = g_ptr_array_new_with_free_func(free_plan);
    g_auto(Changes) changes = changes_make();
    bool ok;

    make_possible_plans(plans, options, vifs, guest);
    for (guint i = 0; i < plans->len; i++)
        collect_changes(plans->pdata[i], &changes);
    ok = apply(ovsdb, options, &changes, err);
    for (guint i = 0; i < plans->len; i++)
        ok = unplug_devices(plans->pdata[i], ok ? err : NULL) && ok;
    return ok;
}

/* ---- what was found in the switch ---- */

static bool
delete_hybrid_devices(const char *port, NovaError **err)
{
    g_autofree char *bridge = NULL;

    if (!g_str_has_prefix(port, "qvo"))
        return true;
    bridge = g_strconcat("qbr", port + strlen("qvo"), NULL);
    return net_device_delete(port, err) && net_device_delete(bridge, err);
}

bool
vif_delete_ports(Ovsdb *ovsdb, const Options *options, const GPtrArray *ports, NovaError **err)
{
    g_auto(Changes) changes = changes_make();
    g_autoptr(GPtrArray) bridges = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < ports->len; i++) {
        const OvsdbPort *port = ports->pdata[i];
        const OvsdbChange change = {
            .kind = OVSDB_DEL_PORT, .bridge = port->bridge, .port = port->name};
        char *own = vif_plan_own_bridge(port->name);
        const OvsdbChange bridge = {.kind = OVSDB_DEL_BRIDGE, .bridge = own};

        g_array_append_val(changes.changes, change);
        if (!own)
            continue;
        g_ptr_array_add(bridges, own);
        g_array_append_val(changes.changes, bridge);
    }
    if (!apply(ovsdb, options, &changes, err))
        return false;
    for (guint i = 0; i < ports->len; i++)
        if (!delete_hybrid_devices(((const OvsdbPort *)ports->pdata[i])->name, err))
            return false;
    return true;
}
