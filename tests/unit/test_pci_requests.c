/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "compute/pci_alias.h"
#include "compute/pci_profile.h"
#include "compute/pci_providers.h"
#include "compute/fit/pci_spec.h"
#include "compute/guest_xml.h"
#include "compute/xml/domain_xml.h"

#define GUEST    "6b4b0b0a-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define REQUEST  "5fd5ecbd-2cf8-4e31-9d32-29d2d8f3b2a4"
#define PORT     "0c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define PROVIDER "1c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f"

/* ---- [pci]alias ---- */

static void
assert_invalid(const char *const *aliases, bool in_placement, const char *reason)
{
    g_autoptr(NovaError) err = NULL;
    const Options options = {.pci.alias = (char **)aliases,
                             .filter_scheduler.pci_in_placement = in_placement};

    assert_false(pci_alias_check(&options, &err));
    assert_string_equal(nova_error_class(err), "PciInvalidAlias");
    assert_string_equal(nova_error_message(err), reason);
}

#define ASSERT_INVALID(reason, ...)                                                                \
    assert_invalid((const char *const[]){__VA_ARGS__, NULL}, false, (reason))

#define INVALID "Invalid PCI alias definition: "
#define IDS     "\"vendor_id\": \"8086\", \"product_id\": \"0442\""

static void
wrong_aliases_are_refused_in_nova_s_words(void **state G_GNUC_UNUSED)
{
    ASSERT_INVALID(INVALID "'name' is a required property", "{" IDS "}");
    ASSERT_INVALID(INVALID "Additional properties are not allowed ('a', 'b' were unexpected)",
                   "{\"a\": 1, \"b\": 2}");
    ASSERT_INVALID(INVALID "'80860' does not match '^([\\\\da-fA-F]{4})$'",
                   "{\"name\": \"x\", \"vendor_id\": \"80860\", \"product_id\": \"0442\"}");
    ASSERT_INVALID(INVALID "'vdpa' is not one of ['type-PCI', 'type-PF', 'type-VF']",
                   "{\"name\": \"x\", \"device_type\": \"vdpa\", " IDS "}");
    ASSERT_INVALID(INVALID "5 is not of type 'string'",
                   "{\"name\": \"x\", \"traits\": 5, " IDS "}");
    ASSERT_INVALID(INVALID "NUMA policy mismatch for alias 'x'", "{\"name\": \"x\", " IDS "}",
                   "{\"name\": \"x\", \"numa_policy\": \"required\", " IDS "}");
    ASSERT_INVALID(INVALID "Device type mismatch for alias 'x'",
                   "{\"name\": \"x\", \"device_type\": \"type-PF\", " IDS "}",
                   "{\"name\": \"x\", \"device_type\": \"type-VF\", " IDS "}");
    ASSERT_INVALID("The PCI alias(es) x,y does not have vendor_id and product_id fields set.",
                   "{\"name\": \"y\"}", "{\"name\": \"x\", \"resource_class\": \"GPU\"}");
}

static void
placement_takes_a_resource_class_instead_of_ids(void **state G_GNUC_UNUSED)
{
    const char *classes[] = {"{\"name\": \"x\", \"resource_class\": \"GPU\"}", NULL};
    const char *two[] = {"{\"name\": \"x\", \"device_type\": \"type-PCI\", " IDS "}",
                         "{\"name\": \"x\", \"device_type\": \"type-PCI\", " IDS "}", NULL};
    const Options options = {.pci.alias = (char **)classes,
                             .filter_scheduler.pci_in_placement = true};

    assert_true(pci_alias_check(&options, NULL));
    assert_invalid(
        two, true,
        "The PCI alias(es) x have multiple specs but [filter_scheduler]pci_in_placement is True. "
        "The "
        "PCI in Placement feature only supports one spec per alias. You can assign the same "
        "resource_class to multiple [pci]device_spec matchers to allow using different devices for "
        "the same alias.");
}

