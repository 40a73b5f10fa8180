/* SPDX-License-Identifier: Apache-2.0 */
#include "network/net_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define MAC_LENGTH 6

static bool
fail(NovaError **err, const char *what, const char *name, const char *why)
{
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "%s network device %s: %s", what, name,
                          why);
}

bool
net_device_exists(const char *name)
{
    return if_nametoindex(name) != 0;
}

static struct nl_msg *
make_message(int type, int flags, int index)
{
    struct nl_msg *message = nlmsg_alloc_simple(type, flags);
    struct ifinfomsg header = {.ifi_index = index};

    nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
    return message;
}

/* Sends it, frees it and waits for the kernel's answer. */
static int
exchange(struct nl_msg *message)
{
    struct nl_sock *socket = nl_socket_alloc();
    int rc = nl_connect(socket, NETLINK_ROUTE);

    if (rc == 0)
        rc = nl_send_sync(socket, message);
    else
        nlmsg_free(message);
    nl_socket_free(socket);
    return rc;
}

static bool
send_message(struct nl_msg *message, const char *what, const char *name, NovaError **err)
{
    int rc = exchange(message);

    return rc == 0 || fail(err, what, name, nl_geterror(rc));
}

/* ---- making and deleting ---- */

/* A message that makes 'name', open in the data of its kind. */
typedef struct NewDevice {
    struct nl_msg *message;
    struct nlattr *info, *data;
} NewDevice;

static NewDevice
begin_new(const char *name, const char *kind)
{
    NewDevice device = {.message = make_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0)};

    nla_put_string(device.message, IFLA_IFNAME, name);
    device.info = nla_nest_start(device.message, IFLA_LINKINFO);
    nla_put_string(device.message, IFLA_INFO_KIND, kind);
    device.data = nla_nest_start(device.message, IFLA_INFO_DATA);
    return device;
}

static void
end_data(NewDevice *device)
{
    nla_nest_end(device->message, device->data);
    nla_nest_end(device->message, device->info);
}

static bool
end_new(NewDevice *device, const char *name, NovaError **err)
{
    end_data(device);
    return send_message(device->message, "making", name, err);
}

bool
net_device_add_bridge(const char *name, bool forgets_nothing, NovaError **err)
{
    NewDevice bridge = begin_new(name, "bridge");

    nla_put_u32(bridge.message, IFLA_BR_FORWARD_DELAY, 0);
    nla_put_u32(bridge.message, IFLA_BR_STP_STATE, 0);
    nla_put_u8(bridge.message, IFLA_BR_MCAST_SNOOPING, 0);
    if (forgets_nothing)
        nla_put_u32(bridge.message, IFLA_BR_AGEING_TIME, 0);
    return end_new(&bridge, name, err);
}

bool
net_device_add_vlan(const char *name, const char *lower, int id, NovaError **err)
{
    unsigned index = if_nametoindex(lower);
    NewDevice vlan;

    if (index == 0)
        return fail(err, "finding", lower, g_strerror(errno));
    vlan = begin_new(name, "vlan");
    nla_put_u16(vlan.message, IFLA_VLAN_ID, (uint16_t)id);
    end_data(&vlan);
    nla_put_u32(vlan.message, IFLA_LINK, index);
    return send_message(vlan.message, "making", name, err);
}

bool
net_device_add_tap(const char *name, bool is_multiqueue, NovaError **err)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    bool ok;

    if (is_multiqueue)
        request.ifr_flags |= IFF_MULTI_QUEUE;
    g_strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
    ok = fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0;
    if (!ok)
        fail(err, "making", name, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

bool
net_device_delete(const char *name, NovaError **err)
{
    unsigned index = if_nametoindex(name);
    int rc = index == 0 ? 0 : exchange(make_message(RTM_DELLINK, 0, (int)index));

    return rc == 0 || rc == -NLE_NODEV || fail(err, "deleting", name, nl_geterror(rc));
}

/* ---- setting ---- */

static bool
read_mac(const char *text, uint8_t mac[MAC_LENGTH], NovaError **err)
{
    int end = 0;

    if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5], &end) == MAC_LENGTH &&
        text[end] == '\0')
        return true;
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "%s is no MAC address", text);
}

