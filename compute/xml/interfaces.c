/* SPDX-License-Identifier: Apache-2.0 */
/* <interface> of each port, by the type of its binding (nova.virt.libvirt.vif,
 * nova.network.os_vif_util). What Nova first turns into an os-vif object is read from the port
 * directly here; the elements come out the same. */

#include <string.h>

#include "compute/xml/domain_build.h"

/* nova.virt.libvirt.config.LibvirtConfigGuestInterface. Texts are borrowed from port and options,
 * or owned by 'owned'. */
typedef struct GuestInterface {
    const char *type; /* ethernet, bridge, direct, hostdev, vdpa, vhostuser */
    const char *mac, *model, *driver;
    bool packed;
    int64_t queues;      /* 0: not said, as the sizes */
    int64_t rx_queue_size, tx_queue_size;
    const char *source;  /* bridge, device, PCI address or socket */
    const char *mode;    /* of a direct or vhostuser source */
    const char *vlan;    /* NULL: none */
    const char *target, *target_managed;
    const char *port_profile; /* of the virtualport; with its parameters as name, value pairs */
    const char *parameters[4][2];
    const char *mtu;     /* NULL: none */
    bool limits_bandwidth;
    GPtrArray *owned;    /* of char * */
} GuestInterface;

typedef struct PortBuild {
    DomainBuild *build;
    const Vif *vif;
    GuestInterface *interface;
} PortBuild;

typedef bool (*PortKind)(PortBuild *port, NovaError **err);

static const char *
keep(GuestInterface *interface, char *text)
{
    g_ptr_array_add(interface->owned, text);
    return text;
}

/* ---- reading the port ---- */

static const json_t *
detail(const Vif *vif, const char *key)
{
    return json_object_get(vif->details, key);
}

static bool
is_truthy(const json_t *value)
{
    return json_is_true(value) || (json_is_string(value) && json_string_length(value)) ||
           (json_is_number(value) && json_number_value(value) != 0);
}

static bool
vnic_is(const Vif *vif, const char *const *types)
{
    return vif->vnic_type && is_one_of(vif->vnic_type, types);
}

static const char *const direct_vnics[] = {"direct",
                                           "direct-physical",
                                           "accelerator-direct",
                                           "accelerator-direct-physical",
                                           "remote-managed",
                                           "vdpa",
                                           NULL};

static char *
nic_name(const char *prefix, const char *id)
{
    g_autofree char *name = g_strconcat(prefix, id ? id : "", NULL);

    return g_strndup(name, 14);
}

static const char *
device_name(PortBuild *port)
{
    if (port->vif->devname)
        return port->vif->devname;
    return keep(port->interface, nic_name("nic", port->vif->id));
}

static const char *
value_text(GuestInterface *interface, const json_t *value)
{
    if (json_is_integer(value))
        return keep(interface, g_strdup_printf("%" JSON_INTEGER_FORMAT,
                                               json_integer_value(value)));
    return json_string_value(value);
}

static bool
key_error(NovaError **err, const char *key)
{
    return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

static bool
need_pci_slot(PortBuild *port, const char **ret_slot, NovaError **err)
{
    if (!json_object_size(port->vif->profile))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                              "'NoneType' object is not subscriptable");
    *ret_slot = json_string_value(json_object_get(port->vif->profile, "pci_slot"));
    return *ret_slot || key_error(err, "pci_slot");
}

/* ---- what a port has whatever its kind: model, driver, queues ---- */

static bool
check_model(const DomainBuild *build, const char *model, NovaError **err)
{
    static const char *const models[] = {"virtio", "ne2k_pci",    "pcnet",   "rtl8139", "e1000",
                                         "e1000e", "spapr-vlan",  "vmxnet3", "igb",     NULL};
    const bool is_qemu = !build->is_kvm;

    if (!model || is_one_of(model, models) || (is_qemu && !strcmp(model, "lan9118")))
        return true;
    return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_HARDWARE,
                          "Requested hardware '%s' is not supported by the '%s' virt driver",
                          model, build->options->libvirt.virt_type);
}