static InstancePCIRequests *
asked_by(const char *aliases, NovaError **err)
{
    const char *known[] = {
        "{\"name\": \"a\", \"device_type\": \"type-PCI\", " IDS ", \"live_migratable\": \"yes\"}",
        "{\"name\": \"a\", \"device_type\": \"type-PCI\", \"vendor_id\": \"8086\", "
        "\"product_id\": \"0443\"}",
        "{\"name\": \"b\", \"numa_policy\": \"socket\", " IDS "}", NULL};
    const Options options = {.pci.alias = (char **)known};
    g_autoptr(Flavor) flavor = object_new(&FLAVOR_TYPE);

    OBJECT_SET(flavor, extra_specs, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
    g_hash_table_replace(flavor->extra_specs, g_strdup("pci_passthrough:alias"), g_strdup(aliases));
    return pci_alias_requests(&options, flavor, GUEST, err);
}

static void
a_flavor_asks_by_alias(void **state G_GNUC_UNUSED)
{
    g_autoptr(InstancePCIRequests) asked = asked_by(" a:2,b:1", NULL);
    json_auto_t *specs =
        json_pack("[{s:s, s:s, s:s, s:s}, {s:s, s:s, s:s}]", "vendor_id", "8086", "product_id",
                  "0442", "dev_type", "type-PCI", "live_migratable", "true", "vendor_id", "8086",
                  "product_id", "0443", "dev_type", "type-PCI");
    const InstancePCIRequest *first, *second;

    assert_non_null(asked);
    assert_string_equal(asked->instance_uuid, GUEST);
    assert_int_equal(asked->requests->len, 2);
    first = asked->requests->pdata[0];
    second = asked->requests->pdata[1];
    assert_int_equal(first->count, 2);
    assert_string_equal(first->alias_name, "a");
    assert_string_equal(first->numa_policy, "legacy");
    assert_true(json_equal(first->spec, specs));
    assert_string_equal(second->numa_policy, "socket");
    assert_string_not_equal(first->request_id, second->request_id);
}

static void
an_alias_that_nobody_has_defined_is_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) err = NULL;

    assert_null(asked_by("c:1", &err));
    assert_string_equal(nova_error_class(err), "PciRequestAliasNotDefined");
    assert_string_equal(nova_error_message(err), "PCI alias c is not defined");
}

/* ---- what the scheduler has chosen ---- */

static InstancePCIRequests *
one_request(const char *alias)
{
    json_auto_t *request =
        object_new_primitive("InstancePCIRequest", "1.4",
                             json_pack("{s:i, s:[{s:s}], s:s?, s:s, s:s, s:n}", "count", 2, "spec",
                                       "dev_type", "type-VF", "alias_name", alias, "request_id",
                                       REQUEST, "requester_id", PORT, "numa_policy"));
    json_auto_t *list = object_new_primitive(
        "InstancePCIRequests", "1.1",
        json_pack("{s:s, s:[O]}", "instance_uuid", GUEST, "requests", request));

    return instance_pci_requests_from_json(list, NULL);
}

static void
a_flavor_s_request_is_told_its_providers(void **state G_GNUC_UNUSED)
{
    g_autoptr(InstancePCIRequests) requests = one_request("a");
    json_auto_t *mapping = json_pack("{s:[s], s:[s], s:[s]}", REQUEST "-0", PROVIDER, REQUEST "-1",
                                     PORT, "other", GUEST);
    const InstancePCIRequest *request = requests->requests->pdata[0];

    assert_true(pci_providers_note(NULL, NULL, requests, mapping, GUEST, NULL));
    assert_string_equal(json_get_string(json_array_get(request->spec, 0), "rp_uuids", ""),
                        PROVIDER "," PORT);
    assert_true(object_has_changes(requests));
}

