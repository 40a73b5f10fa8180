/* SPDX-License-Identifier: Apache-2.0 */
/* Neutron's replies are those recorded while nova-compute 34 built a server (create_net.json);
 * the control plane's side (neutron_records.c) is a double at the end of this file. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "network/neutron.h"
#include "network/neutron_model.h"
#include "network/neutron_private.h"
#include "tests/fakes/fake_http.h"

#define INSTANCE "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define PROJECT "cd49dc0fa69b41228cfbd34a04b15f41"
#define NETWORK "5908fd1d-569a-476e-b5e6-858fc909f1de"
#define SUBNET "3dc51171-eb79-475d-927a-119080d4b93e"
#define PORT "48bfbe6d-b503-4484-a55e-436db9b526a1"
#define OTHER_PORT "fb5c872a-cde2-4420-8918-ebd6d4616f39"

#define GET_PORTS "GET /v2.0/ports?tenant_id=" PROJECT "&device_id=" INSTANCE
#define GET_SURROUNDINGS                                                                   \
    "GET /v2.0/floatingips?port_id=" PORT "\nGET /v2.0/subnets?id=" SUBNET "\n"             \
    "GET /v2.0/ports?network_id=" NETWORK "&device_owner=network%3Adhcp\n"                  \
    "GET /v2.0/networks/" NETWORK "?fields=segments&fields=provider%3Aphysical_network"     \
    "&fields=provider%3Anetwork_type\n"

/* What the double of the control plane keeps. */
static struct {
    json_t *cache;
    GPtrArray *rows; /* "port tag" of those that exist */
    unsigned n_saves;
    bool refuses_rows;
} plane;

typedef struct Cloud {
    FakeHttp *fake;
    Keystone *keystone;
    Options options;
    Neutron *neutron;
    Instance instance;
    RequestContext *ctx;
    json_t *recorded;
    NetworkRequestList requested;
    NetworkRequest requests[2];
} Cloud;

static int
setup(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);
    json_t *message = json_pack("{s:s, s:s, s:b}", "_context_request_id", "req-1",
                                "_context_auth_token", "user-token", "_context_is_admin", 0);

    cloud->fake = fake_http_new();
    cloud->keystone = keystone_new();
    cloud->options.neutron.auth.auth_type = "none";
    cloud->options.neutron.adapter.endpoint_override = (char *)fake_http_url(cloud->fake);
    cloud->options.neutron.ovs_bridge = "br-int";
    cloud->options.neutron.extension_sync_interval = 600;
    cloud->neutron = neutron_new(cloud->keystone, NULL, &cloud->options);
    cloud->instance.uuid = INSTANCE;
    cloud->instance.project_id = PROJECT;
    cloud->instance.hostname = "vm";
    cloud->instance.availability_zone = "nova";
    cloud->ctx = request_context_from_message(message, NULL);
    json_decref(message);
    cloud->recorded = json_load_file(TEST_DATA_DIR "/neutron/create_net.json", 0, NULL);
    assert_non_null(cloud->recorded);
    cloud->requested.objects = g_ptr_array_new();
    plane.cache = json_array();
    plane.rows = g_ptr_array_new_with_free_func(g_free);
    plane.n_saves = 0;
    plane.refuses_rows = false;
    *state = cloud;
    return 0;
}

static int
teardown(void **state)
{
    Cloud *cloud = *state;

    g_ptr_array_unref(cloud->requested.objects);
    neutron_free(cloud->neutron);
    keystone_free(cloud->keystone);
    fake_http_free(cloud->fake);
    request_context_unref(cloud->ctx);
    json_decref(cloud->recorded);
    json_decref(plane.cache);
    g_ptr_array_unref(plane.rows);
    g_free(cloud);
    return 0;
}

/* ---- scripts ---- */

static void
reply_recorded(Cloud *cloud, const char *method, const char *path, int status, const char *key)
{
    g_autofree char *body = json_to_text(json_object_get(cloud->recorded, key));

    assert_non_null(body);
    fake_http_reply(cloud->fake, method, path, status, body);
}

static void
script_info(Cloud *cloud)
{
    reply_recorded(cloud, "GET", "/v2.0/ports?tenant_id=*", 200, "ports");
    fake_http_reply(cloud->fake, "GET", "/v2.0/floatingips*", 404,
                    "{\"NeutronError\": {\"type\": \"HTTPNotFound\", \"message\": \"no\"}}");
    reply_recorded(cloud, "GET", "/v2.0/subnets?id=" SUBNET, 200, "subnets");
    reply_recorded(cloud, "GET", "/v2.0/ports?network_id=*", 200, "dhcp");
    reply_recorded(cloud, "GET", "/v2.0/networks/" NETWORK "?*", 200, "provider");
}

static void
script_extensions(Cloud *cloud)
{
    reply_recorded(cloud, "GET", "/v2.0/extensions", 200, "extensions");
}

static void
script_build(Cloud *cloud)
{
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    reply_recorded(cloud, "POST", "/v2.0/ports", 201, "created");
    script_extensions(cloud);
    reply_recorded(cloud, "PUT", "/v2.0/ports/" PORT, 200, "bound");
}

static void
request_network(Cloud *cloud, int index)
{
    cloud->requests[index].network_id = NETWORK;
    g_ptr_array_add(cloud->requested.objects, &cloud->requests[index]);
}

static void
request_port(Cloud *cloud)
{
    cloud->requests[0].port_id = PORT;
    g_ptr_array_add(cloud->requested.objects, &cloud->requests[0]);
}

/* The port as it is before anybody uses it, with one member changed. */
static void
reply_free_port(Cloud *cloud, const char *key, const char *value)
{
    json_auto_t *body = json_deep_copy(json_object_get(cloud->recorded, "created"));
    json_t *port = json_object_get(body, "port");
    g_autofree char *text = NULL;

    json_set_string(port, "device_id", "");
    if (key)
        json_set_string(port, key, value);
    text = json_to_text(body);
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports/" PORT, 200, text);
}