/* The option, else what kernels before 5 could do; 0: no limit. */
static int64_t
max_tap_queues(const DomainBuild *build)
{
    const OptInt option = build->options->libvirt.max_queues;
    const int kernel = build->in->facts->kernel_major;

    if (option.is_set && option.value)
        return option.value;
    return kernel <= 2 ? 1 : kernel == 3 ? 8 : kernel == 4 ? 256 : 0;
}

static bool
set_queues(PortBuild *port, NovaError **err)
{
    const int64_t limit = max_tap_queues(port->build);
    const int64_t vcpus = port->build->request.flavor->vcpus;
    bool wanted;

    if (!request_multiqueue(&port->build->request, &wanted, err))
        return false;
    if (wanted) {
        port->interface->driver = "vhost";
        port->interface->queues = limit && vcpus > limit ? limit : vcpus;
    }
    return true;
}

static int64_t
queue_size(OptInt option)
{
    return option.is_set ? option.value : 0;
}

/* A virtio NIC of a TCG guest must name its driver, or libvirt would take vhost. */
static bool
set_virtio_driver(PortBuild *port, NovaError **err)
{
    GuestInterface *interface = port->interface;

    if (!port->build->is_kvm)
        interface->driver = "qemu";
    else if (!set_queues(port, err))
        return false;
    if (interface->rx_queue_size && (!interface->driver || !strcmp(interface->driver, "vhost")))
        interface->driver = "vhost";
    return true;
}

static bool
set_frontend(PortBuild *port, NovaError **err)
{
    GuestInterface *interface = port->interface;
    const DomainBuild *build = port->build;
    const char *model;

    interface->mac = port->vif->address;
    if (!request_packed_ring(&build->request, &interface->packed, err))
        return false;
    if (vnic_is(port->vif, direct_vnics))
        return true;
    interface->rx_queue_size = queue_size(build->options->libvirt.rx_queue_size);
    model = request_image(&build->request, "hw_vif_model");
    if (!model && build->options->libvirt.use_virtio_for_bridges)
        model = "virtio";
    if (!check_model(build, model, err))
        return false;
    interface->model = model;
    return g_strcmp0(model, "virtio") || set_virtio_driver(port, err);
}

static void
set_ethernet(PortBuild *port, const char *target)
{
    port->interface->type = "ethernet";
    port->interface->target = target;
}

static const json_t *
network_meta(const Vif *vif, const char *key)
{
    return json_object_get(vif->network->meta, key);
}

/* ---- kinds that os-vif knows: MTU as the network has it, bandwidth unless in hardware ---- */

static void
set_network_mtu(PortBuild *port)
{
    port->interface->mtu = value_text(port->interface, network_meta(port->vif, "mtu"));
}

static bool
finish_os_vif(PortBuild *port, bool limits_bandwidth)
{
    port->interface->limits_bandwidth = limits_bandwidth;
    set_network_mtu(port);
    return true;
}

static bool
host_device(PortBuild *port, NovaError **err)
{
    const char *slot;

    if (!need_pci_slot(port, &slot, err) || !set_frontend(port, err))
        return false;
    port->interface->type = "hostdev";
    port->interface->source = slot;
    port->interface->model = NULL;
    return finish_os_vif(port, false);
}

static bool
vdpa_device(PortBuild *port, NovaError **err)
{
    GHashTable *devices = port->build->in->facts->vdpa_devices;
    const Options *options = port->build->options;
    const char *slot;

    if (!need_pci_slot(port, &slot, err) || !set_frontend(port, err))
        return false;
    port->interface->type = "vdpa";
    port->interface->source = devices ? g_hash_table_lookup(devices, slot) : NULL;
    if (!port->interface->source) /* what Nova's search through the node's devices ends with */
        return nova_error_set(err, NOVA_ERROR_STOP_ITERATION, "no vDPA device at %s", slot);
    port->interface->rx_queue_size = queue_size(options->libvirt.rx_queue_size);
    port->interface->tx_queue_size = queue_size(options->libvirt.tx_queue_size);
    return finish_os_vif(port, false);
}

