/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "agent/control/conductor_pci.h"
#include "compute/pci_states.h"
#include "compute/pci_tracker.h"
#include "tests/fakes/fake_rpc.h"

#define GUEST    "6b4b0b0a-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define OTHER    "0c0ffee0-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define PHYSICAL "0000:06:00.0"
#define FIRST    "0000:06:10.1"
#define SECOND   "0000:06:10.2"
#define PLAIN    "0000:00:07.0"

/* ---- a host with a plain device, and a physical function of two virtual ones ---- */

static bool
no_physical_function(void *user G_GNUC_UNUSED, const char *address G_GNUC_UNUSED)
{
    return false;
}

static char *
no_interface(void *user G_GNUC_UNUSED, const char *name G_GNUC_UNUSED,
             bool *ret_is_physical_function)
{
    *ret_is_physical_function = false;
    return NULL;
}

static const PciSysfs no_sysfs = {no_physical_function, no_interface, NULL};

static json_t *
host_device(const char *address, const char *type, const char *parent)
{
    bool is_part = strcmp(type, "type-VF") == 0;
    json_t *device = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "address", address,
                               "vendor_id", "8086", "product_id", is_part ? "1520" : "1521",
                               "dev_type", type, "label", "l", "dev_id", "d", "numa_node", 0);

    if (parent)
        json_object_set_new(device, "parent_addr", json_string(parent));
    return device;
}

static json_t *
all_devices(void)
{
    return json_pack("[o, o, o, o]", host_device(FIRST, "type-VF", PHYSICAL),
                     host_device(PHYSICAL, "type-PF", NULL),
                     host_device(SECOND, "type-VF", PHYSICAL),
                     host_device(PLAIN, "type-PCI", NULL));
}

static PciTracker *
tracker_with_spec(const char *spec, const json_t *devices)
{
    const char *texts[] = {spec, NULL};
    GPtrArray *specs = pci_specs_parse(texts, &no_sysfs, false, NULL);
    PciTracker *tracker =
        pci_tracker_new(7, g_ptr_array_new_with_free_func(object_free), specs, NULL);

    assert_non_null(tracker);
    assert_true(pci_tracker_update(tracker, devices, NULL));
    for (guint i = 0; i < tracker->units->len; i++)
        OBJECT_SET(((PciUnit *)tracker->units->pdata[i])->device, id, 10 + (int64_t)i);
    return tracker;
}

static PciTracker *
tracker_of(const char *spec)
{
    json_auto_t *devices = all_devices();

    return tracker_with_spec(spec, devices);
}

static GPtrArray *
request(const char *type, int count)
{
    json_auto_t *one =
        object_new_primitive("InstancePCIRequest", "1.4",
                             json_pack("{s:i, s:[{s:s}], s:s, s:s, s:n}", "count", count, "spec",
                                       "dev_type", type, "alias_name", "a", "request_id",
                                       "5fd5ecbd-2cf8-4e31-9d32-29d2d8f3b2a4", "numa_policy"));
    json_auto_t *list =
        object_new_primitive("InstancePCIRequests", "1.1",
                             json_pack("{s:s, s:[O]}", "instance_uuid", GUEST, "requests", one));
    GPtrArray *requests = pci_requests_from_json(list, NULL);

    assert_non_null(requests);
    return requests;
}

static Instance *
guest(void)
{
    Instance *instance = object_new(&INSTANCE_TYPE);

    OBJECT_SET_STRING(instance, uuid, GUEST);
    OBJECT_SET(instance, pci_devices, g_ptr_array_new_with_free_func(object_free));
    return instance;
}

static void
assert_status(const PciTracker *tracker, const char *address, const char *status)
{
    const PciDevice *device = pci_tracker_find(tracker, address);

    assert_non_null(device);
    assert_string_equal(device->status, status);
}

static int64_t
n_free(const PciTracker *tracker)
{
    int64_t n = 0;

    for (guint i = 0; i < tracker->pools->list->len; i++)
        n += ((PciPool *)tracker->pools->list->pdata[i])->count;
    return n;
}

static void
take(PciTracker *tracker, const char *type, int count, Instance *instance)
{
    g_autoptr(GPtrArray) requests = request(type, count);

    assert_true(pci_tracker_claim(tracker, requests, NULL, instance->uuid, NULL, NULL));
    assert_true(pci_tracker_allocate(tracker, instance, NULL));
}

/* ---- what is there ---- */

