/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that come and go: an attach that was killed, and a port that Neutron has deleted. libvirt's test driver is
 * the hypervisor. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/guest_config.h"
#include "compute/ops/ops.h"
#include "conf/options_load.h"
#include "tests/fakes/fake_rpc.h"

#define UUID "9698c135-e251-43b4-a80b-883ea19d8dbc" /* of the recorded instance */
#define GONE "7b7e1a7c-0000-4000-8000-000000000003"
#define KEPT "7b7e1a7c-0000-4000-8000-000000000004"
#define VIF(id, mac)                                                                               \
    "{\"id\": \"" id "\", \"address\": \"" mac "\", \"type\": \"unbound\", \"network\": {}}"
#define DOMAIN                                                                                     \
    "<node><domain type='test'><name>instance-1</name><uuid>" UUID "</uuid><memory>65536</memory>" \
    "<os><type>hvm</type></os></domain></node>"

typedef struct Node {
    Host host;
    Options *options;
    RequestContext *ctx;
    char *folder;
    json_t *instance;   /* as the database has it */
    char *saved;        /* network_info; NULL: nothing was saved */
    json_t *queued;     /* arguments of what an event queued; NULL: nothing */
    char *queued_name;
} Node;

/* Killed before it had noted which ports the server has, it had not made one: nothing is asked, no port is
 * taken for its own. */
static void
test_attach_killed_before_it_began_leaves_all_ports(void **state)
{
    Host host = {.name = "kn1"}; /* with nobody to ask */
    Instance *instance = object_new(&INSTANCE_TYPE);
    g_autoptr(GPtrArray) notes = g_ptr_array_new();
    Operation op = {.host = &host, .instance = instance, .is_resumed = true, .notes = notes};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    OBJECT_SET_STRING(instance, uuid, "6a6e1a7c-0000-4000-8000-000000000001");
    g_ptr_array_add(notes, (gpointer) "had 7b7e1a7c-0000-4000-8000-000000000003");
    assert_false(op_attach_interface(&op, &error));
    assert_string_equal(nova_error_class(error), "InterfaceAttachFailed");
    instance_free(instance);
}

/* ---- a port that Neutron has deleted ---- */

static json_t *
recorded_instance(void)
{
    g_autofree char *path = g_build_filename(TEST_DATA_DIR, "notifications", "pause_start.json", NULL);
    json_auto_t *recorded = json_load_file(path, 0, NULL);
    json_t *instance = json_deep_copy(json_object_get(recorded, "instance"));
    json_t *cache = json_path(instance, "nova_object.data", "info_cache", "nova_object.data", NULL);

    json_set_string(cache, "network_info",
                    "[" VIF(GONE, "fa:16:3e:00:00:03") ", " VIF(KEPT, "fa:16:3e:00:00:04") "]");
    return instance;
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Node *node = user;
    const char *asked = json_get_string(args, "objmethod", "");
    const json_t *data = json_object_get(node->instance, "nova_object.data");

    (void)target;
    (void)method;
    (void)err;
    if (strcmp(asked, "get_by_uuid") == 0)
        return json_incref(node->instance);
    if (strcmp(asked, "get_by_instance_uuid") == 0)
        return json_incref(json_object_get(data, "info_cache"));
    if (strcmp(asked, "save") == 0)
        node->saved = g_strdup(
            json_string_value(json_path(args, "objinst", "nova_object.data", "network_info", NULL)));
    return json_pack("[{}, n]");
}

static void
queue_method(Host *host, const char *method, RequestContext *ctx, Instance *instance, json_t *args)
{
    Node *node = host->agent;

    (void)ctx;
    node->queued_name = g_strdup(method);
    node->queued = json_incref(args);
    instance_free(instance);
}

static Options *
default_options(void)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new(), overrides = g_ptr_array_new();
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    OptionsArguments arguments = {sources, overrides, NULL};
    Options *options = NULL;
    char *error = NULL;

    g_ptr_array_add(sources, (gpointer) "file:/dev/null");
    if (!options_load(&arguments, &options, warnings, &error))
        fail_msg("%s", error);
    return options;
}

