/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "compute/pci_placement.h"
#include "compute/pci_states.h"
#include "compute/placement_names.h"

#define GUEST    "6b4b0b0a-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define ROOT     "0c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define PHYSICAL "0000:06:00.0"
#define FIRST    "0000:06:10.1"
#define SECOND   "0000:06:10.2"
#define PLAIN    "0000:00:0a.0"

/* ---- a node with a plain device, and a physical function of two virtual ones ---- */

static bool
no_physical_function(void *user G_GNUC_UNUSED, const char *address G_GNUC_UNUSED)
{
    return false;
}

static const PciSysfs no_sysfs = {no_physical_function, NULL, NULL};

static json_t *
host_device(const char *address, const char *type, const char *parent)
{
    json_t *device = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:n}", "address", address,
                               "vendor_id", "8086", "product_id", parent ? "15ca" : "1521",
                               "dev_type", type, "label", "l", "dev_id", "d", "numa_node");

    if (parent)
        json_object_set_new(device, "parent_addr", json_string(parent));
    return device;
}

static void
update_host(PciTracker *pci)
{
    json_auto_t *devices =
        json_pack("[o, o, o, o]", host_device(FIRST, "type-VF", PHYSICAL),
                  host_device(PHYSICAL, "type-PF", NULL), host_device(SECOND, "type-VF", PHYSICAL),
                  host_device(PLAIN, "type-PCI", NULL));

    assert_true(pci_tracker_update(pci, devices, NULL));
}

typedef struct Node {
    ProviderTree *tree;
    PciTracker *pci;
    json_t *allocations;
    GHashTable *resizing, *healed;
} Node;

static PciTracker *
tracker_of(const char *spec)
{
    const char *texts[] = {spec, NULL};
    PciTracker *pci = pci_tracker_new(7, g_ptr_array_new_with_free_func(object_free),
                                      pci_specs_parse(texts, &no_sysfs, true, NULL), NULL);

    assert_non_null(pci);
    update_host(pci);
    return pci;
}

static Node
node_of(const char *spec)
{
    Node node = {provider_tree_new(), tracker_of(spec), json_object(),
                 g_hash_table_new(g_str_hash, g_str_equal),
                 g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL)};

    provider_tree_add(node.tree, ROOT, "node", NULL);
    return node;
}

static void
node_clear(Node *node)
{
    provider_tree_free(node->tree);
    pci_tracker_free(node->pci);
    json_decref(node->allocations);
    g_hash_table_unref(node->resizing);
    g_hash_table_unref(node->healed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Node, node_clear)

static bool
update(Node *node, NovaError **err)
{
    const PciPlacement view = {node->tree,        ROOT,           "node",      node->pci,
                               node->allocations, node->resizing, node->healed};

    return pci_placement_update(&view, err);
}

static Provider *
provider(const Node *node, const char *name)
{
    Provider *found = provider_tree_find_by_name(node->tree, name);

    assert_non_null(found);
    return found;
}

static void
give(const Node *node, const char *address)
{
    for (guint i = 0; i < node->pci->units->len; i++) {
        PciUnit *unit = node->pci->units->pdata[i];

        if (!strcmp(unit->device->address, address)) {
            assert_true(pci_pools_remove_unit(node->pci->pools, unit, node->pci->specs, NULL));
            assert_true(pci_unit_claim(unit, GUEST, NULL));
            assert_true(pci_unit_allocate(unit, GUEST, NULL));
        }
    }
}

/* ---- providers ---- */

static void
devices_are_providers_below_the_node(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of(
        "[{\"product_id\": \"15ca\", \"traits\": \"blue,HW_NIC_SRIOV\"}, {\"address\": \"" PLAIN
        "\", \"resource_class\": \"gpu x\", \"live_migratable\": \"yes\"}]");
    json_auto_t *virtual = json_pack("{s:{s:i, s:i}}", "CUSTOM_PCI_8086_15CA", "total", 2,
                                     "max_unit", 2);
    json_auto_t *plain = json_pack("{s:{s:i, s:i}}", "CUSTOM_GPU_X", "total", 1, "max_unit", 1);
    const Provider *parent, *own;

    assert_true(update(&node, NULL));
    assert_int_equal(node.tree->providers->len, 3);
    parent = provider(&node, "node_" PHYSICAL);
    assert_string_equal(parent->parent_uuid, ROOT);
    assert_true(json_equal(parent->inventory, virtual));
    assert_true(provider_has_trait(parent, "CUSTOM_BLUE"));
    assert_true(provider_has_trait(parent, "HW_NIC_SRIOV"));
    assert_true(provider_has_trait(parent, "COMPUTE_MANAGED_PCI_DEVICE"));
    assert_true(provider_has_trait(parent, "OWNER_NOVA"));
    own = provider(&node, "node_0000:00:0A.0");
    assert_true(json_equal(own->inventory, plain));
    assert_true(provider_has_trait(own, "HW_PCI_LIVE_MIGRATABLE"));
}

static void
pools_know_their_provider(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"product_id\": \"15ca\"}");
    const PciPool *pool = node.pci->pools->list->pdata[0];
    const char *uuid;

    assert_true(update(&node, NULL));
    uuid = provider(&node, "node_" PHYSICAL)->uuid;
    assert_string_equal(json_string_value(pci_pool_get(pool, "rp_uuid")), uuid);
    assert_string_equal(
        g_hash_table_lookup(pci_tracker_find(node.pci, FIRST)->extra_info, "rp_uuid"), uuid);
}