static bool
generic(PortBuild *port, NovaError **err)
{
    if (!set_frontend(port, err))
        return false;
    set_ethernet(port, device_name(port));
    return finish_os_vif(port, true);
}

/* Through a bridge of its own, where the security group's rules apply. */
static bool
hybrid(PortBuild *port, NovaError **err)
{
    if (!set_frontend(port, err))
        return false;
    port->interface->type = "bridge";
    port->interface->source = keep(port->interface, nic_name("qbr", port->vif->id));
    port->interface->target = device_name(port);
    return finish_os_vif(port, true);
}

static bool
is_hybrid(const Vif *vif)
{
    return is_truthy(detail(vif, "ovs_hybrid_plug"));
}

/* Old bindings leave it to libvirt to put the tap into the bridge. */
static bool
set_ovs_bridge(PortBuild *port, NovaError **err)
{
    GuestInterface *interface = port->interface;
    const char *id = port->vif->ovs_interfaceid;

    if (!port->vif->network->bridge)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Cannot load 'bridge_name' in the base class");
    interface->type = "bridge";
    interface->source = port->vif->network->bridge;
    interface->target = device_name(port);
    interface->port_profile = "openvswitch";
    interface->parameters[0][0] = "interfaceid";
    interface->parameters[0][1] = id && *id ? id : port->vif->id;
    return true;
}

static bool
ovs_port(PortBuild *port, NovaError **err)
{
    const bool creates_tap = is_truthy(detail(port->vif, "ovs_create_tap"));

    if (!set_frontend(port, err))
        return false;
    if (creates_tap || port->vif->delegate_create)
        set_ethernet(port, device_name(port));
    else if (!set_ovs_bridge(port, err))
        return false;
    if (creates_tap)
        port->interface->target_managed = "no";
    return finish_os_vif(port, true);
}

static bool
ovs(PortBuild *port, NovaError **err)
{
    const char *vnic = port->vif->vnic_type;

    if (!g_strcmp0(vnic, "vdpa"))
        return vdpa_device(port, err);
    if (!g_strcmp0(vnic, "direct") || !g_strcmp0(vnic, "remote-managed"))
        return host_device(port, err);
    return is_hybrid(port->vif) ? hybrid(port, err) : ovs_port(port, err);
}

static bool
vhost_user_as(PortBuild *port, const char *target, NovaError **err)
{
    GuestInterface *interface = port->interface;
    const Options *options = port->build->options;
    const json_t *mode = detail(port->vif, "vhostuser_mode");
    const char *path = json_string_value(detail(port->vif, "vhostuser_socket"));

    if (!path || !*path)
        return nova_error_set(err, NOVA_ERROR_VIF_DETAILS_MISSING_VHOSTUSER_SOCK_PATH,
                              "vhostuser_sock_path not present in vif_details for vif %s",
                              port->vif->id);
    if (!set_frontend(port, err))
        return false;
    interface->driver = NULL;
    interface->type = "vhostuser";
    interface->mode = mode ? json_string_value(mode) : "server";
    interface->source = path;
    if (options->libvirt.rx_queue_size.is_set)
        interface->rx_queue_size = queue_size(options->libvirt.rx_queue_size);
    interface->tx_queue_size = queue_size(options->libvirt.tx_queue_size);
    interface->target = target && *target ? target : NULL;
    return finish_os_vif(port, false);
}