static void
a_port_has_one_provider_or_the_build_is_over(void **state G_GNUC_UNUSED)
{
    g_autoptr(InstancePCIRequests) requests = one_request(NULL);
    json_auto_t *mapping = json_pack("{s:[s, s]}", PORT, PROVIDER, GUEST);
    g_autoptr(NovaError) err = NULL;

    assert_false(pci_providers_note(NULL, NULL, requests, mapping, GUEST, &err));
    assert_string_equal(nova_error_class(err), "BuildAbortException");
    assert_string_equal(nova_error_message(err),
                        "Build of instance " GUEST
                        " aborted: Allocating resources from multiple resource "
                        "providers ['" PROVIDER "', '" GUEST "'] for a single pci request " PORT
                        " is not supported.");
}

/* ---- what Neutron is told ---- */

static bool
no_physical_function(void *user G_GNUC_UNUSED, const char *address G_GNUC_UNUSED)
{
    return false;
}

static const PciSysfs no_sysfs = {no_physical_function, NULL, NULL};

static GPtrArray *
specs_of(const char *text)
{
    const char *texts[] = {text, NULL};

    return pci_specs_parse(texts, &no_sysfs, false, NULL);
}

static json_t *
device_json(const char *address, const char *type, const char *extra_key, const char *extra_value)
{
    return object_new_primitive(
        "PciDevice", "1.7",
        json_pack("{s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:n, s:{s:s}}", "id", 5,
                  "compute_node_id", 7, "address", address, "vendor_id", "8086", "product_id",
                  "1520", "dev_type", type, "status", "allocated", "instance_uuid", GUEST,
                  "request_id", REQUEST, "numa_node", "parent_addr", "extra_info", extra_key,
                  extra_value));
}

static Instance *
guest_with(const char *type, const char *extra_key, const char *extra_value)
{
    json_auto_t *primitive = device_json("0000:06:10.7", type, extra_key, extra_value);
    Instance *instance = object_new(&INSTANCE_TYPE);

    OBJECT_SET_STRING(instance, uuid, GUEST);
    OBJECT_SET(instance, pci_requests, one_request(NULL));
    OBJECT_SET(instance, pci_devices, g_ptr_array_new_with_free_func(object_free));
    g_ptr_array_add(instance->pci_devices, pci_device_from_json(primitive, NULL));
    return instance;
}

static void
a_port_s_virtual_function_is_described(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance =
        guest_with("type-VF", "capabilities",
                   "{\"network\": [\"rx\", \"tx\"], \"vpd\": {\"card_serial_number\": \"MT1\"}, "
                   "\"sriov\": {\"pf_mac_address\": \"02:00:00:00:06:00\", \"vf_num\": 3}}");
    g_autoptr(GPtrArray) specs =
        specs_of("{\"vendor_id\": \"8086\", \"physical_network\": \"physnet1\"}");
    json_auto_t *profiles = pci_profiles_of_instance(instance, specs, NULL);
    json_auto_t *expected = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:[s, s]}", "pci_vendor_info",
                                      "8086:1520", "pci_slot", "0000:06:10.7", "physical_network",
                                      "physnet1", "card_serial_number", "MT1", "pf_mac_address",
                                      "02:00:00:00:06:00", "vf_num", 3, "capabilities", "rx", "tx");

    assert_true(json_equal(json_object_get(profiles, REQUEST), expected));
    assert_true(json_equal(json_object_get(profiles, PORT), expected));
}

static void
a_port_s_physical_function_tells_its_address(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = guest_with("type-PF", "mac_address", "02:00:00:00:06:00");
    g_autoptr(GPtrArray) specs = specs_of("{\"vendor_id\": \"8086\"}");
    json_auto_t *profiles = pci_profiles_of_instance(instance, specs, NULL);
    json_auto_t *expected =
        json_pack("{s:s, s:s, s:n, s:s}", "pci_vendor_info", "8086:1520", "pci_slot",
                  "0000:06:10.7", "physical_network", "device_mac_address", "02:00:00:00:06:00");

    assert_true(json_equal(json_object_get(profiles, PORT), expected));
}