static json_t *
allocate(Cloud *cloud, NovaError **err)
{
    NeutronAllocation what = {.requested = &cloud->requested, .host = "anchor1"};
    g_autoptr(NetworkInfo) info = neutron_allocate_for_instance(
        cloud->neutron, cloud->ctx, &cloud->instance, &what, err);

    return info ? json_incref(plane.cache) : NULL;
}

static NovaErrorKind
allocation_failure(Cloud *cloud)
{
    g_autoptr(NovaError) err = NULL;

    assert_null(allocate(cloud, &err));
    assert_non_null(err);
    return nova_error_kind(err);
}

static void
assert_log(Cloud *cloud, const char *expected)
{
    g_autofree char *log = fake_http_log(cloud->fake);

    assert_string_equal(log, expected);
}

static void
assert_all_used(Cloud *cloud)
{
    assert_int_equal(fake_http_n_unexpected(cloud->fake), 0);
    assert_int_equal(fake_http_n_unused(cloud->fake), 0);
}

/* ---- the model ---- */

static void
the_cache_s_text_is_nova_s_to_the_byte(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *vifs = NULL;
    g_autofree char *text = NULL;

    request_network(cloud, 0);
    script_build(cloud);
    script_info(cloud);
    vifs = allocate(cloud, NULL);
    assert_non_null(vifs);
    text = json_to_python_text(vifs);
    assert_string_equal(text,
                        json_string_value(json_object_get(cloud->recorded, "network_info")));
}

static json_t *
vif_of_binding(const char *vif_type, const char *details, NovaError **err)
{
    json_auto_t *port = json_pack("{s:s, s:s, s:s, s:o}", "id", PORT, "network_id", NETWORK,
                                  "binding:vif_type", vif_type, "binding:vif_details",
                                  json_loads(details, 0, NULL));
    NeutronVifFacts facts = {.port = port, .ovs_bridge = "br-int"};

    return neutron_model_vif(&facts, err);
}

static void
each_binding_has_its_bridge(void **state)
{
    static const char *const cases[][4] = {
        {"ovs", "{}", "br-int", PORT},
        {"ovs", "{\"bridge_name\": \"tbr-0123456789abc\"}", "tbr-0123456789", PORT},
        {"agilio_ovs", "{}", "br-int", PORT},
        {"vhostuser", "{\"vhostuser_ovs_plug\": true}", "br-int", PORT},
        {"vhostuser", "{\"vhostuser_fp_plug\": true}", "brq5908fd1d-56", NULL},
        {"vhostuser", "{}", NULL, NULL},
        {"dvs", "{}", NETWORK, NULL},
        {"tap", "{}", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        json_auto_t *vif = vif_of_binding(cases[i][0], cases[i][1], NULL);
        const char *bridge = json_string_value(json_path(vif, "network", "bridge", NULL));
        const char *interface_id = json_get_string(vif, "ovs_interfaceid", NULL);

        assert_non_null(vif);
        assert_int_equal(g_strcmp0(bridge, cases[i][2]), 0);
        assert_int_equal(g_strcmp0(interface_id, cases[i][3]), 0);
        assert_string_equal(json_get_string(vif, "devname", ""), "tap48bfbe6d-b5");
    }
}

static void
a_linux_bridge_binding_is_refused(void **state)
{
    g_autoptr(NovaError) err = NULL;

    (void)state;
    assert_null(vif_of_binding("bridge", "{}", &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_NOVA_EXCEPTION);
}

static void
addresses_are_matched_to_their_subnets(void **state)
{
    (void)state;
    assert_true(neutron_model_in_subnet("198.51.100.7", "198.51.100.0/24"));
    assert_false(neutron_model_in_subnet("198.51.101.7", "198.51.100.0/24"));
    assert_true(neutron_model_in_subnet("198.51.100.129", "198.51.100.128/25"));
    assert_true(neutron_model_in_subnet("2001:db8::1", "2001:db8::/64"));
    assert_false(neutron_model_in_subnet("2001:db8:0:1::1", "2001:db8::/64"));
    assert_false(neutron_model_in_subnet("198.51.100.7", "2001:db8::/64"));
    assert_true(neutron_model_in_subnet("10.0.0.1", "0.0.0.0/0"));
    assert_false(neutron_model_in_subnet("10.0.0.1", "10.0.0.0/33"));
    assert_false(neutron_model_in_subnet("10.0.0.1", "10.0.0.0"));
    assert_false(neutron_model_in_subnet("nonsense", "10.0.0.0/8"));
    assert_false(neutron_model_in_subnet("10.0.0.1", NULL));
}

static void
the_physical_network_is_the_first_segment_s(void **state)
{
    json_auto_t *segments = json_loads(
        "{\"segments\": [{\"provider:physical_network\": null}, {\"provider:physical_network\": "
        "\"physnet1\"}]}", 0, NULL);
    json_auto_t *without = json_loads("{\"segments\": [{}]}", 0, NULL);
    json_auto_t *vlan = json_loads("{\"provider:physical_network\": \"p\", "
                                   "\"provider:network_type\": \"vlan\"}", 0, NULL);
    const char *name = NULL;
    bool is_tunneled = true;

    (void)state;
    assert_true(neutron_model_physical(segments, &name, &is_tunneled, NULL));
    assert_string_equal(name, "physnet1");
    assert_false(is_tunneled);
    assert_false(neutron_model_physical(without, &name, &is_tunneled, NULL));
    assert_true(neutron_model_physical(vlan, &name, &is_tunneled, NULL));
    assert_string_equal(name, "p");
    assert_false(is_tunneled);
}

/* ---- allocating ---- */

static void
a_build_makes_nova_s_calls_and_no_more(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *vifs = NULL;
    json_auto_t *made = NULL;
    json_auto_t *bound = NULL;
    json_auto_t *expected_bound =
        json_pack("{s:{s:s, s:s, s:s}}", "port", "device_id", INSTANCE, "device_owner",
                  "compute:nova", "binding:host_id", "anchor1");
    json_auto_t *expected_made =
        json_pack("{s:{s:s, s:s, s:b, s:s}}", "port", "device_id", INSTANCE, "network_id", NETWORK,
                  "admin_state_up", 1, "tenant_id", PROJECT);

    request_network(cloud, 0);
    script_build(cloud);
    script_info(cloud);
    vifs = allocate(cloud, NULL);
    assert_non_null(vifs);
    assert_log(cloud, "GET /v2.0/networks?id=" NETWORK "\nPOST /v2.0/ports\n"
                      "GET /v2.0/extensions\nPUT /v2.0/ports/" PORT "\n" GET_PORTS
                      "\n" GET_SURROUNDINGS);
    assert_all_used(cloud);
    made = fake_request_json(fake_http_request(cloud->fake, 1));
    bound = fake_request_json(fake_http_request(cloud->fake, 3));
    assert_true(json_equal(made, expected_made));
    assert_true(json_equal(bound, expected_bound));
    assert_string_equal(fake_request_header(fake_http_request(cloud->fake, 1), "x-auth-token"),
                        "user-token");
    assert_null(fake_request_header(fake_http_request(cloud->fake, 3), "x-auth-token"));
    assert_int_equal(plane.rows->len, 1);
    assert_string_equal(g_ptr_array_index(plane.rows, 0), "fa:16:3e:c1:7c:f6/" PORT);
    assert_int_equal(plane.n_saves, 1);
}

static void
a_given_port_is_bound_and_preserved(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *vifs = NULL;

    request_port(cloud);
    reply_free_port(cloud, NULL, NULL);
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    script_extensions(cloud);
    reply_recorded(cloud, "PUT", "/v2.0/ports/" PORT, 200, "bound");
    script_info(cloud);
    vifs = allocate(cloud, NULL);
    assert_non_null(vifs);
    assert_true(json_get_bool(json_array_get(vifs, 0), "preserve_on_delete", false));
    assert_all_used(cloud);
}

static void
a_given_port_must_be_usable(void **state)
{
    static const struct {
        const char *key, *value;
        NovaErrorKind kind;
    } cases[] = {
        {"tenant_id", "somebody", NOVA_ERROR_PORT_NOT_USABLE},
        {"device_id", "another", NOVA_ERROR_PORT_IN_USE},
        {"dns_name", "other-name", NOVA_ERROR_PORT_NOT_USABLE_DNS},
        {"binding:vif_type", "binding_failed", NOVA_ERROR_PORT_BINDING_FAILED},
    };
    Cloud *cloud = *state;

    request_port(cloud);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        reply_free_port(cloud, cases[i].key, cases[i].value);
        assert_int_equal(allocation_failure(cloud), cases[i].kind);
    }
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports/" PORT, 404, "{}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_PORT_NOT_FOUND);
    assert_int_equal(fake_http_n_requests(cloud->fake), 5);
}

