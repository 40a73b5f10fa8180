/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/control/placement.h"
#include "tests/fakes/fake_http.h"

#define ROOT "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"
#define CHILD "aaaaaaaa-6f5c-44cb-a7ae-c8fc605f1f19"
#define CONSUMER "3776fab1-16e1-4a5f-8fff-5f7a002a377b"
#define OF_ROOT "/resource_providers/" ROOT
#define OF_CHILD "/resource_providers/" CHILD
#define IN_TREE "/resource_providers?in_tree=" ROOT
#define CONFLICT "{\"errors\": [{\"status\": 409, \"code\": \"placement.concurrent_update\", " \
                 "\"detail\": \"resource provider generation conflict\"}]}"

typedef struct Cloud {
    FakeHttp *fake;
    Keystone *keystone;
    Options options;
    Placement *placement;
} Cloud;

static int
setup(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);

    cloud->fake = fake_http_new();
    cloud->keystone = keystone_new();
    cloud->options.placement.auth.auth_type = "none";
    cloud->options.placement.adapter.endpoint_override = (char *)fake_http_url(cloud->fake);
    cloud->options.compute.resource_provider_association_refresh = 300;
    cloud->options.compute.sharing_providers_max_uuids_per_request = 200;
    cloud->placement = placement_new(cloud->keystone, &cloud->options);
    *state = cloud;
    return 0;
}

static int
teardown(void **state)
{
    Cloud *cloud = *state;

    placement_free(cloud->placement);
    keystone_free(cloud->keystone);
    fake_http_free(cloud->fake);
    g_free(cloud);
    return 0;
}

static void
reply(Cloud *cloud, const char *method, const char *path, int status, const char *body)
{
    fake_http_reply(cloud->fake, method, path, status, body);
}

/* Placement has the root, a neutron agent's child below it, and a trait of the operator's. */
static void
script_existing_tree(Cloud *cloud)
{
    reply(cloud, "GET", IN_TREE, 200,
          "{\"resource_providers\": [{\"uuid\": \"" CHILD "\", \"name\": \"agent\", "
          "\"generation\": 7, \"parent_provider_uuid\": \"" ROOT "\"}, {\"uuid\": \"" ROOT "\", "
          "\"name\": \"host\", \"generation\": 4, \"parent_provider_uuid\": null}]}");
    reply(cloud, "GET", OF_ROOT "/inventories", 200,
          "{\"resource_provider_generation\": 4, \"inventories\": {\"VCPU\": {\"total\": 2, "
          "\"reserved\": 0, \"min_unit\": 1, \"max_unit\": 2, \"step_size\": 1, "
          "\"allocation_ratio\": 4.0}}}");
    reply(cloud, "GET", OF_ROOT "/aggregates", 200,
          "{\"resource_provider_generation\": 4, \"aggregates\": []}");
    reply(cloud, "GET", OF_ROOT "/traits", 200,
          "{\"resource_provider_generation\": 4, \"traits\": [\"CUSTOM_OF_OPERATOR\", "
          "\"COMPUTE_NODE\"]}");
    reply(cloud, "GET", OF_CHILD "/inventories", 200,
          "{\"resource_provider_generation\": 7, \"inventories\": {\"NET_BW_EGR_KILOBIT_PER_SEC\": "
          "{\"total\": 1000}}}");
    reply(cloud, "GET", OF_CHILD "/aggregates", 200,
          "{\"resource_provider_generation\": 7, \"aggregates\": []}");
    reply(cloud, "GET", OF_CHILD "/traits", 200,
          "{\"resource_provider_generation\": 7, \"traits\": [\"CUSTOM_PHYSNET\"]}");
}

typedef struct Wish {
    int64_t vcpus;
    const char *trait;       /* NULL: none */
    const char *child_class; /* NULL: no child of ours */
    const char *without;     /* a provider to remove; NULL: none */
} Wish;

static bool
apply_wish(ProviderTree *tree, void *user, NovaError **err)
{
    const Wish *wish = user;
    Provider *root = provider_tree_find(tree, ROOT);
    json_auto_t *inventory = json_object();

    (void)err;
    json_object_set_new(inventory, "VCPU", provider_inventory_record(wish->vcpus, 0, 4));
    provider_set_inventory(root, inventory);
    if (wish->trait)
        provider_add_trait(root, wish->trait);
    if (wish->child_class) {
        json_auto_t *of_child = json_object();
        Provider *child = provider_tree_add(tree, CHILD, "host_child", ROOT);

        json_object_set_new(of_child, wish->child_class, provider_inventory_record(3, 0, 1));
        provider_set_inventory(child, of_child);
    }
    if (wish->without)
        provider_tree_remove(tree, wish->without);
    return true;
}