static void
devices_of_physical_networks_are_neutron_s(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"product_id\": \"15ca\", \"physical_network\": \"physnet1\"}");

    assert_true(update(&node, NULL));
    assert_int_equal(node.tree->providers->len, 1);
}

static void
what_is_no_longer_configured_goes(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"address\": \"" PLAIN "\"}");

    assert_true(update(&node, NULL));
    pci_tracker_free(node.pci);
    node.pci = tracker_of("{\"product_id\": \"15ca\"}");
    assert_true(update(&node, NULL));
    assert_int_equal(node.tree->providers->len, 2);
    assert_null(provider_tree_find_by_name(node.tree, "node_0000:00:0A.0"));
}

static void
what_is_used_stays_in_the_inventory(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"product_id\": \"15ca\"}");
    json_auto_t *nothing = json_array();
    const char *uuid;

    assert_true(update(&node, NULL));
    uuid = provider(&node, "node_" PHYSICAL)->uuid;
    json_object_set_new(node.allocations, GUEST,
                        json_pack("{s:{s:{s:{s:i}}}}", "allocations", uuid, "resources",
                                  "CUSTOM_PCI_8086_15CA", 1));
    assert_true(pci_tracker_update(node.pci, nothing, NULL));
    assert_true(update(&node, NULL));
    assert_int_equal(json_get_int(json_object_get(provider(&node, "node_" PHYSICAL)->inventory,
                                                  "CUSTOM_PCI_8086_15CA"),
                                  "total", 0),
                     1);
    json_object_clear(node.allocations);
    assert_true(update(&node, NULL));
    assert_null(provider_tree_find_by_name(node.tree, "node_" PHYSICAL));
}

static void
a_device_for_one_use_is_reserved_with_it(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"address\": \"" PLAIN "\", \"one_time_use\": \"true\"}");
    const Provider *own;

    assert_true(update(&node, NULL));
    own = provider(&node, "node_0000:00:0A.0");
    assert_true(provider_has_trait(own, "HW_PCI_ONE_TIME_USE"));
    assert_null(
        json_object_get(json_object_get(own->inventory, "CUSTOM_PCI_8086_1521"), "reserved"));
    give(&node, PLAIN);
    assert_true(update(&node, NULL));
    assert_int_equal(
        json_get_int(json_object_get(own->inventory, "CUSTOM_PCI_8086_1521"), "reserved", 0), 1);
}

/* ---- allocations ---- */

static void
a_guest_s_missing_allocation_is_added(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"product_id\": \"15ca\"}");
    const json_t *added;

    json_object_set_new(node.allocations, GUEST,
                        json_pack("{s:{s:{s:{s:i}}}, s:s}", "allocations", ROOT, "resources",
                                  "VCPU", 1, "project_id", "p"));
    give(&node, FIRST);
    give(&node, SECOND);
    assert_true(update(&node, NULL));
    assert_true(g_hash_table_contains(node.healed, GUEST));
    added = json_path(node.allocations, GUEST, "allocations",
                      provider(&node, "node_" PHYSICAL)->uuid, "resources", NULL);
    assert_int_equal(json_get_int(added, "CUSTOM_PCI_8086_15CA", 0), 2);
    g_hash_table_remove_all(node.healed);
    assert_true(update(&node, NULL));
    assert_int_equal(g_hash_table_size(node.healed), 0);
}

