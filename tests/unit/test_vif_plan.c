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


#define PORT "49f2745f-3952-48ea-ab07-998930510485"
#define IDS                                                                                        \
    " iface-id=" PORT " iface-status=active attached-mac=fa:16:3e:4d:17:1e vm-uuid=" INSTANCE
#define NONE ""

static VifPlan *
plan_for(const char *text, const Options *options, int release, NovaError **err)
{
    const VifGuest guest = {.uuid = INSTANCE, .project_id = "aProject", .release = release};
    g_autoptr(NetworkInfo) info = network_info_from_text(text, err);

    return info ? vif_plan_make(info->vifs->pdata[0], &guest, options, err) : NULL;
}

static VifPlan *
plan_of(const char *text, NovaError **err)
{
    const Options options = {
        .os_vif_ovs = {.network_device_mtu = 1500, .default_qos_type = (char *)"linux-noop"}};

    return plan_for(text, &options, 34, err);
}

/* The port of a test: what Neutron said of it. */
typedef struct Case {
    const char *name;
    const char *type, *vnic_type, *details, *profile;
    const char *plan;
} Case;

static char *
make_vif(const Case *of)
{
    return g_strdup_printf(
        "[{\"id\": \"" PORT "\", \"address\": \"fa:16:3e:4d:17:1e\", \"type\": \"%s\", \"vnic_type\": \"%s\","
        " \"details\": {%s}, \"profile\": {%s}, \"devname\": \"tap49f2745f-39\","
        " \"ovs_interfaceid\": \"" PORT "\", \"delegate_create\": true,"
        " \"network\": {\"id\": \"bccdbf81-4ed6-4e41-a163-aebd4148c153\", \"bridge\": \"br-int\","
        " \"meta\": {\"mtu\": 1450, \"should_create_bridge\": true}}}]",
        of->type, of->vnic_type, of->details, of->profile);
}

#define SLOT "\"pci_slot\": \"0000:06:12.7\""
#define SOCKET "\"vhostuser_socket\": \"/run/vhu\""
#define OVS_PLUG "\"vhostuser_ovs_plug\": true, "