static bool
vhost_user(PortBuild *port, NovaError **err)
{
    const bool fast_path = is_truthy(detail(port->vif, "vhostuser_fp_plug"));

    if (!fast_path && is_truthy(detail(port->vif, "vhostuser_ovs_plug")))
        return vhost_user_as(port, keep(port->interface, nic_name("vhu", port->vif->id)), err);
    return vhost_user_as(port, device_name(port), err);
}

static bool
agilio(PortBuild *port, NovaError **err)
{
    const char *vnic = port->vif->vnic_type;
    const char *slot;

    if (!g_strcmp0(vnic, "direct"))
        return host_device(port, err);
    if (!g_strcmp0(vnic, "virtio-forwarder"))
        return need_pci_slot(port, &slot, err) && vhost_user_as(port, device_name(port), err);
    return ovs(port, err);
}

static bool
ivs(PortBuild *port, NovaError **err)
{
    return is_hybrid(port->vif) ? hybrid(port, err) : generic(port, err);
}

static bool
vrouter(PortBuild *port, NovaError **err)
{
    const char *vnic = port->vif->vnic_type;
    const char *slot;

    if (!g_strcmp0(vnic, "normal"))
        return generic(port, err);
    if (!g_strcmp0(vnic, "direct"))
        return host_device(port, err);
    if (!g_strcmp0(vnic, "virtio-forwarder"))
        return need_pci_slot(port, &slot, err) && vhost_user_as(port, device_name(port), err);
    return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
}

static bool
linux_bridge(PortBuild *port, NovaError **err)
{
    (void)port;
    return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION,
                          "Linux bridge VIF type is no longer supported");
}

/* ---- kinds that Nova configures itself ---- */

/* A VF as a PCI device of the guest, or as the lower device of a macvtap. */
static bool
set_vf(PortBuild *port, bool as_hostdev, NovaError **err)
{
    GHashTable *names = port->build->in->facts->pci_interfaces;
    GuestInterface *interface = port->interface;
    const char *slot;

    if (!need_pci_slot(port, &slot, err))
        return false;
    interface->type = as_hostdev ? "hostdev" : "direct";
    interface->limits_bandwidth = true;
    if (as_hostdev) {
        interface->source = slot;
        interface->model = NULL;
        return true;
    }
    interface->mode = "passthrough";
    interface->driver = "vhost";
    interface->source = names ? g_hash_table_lookup(names, slot) : NULL;
    return interface->source ||
           nova_error_set(err, NOVA_ERROR_PCI_DEVICE_NOT_FOUND_BY_ID, "PCI device %s not found",
                          slot);
}

static bool
hw_veb(PortBuild *port, NovaError **err)
{
    static const char *const vf_vnics[] = {"direct", "accelerator-direct", NULL};
    const json_t *vlan = detail(port->vif, "vlan");

    if (!set_frontend(port, err) || !set_vf(port, vnic_is(port->vif, vf_vnics), err))
        return false;
    if (!vlan)
        return key_error(err, "vlan");
    if (is_truthy(vlan))
        port->interface->vlan = value_text(port->interface, vlan);
    return true;
}

static bool
vepa_802_1qbh(PortBuild *port, NovaError **err)
{
    const json_t *profile_id = detail(port->vif, "profileid");

    if (!set_frontend(port, err) ||
        !set_vf(port, !g_strcmp0(port->vif->vnic_type, "direct"), err))
        return false;
    if (!profile_id)
        return key_error(err, "profileid");
    port->interface->port_profile = "802.1Qbh";
    port->interface->parameters[0][0] = "profileid";
    port->interface->parameters[0][1] = json_string_value(profile_id);
    return true;
}