static void
neutron_s_refusals_have_nova_s_classes(void **state)
{
    static const struct {
        const char *type;
        NovaErrorKind kind;
    } cases[] = {
        {"IpAddressGenerationFailure", NOVA_ERROR_NO_MORE_FIXED_IPS},
        {"IpAddressInUse", NOVA_ERROR_FIXED_IP_ALREADY_IN_USE},
        {"IpAddressAlreadyAllocated", NOVA_ERROR_FIXED_IP_ALREADY_IN_USE},
        {"InvalidIpForNetwork", NOVA_ERROR_INVALID_INPUT},
        {"OverQuota", NOVA_ERROR_PORT_LIMIT_EXCEEDED},
        {"SomethingElse", NOVA_ERROR_NOVA_EXCEPTION},
    };
    Cloud *cloud = *state;

    request_network(cloud, 0);
    cloud->requests[0].address = "198.51.100.7";
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf(
            "{\"NeutronError\": {\"type\": \"%s\", \"message\": \"no\"}}", cases[i].type);

        reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
        fake_http_reply(cloud->fake, "POST", "/v2.0/ports", 409, body);
        assert_int_equal(allocation_failure(cloud), cases[i].kind);
    }
    assert_all_used(cloud);
}

static void
an_unknown_network_is_not_found(void **state)
{
    Cloud *cloud = *state;

    request_network(cloud, 0);
    fake_http_reply(cloud->fake, "GET", "/v2.0/networks?id=" NETWORK, 200, "{\"networks\": []}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_NETWORK_NOT_FOUND);
}

static void
several_networks_and_no_request_are_ambiguous(void **state)
{
    Cloud *cloud = *state;

    fake_http_reply(cloud->fake, "GET", "/v2.0/networks?tenant_id=" PROJECT "&shared=False", 200,
                    "{\"networks\": [{\"id\": \"a\"}]}");
    fake_http_reply(cloud->fake, "GET", "/v2.0/networks?shared=True", 200,
                    "{\"networks\": [{\"id\": \"b\"}]}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_NETWORK_AMBIGUOUS);
}

static void
an_external_network_is_for_admins(void **state)
{
    Cloud *cloud = *state;

    request_network(cloud, 0);
    fake_http_reply(cloud->fake, "GET", "/v2.0/networks?id=" NETWORK, 200,
                    "{\"networks\": [{\"id\": \"" NETWORK "\", \"router:external\": true}]}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_EXTERNAL_NETWORK_ATTACH_FORBIDDEN);
}

static void
none_asks_nobody(void **state)
{
    Cloud *cloud = *state;
    NeutronAllocation what = {.requested = &cloud->requested, .host = "anchor1"};
    g_autoptr(NetworkInfo) info = NULL;

    request_network(cloud, 0);
    cloud->requests[0].network_id = "none";
    info = neutron_allocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance, &what,
                                         NULL);
    assert_non_null(info);
    assert_int_equal(fake_http_n_requests(cloud->fake), 0);
}

static void
security_groups_are_found_by_name_or_id(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    NeutronAllocation what = {.requested = &cloud->requested, .host = "anchor1",
                              .security_groups = names};
    g_autoptr(NetworkInfo) info = NULL;
    json_auto_t *sent = NULL;

    g_ptr_array_add(names, "web");
    g_ptr_array_add(names, "id-2");
    request_network(cloud, 0);
    fake_http_reply(cloud->fake, "GET",
                    "/v2.0/security-groups?fields=id&fields=name&tenant_id=" PROJECT, 200,
                    "{\"security_groups\": [{\"id\": \"id-1\", \"name\": \"web\"}, {\"id\": "
                    "\"id-2\", \"name\": \"twice\"}, {\"id\": \"id-3\", \"name\": \"twice\"}]}");
    script_build(cloud);
    script_info(cloud);
    info = neutron_allocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance, &what,
                                         NULL);
    assert_non_null(info);
    sent = fake_request_json(fake_http_request(cloud->fake, 2));
    assert_string_equal(json_string_value(json_array_get(
                            json_path(sent, "port", "security_groups", NULL), 0)), "id-1");
}

static void
a_missing_or_double_security_group_is_an_error(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    NeutronAllocation what = {.requested = &cloud->requested, .host = "anchor1",
                              .security_groups = names};
    g_autoptr(NovaError) missing = NULL;
    g_autoptr(NovaError) twice = NULL;
    static const char groups[] = "{\"security_groups\": [{\"id\": \"2\", \"name\": \"twice\"}, "
                                 "{\"id\": \"3\", \"name\": \"twice\"}]}";

    request_network(cloud, 0);
    g_ptr_array_add(names, "absent");
    script_extensions(cloud);
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    fake_http_reply(cloud->fake, "GET", "/v2.0/security-groups*", 200, groups);
    fake_http_reply(cloud->fake, "GET", "/v2.0/security-groups?fields=id&fields=name&shared=True",
                    200, "{\"security_groups\": []}");
    assert_null(neutron_allocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance, &what,
                                              &missing));
    assert_int_equal(nova_error_kind(missing), NOVA_ERROR_SECURITY_GROUP_NOT_FOUND);
    g_ptr_array_set_size(names, 0);
    g_ptr_array_add(names, "twice");
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    fake_http_reply(cloud->fake, "GET", "/v2.0/security-groups*", 200, groups);
    assert_null(neutron_allocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance, &what,
                                              &twice));
    assert_int_equal(nova_error_kind(twice), NOVA_ERROR_NO_UNIQUE_MATCH);
    assert_all_used(cloud);
}