/* What os-vif 5.3.0's plugins and Nova 34's libvirt driver do for each (tests/differential/vif_rows asks the former). */
static const Case cases[] = {
    {"direct", "ovs", "normal", "\"datapath_type\": \"netdev\"", NONE,
     "+ ovs-bridge bridge=br-int datapath=netdev\n"
     "- bridge device=qbr49f2745f-39 ageing=0\n"
     "- veth device=qvb49f2745f-39 peer=qvo49f2745f-39 bridge=qbr49f2745f-39 mtu=1450\n"
     "- ovs-port device=qvo49f2745f-39 bridge=br-int" IDS "\n"
     "+ mtu device=tap49f2745f-39 mtu=1450\n"
     "- tap device=tap49f2745f-39\n"
     "± ovs-port device=tap49f2745f-39 bridge=br-int" IDS "\n"},
    {"direct, the tap made here", "ovs", "normal", "\"ovs_create_tap\": true", NONE,
     "+ ovs-bridge bridge=br-int datapath=system\n"
     "- bridge device=qbr49f2745f-39 ageing=0\n"
     "- veth device=qvb49f2745f-39 peer=qvo49f2745f-39 bridge=qbr49f2745f-39 mtu=1450\n"
     "- ovs-port device=qvo49f2745f-39 bridge=br-int qos=linux-noop" IDS "\n"
     "± tap device=tap49f2745f-39 mac=fa:16:3e:4d:17:1e mtu=1450 ipv6=no\n"
     "± ovs-port device=tap49f2745f-39 bridge=br-int qos=linux-noop" IDS "\n"},
    {"hybrid", "ovs", "normal", "\"ovs_hybrid_plug\": true, \"datapath_type\": \"system\"", NONE,
     "+ ovs-bridge bridge=br-int datapath=system\n"
     "± bridge device=qbr49f2745f-39 ageing=0\n"
     "± veth device=qvb49f2745f-39 peer=qvo49f2745f-39 bridge=qbr49f2745f-39 mtu=1450\n"
     "± ovs-port device=qvo49f2745f-39 bridge=br-int qos=linux-noop" IDS "\n"},
    {"switchdev", "ovs", "direct", NONE, SLOT,
     "+ ovs-bridge bridge=br-int\n"
     "± representor pci=0000:06:12.7 mtu=1450\n"
     "± ovs-port bridge=br-int pci=0000:06:12.7 qos=linux-noop" IDS "\n"},
    {"vDPA", "ovs", "vdpa", NONE, SLOT,
     "+ ovs-bridge bridge=br-int\n"
     "± representor pci=0000:06:12.7 mtu=1450\n"
     "± ovs-port bridge=br-int pci=0000:06:12.7 qos=linux-noop" IDS "\n"},
    {"remote-managed", "ovs", "remote-managed", NONE, SLOT, NONE},
    {"QEMU is the server", "vhostuser", "normal", OVS_PLUG SOCKET ", \"datapath_type\": \"netdev\"", NONE,
     "+ ovs-bridge bridge=br-int datapath=netdev\n"
     "± ovs-port device=vhu49f2745f-39 bridge=br-int type=dpdkvhostuserclient mtu_request=1450"
     " vhost-server-path=/run/vhu" IDS "\n"},
    {"QEMU is the client", "vhostuser", "normal",
     OVS_PLUG SOCKET ", \"vhostuser_mode\": \"client\", \"datapath_type\": \"netdev\"", NONE,
     "+ ovs-bridge bridge=br-int datapath=netdev\n"
     "± ovs-port device=vhu49f2745f-39 bridge=br-int type=dpdkvhostuser mtu_request=1450" IDS "\n"},
    {"somebody else's socket", "vhostuser", "normal", SOCKET, NONE, NONE},
    {"agilio without its card", "agilio_ovs", "normal", "\"ovs_hybrid_plug\": true, \"datapath_type\": \"netdev\"",
     NONE,
     "+ ovs-bridge bridge=br-int datapath=netdev\n"
     "± bridge device=qbr49f2745f-39 ageing=0\n"
     "± veth device=qvb49f2745f-39 peer=qvo49f2745f-39 bridge=qbr49f2745f-39 mtu=1450\n"
     "± ovs-port device=qvo49f2745f-39 bridge=br-int" IDS "\n"},
    {"VF", "hw_veb", "direct", "\"vlan\": \"7\"", SLOT, NONE},
    {"trusted VF", "hw_veb", "direct", "\"vlan\": \"7\"", SLOT ", \"trusted\": \"true\"",
     "± vf-trust pci=0000:06:12.7\n"},
    {"VF no longer trusted", "hw_veb", "direct", "\"vlan\": \"7\"", SLOT ", \"trusted\": \"false\"",
     "- vf-trust pci=0000:06:12.7\n"},
    {"macvtap on a VF", "hw_veb", "macvtap", "\"vlan\": \"7\"", SLOT,
     "± vf-address mac=fa:16:3e:4d:17:1e pci=0000:06:12.7 id=7\n"},
    {"macvtap of a VLAN", "macvtap", "normal",
     "\"vlan\": 7, \"physical_interface\": \"eth1\", \"macvtap_source\": \"eth1.7\"", NONE,
     "+ vlan device=eth1.7 lower=eth1 id=7\n"},
    {"macvtap untagged", "macvtap", "normal", "\"macvtap_source\": \"eth1\"", NONE, NONE},
    {"tap", "tap", "normal", "\"mac_address\": \"00:61:fe:ed:ca:fe\"", NONE,
     "± tap device=tap49f2745f-39 mac=00:61:fe:ed:ca:fe mtu=1450\n"},
    {"MidoNet", "midonet", "normal", NONE, NONE,
     "± tap device=tap49f2745f-39\n"
     "+ command mm-ctl --bind-port " PORT " tap49f2745f-39\n"
     "- command mm-ctl --unbind-port " PORT "\n"},
    {"IO Visor", "iovisor", "normal", NONE, NONE,
     "± tap device=tap49f2745f-39\n"
     "+ command ifc_ctl gateway add_port tap49f2745f-39\n"
     "+ command ifc_ctl gateway ifup tap49f2745f-39 access_vm " PORT " fa:16:3e:4d:17:1e"
     " pgtag2=bccdbf81-4ed6-4e41-a163-aebd4148c153 pgtag1=aProject\n"
     "- command ifc_ctl gateway del_port tap49f2745f-39\n"
     "- command ifc_ctl gateway ifdown tap49f2745f-39\n"},
    {"InfiniBand", "ib_hostdev", "direct", "\"physical_network\": \"fabric\"", SLOT,
     "+ command ebrctl add-port fa:16:3e:4d:17:1e " INSTANCE " fabric ib_hostdev 0000:06:12.7\n"
     "- command ebrctl del-port fabric fa:16:3e:4d:17:1e\n"},
    {"PF", "hostdev_physical", "direct-physical", NONE, SLOT, NONE},
    {"VEPA", "802.1qbg", "normal", NONE, NONE, NONE},
    {"VEPA h", "802.1qbh", "direct", NONE, SLOT, NONE},
};

