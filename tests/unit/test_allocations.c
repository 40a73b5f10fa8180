/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a server's allocation when a build is refused or a deletion cannot give it back. Placement and
 * Neutron answer from a script, libvirt's test driver has no guest of it. */
#include "tests/unit/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/ops/ops.h"
#include "compute/resource_tracker.h"
#include "storage/connector.h"
#include "tests/fakes/fake_http.h"
#include "tests/fakes/fake_rpc.h"
#include "tests/unit/options_fixture.h"

#define UUID "9698c135-e251-43b4-a80b-883ea19d8dbc" /* of the recorded instance */
#define ALLOCATIONS "/allocations/" UUID

typedef struct Cloud {
    FakeHttp *http;
    Options *options;
    Keystone *keystone;
    RequestContext *ctx;
    Host host;
    char *folder;
    json_t *instance;
    const char *refused_save; /* class of the error; NULL: saves succeed */
    bool is_destroyed;
    char *vm_state;           /* as saved last */
} Cloud;

/* ---- the control plane ---- */

static json_t *
object(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova",
                     "nova_object.version", version, "nova_object.data", data);
}

static json_t *
save(Cloud *cloud, const json_t *args, NovaError **err)
{
    const json_t *data = json_path(args, "objinst", "nova_object.data", NULL);
    json_auto_t *failure = NULL;

    if (json_object_get(data, "vm_state")) {
        g_free(cloud->vm_state);
        cloud->vm_state = g_strdup(json_get_string(data, "vm_state", ""));
    }
    if (!cloud->refused_save)
        return json_pack("[{}, n]");
    failure = json_pack("{s:s, s:s, s:[s], s:{}}", "class", cloud->refused_save, "module", "nova.exception",
                        "args", "no", "kwargs");
    nova_error_propagate(err, nova_error_from_failure(failure));
    return NULL;
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Cloud *cloud = user;
    const char *asked = json_get_string(args, "objmethod", "");
    const char *name = json_get_string(args, "objname", "");

    (void)target;
    if (strcmp(asked, "save") == 0)
        return save(cloud, args, err);
    if (strcmp(asked, "destroy") == 0)
        cloud->is_destroyed = true;
    if (strcmp(asked, "get_by_uuid") == 0)
        return json_incref(cloud->instance);
    if (g_str_has_suffix(name, "List"))
        return object(name, "1.0", json_pack("{s:[]}", "objects"));
    return strcmp(method, "object_action") == 0 ? json_pack("[{}, n]") : json_null();
}

/* ---- the rest ---- */

static json_t *
recorded_instance(void)
{
    g_autofree char *path = g_build_filename(TEST_DATA_DIR, "notifications", "pause_start.json", NULL);
    json_auto_t *recorded = json_load_file(path, 0, NULL);

    json_t *instance = json_deep_copy(json_object_get(recorded, "instance"));
    json_t *cache = json_path(instance, "nova_object.data", "info_cache", "nova_object.data", NULL);

    json_set_string(cache, "network_info",
                    "[{\"id\": \"7b7e1a7c-0000-4000-8000-000000000003\", \"address\": \"fa:16:3e:00:00:03\", "
                    "\"type\": \"unbound\", \"network\": {}}]");
    return instance;
}

static Options *
load_options(const Cloud *cloud)
{
    const char *url = fake_http_url(cloud->http);
    g_autofree char *text = g_strdup_printf(
        "[DEFAULT]\nhost = node1\ninstances_path = %s\n[placement]\nauth_type = none\nendpoint_override = %s\n"
        "[neutron]\nauth_type = none\nendpoint_override = %s\n", cloud->folder, url, url);

    return load_options_text(cloud->folder, text);
}