static bool
sync_wish(Cloud *cloud, Wish wish, NovaError **err)
{
    return placement_sync(cloud->placement, NULL, ROOT, "host", apply_wish, &wish, err);
}

static void
assert_log(Cloud *cloud, const char *expected)
{
    g_autofree char *log = fake_http_log(cloud->fake);

    assert_string_equal(log, expected);
    assert_int_equal(fake_http_n_unexpected(cloud->fake), 0);
    assert_int_equal(fake_http_n_unused(cloud->fake), 0);
}

/* ---- providers ---- */

static void
a_fresh_host_makes_exactly_nova_s_calls(void **state)
{
    Cloud *cloud = *state;
    Wish wish = {.vcpus = 2, .trait = "COMPUTE_NODE"};
    json_auto_t *sent = NULL;

    reply(cloud, "GET", IN_TREE, 200, "{\"resource_providers\": []}");
    reply(cloud, "POST", "/resource_providers", 200,
          "{\"uuid\": \"" ROOT "\", \"name\": \"host\", \"generation\": 0, "
          "\"parent_provider_uuid\": null}");
    reply(cloud, "PUT", OF_ROOT "/inventories", 200,
          "{\"resource_provider_generation\": 1, \"inventories\": {\"VCPU\": {\"total\": 2, "
          "\"reserved\": 0, \"min_unit\": 1, \"max_unit\": 2, \"step_size\": 1, "
          "\"allocation_ratio\": 4.0}}}");
    reply(cloud, "GET", "/traits?name=in:COMPUTE_NODE", 200, "{\"traits\": [\"COMPUTE_NODE\"]}");
    reply(cloud, "PUT", OF_ROOT "/traits", 200,
          "{\"resource_provider_generation\": 2, \"traits\": [\"COMPUTE_NODE\"]}");
    assert_true(sync_wish(cloud, wish, NULL));
    assert_true(sync_wish(cloud, wish, NULL)); /* nothing changed: nothing sent */
    assert_log(cloud, "GET " IN_TREE "\nPOST /resource_providers\nPUT " OF_ROOT "/inventories\n"
                      "GET /traits?name=in:COMPUTE_NODE\nPUT " OF_ROOT "/traits\n");
    sent = fake_request_json(fake_http_request(cloud->fake, 2));
    assert_int_equal(json_get_int(sent, "resource_provider_generation", -1), 0);
    assert_int_equal(json_integer_value(json_path(sent, "inventories", "VCPU", "max_unit", NULL)),
                     2);
    assert_string_equal(
        fake_request_header(fake_http_request(cloud->fake, 2), "openstack-api-version"),
        "placement 1.26");
}