/* Of 'settings' all that a message about a device says, whether the device is there or made by it. */
static bool
put_settings(struct nl_msg *message, const NetDeviceSettings *settings, NovaError **err)
{
    struct ifinfomsg *header = nlmsg_data(nlmsg_hdr(message));
    unsigned master = settings->master ? if_nametoindex(settings->master) : 0;
    uint8_t mac[MAC_LENGTH];

    if (settings->master && master == 0)
        return fail(err, "finding", settings->master, g_strerror(ENODEV));
    if (settings->mac && !read_mac(settings->mac, mac, err))
        return false;
    header->ifi_change = settings->state == NET_DEVICE_AS_IS ? 0 : IFF_UP;
    header->ifi_flags = settings->state == NET_DEVICE_UP ? IFF_UP : 0;
    if (settings->is_promiscuous) {
        header->ifi_change |= IFF_PROMISC;
        header->ifi_flags |= IFF_PROMISC;
    }
    if (settings->mtu > 0)
        nla_put_u32(message, IFLA_MTU, (uint32_t)settings->mtu);
    if (settings->mac)
        nla_put(message, IFLA_ADDRESS, sizeof(mac), mac);
    if (settings->master)
        nla_put_u32(message, IFLA_MASTER, master);
    return true;
}

bool
net_device_set(const char *name, const NetDeviceSettings *settings, NovaError **err)
{
    unsigned index = if_nametoindex(name);
    struct nl_msg *message;

    if (index == 0)
        return fail(err, "finding", name, g_strerror(ENODEV));
    message = make_message(RTM_NEWLINK, 0, (int)index);
    if (put_settings(message, settings, err))
        return send_message(message, "setting", name, err);
    nlmsg_free(message);
    return false;
}

/* Each message about a device wakes whoever watches them, ovs-vswitchd before all, so one says all. */
bool
net_device_add_veth(const char *name, const char *peer, const NetDeviceSettings *settings,
                    NovaError **err)
{
    struct ifinfomsg header = {0};
    NewDevice veth = begin_new(name, "veth");
    struct nlattr *other = nla_nest_start(veth.message, VETH_INFO_PEER);

    nlmsg_append(veth.message, &header, sizeof(header), NLMSG_ALIGNTO);
    nla_put_string(veth.message, IFLA_IFNAME, peer);
    if (settings->mtu > 0)
        nla_put_u32(veth.message, IFLA_MTU, (uint32_t)settings->mtu);
    nla_nest_end(veth.message, other);
    end_data(&veth);
    if (put_settings(veth.message, settings, err))
        return send_message(veth.message, "making", name, err);
    nlmsg_free(veth.message);
    return false;
}

/* A message about one virtual function, open in its list. */
typedef struct VfMessage {
    struct nl_msg *message;
    struct nlattr *list, *info;
} VfMessage;

static bool
begin_vf(const char *name, VfMessage *ret_vf, NovaError **err)
{
    unsigned index = if_nametoindex(name);

    if (index == 0)
        return fail(err, "finding", name, g_strerror(errno));
    ret_vf->message = make_message(RTM_NEWLINK, 0, (int)index);
    ret_vf->list = nla_nest_start(ret_vf->message, IFLA_VFINFO_LIST);
    ret_vf->info = nla_nest_start(ret_vf->message, IFLA_VF_INFO);
    return true;
}

static bool
end_vf(VfMessage *vf, const char *name, NovaError **err)
{
    nla_nest_end(vf->message, vf->info);
    nla_nest_end(vf->message, vf->list);
    return send_message(vf->message, "setting a virtual function of", name, err);
}

bool
net_device_set_vf_address(const char *name, unsigned index, const char *mac, int vlan,
                          NovaError **err)
{
    struct ifla_vf_mac address = {.vf = index};
    struct ifla_vf_vlan tag = {.vf = index, .vlan = (uint32_t)vlan};
    VfMessage vf;

    if (!read_mac(mac, address.mac, err) || !begin_vf(name, &vf, err))
        return false;
    nla_put(vf.message, IFLA_VF_MAC, sizeof(address), &address);
    nla_put(vf.message, IFLA_VF_VLAN, sizeof(tag), &tag);
    return end_vf(&vf, name, err);
}

bool
net_device_set_vf_trust(const char *name, unsigned index, bool is_trusted, NovaError **err)
{
    struct ifla_vf_trust trust = {.vf = index, .setting = is_trusted};
    VfMessage vf;

    if (!begin_vf(name, &vf, err))
        return false;
    nla_put(vf.message, IFLA_VF_TRUST, sizeof(trust), &trust);
    return end_vf(&vf, name, err);
}