static int
set_up(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);
    Host *host = &cloud->host;

    cloud->http = fake_http_new();
    cloud->folder = g_dir_make_tmp("kilonova-allocations-XXXXXX", NULL);
    cloud->options = load_options(cloud);
    cloud->keystone = keystone_new();
    cloud->ctx = request_context_new_admin();
    cloud->instance = recorded_instance();
    *host = (Host){
        .options = cloud->options,
        .name = "node1",
        .conductor = conductor_new(NULL),
        .placement = placement_new(cloud->keystone, cloud->options),
        .hypervisor = hypervisor_new("test:///default", NULL),
        .events = instance_events_new(),
    };
    host->neutron = neutron_new(cloud->keystone, host->conductor, cloud->options);
    host->notifier = notifier_new(NULL, host->conductor, cloud->options);
    host->tracker = resource_tracker_new(cloud->options, host->conductor, host->placement, host->hypervisor);
    fake_rpc_reset(answer, cloud);
    *state = cloud;
    return 0;
}

static int
tear_down(void **state)
{
    Cloud *cloud = *state;
    Host *host = &cloud->host;
    g_autofree char *command = g_strdup_printf("rm -r '%s'", cloud->folder);

    resource_tracker_free(host->tracker);
    notifier_free(host->notifier);
    neutron_free(host->neutron);
    placement_free(host->placement);
    hypervisor_free(host->hypervisor);
    instance_events_free(host->events);
    conductor_free(host->conductor);
    keystone_free(cloud->keystone);
    options_free(cloud->options);
    fake_http_free(cloud->http);
    request_context_unref(cloud->ctx);
    json_decref(cloud->instance);
    g_free(cloud->vm_state);
    assert_int_equal(system(command), 0);
    g_free(cloud->folder);
    g_free(cloud);
    return 0;
}

static bool
run(Cloud *cloud, bool (*method)(Operation *op, NovaError **err), NovaError **err)
{
    Instance *instance = instance_from_json(cloud->instance, NULL);
    json_auto_t *args = json_object();
    Operation op = {.host = &cloud->host, .ctx = cloud->ctx, .instance = instance, .args = args};
    bool ok = method(&op, err);

    instance_free(instance);
    return ok;
}

static void
neutron_has_no_ports(Cloud *cloud)
{
    fake_http_answer(cloud->http, &(FakeAnswer){.method = "GET", .times = -1, .body = "{\"ports\": []}"});
}

/* ---- promises ---- */

static void
a_build_that_is_not_accepted_gives_its_allocation_back(void **state)
{
    Cloud *cloud = *state;

    cloud->refused_save = "UnexpectedTaskStateError";
    fake_http_reply(cloud->http, "DELETE", ALLOCATIONS, 204, NULL);
    assert_true(run(cloud, op_build_and_run_instance, NULL));
    assert_int_equal(fake_http_n_unused(cloud->http), 0);
}

static void
a_deletion_ends_with_the_record(void **state)
{
    Cloud *cloud = *state;

    neutron_has_no_ports(cloud);
    fake_http_answer(cloud->http, &(FakeAnswer){.method = "DELETE", .times = -1, .status = 204});
    assert_true(run(cloud, op_terminate_instance, NULL));
    assert_true(cloud->is_destroyed);
    assert_string_equal(cloud->vm_state, "deleted");
}

static void
a_deletion_that_leaves_the_allocation_leaves_the_record(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    neutron_has_no_ports(cloud);
    fake_http_reply(cloud->http, "DELETE", ALLOCATIONS, 500, "{\"errors\": [{\"detail\": \"no database\"}]}");
    fake_http_answer(cloud->http, &(FakeAnswer){.method = "DELETE", .times = -1, .status = 204});
    assert_false(run(cloud, op_terminate_instance, &error));
    assert_string_equal(nova_error_class(error), "AllocationDeleteFailed");
    assert_false(cloud->is_destroyed);
    assert_string_equal(cloud->vm_state, "error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_build_that_is_not_accepted_gives_its_allocation_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deletion_ends_with_the_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deletion_that_leaves_the_allocation_leaves_the_record, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