static void
only_devices_that_a_spec_names_are_known(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"address\": \"" PLAIN "\", \"managed\": \"no\"}");
    const PciDevice *device = pci_tracker_find(tracker, PLAIN);

    assert_int_equal(tracker->units->len, 1);
    assert_string_equal(device->status, "available");
    assert_int_equal(device->compute_node_id.value, 7);
    assert_string_equal(g_hash_table_lookup(device->extra_info, "managed"), "false");
    assert_non_null(device->uuid);
}

static void
pools_are_what_nova_makes_of_the_devices(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of(
        "{\"product_id\": \"1520\", \"physical_network\": \"physnet1\", \"trusted\": \"true\"}");
    json_auto_t *dicts = pci_pools_to_dicts(tracker->pools);
    json_auto_t *expected =
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:i, s:[s, s]}", "product_id", "1520",
                  "vendor_id", "8086", "numa_node", 0, "dev_type", "type-VF", "physical_network",
                  "physnet1", "trusted", "true", "address", PHYSICAL, "remote_managed", "false",
                  "count", 2, "devices", FIRST, SECOND);

    assert_int_equal(json_array_size(dicts), 1);
    assert_true(json_equal(json_array_get(dicts, 0), expected));
}

static void
an_address_that_no_spec_can_be_compared_with_is_skipped(void **state G_GNUC_UNUSED)
{
    json_auto_t *devices = json_pack("[o, o]", host_device("10000:00:07.0", "type-PCI", NULL),
                                     host_device(PLAIN, "type-PCI", NULL));
    g_autoptr(PciTracker) tracker = tracker_with_spec("{\"vendor_id\": \"8086\"}", devices);

    assert_int_equal(tracker->units->len, 1);
    assert_status(tracker, PLAIN, "available");
}

/* ---- who has it ---- */

static void
a_plain_device_is_allocated_and_given_back(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Instance) instance = guest();
    const PciDevice *copy;

    take(tracker, "type-PCI", 1, instance);
    assert_status(tracker, PLAIN, "allocated");
    assert_string_equal(pci_tracker_find(tracker, PLAIN)->instance_uuid, GUEST);
    assert_int_equal(instance->pci_devices->len, 1);
    copy = instance->pci_devices->pdata[0];
    assert_string_equal(copy->address, PLAIN);
    assert_string_equal(copy->request_id, "5fd5ecbd-2cf8-4e31-9d32-29d2d8f3b2a4");
    assert_int_equal(n_free(tracker), 3);

    pci_tracker_release(tracker, OTHER);
    assert_status(tracker, PLAIN, "allocated");
    pci_tracker_release(tracker, GUEST);
    assert_status(tracker, PLAIN, "available");
    assert_null(pci_tracker_find(tracker, PLAIN)->instance_uuid);
    assert_null(pci_tracker_find(tracker, PLAIN)->request_id);
    assert_int_equal(n_free(tracker), 4);
}

static void
a_virtual_function_excludes_its_physical_one(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Instance) instance = guest();
    g_autoptr(GPtrArray) physical = request("type-PF", 1);
    g_autoptr(NovaError) err = NULL;

    take(tracker, "type-VF", 1, instance);
    assert_status(tracker, SECOND, "allocated"); /* from the end of the list */
    assert_status(tracker, FIRST, "available");
    assert_status(tracker, PHYSICAL, "unavailable");
    assert_int_equal(n_free(tracker), 2);
    assert_false(pci_tracker_claim(tracker, physical, NULL, OTHER, NULL, &err));
    assert_string_equal(nova_error_class(err), "PciDeviceRequestFailed");

    take(tracker, "type-VF", 1, instance);
    pci_tracker_release_device(tracker, pci_tracker_find(tracker, SECOND)->id, GUEST);
    assert_status(tracker, SECOND, "available");
    assert_status(tracker, FIRST, "allocated");
    assert_status(tracker, PHYSICAL, "unavailable");
    pci_tracker_release_device(tracker, pci_tracker_find(tracker, FIRST)->id, GUEST);
    assert_status(tracker, PHYSICAL, "available");
    assert_int_equal(n_free(tracker), 4);
}

static void
a_physical_function_excludes_its_virtual_ones(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Instance) instance = guest();
    g_autoptr(GPtrArray) physical = request("type-PF", 1);

    assert_true(pci_tracker_claim(tracker, physical, NULL, GUEST, NULL, NULL));
    assert_status(tracker, PHYSICAL, "claimed");
    assert_status(tracker, FIRST, "unclaimable");
    assert_true(pci_tracker_allocate(tracker, instance, NULL));
    assert_status(tracker, FIRST, "unavailable");
    assert_status(tracker, SECOND, "unavailable");
    assert_int_equal(n_free(tracker), 1);
    pci_tracker_release(tracker, GUEST);
    assert_status(tracker, PHYSICAL, "available");
    assert_status(tracker, FIRST, "available");
    assert_int_equal(n_free(tracker), 4);
}

