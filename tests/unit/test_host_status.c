/* SPDX-License-Identifier: Apache-2.0 */
/* A host whose hypervisor is gone keeps the scheduler away, and lets it come again; an operator's word stands. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "compute/host_status.h"
#include "compute/resource_tracker.h"
#include "tests/fakes/fake_http.h"
#include "tests/fakes/fake_rpc.h"

#define NODE "7b7e1a7c-0000-4000-8000-000000000001"
#define TRAITS "/resource_providers/" NODE "/traits"

typedef struct Cloud {
    FakeHttp *http;
    Options options;
    Keystone *keystone;
    RequestContext *ctx;
    Host host;
    json_t *service; /* its data; NULL: there is none */
    json_t *saved;   /* NULL: nothing was saved */
} Cloud;

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Cloud *cloud = user;

    (void)target;
    (void)method;
    (void)err;
    if (strcmp(json_get_string(args, "objmethod", ""), "save") == 0) {
        json_decref(cloud->saved);
        cloud->saved = json_deep_copy(json_object_get(args, "objinst"));
        return json_pack("[{}, n]");
    }
    if (!cloud->service)
        return json_null();
    return json_pack("{s:s, s:s, s:s, s:O}", "nova_object.name", "Service", "nova_object.namespace", "nova",
                     "nova_object.version", "1.22", "nova_object.data", cloud->service);
}

static int
set_up(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);

    cloud->http = fake_http_new();
    cloud->keystone = keystone_new();
    cloud->options.placement.auth.auth_type = "none";
    cloud->options.placement.adapter.endpoint_override = (char *)fake_http_url(cloud->http);
    cloud->ctx = request_context_new_admin();
    cloud->host = (Host){
        .options = &cloud->options,
        .name = "node1",
        .conductor = conductor_new(NULL),
        .placement = placement_new(cloud->keystone, &cloud->options),
    };
    cloud->host.tracker =
        resource_tracker_new(&cloud->options, cloud->host.conductor, cloud->host.placement, NULL);
    resource_tracker_identify(cloud->host.tracker, NODE, 1, NULL);
    fake_rpc_reset(answer, cloud);
    *state = cloud;
    return 0;
}

static int
tear_down(void **state)
{
    Cloud *cloud = *state;

    resource_tracker_free(cloud->host.tracker);
    placement_free(cloud->host.placement);
    conductor_free(cloud->host.conductor);
    keystone_free(cloud->keystone);
    fake_http_free(cloud->http);
    request_context_unref(cloud->ctx);
    json_decref(cloud->service);
    json_decref(cloud->saved);
    g_free(cloud);
    return 0;
}

static void
service_is(Cloud *cloud, bool disabled, const char *reason)
{
    cloud->service = json_pack("{s:i, s:s, s:b, s:s?}", "id", 1, "host", "node1", "disabled", (int)disabled,
                               "disabled_reason", reason);
}

static void
assert_saved(const Cloud *cloud, bool disabled, const char *reason)
{
    const json_t *data = json_object_get(cloud->saved, "nova_object.data");

    assert_non_null(cloud->saved);
    assert_int_equal(json_get_bool(data, "disabled", !disabled), disabled);
    assert_int_equal(g_strcmp0(json_get_string(data, "disabled_reason", NULL), reason), 0);
    assert_int_equal(fake_http_n_unused(cloud->http), 0);
}

/* ---- promises ---- */

static void
without_libvirt_the_service_is_disabled(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *body = NULL;

    service_is(cloud, false, NULL);
    fake_http_reply(cloud->http, "GET", TRAITS, 200, "{\"traits\": [], \"resource_provider_generation\": 4}");
    fake_http_reply(cloud->http, "GET", "/traits?name=in:COMPUTE_STATUS_DISABLED", 200,
                    "{\"traits\": [\"COMPUTE_STATUS_DISABLED\"]}");
    fake_http_reply(cloud->http, "PUT", TRAITS, 200,
                    "{\"traits\": [\"COMPUTE_STATUS_DISABLED\"], \"resource_provider_generation\": 5}");
    host_status_set(&cloud->host, cloud->ctx, "Connection to libvirt lost: end of file");
    assert_saved(cloud, true, "AUTO: Connection to libvirt lost: end of file");
    body = fake_request_json(fake_http_request(cloud->http, -1));
    assert_int_equal(json_array_size(json_object_get(body, "traits")), 1);
}

static void
what_was_disabled_here_is_enabled_again(void **state)
{
    Cloud *cloud = *state;

    service_is(cloud, true, "AUTO: Connection to libvirt lost: 1"); /* by nova-compute, perhaps */
    fake_http_reply(cloud->http, "GET", TRAITS, 200,
                    "{\"traits\": [\"COMPUTE_STATUS_DISABLED\"], \"resource_provider_generation\": 4}");
    fake_http_reply(cloud->http, "PUT", TRAITS, 200, "{\"traits\": [], \"resource_provider_generation\": 5}");
    host_status_set(&cloud->host, cloud->ctx, NULL);
    assert_saved(cloud, false, NULL);
}

static void
what_an_operator_has_disabled_stays_so(void **state)
{
    Cloud *cloud = *state;

    service_is(cloud, true, "maintenance");
    host_status_set(&cloud->host, cloud->ctx, NULL);
    host_status_set(&cloud->host, cloud->ctx, "gone");
    assert_null(cloud->saved);
    assert_int_equal(fake_http_n_requests(cloud->http), 0);
}

static void
no_reason_is_an_operators_too(void **state)
{
    Cloud *cloud = *state;

    service_is(cloud, true, NULL);
    host_status_set(&cloud->host, cloud->ctx, NULL);
    assert_null(cloud->saved);
}

static void
a_service_that_is_not_registered_is_left_alone(void **state)
{
    Cloud *cloud = *state;

    host_status_set(&cloud->host, cloud->ctx, "gone");
    assert_null(cloud->saved);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_libvirt_the_service_is_disabled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_disabled_here_is_enabled_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_an_operator_has_disabled_stays_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_reason_is_an_operators_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_that_is_not_registered_is_left_alone, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