static void
a_device_that_is_no_longer_for_guests_is_an_error(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = guest_with("type-VF", "a", "b");
    g_autoptr(GPtrArray) specs = specs_of("{\"vendor_id\": \"1b36\"}");
    g_autoptr(NovaError) err = NULL;

    assert_null(pci_profiles_of_instance(instance, specs, &err));
    assert_string_equal(nova_error_class(err), "PciDeviceNotFound");
    assert_string_equal(nova_error_message(err), "PCI Device 7:0000:06:10.7 not found.");
}

static void
a_move_gives_each_port_the_device_of_its_request(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = guest_with("type-VF", "a", "b");
    g_autoptr(GPtrArray) specs = specs_of("{\"vendor_id\": \"8086\"}");
    json_auto_t *after = json_pack("[o]", device_json("0000:07:10.1", "type-VF", "a", "b"));
    json_auto_t *there = NULL, *back = NULL;

    OBJECT_SET(instance, resources, NULL);
    migration_context_set(instance, 3, &(MoveResources){NULL, after, instance->pci_requests, NULL});
    there = pci_profiles_of_move(instance, MOVE_NEW, specs, NULL);
    back = pci_profiles_of_move(instance, MOVE_OLD, specs, NULL);
    assert_string_equal(json_get_string(json_object_get(there, "0000:06:10.7"), "pci_slot", ""),
                        "0000:07:10.1");
    assert_string_equal(json_get_string(json_object_get(back, "0000:07:10.1"), "pci_slot", ""),
                        "0000:06:10.7");
}

/* ---- devices in a guest ---- */

static void
only_the_flavor_s_devices_are_the_guest_s_to_give_away(void **state G_GNUC_UNUSED)
{
    static const char running[] = "<domain><devices><hostdev mode='subsystem' type='pci' "
                                  "managed='yes'><driver name='vfio'/><source>"
                                  "<address domain='0x0000' bus='0x06' slot='0x10' "
                                  "function='0x7'/></source><alias name='hostdev0'/>"
                                  "<address type='pci' domain='0x0000' bus='0x00' slot='0x05' "
                                  "function='0x0'/></hostdev></devices></domain>";
    static const char other[] =
        "<domain><devices><hostdev mode='subsystem' type='pci' managed='yes'><source>"
        "<address domain='0x0000' bus='0x00' slot='0x05' function='0x0'/></source></hostdev>"
        "<hostdev type='mdev'/></devices></domain>";
    g_autoptr(Instance) of_port = guest_with("type-VF", "managed", "false");
    g_autoptr(Instance) of_flavor = guest_with("type-VF", "managed", "false");
    g_autoptr(GPtrArray) none = domain_xml_flavor_devices(of_port, NULL);
    g_autoptr(GPtrArray) one = NULL;

    OBJECT_SET_STRING((InstancePCIRequest *)of_flavor->pci_requests->requests->pdata[0], alias_name,
                      "a");
    one = domain_xml_flavor_devices(of_flavor, NULL);
    assert_int_equal(none->len, 0);
    assert_int_equal(one->len, 1);
    assert_non_null(strstr(one->pdata[0], "managed=\"no\""));
    assert_true(guest_xml_has_hostdev(running, one->pdata[0]));
    assert_false(guest_xml_has_hostdev(other, one->pdata[0]));
    assert_false(guest_xml_has_hostdev("<domain/>", one->pdata[0]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_aliases_are_refused_in_nova_s_words),
        cmocka_unit_test(placement_takes_a_resource_class_instead_of_ids),
        cmocka_unit_test(a_flavor_asks_by_alias),
        cmocka_unit_test(an_alias_that_nobody_has_defined_is_an_error),
        cmocka_unit_test(a_flavor_s_request_is_told_its_providers),
        cmocka_unit_test(a_port_has_one_provider_or_the_build_is_over),
        cmocka_unit_test(a_port_s_virtual_function_is_described),
        cmocka_unit_test(a_port_s_physical_function_tells_its_address),
        cmocka_unit_test(a_device_that_is_no_longer_for_guests_is_an_error),
        cmocka_unit_test(a_move_gives_each_port_the_device_of_its_request),
        cmocka_unit_test(only_the_flavor_s_devices_are_the_guest_s_to_give_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