static int
set_up(void **state)
{
    Node *node = g_new0(Node, 1);
    g_autofree char *path = NULL, *uri = NULL;

    node->folder = g_dir_make_tmp("kilonova-interface-XXXXXX", NULL);
    path = g_build_filename(node->folder, "node.xml", NULL);
    uri = g_strdup_printf("test://%s", path);
    assert_true(g_file_set_contents(path, DOMAIN, -1, NULL));
    node->options = default_options();
    node->ctx = request_context_new_admin();
    node->instance = recorded_instance();
    node->host = (Host){
        .options = node->options,
        .name = "node1",
        .conductor = conductor_new(NULL),
        .hypervisor = hypervisor_new(uri, NULL),
        .events = instance_events_new(),
        .queue_method = queue_method,
        .agent = node,
    };
    node->host.guest_config = guest_config_new(node->host.hypervisor, node->options);
    fake_rpc_reset(answer, node);
    *state = node;
    return 0;
}

static int
tear_down(void **state)
{
    Node *node = *state;
    g_autofree char *path = g_build_filename(node->folder, "node.xml", NULL);

    guest_config_free(node->host.guest_config);
    hypervisor_free(node->host.hypervisor);
    instance_events_free(node->host.events);
    conductor_free(node->host.conductor);
    options_free(node->options);
    request_context_unref(node->ctx);
    json_decref(node->instance);
    json_decref(node->queued);
    g_free(node->queued_name);
    g_free(node->saved);
    remove(path);
    remove(node->folder);
    g_free(node->folder);
    g_free(node);
    return 0;
}

static bool
drop(Node *node, const char *port_id, NovaError **err)
{
    Instance *instance = instance_from_json(node->instance, NULL);
    json_auto_t *args = json_pack("{s:s}", "port_id", port_id);
    Operation op = {.host = &node->host, .ctx = node->ctx, .instance = instance, .args = args};
    bool ok = op_detach_deleted_port(&op, err);

    instance_free(instance);
    return ok;
}

static void
test_deleted_port_leaves_the_cache(void **state)
{
    Node *node = *state;

    assert_true(drop(node, GONE, NULL));
    assert_non_null(node->saved);
    assert_null(strstr(node->saved, GONE));
    assert_non_null(strstr(node->saved, KEPT));
}

static void
test_port_that_is_not_in_the_cache_is_nobodys(void **state)
{
    Node *node = *state;

    assert_true(drop(node, "7b7e1a7c-0000-4000-8000-000000000009", NULL));
    assert_null(node->saved);
}

/* As the port may still be in the guest, the cache keeps it. */
static void
test_port_of_a_guest_that_is_not_there_stays_in_the_cache(void **state)
{
    Node *node = *state;
    json_t *data = json_object_get(node->instance, "nova_object.data");

    json_set_string(data, "uuid", "00000000-0000-4000-8000-000000000001");
    assert_true(drop(node, GONE, NULL));
    assert_null(node->saved);
}

static void
test_event_of_a_deleted_port_queues_its_detach(void **state)
{
    Node *node = *state;
    json_auto_t *args =
        json_pack("{s:[O], s:[{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s}}]}", "instances", node->instance,
                  "events", "nova_object.name", "InstanceExternalEvent", "nova_object.namespace", "nova",
                  "nova_object.version", "1.5", "nova_object.data", "instance_uuid", UUID, "name",
                  "network-vif-deleted", "status", "completed", "tag", GONE);
    Operation op = {.host = &node->host, .ctx = node->ctx, .args = args};

    assert_true(op_external_instance_event(&op, NULL));
    assert_string_equal(node->queued_name, "_detach_deleted_port");
    assert_string_equal(json_get_string(node->queued, "port_id", ""), GONE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_killed_before_it_began_leaves_all_ports),
        cmocka_unit_test_setup_teardown(test_deleted_port_leaves_the_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_port_that_is_not_in_the_cache_is_nobodys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_port_of_a_guest_that_is_not_there_stays_in_the_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_event_of_a_deleted_port_queues_its_detach, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