static bool
vepa_802_1qbg(PortBuild *port, NovaError **err)
{
    static const char *const names[] = {"managerid", "typeid", "typeidversion", "instanceid"};
    GuestInterface *interface = port->interface;

    if (!set_frontend(port, err))
        return false;
    if (!json_is_object(port->vif->qbg_params))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                              "'NoneType' object is not subscriptable");
    interface->type = "direct";
    interface->mode = "vepa";
    interface->source = json_string_value(network_meta(port->vif, "interface"));
    interface->port_profile = "802.1Qbg";
    interface->limits_bandwidth = true;
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        const json_t *value = json_object_get(port->vif->qbg_params, names[i]);

        if (!value)
            return key_error(err, names[i]);
        interface->parameters[i][0] = names[i];
        interface->parameters[i][1] = json_string_value(value);
    }
    return true;
}

static bool
missing_macvtap_details(const Vif *vif, NovaError **err)
{
    static const char *const names[] = {"macvtap_source", "macvtap_mode", "physical_interface"};
    g_autoptr(GString) list = g_string_new(NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!json_is_string(detail(vif, names[i])))
            g_string_append_printf(list, "%s'%s'", list->len ? ", " : "", names[i]);
    }
    return nova_error_set(err, NOVA_ERROR_VIF_DETAILS_MISSING_MACVTAP_PARAMETERS,
                          "Parameters [%s] not present in vif_details for vif %s. Check your "
                          "Neutron configuration to validate that the macvtap parameters are "
                          "correct.", list->str, vif->id);
}

static bool
macvtap(PortBuild *port, NovaError **err)
{
    GuestInterface *interface = port->interface;

    if (!set_frontend(port, err))
        return false;
    interface->type = "direct";
    interface->source = json_string_value(detail(port->vif, "macvtap_source"));
    interface->mode = json_string_value(detail(port->vif, "macvtap_mode"));
    if (!interface->source || !interface->mode ||
        !json_string_value(detail(port->vif, "physical_interface")))
        return missing_macvtap_details(port->vif, err);
    interface->model = "virtio";
    interface->limits_bandwidth = true;
    return true;
}

static bool
iovisor(PortBuild *port, NovaError **err)
{
    if (!set_frontend(port, err))
        return false;
    set_ethernet(port, device_name(port));
    port->interface->limits_bandwidth = true;
    return true;
}

static bool
midonet(PortBuild *port, NovaError **err)
{
    if (!set_frontend(port, err))
        return false;
    set_ethernet(port, device_name(port));
    return true;
}

static bool
tap(PortBuild *port, NovaError **err)
{
    if (!midonet(port, err))
        return false;
    port->interface->target_managed = "no";
    if (is_truthy(network_meta(port->vif, "mtu")))
        set_network_mtu(port);
    return true;
}

/* ---- the element ---- */

static void
add_driver(xmlNode *node, const GuestInterface *interface)
{
    const bool is_vhost_user = !strcmp(interface->type, "vhostuser");
    const char *name = is_vhost_user ? NULL : interface->driver;
    xmlNode *driver;

    if (!interface->driver && !interface->packed && !is_vhost_user)
        return;
    if (!name && !interface->packed && !interface->queues && !interface->rx_queue_size &&
        !interface->tx_queue_size)
        return;
    driver = xml_child(node, "driver");
    xml_attr_if(driver, "name", name);
    if (interface->packed)
        xml_attr(driver, "packed", "on");
    if (interface->queues)
        xml_attr_int(driver, "queues", interface->queues);
    if (interface->rx_queue_size)
        xml_attr_int(driver, "rx_queue_size", interface->rx_queue_size);
    if (interface->tx_queue_size)
        xml_attr_int(driver, "tx_queue_size", interface->tx_queue_size);
}

