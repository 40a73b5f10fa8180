/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The kernel's network devices: made, set and deleted by netlink (libnl-3, which libvirt has loaded
 * anyway), taps by their ioctl. Needs CAP_NET_ADMIN. A name that nobody has is an error but where a
 * comment says otherwise; errors are InternalErrors with the kernel's text. Any thread. */

#include <stdbool.h>

#include "agent/base/nova_error.h"

bool net_device_exists(const char *name);

/* No STP, no forward delay, no multicast snooping; ageing 0 if it 'forgets_nothing'. Down. */
bool net_device_add_bridge(const char *name, bool forgets_nothing, NovaError **err);
bool net_device_add_vlan(const char *name, const char *lower, int id, NovaError **err);
/* One that outlives its maker. Down. */
bool net_device_add_tap(const char *name, bool is_multiqueue, NovaError **err);
/* One that is not there is gone already. */
bool net_device_delete(const char *name, NovaError **err);

typedef enum NetDeviceState {
    NET_DEVICE_AS_IS,
    NET_DEVICE_UP,
    NET_DEVICE_DOWN,
} NetDeviceState;

/* NULL, 0, false: left as it is. */
typedef struct NetDeviceSettings {
    NetDeviceState state;
    bool is_promiscuous;
    int mtu;
    const char *mac;
    const char *master;
} NetDeviceSettings;
bool net_device_set(const char *name, const NetDeviceSettings *settings, NovaError **err);

/* A pair: 'name' with these settings, 'peer' with the same MTU and down, as it cannot be up before 'name' is
 * there. */
bool net_device_add_veth(const char *name, const char *peer, const NetDeviceSettings *settings,
                         NovaError **err);

/* Virtual function number 'index' of the physical function 'name'. */
bool net_device_set_vf_address(const char *name, unsigned index, const char *mac, int vlan,
                               NovaError **err);
bool net_device_set_vf_trust(const char *name, unsigned index, bool is_trusted, NovaError **err);