static void
a_network_without_subnets_gets_no_security_group(void **state)
{
    Cloud *cloud = *state;

    request_network(cloud, 0);
    fake_http_reply(cloud->fake, "GET", "/v2.0/networks?id=" NETWORK, 200,
                    "{\"networks\": [{\"id\": \"" NETWORK "\", \"subnets\": []}]}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_SECURITY_GROUP_CANNOT_BE_APPLIED);
}

/* ---- undoing ---- */

static void
a_failed_binding_deletes_what_was_made(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *failed = json_deep_copy(json_object_get(cloud->recorded, "bound"));
    g_autofree char *body = NULL;

    json_set_string(json_object_get(failed, "port"), "binding:vif_type", "binding_failed");
    body = json_to_text(failed);
    request_network(cloud, 0);
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    reply_recorded(cloud, "POST", "/v2.0/ports", 201, "created");
    script_extensions(cloud);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 200, body);
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" PORT, 204, NULL);
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_PORT_BINDING_FAILED);
    assert_all_used(cloud);
    assert_int_equal(plane.rows->len, 0);
}

static void
a_failed_record_unbinds_a_given_port_with_its_own_profile(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *sent = NULL;
    json_auto_t *expected = json_loads(
        "{\"port\": {\"binding:host_id\": null, \"device_id\": \"\", \"device_owner\": \"\", "
        "\"binding:profile\": {\"trusted\": true}}}", 0, NULL);

    request_port(cloud);
    plane.refuses_rows = true;
    reply_free_port(cloud, NULL, NULL);
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    script_extensions(cloud);
    reply_recorded(cloud, "PUT", "/v2.0/ports/" PORT, 200, "bound");
    fake_http_reply(cloud->fake, "GET",
                    "/v2.0/ports/" PORT "?fields=binding%3Aprofile&fields=network_id", 200,
                    "{\"port\": {\"binding:profile\": {\"trusted\": true, \"pci_slot\": \"x\", "
                    "\"allocation\": \"y\"}, \"network_id\": \"" NETWORK "\"}}");
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 200, "{\"port\": {}}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_NOVA_EXCEPTION);
    assert_all_used(cloud);
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_true(json_equal(sent, expected));
}

static void
an_answer_cut_short_after_creation_deletes_the_port(void **state)
{
    Cloud *cloud = *state;
    FakeAnswer cut = {.method = "PUT", .raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"};

    request_network(cloud, 0);
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    reply_recorded(cloud, "POST", "/v2.0/ports", 201, "created");
    script_extensions(cloud);
    fake_http_answer(cloud->fake, &cut);
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" PORT, 204, NULL);
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_CONNECT_FAILURE);
    assert_all_used(cloud);
}

static void
hostile_answers_are_errors(void **state)
{
    static const char *const bodies[] = {"", "[]", "null", "{\"networks\": 3}", "{\"networks\": [",
                                         "{\"networks\": [7, null, [], {\"id\": 7}]}"};
    Cloud *cloud = *state;

    request_network(cloud, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autoptr(NovaError) err = NULL;
        json_auto_t *vifs = NULL;

        fake_http_reply(cloud->fake, "GET", "/v2.0/networks?id=" NETWORK, 200, bodies[i]);
        fake_http_reply(cloud->fake, "GET", "/v2.0/extensions", 500, "oops");
        vifs = allocate(cloud, &err);
        assert_null(vifs);
        assert_non_null(err);
    }
}

static void
a_refused_token_is_unauthorized_for_users_and_configuration_for_us(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) err = NULL;

    request_network(cloud, 0);
    fake_http_reply(cloud->fake, "GET", NULL, 401, "{}");
    assert_int_equal(allocation_failure(cloud), NOVA_ERROR_UNAUTHORIZED);
    fake_http_reply(cloud->fake, "GET", NULL, 401, "{}");
    fake_http_reply(cloud->fake, "GET", NULL, 401, "{}");
    assert_null(neutron_fetch_port(cloud->neutron, cloud->ctx, PORT, &err));
    assert_int_equal(nova_error_kind(err),
                     NOVA_ERROR_NEUTRON_ADMIN_CREDENTIAL_CONFIGURATION_INVALID);
}