/* "0000:06:12.7" → domain, bus, slot and function */
static bool
add_pci_address(xmlNode *parent, const char *address, bool has_type, NovaError **err)
{
    const char *dot = strchr(address, '.');
    g_autofree char *rest = dot ? g_strndup(address, (gsize)(dot - address)) : g_strdup(address);
    g_auto(GStrv) fields = g_strsplit(rest, ":", -1);
    xmlNode *node;

    if (g_strv_length(fields) != 3)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "not enough values to unpack (expected 3, got %u)",
                              g_strv_length(fields));
    node = xml_child(xml_child(parent, "source"), "address");
    if (has_type)
        xml_attr(node, "type", "pci");
    xml_attr_printf(node, "domain", "0x%s", fields[0]);
    xml_attr_printf(node, "bus", "0x%s", fields[1]);
    xml_attr_printf(node, "slot", "0x%s", fields[2]);
    xml_attr_printf(node, "function", "0x%s", dot ? dot + 1 : "");
    return true;
}

static void
add_vhost_user_source(xmlNode *node, const GuestInterface *interface)
{
    xmlNode *source = xml_child_attr(node, "source", "type", "unix");

    xml_attr(source, "mode", interface->mode);
    xml_attr(source, "path", interface->source);
}

static bool
add_source(xmlNode *node, const GuestInterface *interface, NovaError **err)
{
    if (!strcmp(interface->type, "hostdev"))
        return add_pci_address(node, interface->source, true, err);
    if (!strcmp(interface->type, "direct"))
        xml_attr(xml_child_attr(node, "source", "dev", interface->source), "mode",
                 interface->mode);
    else if (!strcmp(interface->type, "vdpa"))
        xml_child_attr(node, "source", "dev", interface->source);
    else if (!strcmp(interface->type, "vhostuser"))
        add_vhost_user_source(node, interface);
    else if (!strcmp(interface->type, "bridge"))
        xml_child_attr(node, "source", "bridge", interface->source);
    if (interface->mtu &&
        (!strcmp(interface->type, "ethernet") || !strcmp(interface->type, "bridge")))
        xml_child_attr(node, "mtu", "size", interface->mtu);
    return true;
}

static void
add_vlan(xmlNode *node, const GuestInterface *interface)
{
    if (interface->vlan &&
        (!strcmp(interface->type, "direct") || !strcmp(interface->type, "hostdev")))
        xml_child_attr(xml_child(node, "vlan"), "tag", "id", interface->vlan);
}

static void
add_target(xmlNode *node, const GuestInterface *interface)
{
    if (interface->target)
        xml_attr_if(xml_child_attr(node, "target", "dev", interface->target), "managed",
                    interface->target_managed);
}

static void
add_port_profile(xmlNode *node, const GuestInterface *interface)
{
    xmlNode *port;

    if (!interface->port_profile)
        return;
    port = xml_child_attr(node, "virtualport", "type", interface->port_profile);
    for (unsigned i = 0; i < G_N_ELEMENTS(interface->parameters); i++) {
        if (interface->parameters[i][0])
            xml_child_attr(port, "parameters", interface->parameters[i][0],
                           interface->parameters[i][1]);
    }
}

static void
add_direction(xmlNode *bandwidth, const GuestRequest *request, const char *direction)
{
    static const char *const parts[] = {"average", "peak", "burst"};
    xmlNode *node = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        g_autofree char *key = g_strdup_printf("quota:vif_%s_%s", direction, parts[i]);
        const char *value = request_flavor(request, key);

        if (!value && i == 0)
            return;
        if (i == 0)
            node = xml_child(bandwidth, direction);
        xml_attr_if(node, parts[i], value);
    }
}

static void
add_bandwidth(xmlNode *node, const GuestInterface *interface, const GuestRequest *request)
{
    xmlNode *bandwidth;

    if (!interface->limits_bandwidth ||
        (!request_flavor_truthy(request, "quota:vif_inbound_average") &&
         !request_flavor_truthy(request, "quota:vif_outbound_average")))
        return;
    bandwidth = xml_child(node, "bandwidth");
    add_direction(bandwidth, request, "inbound");
    add_direction(bandwidth, request, "outbound");
}

