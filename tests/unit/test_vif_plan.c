/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "network/vif_plan.h"

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ovs_port_is_plugged_as_os_vif_does),
        cmocka_unit_test(what_cannot_be_plugged_is_refused),
        cmocka_unit_test(others_plug_their_own),
        cmocka_unit_test(a_function_of_the_host_s_card_needs_no_plug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