/* ---- refreshing ---- */

static void
put_in_cache(Cloud *cloud, bool preserved)
{
    json_auto_t *vifs = json_loads(
        json_string_value(json_object_get(cloud->recorded, "network_info")), 0, NULL);

    json_object_set_new(json_array_get(vifs, 0), "preserve_on_delete", json_boolean(preserved));
    json_array_extend(plane.cache, vifs);
}

static void
network_changed_renews_one_port(void **state)
{
    Cloud *cloud = *state;
    NeutronRefresh how = {.port_id = PORT};
    g_autoptr(NetworkInfo) info = NULL;
    json_auto_t *ports = json_deep_copy(json_object_get(cloud->recorded, "ports"));
    g_autofree char *body = NULL;

    put_in_cache(cloud, true);
    json_array_append_new(plane.cache, json_pack("{s:s, s:s}", "id", OTHER_PORT, "mark", "kept"));
    json_set_string(json_array_get(json_object_get(ports, "ports"), 0), "status", "ACTIVE");
    body = json_to_text(ports);
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?tenant_id=*", 200, body);
    reply_recorded(cloud, "GET", "/v2.0/networks?id=" NETWORK, 200, "networks");
    script_extensions(cloud);
    script_info(cloud);
    info = neutron_fetch_instance_nw_info(cloud->neutron, cloud->ctx, &cloud->instance, &how,
                                          NULL);
    assert_non_null(info);
    assert_true(json_get_bool(json_array_get(plane.cache, 0), "active", false));
    assert_true(json_get_bool(json_array_get(plane.cache, 0), "preserve_on_delete", false));
    assert_string_equal(json_get_string(json_array_get(plane.cache, 1), "mark", ""), "kept");
}

static void
a_port_gone_from_neutron_stays_in_the_cache(void **state)
{
    Cloud *cloud = *state;
    NeutronRefresh how = {.port_id = PORT};
    g_autoptr(NetworkInfo) info = NULL;

    put_in_cache(cloud, false);
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?tenant_id=*", 200, "{\"ports\": []}");
    info = neutron_fetch_instance_nw_info(cloud->neutron, cloud->ctx, &cloud->instance, &how,
                                          NULL);
    assert_non_null(info);
    assert_int_equal(json_array_size(plane.cache), 1);
    assert_int_equal(fake_http_n_requests(cloud->fake), 1);
}

static void
an_empty_cache_asks_only_for_the_ports(void **state)
{
    Cloud *cloud = *state;
    NeutronRefresh how = {.port_id = PORT};
    g_autoptr(NetworkInfo) info = NULL;

    reply_recorded(cloud, "GET", "/v2.0/ports?tenant_id=*", 200, "ports");
    info = neutron_fetch_instance_nw_info(cloud->neutron, cloud->ctx, &cloud->instance, &how,
                                          NULL);
    assert_non_null(info);
    assert_int_equal(json_array_size(plane.cache), 0);
    assert_int_equal(plane.n_saves, 1);
    assert_log(cloud, GET_PORTS "\n");
}

/* ---- releasing ---- */

static void
delete_removes_ours_and_unbinds_what_was_given(void **state)
{
    Cloud *cloud = *state;

    put_in_cache(cloud, true);
    g_ptr_array_add(plane.rows, g_strdup("row"));
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=" INSTANCE, 200,
                    "{\"ports\": [{\"id\": \"" PORT "\"}, {\"id\": \"" OTHER_PORT "\"}]}");
    fake_http_reply(cloud->fake, "GET",
                    "/v2.0/ports/" PORT "?fields=binding%3Aprofile&fields=network_id", 200,
                    "{\"port\": {}}");
    script_extensions(cloud);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 200, "{\"port\": {}}");
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" OTHER_PORT, 204, NULL);
    assert_true(neutron_deallocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance,
                                                NULL, NULL));
    assert_all_used(cloud);
    assert_int_equal(plane.rows->len, 0);
    assert_int_equal(json_array_size(plane.cache), 0);
}

static void
a_port_already_gone_is_no_error_a_refusal_is(void **state)
{
    Cloud *cloud = *state;
    static const char ports[] =
        "{\"ports\": [{\"id\": \"" PORT "\"}, {\"id\": \"" OTHER_PORT "\"}]}";
    g_autoptr(NovaError) err = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=" INSTANCE, 200, ports);
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" PORT, 404, "{}");
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" OTHER_PORT, 204, NULL);
    assert_true(neutron_deallocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance,
                                                NULL, NULL));
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=" INSTANCE, 200, ports);
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" PORT, 500, "{}");
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" OTHER_PORT, 204, NULL);
    assert_false(neutron_deallocate_for_instance(cloud->neutron, cloud->ctx, &cloud->instance,
                                                 NULL, &err));
    assert_all_used(cloud);
}

static void
a_detached_port_tells_its_resources(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *resources = NULL;
    g_autoptr(NetworkInfo) left = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports/" PORT, 200,
                    "{\"port\": {\"resource_request\": {\"request_groups\": [{\"id\": \"g\", "
                    "\"resources\": {\"NET_BW_EGR_KILOBIT_PER_SEC\": 5}}]}, "
                    "\"binding:profile\": {\"allocation\": {\"g\": \"rp\"}}}}");
    fake_http_reply(cloud->fake, "DELETE", "/v2.0/ports/" PORT, 204, NULL);
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?tenant_id=*", 200, "{\"ports\": []}");
    left = neutron_deallocate_port(cloud->neutron, cloud->ctx, &cloud->instance, PORT, &resources,
                                   NULL);
    assert_non_null(left);
    assert_int_equal(json_integer_value(json_path(resources, "rp", "resources",
                                                  "NET_BW_EGR_KILOBIT_PER_SEC", NULL)), 5);
    assert_all_used(cloud);
}