static void
of_two_guests_only_the_known_one_keeps_its_device(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Instance) instance = guest();
    g_autoptr(GPtrArray) virtual = request("type-VF", 1);
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);

    take(tracker, "type-PCI", 1, instance);
    assert_true(pci_tracker_claim(tracker, virtual, NULL, OTHER, NULL, NULL));
    g_hash_table_add(known, (void *)GUEST);
    pci_tracker_release_unknown(tracker, known);
    assert_status(tracker, PLAIN, "allocated");
    assert_status(tracker, SECOND, "available");
    assert_int_equal(n_free(tracker), 3);
}

static void
a_claim_that_cannot_be_met_leaves_the_pools_as_they_were(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(GPtrArray) both = request("type-VF", 2);
    g_autoptr(GPtrArray) more = request("type-VF", 1);

    g_ptr_array_extend(both, more, NULL, NULL);
    g_ptr_array_set_free_func(more, NULL);
    assert_false(pci_tracker_claim(tracker, both, NULL, GUEST, NULL, NULL));
    assert_int_equal(n_free(tracker),
                     3); /* Nova forgets the physical function, too, until the next start */
    assert_status(tracker, FIRST, "available");
    assert_status(tracker, SECOND, "available");
}

/* ---- the host changes ---- */

static void
a_device_in_use_departs_when_it_is_free(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Instance) instance = guest();
    json_auto_t *nothing = json_array();

    take(tracker, "type-PCI", 1, instance);
    assert_true(pci_tracker_update(tracker, nothing, NULL));
    assert_status(tracker, FIRST, "removed");
    assert_status(tracker, PLAIN, "allocated");
    assert_int_equal(n_free(tracker), 0);
    pci_tracker_release(tracker, GUEST);
    assert_status(tracker, PLAIN, "removed");
    assert_int_equal(n_free(tracker), 0);
}

static void
news_of_a_device_in_use_are_taken_over_when_it_is_free(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Instance) instance = guest();
    json_auto_t *devices = all_devices();

    take(tracker, "type-PCI", 1, instance);
    json_object_set_new(json_array_get(devices, 3), "label", json_string("changed"));
    assert_true(pci_tracker_update(tracker, devices, NULL));
    assert_string_equal(pci_tracker_find(tracker, PLAIN)->label, "l");
    pci_tracker_release(tracker, GUEST);
    assert_string_equal(pci_tracker_find(tracker, PLAIN)->label, "changed");
}

static void
errors_are_nova_s(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"address\": \"" PLAIN "\"}");
    PciUnit *unit = tracker->units->pdata[0];
    g_autoptr(NovaError) owner = NULL, status = NULL;

    assert_true(pci_unit_claim(unit, GUEST, NULL));
    assert_false(pci_unit_allocate(unit, OTHER, &owner));
    assert_string_equal(nova_error_class(owner), "PciDeviceInvalidOwner");
    assert_string_equal(nova_error_message(owner),
                        "PCI device 7:" PLAIN " is owned by " GUEST " instead of " OTHER);
    assert_false(pci_unit_claim(unit, OTHER, &status));
    assert_string_equal(nova_error_class(status), "PciDeviceInvalidStatus");
    assert_string_equal(nova_error_message(status),
                        "PCI device 7:" PLAIN " is claimed instead of ['available']");
}

/* ---- the database ---- */

/* What Nova's conductor answered for the test VM's node while a guest had a virtual function. */
static json_t *
answer_rows(const RpcTarget *target G_GNUC_UNUSED, const char *method, json_t *args, void *user,
            NovaError **err G_GNUC_UNUSED)
{
    assert_string_equal(method, "object_class_action_versions");
    assert_string_equal(json_get_string(args, "objname", ""), "PciDeviceList");
    assert_string_equal(json_get_string(json_get_object(args, "object_versions"), "PciDevice", ""),
                        "1.7");
    assert_int_equal(json_integer_value(json_array_get(json_get_array(args, "args"), 0)), 7);
    return json_incref(user);
}