static void
what_others_made_stays_and_only_differences_are_sent(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *sent = NULL;
    json_auto_t *expected = json_loads("[\"COMPUTE_NODE\", \"CUSTOM_OF_OPERATOR\", "
                                       "\"OWNER_NOVA\"]", 0, NULL);

    script_existing_tree(cloud);
    reply(cloud, "GET", "/traits?name=in:COMPUTE_NODE,CUSTOM_OF_OPERATOR,OWNER_NOVA", 200,
          "{\"traits\": [\"COMPUTE_NODE\", \"CUSTOM_OF_OPERATOR\", \"OWNER_NOVA\"]}");
    reply(cloud, "PUT", OF_ROOT "/traits", 200,
          "{\"resource_provider_generation\": 5, \"traits\": [\"COMPUTE_NODE\", "
          "\"CUSTOM_OF_OPERATOR\", \"OWNER_NOVA\"]}");
    assert_true(sync_wish(cloud, (Wish){.vcpus = 2, .trait = "OWNER_NOVA"}, NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_true(json_equal(json_object_get(sent, "traits"), expected));
    assert_int_equal(json_get_int(sent, "resource_provider_generation", -1), 4);
    assert_int_equal(fake_http_n_unexpected(cloud->fake), 0);
    assert_int_equal(fake_http_n_unused(cloud->fake), 0);
}

static void
a_generation_conflict_reads_all_anew_and_tries_again(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    for (int i = 0; i < 4; i++) {
        script_existing_tree(cloud);
        reply(cloud, "PUT", OF_ROOT "/inventories", 409, CONFLICT);
    }
    assert_false(sync_wish(cloud, (Wish){.vcpus = 3}, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_RESOURCE_PROVIDER_UPDATE_CONFLICT);
    assert_int_equal(fake_http_n_unused(cloud->fake), 0);
    assert_int_equal(fake_http_n_unexpected(cloud->fake), 0);
    script_existing_tree(cloud);
    reply(cloud, "PUT", OF_ROOT "/inventories", 409, CONFLICT);
    script_existing_tree(cloud);
    reply(cloud, "PUT", OF_ROOT "/inventories", 200,
          "{\"resource_provider_generation\": 5, \"inventories\": {}}");
    assert_true(sync_wish(cloud, (Wish){.vcpus = 3}, NULL));
}

static void
inventory_in_use_is_kept_and_reported(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    script_existing_tree(cloud);
    reply(cloud, "PUT", OF_ROOT "/inventories", 409,
          "{\"errors\": [{\"code\": \"placement.inventory.inuse\", \"detail\": \"in use\"}]}");
    assert_false(sync_wish(cloud, (Wish){.vcpus = 3}, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_INVENTORY_IN_USE);
}

static void
another_provider_of_the_same_name_is_fatal(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    reply(cloud, "GET", IN_TREE, 200, "{\"resource_providers\": []}");
    reply(cloud, "POST", "/resource_providers", 409,
          "{\"errors\": [{\"detail\": \"Conflicting resource provider name: host already "
          "exists.\"}]}");
    assert_false(sync_wish(cloud, (Wish){.vcpus = 3}, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_RESOURCE_PROVIDER_CREATION_FAILED);
    assert_string_equal(nova_error_message(err), "Failed to create resource provider host");
}

static void
a_child_and_its_custom_class_are_made_first(void **state)
{
    Cloud *cloud = *state;

    reply(cloud, "GET", IN_TREE, 200, "{\"resource_providers\": []}");
    reply(cloud, "POST", "/resource_providers", 200,
          "{\"uuid\": \"" ROOT "\", \"name\": \"host\", \"generation\": 0}");
    reply(cloud, "GET", "/resource_providers?in_tree=" CHILD, 200, "{\"resource_providers\": []}");
    reply(cloud, "POST", "/resource_providers", 200,
          "{\"uuid\": \"" CHILD "\", \"name\": \"host_child\", \"generation\": 0, "
          "\"parent_provider_uuid\": \"" ROOT "\"}");
    reply(cloud, "PUT", "/resource_classes/CUSTOM_GPU", 201, NULL);
    reply(cloud, "PUT", OF_CHILD "/inventories", 200,
          "{\"resource_provider_generation\": 1, \"inventories\": {}}");
    reply(cloud, "PUT", OF_ROOT "/inventories", 200,
          "{\"resource_provider_generation\": 1, \"inventories\": {}}");
    assert_true(sync_wish(cloud, (Wish){.vcpus = 2, .child_class = "CUSTOM_GPU"}, NULL));
    assert_log(cloud, "GET " IN_TREE "\nPOST /resource_providers\n"
                      "GET /resource_providers?in_tree=" CHILD "\nPOST /resource_providers\n"
                      "PUT /resource_classes/CUSTOM_GPU\nPUT " OF_CHILD "/inventories\n"
                      "PUT " OF_ROOT "/inventories\n");
}

static void
a_child_that_the_driver_drops_is_deleted(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    script_existing_tree(cloud);
    reply(cloud, "DELETE", OF_CHILD, 204, NULL);
    assert_true(sync_wish(cloud, (Wish){.vcpus = 2, .without = CHILD}, NULL));
    assert_int_equal(fake_http_n_unused(cloud->fake), 0);
    placement_clear_cache(cloud->placement);
    script_existing_tree(cloud);
    reply(cloud, "DELETE", OF_CHILD, 409, CONFLICT);
    assert_false(sync_wish(cloud, (Wish){.vcpus = 2, .without = CHILD}, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_RESOURCE_PROVIDER_SYNC_FAILED);
}

static void
associations_are_refreshed_when_they_are_old(void **state)
{
    Cloud *cloud = *state;
    unsigned before;

    script_existing_tree(cloud);
    assert_true(sync_wish(cloud, (Wish){.vcpus = 2}, NULL));
    before = fake_http_n_requests(cloud->fake);
    cloud->options.compute.resource_provider_association_refresh = 0; /* never again */
    assert_true(sync_wish(cloud, (Wish){.vcpus = 2}, NULL));
    assert_int_equal(fake_http_n_requests(cloud->fake), before);
    placement_clear_cache(cloud->placement);
    script_existing_tree(cloud);
    assert_true(sync_wish(cloud, (Wish){.vcpus = 2}, NULL));
    assert_int_equal(fake_http_n_requests(cloud->fake), 2 * before);
}

static void
one_trait_is_switched_by_itself(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *sent = NULL;

    reply(cloud, "GET", OF_ROOT "/traits", 200,
          "{\"resource_provider_generation\": 9, \"traits\": [\"CUSTOM_A\"]}");
    reply(cloud, "GET", "/traits?name=in:COMPUTE_STATUS_DISABLED,CUSTOM_A", 200,
          "{\"traits\": [\"COMPUTE_STATUS_DISABLED\", \"CUSTOM_A\"]}");
    reply(cloud, "PUT", OF_ROOT "/traits", 200,
          "{\"resource_provider_generation\": 10, \"traits\": [\"CUSTOM_A\"]}");
    assert_true(placement_set_trait(cloud->placement, NULL, ROOT, "COMPUTE_STATUS_DISABLED", true,
                                    NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_int_equal(json_get_int(sent, "resource_provider_generation", -1), 9);
    reply(cloud, "GET", OF_ROOT "/traits", 200,
          "{\"resource_provider_generation\": 10, \"traits\": [\"CUSTOM_A\"]}");
    assert_true(placement_set_trait(cloud->placement, NULL, ROOT, "COMPUTE_STATUS_DISABLED",
                                    false, NULL));
    assert_int_equal(fake_http_n_requests(cloud->fake), 4);
}

static void
a_provider_s_name_is_asked_for_or_the_provider_is_unknown(void **state)
{
    Cloud *cloud = *state;
    g_autofree char *name = NULL;
    g_autoptr(NovaError) unknown = NULL, failed = NULL;

    reply(cloud, "GET", OF_CHILD, 200, "{\"uuid\": \"" CHILD "\", \"name\": \"host:NIC Switch agent:ens6\"}");
    name = placement_fetch_provider_name(cloud->placement, NULL, CHILD, NULL);
    assert_string_equal(name, "host:NIC Switch agent:ens6");
    reply(cloud, "GET", OF_CHILD, 404, "{}");
    assert_null(placement_fetch_provider_name(cloud->placement, NULL, CHILD, &unknown));
    assert_string_equal(nova_error_class(unknown), "ResourceProviderNotFound");
    reply(cloud, "GET", OF_CHILD, 500, "{}");
    assert_null(placement_fetch_provider_name(cloud->placement, NULL, CHILD, &failed));
    assert_string_equal(nova_error_class(failed), "ResourceProviderRetrievalFailed");
}

static void
hostile_answers_are_errors(void **state)
{
    static const char *const bodies[] = {
        "", "[]", "null", "{\"resource_providers\": {}}", "{\"resource_providers\": [[[",
    };
    Cloud *cloud = *state;
    FakeAnswer cut = {.raw = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"};
    g_autoptr(NovaError) err = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autoptr(NovaError) failure = NULL;

        reply(cloud, "GET", IN_TREE, 200, bodies[i]);
        assert_false(sync_wish(cloud, (Wish){.vcpus = 2}, &failure));
        assert_int_equal(nova_error_kind(failure),
                         NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED);
    }
    fake_http_answer(cloud->fake, &cut);
    assert_false(sync_wish(cloud, (Wish){.vcpus = 2}, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_CONNECT_FAILURE);
}

/* ---- allocations ---- */

#define ALLOCATIONS                                                                            \
    "{\"allocations\": {\"" ROOT "\": {\"generation\": 3, \"resources\": {\"VCPU\": 2, "        \
    "\"NET_BW_EGR_KILOBIT_PER_SEC\": 5}}}, \"consumer_generation\": 1, \"project_id\": \"p\", " \
    "\"user_id\": \"u\"}"

static void
allocations_end_by_force_or_by_generation(void **state)
{
    Cloud *cloud = *state;
    bool had_some = false;
    json_auto_t *sent = NULL;
    g_autoptr(NovaError) err = NULL;

    reply(cloud, "DELETE", "/allocations/" CONSUMER, 404, "{}");
    assert_true(placement_delete_allocations(cloud->placement, NULL, CONSUMER, true, &had_some,
                                             NULL));
    assert_false(had_some);
    reply(cloud, "GET", "/allocations/" CONSUMER, 200, ALLOCATIONS);
    reply(cloud, "PUT", "/allocations/" CONSUMER, 204, NULL);
    assert_true(placement_delete_allocations(cloud->placement, NULL, CONSUMER, false, &had_some,
                                             NULL));
    assert_true(had_some);
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_int_equal(json_object_size(json_object_get(sent, "allocations")), 0);
    assert_int_equal(json_get_int(sent, "consumer_generation", -1), 1);
    reply(cloud, "GET", "/allocations/" CONSUMER, 200, ALLOCATIONS);
    reply(cloud, "PUT", "/allocations/" CONSUMER, 409, CONFLICT);
    assert_false(placement_delete_allocations(cloud->placement, NULL, CONSUMER, false, NULL,
                                              &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_ALLOCATION_DELETE_FAILED);
}

static void
resources_are_subtracted_and_empty_classes_vanish(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *resources = json_loads("{\"" ROOT "\": {\"resources\": "
                                        "{\"NET_BW_EGR_KILOBIT_PER_SEC\": 5}}}", 0, NULL);
    json_auto_t *sent = NULL;
    g_autoptr(NovaError) err = NULL;

    reply(cloud, "GET", "/allocations/" CONSUMER, 200, ALLOCATIONS);
    reply(cloud, "PUT", "/allocations/" CONSUMER, 204, NULL);
    assert_true(placement_remove_resources(cloud->placement, NULL, CONSUMER, resources, NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_int_equal(
        json_object_size(json_path(sent, "allocations", ROOT, "resources", NULL)), 1);
    reply(cloud, "GET", "/allocations/" CONSUMER, 200, "{\"allocations\": {}}");
    assert_false(placement_remove_resources(cloud->placement, NULL, CONSUMER, resources, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_ALLOCATION_UPDATE_FAILED);
}

static void
a_conflict_on_providers_is_retried_one_on_the_consumer_is_not(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *payload = json_loads(ALLOCATIONS, 0, NULL);
    g_autoptr(NovaError) err = NULL;

    reply(cloud, "PUT", "/allocations/" CONSUMER, 409, CONFLICT);
    reply(cloud, "PUT", "/allocations/" CONSUMER, 204, NULL);
    assert_true(placement_put_allocations(cloud->placement, NULL, CONSUMER, payload, NULL));
    reply(cloud, "PUT", "/allocations/" CONSUMER, 409,
          "{\"errors\": [{\"code\": \"placement.concurrent_update\", \"detail\": "
          "\"consumer generation conflict - expected 1\"}]}");
    assert_false(placement_put_allocations(cloud->placement, NULL, CONSUMER, payload, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_ALLOCATION_UPDATE_FAILED);
    assert_int_equal(fake_http_n_requests(cloud->fake), 3);
}

static void
a_move_writes_both_consumers_at_once(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *sent = NULL;

    reply(cloud, "GET", "/allocations/" CHILD, 200, ALLOCATIONS);
    reply(cloud, "GET", "/allocations/" CONSUMER, 200, "{\"allocations\": {}}");
    reply(cloud, "POST", "/allocations", 204, NULL);
    assert_true(placement_move_allocations(cloud->placement, NULL, CHILD, CONSUMER, NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_int_equal(json_object_size(json_path(sent, CHILD, "allocations", NULL)), 0);
    assert_int_equal(json_object_size(json_path(sent, CONSUMER, "allocations", NULL)), 1);
    assert_true(json_is_null(json_path(sent, CONSUMER, "consumer_generation", NULL)));
}

static void
an_evacuated_host_leaves_the_consumer(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *sent = NULL;

    reply(cloud, "GET", "/allocations/" CONSUMER, 200, ALLOCATIONS);
    reply(cloud, "GET", IN_TREE, 200, "{\"resource_providers\": [{\"uuid\": \"" ROOT "\"}]}");
    reply(cloud, "PUT", "/allocations/" CONSUMER, 204, NULL);
    assert_true(placement_remove_tree_from_allocations(cloud->placement, NULL, CONSUMER, ROOT,
                                                       NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_int_equal(json_object_size(json_object_get(sent, "allocations")), 0);
}

#define CLOUD_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* ---- candidates ---- */

#define TWO_GROUPS                                                                               \
    "{\"request_groups\": [{\"id\": \"g1\", \"required\": [\"CUSTOM_A\", \"CUSTOM_B\"], "       \
    "\"resources\": {\"NET_BW_EGR_KILOBIT_PER_SEC\": 5, \"NET_BW_IGR_KILOBIT_PER_SEC\": 0}}, " \
    "{\"id\": \"g2\", \"required\": [], \"resources\": {\"NET_PACKET_RATE_KILOPACKET_PER_SEC\": 7}}], " \
    "\"same_subtree\": [\"g1\", \"g2\"]}"
#define CANDIDATES_OF_TWO_GROUPS                                                                 \
    "/allocation_candidates?group_policy=none&resourcesg1=NET_BW_EGR_KILOBIT_PER_SEC%3A5"        \
    "&requiredg1=CUSTOM_A%2CCUSTOM_B&in_treeg1=" ROOT                                            \
    "&resourcesg2=NET_PACKET_RATE_KILOPACKET_PER_SEC%3A7&in_treeg2=" ROOT                        \
    "&same_subtree=g1%2Cg2"

static json_t *
candidate(Cloud *cloud, int status, const char *answer)
{
    json_auto_t *request = json_loads(TWO_GROUPS, 0, NULL);
    json_t *found = NULL;

    reply(cloud, "GET", CANDIDATES_OF_TWO_GROUPS, status, answer);
    assert_true(placement_find_candidate(cloud->placement, NULL, ROOT, request, &found, NULL));
    assert_string_equal(fake_request_header(fake_http_request(cloud->fake, -1), "openstack-api-version"),
                        "placement 1.36");
    return found;
}

static void
the_first_candidate_of_the_host_s_tree_is_taken(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *found =
        candidate(cloud, 200, "{\"allocation_requests\": [{\"allocations\": {\"a\": {}}, \"mappings\": "
                              "{\"g1\": [\"a\"]}}, {\"allocations\": {\"b\": {}}}]}");

    assert_non_null(json_path(found, "allocations", "a", NULL));
    assert_int_equal(fake_http_n_unexpected(cloud->fake), 0);
}

static void
no_candidate_and_a_refusal_are_the_same(void **state)
{
    Cloud *cloud = *state;

    assert_null(candidate(cloud, 200, "{\"allocation_requests\": []}"));
    assert_null(candidate(cloud, 400, "{\"errors\": [{\"detail\": \"No such trait\"}]}"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOUD_TEST(a_fresh_host_makes_exactly_nova_s_calls),
        CLOUD_TEST(what_others_made_stays_and_only_differences_are_sent),
        CLOUD_TEST(a_generation_conflict_reads_all_anew_and_tries_again),
        CLOUD_TEST(inventory_in_use_is_kept_and_reported),
        CLOUD_TEST(another_provider_of_the_same_name_is_fatal),
        CLOUD_TEST(a_child_and_its_custom_class_are_made_first),
        CLOUD_TEST(a_child_that_the_driver_drops_is_deleted),
        CLOUD_TEST(associations_are_refreshed_when_they_are_old),
        CLOUD_TEST(one_trait_is_switched_by_itself),
        CLOUD_TEST(a_provider_s_name_is_asked_for_or_the_provider_is_unknown),
        CLOUD_TEST(hostile_answers_are_errors),
        CLOUD_TEST(allocations_end_by_force_or_by_generation),
        CLOUD_TEST(resources_are_subtracted_and_empty_classes_vanish),
        CLOUD_TEST(a_conflict_on_providers_is_retried_one_on_the_consumer_is_not),
        CLOUD_TEST(a_move_writes_both_consumers_at_once),
        CLOUD_TEST(an_evacuated_host_leaves_the_consumer),
        CLOUD_TEST(the_first_candidate_of_the_host_s_tree_is_taken),
        CLOUD_TEST(no_candidate_and_a_refusal_are_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