#define PORT_NEEDS                                                                                  \
    "/v2.0/ports/" PORT "?fields=binding%3Avnic_type&fields=binding%3Aprofile&fields=network_id"    \
    "&fields=resource_request&fields=numa_affinity_policy"
#define NET_PROVIDER "/v2.0/networks/n0?fields=provider%3Aphysical_network&fields=provider%3Anetwork_type"
#define NET_SEGMENTS "/v2.0/networks/n0?fields=segments&fields=provider%3Aphysical_network&fields=provider%3Anetwork_type"

/* Requests in groups, and those of an old Neutron, whose one group is the port itself. */
static void
a_port_tells_what_it_asks_for(void **state)
{
    Cloud *cloud = *state;
    static const char grouped[] = "{\"request_groups\": [{\"id\": \"g\", \"resources\": {\"NET_A\": 5}}]}";
    static const char legacy[] = "{\"required\": [\"CUSTOM_T\"], \"resources\": {\"NET_A\": 5}}";
    static const struct {
        const char *aliases, *request, *expected;
    } cases[] = {
        {"port-resource-request-groups", grouped, grouped},
        {"port-resource-request-groups", "{}", NULL},
        {"port-resource-request-groups", "{\"request_groups\": []}", NULL},
        {"binding", legacy,
         "{\"request_groups\": [{\"id\": \"" PORT "\", \"required\": [\"CUSTOM_T\"], \"resources\": {\"NET_A\": 5}}]}"},
        {"binding", "null", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *aliases =
            g_strdup_printf("{\"extensions\": [{\"alias\": \"%s\"}]}", cases[i].aliases);
        g_autofree char *port = g_strdup_printf("{\"port\": {\"resource_request\": %s}}", cases[i].request);
        json_auto_t *expected = cases[i].expected ? json_loads(cases[i].expected, 0, NULL) : NULL;
        g_auto(PortNeeds) needs = {0};

        cloud->options.neutron.extension_sync_interval = 0;
        fake_http_reply(cloud->fake, "GET", PORT_NEEDS, 200, port);
        if (strlen(cases[i].request) > strlen("null"))
            fake_http_reply(cloud->fake, "GET", "/v2.0/extensions", 200, aliases);
        assert_true(neutron_fetch_port_needs(cloud->neutron, cloud->ctx, PORT, &needs, NULL));
        assert_true(expected ? json_equal(needs.resources, expected) : !needs.resources);
        assert_null(needs.device);
        assert_all_used(cloud);
    }
}

/* 'network' is what Neutron, which may know of segments, says of the port's network. */
static char *
needed_device(Cloud *cloud, const char *port, const char *network, bool has_segments, NovaError **err)
{
    g_autofree char *body = g_strdup_printf("{\"port\": {\"network_id\": \"n0\", %s}}", port);
    g_auto(PortNeeds) needs = {0};

    cloud->options.neutron.extension_sync_interval = 0;
    fake_http_reply(cloud->fake, "GET", PORT_NEEDS, 200, body);
    fake_http_reply(cloud->fake, "GET", "/v2.0/extensions", 200,
                    has_segments ? "{\"extensions\": [{\"alias\": \"multi-provider\"}]}" : "{\"extensions\": []}");
    fake_http_reply(cloud->fake, "GET", has_segments ? NET_SEGMENTS : NET_PROVIDER, 200, network);
    return neutron_fetch_port_needs(cloud->neutron, cloud->ctx, PORT, &needs, err) ? json_to_text(needs.device) : NULL;
}

/* As API.create_resource_requests() makes them of ports of each kind. */
static void
an_sriov_port_tells_what_its_device_must_be(void **state)
{
    Cloud *cloud = *state;
    static const char flat[] = "{\"network\": {\"provider:physical_network\": \"physnet1\"}}";
    static const char tunnel[] = "{\"network\": {\"provider:physical_network\": null}}";
    static const char segments[] = "{\"network\": {\"segments\": [{\"provider:physical_network\": null}, "
                                   "{\"provider:physical_network\": \"physnet2\"}]}}";
    static const struct {
        const char *port, *network;
        bool has_segments;
        const char *expected;
    } cases[] = {
        {"\"binding:vnic_type\": \"direct\"", flat, false,
         "{\"physical_network\":\"physnet1\",\"remote_managed\":\"False\"}"},
        {"\"binding:vnic_type\": \"macvtap\", \"binding:profile\": {\"trusted\": \"yes\"}", flat, true,
         "{\"physical_network\":\"physnet1\",\"remote_managed\":\"False\",\"trusted\":\"True\"}"},
        {"\"binding:vnic_type\": \"direct-physical\", \"binding:profile\": {\"trusted\": false}", segments, true,
         "{\"physical_network\":\"physnet2\",\"remote_managed\":\"False\",\"dev_type\":\"type-PF\",\"trusted\":\"False\"}"},
        {"\"binding:vnic_type\": \"vdpa\"", tunnel, false,
         "{\"physical_network\":null,\"remote_managed\":\"False\",\"dev_type\":\"vdpa\"}"},
        {"\"binding:vnic_type\": \"remote-managed\"", tunnel, false,
         "{\"physical_network\":null,\"remote_managed\":\"True\"}"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = needed_device(cloud, cases[i].port, cases[i].network, cases[i].has_segments, NULL);

        assert_non_null(found);
        assert_string_equal(found, cases[i].expected);
        assert_all_used(cloud);
    }
}

static void
an_sriov_port_without_a_physical_segment_is_refused(void **state)
{
    static const char network[] = "{\"network\": {\"segments\": [{}]}}";
    g_autoptr(NovaError) error = NULL;

    assert_null(needed_device(*state, "\"binding:vnic_type\": \"direct\"", network, true, &error));
    assert_string_equal(nova_error_message(error),
                        "None of the segments of network n0 provides a physical_network");
}

/* Two ports of the same provider count together; one that asks for something and has nothing counts not. */
static void
what_all_ports_hold_is_added_up(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *held = NULL;
    g_autofree char *text = NULL;

    fake_http_reply(
        cloud->fake, "GET", "/v2.0/ports?device_id=" INSTANCE, 200,
        "{\"ports\": [{\"resource_request\": {\"request_groups\": [{\"id\": \"g\", \"resources\": {\"NET_A\": 5}}]}, "
        "\"binding:profile\": {\"allocation\": {\"g\": \"rp\"}}}, "
        "{\"resource_request\": {\"resources\": {\"NET_A\": 2, \"NET_B\": 1}}, "
        "\"binding:profile\": {\"allocation\": \"rp\"}}, "
        "{\"resource_request\": {\"request_groups\": [{\"id\": \"h\", \"resources\": {\"NET_A\": 9}}]}, "
        "\"binding:profile\": {}}, {\"resource_request\": null}]}");
    held = neutron_fetch_held_resources(cloud->neutron, cloud->ctx, &cloud->instance, NULL);
    assert_non_null(held);
    text = json_to_text(held);
    assert_string_equal(text, "{\"rp\":{\"resources\":{\"NET_A\":7,\"NET_B\":1}}}");
    assert_all_used(cloud);
}

#define PORT_WITH_ONE_IP                                                                     \
    "{\"ports\": [{\"id\": \"" PORT "\", \"fixed_ips\": [{\"subnet_id\": \"s0\", \"ip_address\": "   \
    "\"10.0.0.5\"}]}]}"

/* The subnet that has room: the port keeps what it has, and what was refused is not asked for again. */
static void
an_address_comes_from_the_first_subnet_with_room(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NetworkInfo) left = NULL;
    json_auto_t *sent = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/subnets?network_id=" NETWORK, 200,
                    "{\"subnets\": [{\"id\": \"full\"}, {\"id\": \"free\"}]}");
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, PORT_WITH_ONE_IP);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 409, "{\"NeutronError\": {}}");
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 200, "{\"port\": {}}");
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?tenant_id=*", 200, "{\"ports\": []}");
    left = neutron_add_fixed_ip(cloud->neutron, cloud->ctx, &cloud->instance, NETWORK, NULL);
    assert_non_null(left);
    assert_all_used(cloud);
    sent = fake_request_json(fake_http_request(cloud->fake, -2));
    assert_int_equal(json_array_size(json_path(sent, "port", "fixed_ips", NULL)), 2);
    assert_string_equal(
        json_get_string(json_array_get(json_path(sent, "port", "fixed_ips", NULL), 1), "subnet_id", ""),
        "free");
}

