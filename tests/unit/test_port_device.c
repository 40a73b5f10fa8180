/* SPDX-License-Identifier: Apache-2.0 */
/* PCI devices of ports that come to a server and leave it: a host of two virtual functions in physnet1. */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "compute/ops/port_device.h"
#include "compute/resource_tracker_private.h"
#include "tests/fakes/fake_rpc.h"

#define GUEST "6b4b0b0a-0f5e-4b2a-9e0a-7f3f7f3f7f3f"
#define PORT  "7b7e1a7c-0000-4000-8000-000000000003"
#define ALIAS "5fd5ecbd-2cf8-4e31-9d32-29d2d8f3b2a4"

static bool
no_physical_function(void *user G_GNUC_UNUSED, const char *address G_GNUC_UNUSED)
{
    return false;
}

static char *
no_interface(void *user G_GNUC_UNUSED, const char *name G_GNUC_UNUSED, bool *ret_is_physical_function)
{
    *ret_is_physical_function = false;
    return NULL;
}

static const PciSysfs no_sysfs = {no_physical_function, no_interface, NULL};

typedef struct Server {
    ResourceTracker tracker;
    Host host;
    Instance *instance;
    RequestContext *ctx;
    Operation op;
    json_t *saved; /* the last device that was saved */
} Server;

static json_t *
answer(const RpcTarget *target G_GNUC_UNUSED, const char *method G_GNUC_UNUSED, json_t *args, void *user,
       NovaError **err G_GNUC_UNUSED)
{
    Server *server = user;

    json_decref(server->saved);
    server->saved = json_incref(json_path(args, "objinst", "nova_object.data", NULL));
    return json_pack("[{}, n]");
}

static PciTracker *
two_virtual_functions(void)
{
    static const char *const specs[] = {
        "{\"vendor_id\": \"8086\", \"product_id\": \"1520\", \"physical_network\": \"physnet1\"}", NULL};
    json_auto_t *devices = json_array();
    PciTracker *pci = pci_tracker_new(7, g_ptr_array_new_with_free_func(object_free),
                                      pci_specs_parse(specs, &no_sysfs, false, NULL), NULL);

    for (int i = 1; i <= 2; i++) {
        g_autofree char *address = g_strdup_printf("0000:06:10.%d", i);

        json_array_append_new(devices, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s}", "address", address,
                                                 "vendor_id", "8086", "product_id", "1520", "dev_type", "type-VF",
                                                 "label", "l", "dev_id", "d", "numa_node", 0, "parent_addr",
                                                 "0000:06:00.0"));
    }
    assert_true(pci_tracker_update(pci, devices, NULL));
    for (guint i = 0; i < pci->units->len; i++)
        OBJECT_SET(((PciUnit *)pci->units->pdata[i])->device, id, 10 + (int64_t)i);
    return pci;
}

static int
set_up(void **state)
{
    Server *server = g_new0(Server, 1);

    pthread_mutex_init(&server->tracker.lock, NULL);
    server->tracker.conductor = conductor_new(NULL);
    server->tracker.pci = two_virtual_functions();
    server->instance = object_new(&INSTANCE_TYPE);
    OBJECT_SET_STRING(server->instance, uuid, GUEST);
    OBJECT_SET(server->instance, pci_devices, g_ptr_array_new_with_free_func(object_free));
    server->ctx = request_context_new_admin();
    server->host = (Host){.name = "kn1", .tracker = &server->tracker, .conductor = server->tracker.conductor};
    server->op = (Operation){.host = &server->host, .ctx = server->ctx, .instance = server->instance};
    fake_rpc_reset(answer, server);
    *state = server;
    return 0;
}

static int
tear_down(void **state)
{
    Server *server = *state;

    pci_tracker_free(server->tracker.pci);
    conductor_free(server->tracker.conductor);
    pthread_mutex_destroy(&server->tracker.lock);
    instance_free(server->instance);
    request_context_unref(server->ctx);
    json_decref(server->saved);
    g_free(server);
    return 0;
}

/* *ret_id as port_device_claim()'s. */
static bool
claim(Server *server, const char *physical_network, const char *policy, char **ret_id, NovaError **err)
{
    g_auto(PortNeeds) needs = {
        .device = json_pack("{s:s, s:s}", "physical_network", physical_network, "remote_managed", "False"),
        .numa_policy = g_strdup(policy)};

    return port_device_claim(&server->op, PORT, &needs, ret_id, err);
}

static char *
claimed(Server *server)
{
    char *id = NULL;

    assert_true(claim(server, "physnet1", NULL, &id, NULL));
    assert_non_null(id);
    return id;
}

static NetworkInfo *
ports_at(const char *address)
{
    json_auto_t *list = json_pack("[{s:s, s:s, s:{s:s}, s:{}}]", "id", PORT, "type", "hw_veb", "profile", "pci_slot",
                                  address, "network");
    NetworkInfo *network = network_info_from_json(list, NULL);

    assert_non_null(network);
    return network;
}

static void
the_server_has_the_device_and_its_request(void **state)
{
    Server *server = *state;
    g_autofree char *id = claimed(server);
    const InstancePCIRequest *request = server->instance->pci_requests->requests->pdata[0];
    const PciDevice *device = server->instance->pci_devices->pdata[0];

    assert_string_equal(request->request_id, id);
    assert_string_equal(request->requester_id, PORT);
    assert_null(request->alias_name);
    assert_string_equal(device->request_id, id);
    assert_string_equal(device->instance_uuid, GUEST);
    assert_string_equal(json_get_string(server->saved, "status", ""), "allocated");
    assert_true(object_has_changes(server->instance));
}

