/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/vif_plan.h"
#include "network/vif_plug.h"

#define INSTANCE "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"
#define VIF(type, vnic_type, details)                                                              \
    "[{\"id\": \"49f2745f-3952-48ea-ab07-998930510485\", \"address\": \"fa:16:3e:4d:17:1e\","          \
    " \"type\": \"" type "\", \"vnic_type\": \"" vnic_type "\", \"details\": {" details "},"         \
    " \"devname\": \"tap49f2745f-39\", \"ovs_interfaceid\": \"49f2745f-3952-48ea-ab07-998930510485\"," \
    " \"network\": {\"id\": \"bccdbf81-4ed6-4e41-a163-aebd4148c153\", \"bridge\": \"br-int\"}}]"

static VifPlan *
plan_of(const char *text, NovaError **err)
{
    static Options options;
    g_autoptr(NetworkInfo) info = network_info_from_text(text, err);

    return info ? vif_plan_make(info->vifs->pdata[0], INSTANCE, &options, err) : NULL;
}

static void
an_ovs_port_is_plugged_as_os_vif_does(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(VifPlan) plan = plan_of(VIF("ovs", "normal", "\"datapath_type\": \"netdev\""), &error);

    assert_non_null(plan);
    assert_int_equal(plan->kind, VIF_PLAN_OVS);
    assert_string_equal(plan->port, "tap49f2745f-39");
    assert_string_equal(plan->bridge, "br-int");
    assert_string_equal(plan->datapath_type, "netdev");
    assert_string_equal(plan->iface_id, "49f2745f-3952-48ea-ab07-998930510485");
    assert_string_equal(plan->mac, "fa:16:3e:4d:17:1e");
    assert_string_equal(plan->vm_uuid, INSTANCE);
    assert_null(plan->trunk_bridge);
    assert_false(plan->isolate);
}

static void
assert_refused(const char *text, const char *class)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(VifPlan) plan = plan_of(text, &error);

    assert_null(plan);
    assert_string_equal(nova_error_class(error), class);
}

static void
what_cannot_be_plugged_is_refused(void **state G_GNUC_UNUSED)
{
    assert_refused(VIF("binding_failed", "normal", ""), "VirtualInterfacePlugException");
    assert_refused(VIF("unbound", "normal", ""), "VirtualInterfacePlugException");
    assert_refused(VIF("ovs", "normal", "\"ovs_hybrid_plug\": true"), "InternalError");
    assert_refused(VIF("ovs", "direct", ""), "InternalError");
    assert_refused(VIF("martian", "normal", ""), "InternalError");
    assert_refused(VIF("hw_veb", "macvtap", ""), "InternalError");
}

static void
others_plug_their_own(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(VifPlan) plan = plan_of(VIF("other", "normal", ""), &error);

    assert_non_null(plan);
    assert_int_equal(plan->kind, VIF_PLAN_NOTHING);
}

static void
a_function_of_the_host_s_card_needs_no_plug(void **state G_GNUC_UNUSED)
{
    g_autoptr(VifPlan) virtual = plan_of(VIF("hw_veb", "direct", "\"vlan\": \"7\""), NULL);
    g_autoptr(VifPlan) physical = plan_of(VIF("hostdev_physical", "direct-physical", ""), NULL);

    assert_int_equal(virtual->kind, VIF_PLAN_NOTHING);
    assert_int_equal(physical->kind, VIF_PLAN_NOTHING);
}

/* ---- a tap that is down ---- */

/* A tap in a network namespace of our own; -1: we may not. It lives as long as the file. */
static int
make_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    bool is_apart = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || unshare(CLONE_NEWNET) == 0;
    int fd = is_apart ? open("/dev/net/tun", O_RDWR | O_CLOEXEC) : -1;

    g_strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool
is_up(const char *name)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    g_strlcpy(request.ifr_name, name, sizeof(request.ifr_name));
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    close(fd);
    return request.ifr_flags & IFF_UP;
}

/* Last of all: the process stays in its namespace. */
static void
a_tap_that_is_down_is_set_up(void **state G_GNUC_UNUSED)
{
    static Options options;
    g_autoptr(NetworkInfo) info = network_info_from_text(VIF("ovs", "normal", ""), NULL);
    int fd;

    vif_bring_up_all(&options, info->vifs, INSTANCE); /* no such tap: nothing happens */
    fd = make_tap("tap49f2745f-39");
    if (fd < 0) {
        print_message("no network namespace for us here\n");
        skip();
    }
    assert_false(is_up("tap49f2745f-39"));
    vif_bring_up_all(&options, info->vifs, INSTANCE);
    assert_true(is_up("tap49f2745f-39"));
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ovs_port_is_plugged_as_os_vif_does),
        cmocka_unit_test(what_cannot_be_plugged_is_refused),
        cmocka_unit_test(others_plug_their_own),
        cmocka_unit_test(a_function_of_the_host_s_card_needs_no_plug),
        cmocka_unit_test(a_tap_that_is_down_is_set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
