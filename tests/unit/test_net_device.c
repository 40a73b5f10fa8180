/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/net_device.h"

static bool is_apart; /* in a network namespace of our own */

static int
enter_namespace(void **state G_GNUC_UNUSED)
{
    is_apart = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || unshare(CLONE_NEWNET) == 0;
    if (!is_apart)
        print_message("no network namespace for us here\n");
    return 0;
}

static int
read_flags_and_mtu(const char *name, int *ret_mtu)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int flags;

    strncpy(request.ifr_name, name, sizeof(request.ifr_name) - 1);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    flags = request.ifr_flags;
    assert_int_equal(ioctl(fd, SIOCGIFMTU, &request), 0);
    *ret_mtu = request.ifr_mtu;
    close(fd);
    return flags;
}

/* It is no longer, when it was. */
static bool
was_port_of(const char *bridge, const char *device)
{
    struct ifreq request = {.ifr_ifindex = (int)if_nametoindex(device)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool was;

    strncpy(request.ifr_name, bridge, sizeof(request.ifr_name) - 1);
    was = ioctl(fd, SIOCBRDELIF, &request) == 0;
    close(fd);
    return was;
}

static void
a_veth_pair_is_made_in_its_bridge_set_and_deleted(void **state G_GNUC_UNUSED)
{
    const NetDeviceSettings inner = {
        .state = NET_DEVICE_UP, .is_promiscuous = true, .mtu = 1450, .master = "qbr0"};
    const NetDeviceSettings outer = {.state = NET_DEVICE_UP, .is_promiscuous = true, .mtu = 1400};
    int mtu;

    if (!is_apart)
        skip();
    assert_true(net_device_add_bridge("qbr0", true, NULL));
    assert_true(net_device_add_veth("qvb1", "qvo1", &inner, NULL));
    assert_int_equal(read_flags_and_mtu("qvb1", &mtu) & (IFF_UP | IFF_PROMISC), IFF_UP | IFF_PROMISC);
    assert_int_equal(mtu, 1450);
    assert_true(was_port_of("qbr0", "qvb1"));
    assert_int_equal(read_flags_and_mtu("qvo1", &mtu) & (IFF_UP | IFF_PROMISC), 0);
    assert_int_equal(mtu, 1450);
    assert_true(net_device_set("qvo1", &outer, NULL));
    assert_int_equal(read_flags_and_mtu("qvo1", &mtu) & (IFF_UP | IFF_PROMISC), IFF_UP | IFF_PROMISC);
    assert_int_equal(mtu, 1400);
    assert_true(net_device_delete("qvb1", NULL));
    assert_false(net_device_exists("qvo1"));
    assert_true(net_device_delete("qvb1", NULL)); /* gone already */
    assert_true(net_device_delete("qbr0", NULL));
}

static void
a_bridge_takes_a_tap(void **state G_GNUC_UNUSED)
{
    const NetDeviceSettings settings = {.master = "qbr1", .mac = "fa:16:3e:4d:17:1e"};

    if (!is_apart)
        skip();
    assert_true(net_device_add_bridge("qbr1", true, NULL));
    if (!net_device_add_tap("tap1", false, NULL))
        skip(); /* /dev/net/tun is not for us */
    assert_true(net_device_set("tap1", &settings, NULL));
    assert_true(net_device_delete("tap1", NULL));
    assert_true(net_device_delete("qbr1", NULL));
}

static void
failures_say_what_and_why(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) missing = NULL;
    g_autoptr(NovaError) twice = NULL;
    const NetDeviceSettings up = {.state = NET_DEVICE_UP};
    const NetDeviceSettings in_nothing = {.master = "nobody"};

    if (!is_apart)
        skip();
    assert_false(net_device_set("nobody", &up, &missing));
    assert_string_equal(nova_error_message(missing), "finding network device nobody: No such device");
    g_clear_pointer(&missing, nova_error_free);
    assert_false(net_device_add_veth("qvb2", "qvo2", &in_nothing, &missing));
    assert_string_equal(nova_error_message(missing), "finding network device nobody: No such device");
    assert_false(net_device_exists("qvb2"));
    assert_true(net_device_add_bridge("qbr2", false, NULL));
    assert_false(net_device_add_bridge("qbr2", false, &twice));
    assert_string_equal(nova_error_class(twice), "InternalError");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_veth_pair_is_made_in_its_bridge_set_and_deleted),
        cmocka_unit_test(a_bridge_takes_a_tap),
        cmocka_unit_test(failures_say_what_and_why),
    };

    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