static void
each_type_is_plugged_as_nova_and_os_vif_do(void **state G_GNUC_UNUSED)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(NovaError) error = NULL;
        g_autofree char *vif = make_vif(&cases[i]);
        g_autoptr(VifPlan) plan = plan_of(vif, &error);
        g_autofree char *text = plan ? vif_plan_to_text(plan) : NULL;

        if (!plan)
            fail_msg("%s: %s", cases[i].name, nova_error_message(error));
        if (strcmp(text, cases[i].plan) != 0)
            fail_msg("%s:\n%s", cases[i].name, text);
    }
}

/* ---- options and the control plane's release ---- */

static void
assert_plan(const Case *of, const Options *options, int release, const char *expected)
{
    g_autofree char *vif = make_vif(of);
    g_autoptr(VifPlan) plan = plan_for(vif, options, release, NULL);
    g_autofree char *text = vif_plan_to_text(plan);

    assert_string_equal(text, expected);
}

static void
a_new_port_starts_in_the_dead_vlan_if_asked(void **state G_GNUC_UNUSED)
{
    const Options options = {.os_vif_ovs = {.isolate_vif = true}};
    const Case hybrid = {NULL, "ovs", "normal", "\"ovs_hybrid_plug\": true, \"datapath_type\": \"netdev\"", NONE, NULL};

    assert_plan(&hybrid, &options, 34,
                "+ ovs-bridge bridge=br-int datapath=netdev\n"
                "± bridge device=qbr49f2745f-39 ageing=0\n"
                "± veth device=qvb49f2745f-39 peer=qvo49f2745f-39 bridge=qbr49f2745f-39 mtu=1450\n"
                "± ovs-port device=qvo49f2745f-39 bridge=br-int isolate=yes" IDS "\n");
}

static void
a_port_may_have_a_bridge_of_its_own(void **state G_GNUC_UNUSED)
{
    const Options options = {.os_vif_ovs = {.per_port_bridge = true}};
    const Case direct = {NULL, "ovs", "normal", "\"datapath_type\": \"netdev\"", NONE, NULL};

    assert_plan(&direct, &options, 34,
                "+ ovs-bridge bridge=br-int datapath=netdev\n"
                "+ mtu device=tap49f2745f-39 mtu=1450\n"
                "- tap device=tap49f2745f-39\n"
                "± ovs-bridge bridge=pb49f2745f-395 datapath=netdev\n"
                "± ovs-port device=tap49f2745f-39 bridge=pb49f2745f-395\n"
                "± ovs-port device=ibp" PORT " bridge=br-int type=patch peer=pbp" PORT IDS "\n"
                "± ovs-port device=pbp" PORT " bridge=pb49f2745f-395 type=patch peer=ibp" PORT "\n");
}

/* Whoever finds the port in the switch finds no more than its patch. */
static void
a_patch_leads_to_the_port_s_own_bridge(void **state G_GNUC_UNUSED)
{
    g_autofree char *bridge = vif_plan_own_bridge("ibp" PORT);

    assert_string_equal(bridge, "pb49f2745f-395");
    assert_null(vif_plan_own_bridge("tap49f2745f-39"));
    assert_null(vif_plan_own_bridge("qvo49f2745f-39"));
}

static void
linux_bridges_ended_with_release_34(void **state G_GNUC_UNUSED)
{
    const Options options = {0};
    const Case bridge = {NULL, "bridge", "normal", NONE, NONE, NULL};

    assert_plan(&bridge, &options, 33, "+ bridge device=br-int\n");
}

static void
a_trunk_s_bridge_goes_with_its_port(void **state G_GNUC_UNUSED)
{
    g_autoptr(VifPlan) plan = plan_of("[{\"id\": \"" PORT "\", \"address\": \"fa:16:3e:4d:17:1e\", \"type\": \"ovs\","
                                      " \"details\": {\"ovs_hybrid_plug\": true, \"datapath_type\": \"netdev\"},"
                                      " \"network\": {\"id\": \"n\", \"bridge\": \"tbr-49f2745f-3\"}}]", NULL);
    g_autofree char *text = vif_plan_to_text(plan);

    assert_non_null(strstr(text, "± ovs-bridge bridge=tbr-49f2745f-3 datapath=netdev\n"));
    assert_non_null(strstr(text, "mtu=1500"));
    assert_non_null(strstr(text, " bridge_name=tbr-49f2745f-3\n"));
}