static void
guests_that_placement_does_not_know_or_that_move_are_left_alone(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"product_id\": \"15ca\"}");

    give(&node, FIRST);
    assert_true(update(&node, NULL));
    assert_int_equal(g_hash_table_size(node.healed), 0);
    json_object_set_new(node.allocations, GUEST, json_pack("{s:{}}", "allocations"));
    g_hash_table_add(node.resizing, (void *)GUEST);
    assert_true(update(&node, NULL));
    assert_int_equal(g_hash_table_size(node.healed), 0);
}

/* ---- what is wrong ---- */

static void
assert_refused(const char *spec, const char *class, const char *text)
{
    g_auto(Node) node = node_of(spec);
    g_autoptr(NovaError) err = NULL;

    assert_false(update(&node, &err));
    assert_string_equal(nova_error_class(err), class);
    assert_string_equal(nova_error_message(err), text);
}

static void
contradictions_are_refused_in_nova_s_words(void **state G_GNUC_UNUSED)
{
    assert_refused("{\"vendor_id\": \"8086\"}", "PlacementPciDependentDeviceException",
                   "Configuring both " FIRST " and " PHYSICAL
                   " in [pci]device_spec is not supported. Either the "
                   "parent PF or its children VFs can be configured.");
    assert_refused(
        "[{\"address\": \"" FIRST "\", \"resource_class\": \"a\"}, {\"product_id\": \"15ca\", "
        "\"resource_class\": \"b\"}]",
        "PlacementPciMixedResourceClassException",
        "VFs from the same PF cannot be configured with different 'resource_class' values in "
        "[pci]device_spec. We got CUSTOM_B for " SECOND " and CUSTOM_A for " FIRST ".");
    assert_refused("[{\"address\": \"" FIRST "\", \"traits\": \"a\"}, {\"product_id\": \"15ca\"}]",
                   "PlacementPciMixedTraitsException",
                   "VFs from the same PF cannot be configured with different set of 'traits' in "
                   "[pci]device_spec. "
                   "We got COMPUTE_MANAGED_PCI_DEVICE for " SECOND
                   " and COMPUTE_MANAGED_PCI_DEVICE,CUSTOM_A for " FIRST ".");
    assert_refused("{\"product_id\": \"15ca\", \"one_time_use\": \"false\"}",
                   "PlacementPciException",
                   "Failed to gather or report PCI resources to Placement: Only type-PCI and "
                   "type-PF devices may set "
                   "one_time_use and node_" PHYSICAL " does not qualify");
}

static void
the_option_stays_on(void **state G_GNUC_UNUSED)
{
    g_auto(Node) node = node_of("{\"product_id\": \"15ca\"}");
    g_autoptr(NovaError) err = NULL;

    assert_true(pci_placement_check_unused(node.tree, NULL));
    assert_true(update(&node, NULL));
    assert_false(pci_placement_check_unused(node.tree, &err));
    assert_string_equal(nova_error_class(err), "PlacementPciException");
}

static void
names_become_placement_s(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) traits =
        placement_traits("HW_NIC_SRIOV,hw_nic_sriov,custom_x,a--b, c,a--b");
    const char *const expected[] = {"HW_NIC_SRIOV", "CUSTOM_HW_NIC_SRIOV", "CUSTOM_X", "CUSTOM_A_B",
                                    "CUSTOM__C"};
    g_autofree char *standard = placement_resource_class("pgpu", "8086", "15ca");
    g_autofree char *none = placement_resource_class("", "8086", "15ca");

    assert_int_equal(traits->len, G_N_ELEMENTS(expected));
    for (guint i = 0; i < traits->len; i++)
        assert_string_equal(traits->pdata[i], expected[i]);
    assert_string_equal(standard, "PGPU");
    assert_string_equal(none, "CUSTOM_PCI_8086_15CA");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_providers_below_the_node),
        cmocka_unit_test(pools_know_their_provider),
        cmocka_unit_test(devices_of_physical_networks_are_neutron_s),
        cmocka_unit_test(what_is_no_longer_configured_goes),
        cmocka_unit_test(what_is_used_stays_in_the_inventory),
        cmocka_unit_test(a_device_for_one_use_is_reserved_with_it),
        cmocka_unit_test(a_guest_s_missing_allocation_is_added),
        cmocka_unit_test(guests_that_placement_does_not_know_or_that_move_are_left_alone),
        cmocka_unit_test(contradictions_are_refused_in_nova_s_words),
        cmocka_unit_test(the_option_stays_on),
        cmocka_unit_test(names_become_placement_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