static void
who_has_what_is_known_after_a_restart(void **state G_GNUC_UNUSED)
{
    static const char holder[] = "ceacefdb-39a6-4e4a-92df-5f3a2ecb557f";
    const char *texts[] = {"{\"vendor_id\": \"1b36\"}", NULL};
    json_auto_t *rows = json_load_file(TEST_DATA_DIR "/pci/rows.json", 0, NULL);
    g_autoptr(Conductor) conductor = conductor_new((RpcClient *)&rows);
    g_autoptr(PciTracker) tracker = NULL;

    fake_rpc_reset(answer_rows, rows);
    tracker = pci_tracker_new(7, conductor_pci_devices_by_node(conductor, NULL, 7, NULL),
                              pci_specs_parse(texts, &no_sysfs, false, NULL), NULL);
    assert_int_equal(tracker->units->len, 4);
    assert_false(pci_tracker_has_changes(tracker));
    assert_int_equal(n_free(tracker), 2);
    assert_status(tracker, "0000:00:1e.0", "unavailable");
    pci_tracker_release(tracker, holder);
    assert_status(tracker, "0000:00:1e.0", "available");
    assert_status(tracker, "0000:00:1e.1", "available");
    assert_int_equal(n_free(tracker), 4);
}

typedef struct Saved {
    unsigned n;
    bool has_extra_info;
} Saved;

/* Answers as the conductor does: the row's id, and of a removed device that it is deleted. */
static json_t *
answer_save(const RpcTarget *target G_GNUC_UNUSED, const char *method, json_t *args, void *user,
            NovaError **err G_GNUC_UNUSED)
{
    Saved *saved = user;
    const json_t *data = json_path(args, "objinst", "nova_object.data", NULL);
    bool removed = !strcmp(json_get_string(data, "status", ""), "removed");

    assert_string_equal(method, "object_action");
    assert_string_equal(json_get_string(args, "objmethod", ""), "save");
    saved->n++;
    saved->has_extra_info = json_object_get(data, "extra_info") != NULL;
    return removed ? json_pack("[{s:s}, n]", "status", "deleted")
                   : json_pack("[{s:i}, n]", "id", 100 + (int)saved->n);
}

static void
only_what_has_changed_is_saved_and_what_is_gone_is_forgotten(void **state G_GNUC_UNUSED)
{
    g_autoptr(PciTracker) tracker = tracker_of("{\"vendor_id\": \"8086\"}");
    g_autoptr(Conductor) conductor = conductor_new((RpcClient *)&tracker);
    g_autoptr(Instance) instance = guest();
    json_auto_t *nothing = json_array();
    Saved saved = {0};

    fake_rpc_reset(answer_save, &saved);
    assert_true(pci_tracker_save(tracker, conductor, NULL, NULL));
    assert_int_equal(saved.n, 4);
    assert_true(saved.has_extra_info);
    assert_true(pci_tracker_save(tracker, conductor, NULL, NULL));
    assert_int_equal(saved.n, 4);
    take(tracker, "type-VF", 1, instance);
    assert_true(pci_tracker_save(tracker, conductor, NULL, NULL));
    assert_int_equal(saved.n, 6); /* it and its physical function */
    assert_true(pci_tracker_update(tracker, nothing, NULL));
    assert_true(pci_tracker_save(tracker, conductor, NULL, NULL));
    assert_int_equal(tracker->units->len, 1);
    assert_status(tracker, SECOND, "allocated");
    pci_tracker_release(tracker, GUEST);
    assert_true(pci_tracker_save(tracker, conductor, NULL, NULL));
    assert_int_equal(tracker->units->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_devices_that_a_spec_names_are_known),
        cmocka_unit_test(pools_are_what_nova_makes_of_the_devices),
        cmocka_unit_test(an_address_that_no_spec_can_be_compared_with_is_skipped),
        cmocka_unit_test(a_plain_device_is_allocated_and_given_back),
        cmocka_unit_test(a_virtual_function_excludes_its_physical_one),
        cmocka_unit_test(a_physical_function_excludes_its_virtual_ones),
        cmocka_unit_test(of_two_guests_only_the_known_one_keeps_its_device),
        cmocka_unit_test(a_claim_that_cannot_be_met_leaves_the_pools_as_they_were),
        cmocka_unit_test(a_device_in_use_departs_when_it_is_free),
        cmocka_unit_test(news_of_a_device_in_use_are_taken_over_when_it_is_free),
        cmocka_unit_test(errors_are_nova_s),
        cmocka_unit_test(who_has_what_is_known_after_a_restart),
        cmocka_unit_test(only_what_has_changed_is_saved_and_what_is_gone_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