static void
a_network_without_room_gives_no_address(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/subnets?network_id=" NETWORK, 200,
                    "{\"subnets\": [{\"id\": \"full\"}]}");
    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, PORT_WITH_ONE_IP);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 409, "{\"NeutronError\": {}}");
    assert_null(neutron_add_fixed_ip(cloud->neutron, cloud->ctx, &cloud->instance, NETWORK, &error));
    assert_int_equal(nova_error_kind(error), NOVA_ERROR_NETWORK_NOT_FOUND_FOR_INSTANCE);
    assert_all_used(cloud);
}

static void
an_address_that_the_server_does_not_have_is_not_removed(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, "{\"ports\": []}");
    assert_null(neutron_remove_fixed_ip(cloud->neutron, cloud->ctx, &cloud->instance, "10.0.0.6", &error));
    assert_int_equal(nova_error_kind(error), NOVA_ERROR_FIXED_IP_NOT_FOUND_FOR_INSTANCE);
    assert_all_used(cloud);
}

static void
only_ports_bound_elsewhere_are_bound_anew(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *sent = NULL;
    static const char ports[] =
        "{\"ports\": [{\"id\": \"" PORT "\", \"binding:host_id\": \"here\", "
        "\"binding:vif_type\": \"ovs\"}, {\"id\": \"" OTHER_PORT "\", \"binding:host_id\": "
        "\"there\", \"binding:vif_type\": \"ovs\", \"binding:profile\": {\"migrating_to\": "
        "\"here\", \"trusted\": true}}]}";

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, ports);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" OTHER_PORT, 200, "{\"port\": {}}");
    assert_true(neutron_bind_ports_to_host(cloud->neutron, cloud->ctx, &cloud->instance,
                                           &(NeutronRebinding){.host = "here"}, NULL));
    assert_all_used(cloud);
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_string_equal(json_string_value(json_path(sent, "port", "binding:host_id", NULL)),
                        "here");
    assert_null(json_path(sent, "port", "binding:profile", "migrating_to", NULL));
    assert_true(json_is_true(json_path(sent, "port", "binding:profile", "trusted", NULL)));
}

static const char sriov_port[] =
    "{\"ports\": [{\"id\": \"" PORT "\", \"binding:host_id\": \"here\", \"binding:vif_type\": \"hw_veb\", "
    "\"binding:vnic_type\": \"direct\", \"binding:profile\": {\"pci_slot\": \"0000:06:10.7\", \"trusted\": true}}]}";

static void
a_moved_port_gets_its_new_device(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *devices = json_pack("{s:{s:s, s:i}}", "0000:06:10.7", "pci_slot", "0000:07:10.1", "vf_num", 1);
    const NeutronRebinding here = {.host = "here", .pci_by_slot = devices};
    json_auto_t *sent = NULL;
    json_t *profile;

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, sriov_port);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 200, "{\"port\": {}}");
    assert_true(neutron_bind_ports_to_host(cloud->neutron, cloud->ctx, &cloud->instance, &here, NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    profile = json_path(sent, "port", "binding:profile", NULL);
    assert_string_equal(json_string_value(json_object_get(profile, "pci_slot")), "0000:07:10.1");
    assert_true(json_is_true(json_object_get(profile, "trusted")));
    assert_int_equal(json_integer_value(json_object_get(profile, "vf_num")), 1);
}

static void
a_moved_port_without_a_new_device_is_an_error(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *none = json_object();
    const NeutronRebinding here = {.host = "here", .pci_by_slot = none};
    g_autoptr(NovaError) err = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, sriov_port);
    assert_false(neutron_bind_ports_to_host(cloud->neutron, cloud->ctx, &cloud->instance, &here, &err));
    assert_string_equal(nova_error_class(err), "PortUpdateFailed");
    assert_string_equal(nova_error_message(err), "Port update failed for port " PORT
                                                 ": Unable to correlate PCI slot 0000:06:10.7");
}