static void
what_it_gives_back_is_free_again(void **state)
{
    Server *server = *state;
    g_autofree char *first = claimed(server), *second = claimed(server), *third = NULL;

    assert_string_not_equal(first, second);
    assert_true(port_device_return(&server->op, first, NULL));
    assert_int_equal(server->instance->pci_devices->len, 1);
    assert_int_equal(server->instance->pci_requests->requests->len, 1);
    assert_string_equal(json_get_string(server->saved, "status", ""), "available");
    third = claimed(server);
    assert_true(port_device_return(&server->op, NULL, NULL));
}

static void
a_port_for_which_there_is_no_device_is_refused(void **state)
{
    Server *server = *state;
    g_autofree char *first = claimed(server), *second = claimed(server), *none = NULL;
    g_autoptr(NovaError) error = NULL, elsewhere = NULL;

    assert_string_not_equal(first, second);
    assert_false(claim(server, "physnet1", NULL, &none, &error));
    assert_string_equal(nova_error_class(error), "InterfaceAttachPciClaimFailed");
    assert_string_equal(nova_error_message(error), "Failed to claim PCI device for " GUEST " during interface attach");
    assert_true(port_device_return(&server->op, first, NULL));
    assert_false(claim(server, "physnet2", NULL, &none, &elsewhere));
    assert_null(none);
    assert_int_equal(server->instance->pci_requests->requests->len, 1);
}

static void
flavor_and_image_must_not_contradict_each_other(void **state)
{
    Server *server = *state;
    Flavor *flavor = object_new(&FLAVOR_TYPE);
    GHashTable *specs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    GHashTable *image = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(NovaError) error = NULL, invalid = NULL;
    g_autofree char *id = NULL;

    g_hash_table_insert(specs, g_strdup("hw:pci_numa_affinity_policy"), g_strdup("required"));
    g_hash_table_insert(image, g_strdup("image_hw_pci_numa_affinity_policy"), g_strdup("preferred"));
    OBJECT_SET(flavor, extra_specs, specs);
    OBJECT_SET(server->instance, flavor, flavor);
    OBJECT_SET(server->instance, system_metadata, image);
    assert_false(claim(server, "physnet1", NULL, &id, &error));
    assert_string_equal(nova_error_class(error), "ImagePCINUMAPolicyForbidden");
    g_hash_table_remove_all(image);
    g_hash_table_replace(specs, g_strdup("hw:pci_numa_affinity_policy"), g_strdup("nearby"));
    assert_false(claim(server, "physnet1", NULL, &id, &invalid));
    assert_string_equal(nova_error_class(invalid), "InvalidPCINUMAAffinity");
}

/* A port's own policy goes before the server's. */
static void
the_request_has_the_policy_of_the_port(void **state)
{
    Server *server = *state;
    g_autofree char *id = NULL;
    const InstancePCIRequest *request;

    assert_true(claim(server, "physnet1", "preferred", &id, NULL));
    request = server->instance->pci_requests->requests->pdata[0];
    assert_string_equal(request->numa_policy, "preferred");
}

static void
the_device_of_a_port_is_found_by_its_address(void **state)
{
    Server *server = *state;
    g_autofree char *id = claimed(server), *found = NULL;
    const PciDevice *device = server->instance->pci_devices->pdata[0];
    g_autoptr(NetworkInfo) here = ports_at(device->address), elsewhere = ports_at("0000:09:00.0");
    g_autoptr(NovaError) error = NULL;

    assert_true(port_device_find(&server->op, here->vifs->pdata[0], &found, NULL));
    assert_string_equal(found, id);
    g_clear_pointer(&found, g_free);
    assert_true(port_device_find(&server->op, elsewhere->vifs->pdata[0], &found, NULL));
    assert_null(found);
    g_ptr_array_set_size(server->instance->pci_requests->requests, 0);
    assert_false(port_device_find(&server->op, here->vifs->pdata[0], &found, &error));
    assert_string_equal(nova_error_class(error), "PciRequestFromVIFNotFound");
}

/* Neither a port's nor the flavor's: that of an attach that was killed. */
static void
a_device_without_a_port_is_given_back(void **state)
{
    Server *server = *state;
    g_autofree char *id = claimed(server);
    const PciDevice *device = server->instance->pci_devices->pdata[0];
    g_autofree char *address = g_strdup(device->address);
    g_autoptr(NetworkInfo) with = ports_at(address), without = ports_at("0000:09:00.0");
    InstancePCIRequest *request = server->instance->pci_requests->requests->pdata[0];

    assert_string_equal(device->request_id, id);
    assert_true(port_device_trim(&server->op, with, NULL));
    assert_int_equal(server->instance->pci_devices->len, 1);
    OBJECT_SET_STRING(request, alias_name, ALIAS);
    assert_true(port_device_trim(&server->op, without, NULL));
    assert_int_equal(server->instance->pci_devices->len, 1);
    OBJECT_SET_STRING(request, alias_name, NULL);
    assert_true(port_device_trim(&server->op, without, NULL));
    assert_int_equal(server->instance->pci_devices->len, 0);
    assert_string_equal(pci_tracker_find(server->tracker.pci, address)->status, "available");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_server_has_the_device_and_its_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_it_gives_back_is_free_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_port_for_which_there_is_no_device_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flavor_and_image_must_not_contradict_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_request_has_the_policy_of_the_port, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_device_of_a_port_is_found_by_its_address, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_device_without_a_port_is_given_back, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
