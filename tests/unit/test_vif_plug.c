/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to devices in which order, and what a failure takes back. Kernel and card are doubles; the switch is left out. */
#include "tests/unit/cmocka_all.h"

#include "network/net_device.h"
#include "network/vif_plug.h"
#include "network/virtual_function.h"

static GString *did;              /* a word or two a step, each with a space behind */
static GHashTable *devices;       /* set of names */
static const char *broken;        /* that cannot be made; NULL: none */
static bool has_function, is_raced; /* somebody else makes the device just before us */

/* ---- doubles ---- */

bool
net_device_exists(const char *name)
{
    return g_hash_table_contains(devices, name);
}

bool
net_device_add_bridge(const char *name, bool forgets_nothing G_GNUC_UNUSED, NovaError **err)
{
    if (g_strcmp0(name, broken) == 0)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "making %s: no room", name);
    if (is_raced && g_hash_table_add(devices, g_strdup(name)))
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "making %s: File exists", name);
    g_string_append_printf(did, "add:%s ", name);
    return g_hash_table_add(devices, g_strdup(name));
}

bool
net_device_add_veth(const char *name, const char *peer, const NetDeviceSettings *settings G_GNUC_UNUSED,
                    NovaError **err)
{
    return net_device_add_bridge(name, false, err) && net_device_add_bridge(peer, false, err);
}

bool
net_device_add_vlan(const char *name, const char *lower G_GNUC_UNUSED, int id G_GNUC_UNUSED, NovaError **err)
{
    return net_device_add_bridge(name, false, err);
}

bool
net_device_add_tap(const char *name, bool is_multiqueue G_GNUC_UNUSED, NovaError **err)
{
    return net_device_add_bridge(name, false, err);
}

bool
net_device_delete(const char *name, NovaError **err G_GNUC_UNUSED)
{
    g_string_append_printf(did, "delete:%s ", name);
    g_hash_table_remove(devices, name);
    return true;
}

bool
net_device_set(const char *name, const NetDeviceSettings *settings, NovaError **err G_GNUC_UNUSED)
{
    static const char *const states[] = {"set", "up", "down"};

    g_string_append_printf(did, "%s:%s ", states[settings->state], name);
    return true;
}

bool
net_device_set_vf_address(const char *name, unsigned index, const char *mac, int vlan G_GNUC_UNUSED,
                          NovaError **err G_GNUC_UNUSED)
{
    g_string_append_printf(did, "mac:%s/%u=%s ", name, index, mac);
    return true;
}

bool
net_device_set_vf_trust(const char *name, unsigned index, bool is_trusted, NovaError **err G_GNUC_UNUSED)
{
    g_string_append_printf(did, "trust:%s/%u=%d ", name, index, is_trusted);
    return true;
}

static bool
find(NovaError **err)
{
    return has_function || nova_error_set(err, NOVA_ERROR_PCI_DEVICE_NOT_FOUND_BY_ID, "PCI device not found");
}

bool
virtual_function_find(const char *sysfs G_GNUC_UNUSED, const char *pci_slot G_GNUC_UNUSED,
                      VirtualFunction *ret_function, NovaError **err)
{
    if (!find(err))
        return false;
    *ret_function = (VirtualFunction){g_strdup("pf"), 7};
    return true;
}

void
virtual_function_clear(VirtualFunction *function)
{
    g_free(function->parent);
}

char *
virtual_function_device(const char *sysfs G_GNUC_UNUSED, const char *pci_slot G_GNUC_UNUSED, NovaError **err)
{
    return find(err) ? g_strdup("vf7") : NULL;
}

char *
virtual_function_representor(const char *sysfs G_GNUC_UNUSED, const char *pci_slot G_GNUC_UNUSED,
                             NovaError **err)
{
    return find(err) ? g_strdup("rep7") : NULL;
}

/* ---- */

static int
set_up(void **state G_GNUC_UNUSED)
{
    did = g_string_new(NULL);
    devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    has_function = true;
    is_raced = false;
    broken = NULL;
    return 0;
}

static int
tear_down(void **state G_GNUC_UNUSED)
{
    g_string_free(did, TRUE);
    g_hash_table_unref(devices);
    return 0;
}