static xmlNode *
make_element(DomainBuild *build, const GuestInterface *interface, NovaError **err)
{
    xmlNode *node = xml_node(build->document, "interface");

    xml_attr(node, "type", interface->type);
    if (!strcmp(interface->type, "hostdev"))
        xml_attr(node, "managed", "yes");
    xml_child_attr(node, "mac", "address", interface->mac);
    if (interface->model && *interface->model)
        xml_child_attr(node, "model", "type", interface->model);
    add_driver(node, interface);
    if (!add_source(node, interface, err))
        return NULL;
    add_vlan(node, interface);
    add_target(node, interface);
    add_port_profile(node, interface);
    add_bandwidth(node, interface, &build->request);
    return node;
}

/* A whole PF or an InfiniBand function: a device, not a NIC, for the guest. */
static xmlNode *
hostdev_element(DomainBuild *build, const Vif *vif, NovaError **err)
{
    PortBuild port = {build, vif, NULL};
    const char *slot;
    xmlNode *node;

    if (!need_pci_slot(&port, &slot, err))
        return NULL;
    node = xml_node(build->document, "hostdev");
    xml_attr(node, "mode", "subsystem");
    xml_attr(node, "type", "pci");
    xml_attr(node, "managed", "yes");
    return add_pci_address(node, slot, false, err) ? node : NULL;
}

/* clang-format off */
static const struct {
    const char *vif_type;
    PortKind make;
    bool needs_network; /* goes through os-vif, which wants to know it */
} kinds[] = {
    { "ovs",          ovs, true },
    { "ivs",          ivs, true },
    { "bridge",       linux_bridge, false },
    { "agilio_ovs",   agilio, true },
    { "vhostuser",    vhost_user, true },
    { "vrouter",      vrouter, true },
    { "iovisor",      iovisor, false },
    { "802.1qbg",     vepa_802_1qbg, false },
    { "802.1qbh",     vepa_802_1qbh, false },
    { "hw_veb",       hw_veb, false },
    { "macvtap",      macvtap, false },
    { "midonet",      midonet, false },
    { "tap",          tap, false },
};
/* clang-format on */

static bool
unexpected_type(const char *type, NovaError **err)
{
    static const char *const unbound[] = {"binding_failed", "unbound", "dvs", NULL};

    if (!type)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                              "vif_type parameter must be present for this vif_driver "
                              "implementation");
    if (is_one_of(type, unbound))
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Unexpected vif_type=%s", type);
    return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "Unsupported VIF type %s", type);
}

static PortKind
find_kind(const Vif *vif, NovaError **err)
{
    for (unsigned i = 0; vif->type && i < G_N_ELEMENTS(kinds); i++) {
        if (strcmp(kinds[i].vif_type, vif->type))
            continue;
        if (!kinds[i].needs_network || vif->network->id)
            return kinds[i].make;
        nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "'NoneType' object is not subscriptable");
        return NULL;
    }
    unexpected_type(vif->type, err);
    return NULL;
}

xmlNode *
interface_element(DomainBuild *build, const Vif *vif, NovaError **err)
{
    GuestInterface interface = {0};
    PortBuild port = {build, vif, &interface};
    PortKind make;
    xmlNode *node = NULL;

    if (!g_strcmp0(vif->type, "hostdev_physical") || !g_strcmp0(vif->type, "ib_hostdev"))
        return hostdev_element(build, vif, err);
    make = find_kind(vif, err);
    if (!make)
        return NULL;
    interface.owned = g_ptr_array_new_with_free_func(g_free);
    if (make(&port, err))
        node = make_element(build, &interface, err);
    g_ptr_array_unref(interface.owned);
    return node;
}

bool
build_interfaces(DomainBuild *build, NovaError **err)
{
    const GPtrArray *vifs = build->in->network_info ? build->in->network_info->vifs : NULL;

    for (guint i = 0; vifs && i < vifs->len; i++) {
        xmlNode *node = interface_element(build, vifs->pdata[i], err);

        if (!node)
            return false;
        xml_append(build->devices, node);
    }
    return true;
}