static void
an_unshelved_port_gets_the_device_of_its_request(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *devices = json_pack("{s:{s:s}}", PORT, "pci_slot", "0000:07:10.1");
    const NeutronRebinding here = {.host = "here", .pci_by_port = devices};
    json_auto_t *sent = NULL;

    fake_http_reply(cloud->fake, "GET", "/v2.0/ports?device_id=*", 200, sriov_port);
    fake_http_reply(cloud->fake, "PUT", "/v2.0/ports/" PORT, 200, "{\"port\": {}}");
    assert_true(neutron_bind_ports_to_host(cloud->neutron, cloud->ctx, &cloud->instance, &here, NULL));
    sent = fake_request_json(fake_http_request(cloud->fake, -1));
    assert_string_equal(json_string_value(json_path(sent, "port", "binding:profile", "pci_slot", NULL)),
                        "0000:07:10.1");
}

/* ---- the double of the control plane ---- */

json_t *
neutron_cached_vifs(const Instance *instance)
{
    (void)instance;
    return json_deep_copy(plane.cache);
}

bool
neutron_refresh_cache(const NeutronCaller *caller, NovaError **err)
{
    (void)caller;
    (void)err;
    return true;
}

bool
neutron_save_cache(const NeutronCaller *caller, json_t *vifs, NovaError **err)
{
    (void)caller;
    (void)err;
    json_decref(plane.cache);
    plane.cache = json_deep_copy(vifs);
    plane.n_saves++;
    return true;
}

NetworkInfo *
neutron_network_info(json_t *vifs, NovaError **err)
{
    g_autofree char *text = json_to_python_text(vifs);

    return network_info_from_text(text, err);
}

bool
neutron_create_vif_row(const NeutronCaller *caller, const json_t *port, const char *tag,
                       VirtualInterface **ret_row, NovaError **err)
{
    (void)caller;
    (void)tag;
    if (plane.refuses_rows)
        return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "database is down");
    g_ptr_array_add(plane.rows, g_strdup_printf("%s/%s", json_get_string(port, "mac_address", ""),
                                                json_get_string(port, "id", "")));
    *ret_row = NULL;
    return true;
}

bool
neutron_destroy_vif_row(const NeutronCaller *caller, VirtualInterface *row, NovaError **err)
{
    (void)caller;
    (void)row;
    (void)err;
    g_ptr_array_set_size(plane.rows, 0);
    return true;
}

bool
neutron_delete_vif_row_of_port(const NeutronCaller *caller, const char *port_id, NovaError **err)
{
    (void)caller;
    (void)port_id;
    (void)err;
    g_ptr_array_set_size(plane.rows, 0);
    return true;
}

bool
neutron_delete_vif_rows(const NeutronCaller *caller, NovaError **err)
{
    (void)caller;
    (void)err;
    g_ptr_array_set_size(plane.rows, 0);
    return true;
}

GPtrArray *
neutron_vif_row_order(const NeutronCaller *caller, NovaError **err)
{
    (void)caller;
    (void)err;
    return g_ptr_array_new();
}

#define CLOUD_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLOUD_TEST(the_cache_s_text_is_nova_s_to_the_byte),
        cmocka_unit_test(each_binding_has_its_bridge),
        cmocka_unit_test(a_linux_bridge_binding_is_refused),
        cmocka_unit_test(addresses_are_matched_to_their_subnets),
        cmocka_unit_test(the_physical_network_is_the_first_segment_s),
        CLOUD_TEST(a_build_makes_nova_s_calls_and_no_more),
        CLOUD_TEST(a_given_port_is_bound_and_preserved),
        CLOUD_TEST(a_given_port_must_be_usable),
        CLOUD_TEST(neutron_s_refusals_have_nova_s_classes),
        CLOUD_TEST(an_unknown_network_is_not_found),
        CLOUD_TEST(several_networks_and_no_request_are_ambiguous),
        CLOUD_TEST(an_external_network_is_for_admins),
        CLOUD_TEST(none_asks_nobody),
        CLOUD_TEST(security_groups_are_found_by_name_or_id),
        CLOUD_TEST(a_missing_or_double_security_group_is_an_error),
        CLOUD_TEST(a_network_without_subnets_gets_no_security_group),
        CLOUD_TEST(a_failed_binding_deletes_what_was_made),
        CLOUD_TEST(a_failed_record_unbinds_a_given_port_with_its_own_profile),
        CLOUD_TEST(an_answer_cut_short_after_creation_deletes_the_port),
        CLOUD_TEST(hostile_answers_are_errors),
        CLOUD_TEST(a_refused_token_is_unauthorized_for_users_and_configuration_for_us),
        CLOUD_TEST(network_changed_renews_one_port),
        CLOUD_TEST(a_port_gone_from_neutron_stays_in_the_cache),
        CLOUD_TEST(an_empty_cache_asks_only_for_the_ports),
        CLOUD_TEST(delete_removes_ours_and_unbinds_what_was_given),
        CLOUD_TEST(a_port_already_gone_is_no_error_a_refusal_is),
        CLOUD_TEST(a_detached_port_tells_its_resources),
        CLOUD_TEST(a_port_tells_what_it_asks_for),
        CLOUD_TEST(an_sriov_port_tells_what_its_device_must_be),
        CLOUD_TEST(an_sriov_port_without_a_physical_segment_is_refused),
        CLOUD_TEST(what_all_ports_hold_is_added_up),
        CLOUD_TEST(an_address_comes_from_the_first_subnet_with_room),
        CLOUD_TEST(a_network_without_room_gives_no_address),
        CLOUD_TEST(an_address_that_the_server_does_not_have_is_not_removed),
        CLOUD_TEST(only_ports_bound_elsewhere_are_bound_anew),
        CLOUD_TEST(a_moved_port_gets_its_new_device),
        CLOUD_TEST(a_moved_port_without_a_new_device_is_an_error),
        CLOUD_TEST(an_unshelved_port_gets_the_device_of_its_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