#define VIF(devname, type, vnic_type, details, profile)                                                          \
    "{\"id\": \"49f2745f\", \"address\": \"fa:16:3e:4d:17:1e\", \"type\": \"" type "\", \"vnic_type\": \"" vnic_type \
    "\", \"details\": {" details "}, \"profile\": {" profile "}, \"devname\": \"" devname "\", \"ovs_interfaceid\":"  \
    " \"49f2745f\", \"network\": {\"id\": \"n\", \"bridge\": \"br1\", \"meta\": {\"should_create_bridge\": true}}}"
#define SLOT "\"pci_slot\": \"0000:06:12.7\""
#define SWITCHDEV VIF("tap0", "ovs", "direct", "", SLOT)
#define TRUSTED VIF("tap0", "hw_veb", "direct", "", SLOT ", \"trusted\": \"true\"")
#define MACVTAP VIF("tap0", "hw_veb", "macvtap", "\"vlan\": \"5\"", SLOT)
#define VLAN                                                                                                       \
    VIF("tap0", "macvtap", "macvtap",                                                                              \
        "\"vlan\": \"5\", \"physical_interface\": \"eth0\", \"macvtap_source\": \"eth0.5\"", "")
#define BRIDGED VIF("tap0", "bridge", "normal", "", "")
#define TAP(devname) VIF(devname, "tap", "normal", "", "")

static bool
act(bool is_plug, const char *vifs, NovaError **err)
{
    const VifGuest guest = {.uuid = "6c35b09a", .release = 33};
    const Options options = {.os_vif_ovs = {.default_qos_type = (char *)"linux-noop"}};
    g_autofree char *text = g_strdup_printf("[%s]", vifs);
    g_autoptr(NetworkInfo) network = network_info_from_text(text, NULL);

    return (is_plug ? vif_plug_all : vif_unplug_all)(NULL, &options, network->vifs, &guest, err);
}

static void
failed_plug_leaves_functions_as_they_are(void **state G_GNUC_UNUSED)
{
    broken = "tap1";
    assert_false(act(true, SWITCHDEV ", " TRUSTED ", " MACVTAP ", " TAP("tap1"), NULL));
    assert_string_equal(did->str, "up:rep7 trust:pf/7=1 mac:pf/7=fa:16:3e:4d:17:1e up:vf7 ");
}

static void
failed_plug_deletes_what_it_made(void **state G_GNUC_UNUSED)
{
    g_hash_table_add(devices, g_strdup("tap2"));
    broken = "tap3";
    assert_false(act(true, TAP("tap1") ", " TAP("tap2") ", " TAP("tap3"), NULL));
    assert_string_equal(did->str, "add:tap1 up:tap1 delete:tap1 ");
}

static void
unplug_forgives_a_function_that_has_left(void **state G_GNUC_UNUSED)
{
    has_function = false;
    assert_true(act(false, SWITCHDEV ", " TRUSTED ", " MACVTAP, NULL));
    assert_string_equal(did->str, "");
}

static void
shared_device_may_be_made_by_another_plug_meanwhile(void **state G_GNUC_UNUSED)
{
    is_raced = true;
    assert_true(act(true, VLAN ", " BRIDGED, NULL));
    assert_string_equal(did->str, "up:eth0.5 up:br1 ");
}

static void
failed_plug_leaves_shared_devices_to_the_others(void **state G_GNUC_UNUSED)
{
    broken = "tap1";
    assert_false(act(true, VLAN ", " BRIDGED ", " TAP("tap1"), NULL));
    assert_string_equal(did->str, "add:eth0.5 up:eth0.5 add:br1 up:br1 ");
}

static void
shared_device_that_cannot_be_made_is_a_failure(void **state G_GNUC_UNUSED)
{
    broken = "eth0.5";
    assert_false(act(true, VLAN, NULL));
    broken = "br1";
    assert_false(act(true, BRIDGED, NULL));
    assert_string_equal(did->str, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(failed_plug_leaves_functions_as_they_are),
        TEST(failed_plug_deletes_what_it_made),
        TEST(unplug_forgives_a_function_that_has_left),
        TEST(shared_device_may_be_made_by_another_plug_meanwhile),
        TEST(failed_plug_leaves_shared_devices_to_the_others),
        TEST(shared_device_that_cannot_be_made_is_a_failure),
    };

    return cmocka_run_group_tests_name("vif_plug", tests, NULL, NULL);
}