static void
a_port_that_libvirt_makes_is_only_taken_away(void **state G_GNUC_UNUSED)
{
    g_autoptr(VifPlan) plan = plan_of("[{\"id\": \"" PORT "\", \"type\": \"ovs\","
                                      " \"network\": {\"id\": \"n\", \"bridge\": \"br-int\"}}]", NULL);
    g_autofree char *text = vif_plan_to_text(plan);

    assert_true(g_str_has_prefix(text, "+ ovs-bridge bridge=br-int datapath=system\n- "));
    assert_non_null(strstr(text, "- ovs-port device=nic49f2745f-39"));
    assert_null(strstr(text + 1, "+ "));
    assert_null(strstr(text, "±"));
}

/* ---- refusals ---- */

static void
assert_refused(const Case *of, const char *class, const char *message)
{
    g_autoptr(NovaError) error = NULL;
    g_autofree char *vif = make_vif(of);
    g_autoptr(VifPlan) plan = plan_of(vif, &error);

    assert_null(plan);
    assert_string_equal(nova_error_class(error), class);
    assert_string_equal(nova_error_message(error), message);
}

#define REFUSED(class, message, ...) assert_refused(&(const Case){NULL, __VA_ARGS__, NULL}, class, message)
#define PLUGIN "Failure running os_vif plugin plug method: No VIF plugin was found with the name "

static void
what_nova_refuses_is_refused_so(void **state G_GNUC_UNUSED)
{
    REFUSED("VirtualInterfacePlugException", "Plug VIF failed because of unexpected vif_type=binding_failed",
            "binding_failed", "normal", NONE, NONE);
    REFUSED("VirtualInterfacePlugException", "Plug VIF failed because of unexpected vif_type=unbound",
            "unbound", "normal", NONE, NONE);
    REFUSED("NovaException", "Unsupported VIF type martian", "martian", "normal", NONE, NONE);
    REFUSED("NovaException", "Linux bridge VIF type is no longer supported", "bridge", "normal", NONE, NONE);
    REFUSED("KeyError", "'pci_slot'", "ovs", "direct", NONE, NONE);
    REFUSED("KeyError", "'vlan'", "hw_veb", "macvtap", NONE, SLOT);
    REFUSED("VifDetailsMissingVhostuserSockPath", "vhostuser_sock_path not present in vif_details for vif " PORT,
            "vhostuser", "normal", OVS_PLUG "\"a\": 1", NONE);
    REFUSED("InternalError", PLUGIN "vhostuser_fp", "vhostuser", "normal", "\"vhostuser_fp_plug\": true, " SOCKET,
            NONE);
    REFUSED("InternalError", PLUGIN "contrail_vrouter", "vhostuser", "normal",
            "\"vhostuser_vrouter_plug\": true, " SOCKET, NONE);
    REFUSED("InternalError", PLUGIN "agilio_ovs", "agilio_ovs", "direct", NONE, SLOT);
    REFUSED("InternalError", PLUGIN "vrouter", "vrouter", "normal", NONE, NONE);
    REFUSED("InternalError", PLUGIN "ivs", "ivs", "normal", NONE, NONE);
    REFUSED("NetworkMissingPhysicalNetwork",
            "Physical network is missing for network bccdbf81-4ed6-4e41-a163-aebd4148c153", "ib_hostdev", "direct",
            NONE, SLOT);
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

    vif_bring_up_all(&options, info->vifs); /* no such tap: nothing happens */
    fd = make_tap("tap49f2745f-39");
    if (fd < 0) {
        print_message("no network namespace for us here\n");
        skip();
    }
    assert_false(is_up("tap49f2745f-39"));
    vif_bring_up_all(&options, info->vifs);
    assert_true(is_up("tap49f2745f-39"));
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_plugged_as_nova_and_os_vif_do),
        cmocka_unit_test(a_new_port_starts_in_the_dead_vlan_if_asked),
        cmocka_unit_test(a_port_may_have_a_bridge_of_its_own),
        cmocka_unit_test(a_patch_leads_to_the_port_s_own_bridge),
        cmocka_unit_test(linux_bridges_ended_with_release_34),
        cmocka_unit_test(a_trunk_s_bridge_goes_with_its_port),
        cmocka_unit_test(a_port_that_libvirt_makes_is_only_taken_away),
        cmocka_unit_test(what_nova_refuses_is_refused_so),
        cmocka_unit_test(a_tap_that_is_down_is_set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
