/* SPDX-License-Identifier: Apache-2.0 */
/* Periodic tasks over a host with many servers: libvirt's test driver, and a control plane that
 * answers with messages as long as the real ones. */
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/base/json.h"
#include "agent/control/peers.h"
#include "agent/objects/instance.h"
#include "agent/rpc/rpc_message.h"
#include "compute/guest.h"
#include "compute/tasks/tasks.h"
#include "tests/fakes/fake_rpc.h"
#include "tests/unit/options_fixture.h"

#define N_SERVERS 1000
#define SLICE 200 /* as agent/control/conductor_tasks.c asks */
#define N_SLICES (N_SERVERS / SLICE)
#define BUDGET_MS 50 /* of CPU, for a pass over N_SERVERS */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#else
#define IS_SANITIZED 0
#endif

typedef struct Node {
    Host host;
    Options *options;
    char *folder;
    GPtrArray *records;  /* a primitive of each server, as JSON */
    char *slices[N_SLICES + 1]; /* the last one is empty */
    char *uuids;
    GPtrArray *queued;   /* names of work for single servers */
} Node;

static char *
uuid_of(unsigned i)
{
    return g_strdup_printf("%08x-0000-4000-8000-000000000000", i);
}

/* ---- the control plane ---- */

/* Takes ownership of the result. */
static char *
wire_text(json_t *result)
{
    char *body = rpc_message_make_reply("id", result);

    json_decref(result);
    return body;
}

static json_t *
instance_list(json_t *objects)
{
    return json_pack("{s:s, s:s, s:s, s:{s:o}}", "nova_object.name", "InstanceList",
                     "nova_object.namespace", "nova", "nova_object.version", "2.6",
                     "nova_object.data", "objects", objects);
}

static json_t *
slice(const Node *node, unsigned first)
{
    json_t *objects = json_array();

    for (unsigned i = first; i < node->records->len && i < first + SLICE; i++)
        json_array_append(objects, node->records->pdata[i]);
    return instance_list(objects);
}

static json_t *
uuids(const Node *node)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < node->records->len; i++)
        json_array_append(list, json_path(node->records->pdata[i], "nova_object.data", "uuid", NULL));
    return list;
}

/* What the conductor would say, as it comes off the wire: making it is not the agent's work,
 * decoding it is. */
static void
write_answers(Node *node)
{
    for (unsigned i = 0; i <= N_SLICES; i++) {
        g_free(node->slices[i]);
        node->slices[i] = wire_text(slice(node, i * SLICE));
    }
    g_free(node->uuids);
    node->uuids = wire_text(uuids(node));
}

/* All servers of the host, from the marker on. */
static const char *
next_slice(const Node *node, const json_t *kwargs)
{
    const char *marker = json_get_string(kwargs, "marker", NULL);
    unsigned last = 0;

    assert_int_equal(json_get_int(kwargs, "limit", 0), SLICE);
    if (!marker)
        return node->slices[0];
    assert_int_equal(sscanf(marker, "%8x", &last), 1);
    return node->slices[(last + 1) / SLICE];
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Node *node = user;
    const char *asked = json_get_string(args, "objmethod", "");
    const json_t *filters = json_array_get(json_object_get(args, "args"), 0);
    const char *body = node->slices[N_SLICES]; /* nothing is late, deleted or moving */
    g_autoptr(RpcReply) reply = NULL;

    (void)target;
    (void)method;
    (void)err;
    if (strcmp(asked, "get_uuids_by_host") == 0)
        body = node->uuids;
    else if (json_object_get(filters, "uuid") && !json_get_bool(filters, "deleted", false))
        body = json_get_string(json_object_get(args, "kwargs"), "marker", NULL)
                   ? node->slices[N_SLICES]
                   : node->slices[1]; /* as many as are asked for, by and large */
    else if (strcmp(asked, "get_by_filters") == 0 && !json_get_bool(filters, "deleted", false) &&
             !json_object_get(filters, "vm_state") &&
             strcmp(json_get_string(args, "objname", ""), "InstanceList") == 0)
        body = next_slice(node, json_object_get(args, "kwargs"));
    reply = rpc_reply_parse(body, strlen(body), NULL);
    return json_incref(reply->result);
}

/* ---- the node ---- */

static json_t *
new_record(unsigned i)
{
    g_autofree char *path = g_build_filename(TEST_DATA_DIR, "notifications", "pause_start.json", NULL);
    json_auto_t *recorded = json_load_file(path, 0, NULL);
    json_t *record = json_deep_copy(json_object_get(recorded, "instance"));
    json_t *data = json_object_get(record, "nova_object.data");
    g_autofree char *uuid = uuid_of(i);

    json_set_string(data, "uuid", uuid);
    json_set_string(data, "host", "node1");
    json_object_set_new(data, "task_state", json_null());
    /* what is not asked for does not come */
    json_object_del(data, "flavor");
    json_object_del(data, "metadata");
    json_object_del(data, "system_metadata");
    json_object_del(data, "info_cache");
    json_object_del(data, "security_groups");
    return record;
}

static char *
write_domains(const Node *node)
{
    g_autofree char *path = g_build_filename(node->folder, "node.xml", NULL);
    GString *xml = g_string_new("<node>");

    for (unsigned i = 0; i < N_SERVERS; i++) {
        g_autofree char *uuid = uuid_of(i);

        g_string_append_printf(xml, "<domain type='test'><name>instance-%08x</name><uuid>%s</uuid>"
                               "<memory>65536</memory><os><type>hvm</type></os></domain>", i, uuid);
    }
    g_string_append(xml, "</node>");
    assert_true(g_file_set_contents(path, xml->str, -1, NULL));
    g_string_free(xml, TRUE);
    return g_strdup_printf("test://%s", path);
}

static void
queue_work(Host *host, const char *name, void (*work)(Host *, RequestContext *, Instance *),
           RequestContext *ctx, Instance *instance)
{
    (void)work;
    (void)ctx;
    g_ptr_array_add(((Node *)host->agent)->queued, g_strdup_printf("%s %s", name, instance->uuid));
    instance_free(instance);
}

static Options *
load_options(const Node *node)
{
    g_autofree char *text = g_strdup_printf(
        "[DEFAULT]\nhost = node1\ninstances_path = %s\nresize_confirm_window = 60\nrescue_timeout = 60\n"
        "instance_build_timeout = 60\nshelved_offload_time = 60\nreclaim_instance_interval = 60\n",
        node->folder);

    return load_options_text(node->folder, text);
}

static int
set_up(void **state)
{
    Node *node = g_new0(Node, 1);
    g_autofree char *uri = NULL;

    node->folder = g_dir_make_tmp("kilonova-tasks-XXXXXX", NULL);
    node->options = load_options(node);
    node->records = g_ptr_array_new_with_free_func((GDestroyNotify)json_decref);
    node->queued = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < N_SERVERS; i++)
        g_ptr_array_add(node->records, new_record(i));
    write_answers(node);
    uri = write_domains(node);
    node->host = (Host){
        .options = node->options,
        .name = "node1",
        .node = "node1",
        .conductor = conductor_new(NULL),
        .hypervisor = hypervisor_new(uri, NULL),
        .queue_work = queue_work,
        .tasks = task_memory_new(),
        .agent = node,
    };
    fake_rpc_reset(answer, node);
    *state = node;
    return 0;
}

static int
tear_down(void **state)
{
    Node *node = *state;
    g_autofree char *command = g_strdup_printf("rm -r '%s'", node->folder);

    hypervisor_free(node->host.hypervisor);
    conductor_free(node->host.conductor);
    task_memory_free(node->host.tasks);
    options_free(node->options);
    for (unsigned i = 0; i <= N_SLICES; i++)
        g_free(node->slices[i]);
    g_free(node->uuids);
    g_ptr_array_unref(node->records);
    g_ptr_array_unref(node->queued);
    assert_int_equal(system(command), 0);
    g_free(node->folder);
    g_free(node);
    return 0;
}

static void
run(Node *node, void (*task)(Host *host, RequestContext *ctx))
{
    g_autoptr(RequestContext) ctx = request_context_new_admin();

    task(&node->host, ctx);
}

/* ---- promises ---- */

static void
nothing_changed_costs_no_request_for_a_server(void **state)
{
    Node *node = *state;

    run(node, task_sync_power_states); /* reads every record, in slices */
    assert_in_range(fake_rpc_calls(), N_SLICES, N_SLICES + 2);
    fake_rpc_reset(answer, node);
    run(node, task_sync_power_states); /* reads a sixth of them */
    assert_in_range(fake_rpc_calls(), 3, 4);
    assert_int_equal(node->queued->len, 0);
}

static void
only_the_server_that_differs_is_looked_at(void **state)
{
    Node *node = *state;
    json_t *data = json_object_get(node->records->pdata[7], "nova_object.data");

    json_object_set_new(data, "power_state", json_integer(POWER_STATE_SHUTDOWN));
    write_answers(node);
    run(node, task_sync_power_states);
    assert_int_equal(node->queued->len, 1);
    assert_string_equal(node->queued->pdata[0],
                        "_sync_power_states 00000007-0000-4000-8000-000000000000");
}

static void
a_domain_that_stopped_is_found_without_its_record(void **state)
{
    Node *node = *state;
    g_autofree char *uuid = uuid_of(11);
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = NULL;

    run(node, task_sync_power_states);
    guest = guest_lookup(node->host.hypervisor, uuid, &error);
    assert_non_null(guest);
    assert_true(guest_power_off(guest, &error));
    run(node, task_sync_power_states);
    assert_int_equal(node->queued->len, 1);
    assert_string_equal(node->queued->pdata[0],
                        "_sync_power_states 0000000b-0000-4000-8000-000000000000");
}

static void
servers_that_run_are_not_reaped(void **state)
{
    Node *node = *state;

    run(node, task_cleanup_running_deleted_instances);
    assert_int_equal(node->queued->len, 0);
    assert_int_equal(fake_rpc_calls(), 1); /* no domain is strange: nobody is asked about any */
}

static void
a_switch_that_is_not_there_is_not_waited_for(void **state)
{
    Node *node = *state;
    int64_t start = g_get_monotonic_time();

    node->options->os_vif_ovs.ovs_vsctl_timeout = 20;
    node->host.ovsdb = ovsdb_new(&(OvsdbSettings){.connection = "unix:/nonexistent"});
    run(node, task_remove_orphan_ports);
    assert_in_range(g_get_monotonic_time() - start, 0, 15 * G_USEC_PER_SEC);
    ovsdb_free(node->host.ovsdb);
}

static void
the_schedulers_are_told_by_uuid(void **state)
{
    Node *node = *state;

    run(node, task_sync_scheduler_instance_info);
    assert_int_equal(fake_rpc_calls(), 1);
    assert_string_equal(fake_rpc_last_cast(), "scheduler sync_instance_info");
}

static double
cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void
a_pass_over_a_thousand_servers_is_cheap(void **state)
{
    static void (*const pass[])(Host *, RequestContext *) = {
        task_sync_power_states,        task_sync_scheduler_instance_info,
        task_check_instance_build_time, task_poll_rescued_instances,
        task_poll_unconfirmed_resizes, task_poll_shelved_instances,
        task_instance_usage_audit,     task_reclaim_queued_deletes,
        task_cleanup_running_deleted_instances, task_run_pending_deletes,
        task_cleanup_incomplete_migrations, task_cleanup_expired_console_auth_tokens,
    };
    Node *node = *state;
    double began, full, took;

    assert_true(hypervisor_connect(node->host.hypervisor, NULL));
    began = cpu_ms();
    run(node, task_sync_power_states);
    full = cpu_ms() - began;
    fake_rpc_reset(answer, node);
    began = cpu_ms();
    for (size_t i = 0; i < G_N_ELEMENTS(pass); i++)
        run(node, pass[i]);
    took = cpu_ms() - began;
    print_message("a pass of %zu tasks over %d servers: %.1f ms of CPU, %u requests; "
                  "comparing every record of theirs: %.1f ms\n",
                  G_N_ELEMENTS(pass), N_SERVERS, took, fake_rpc_calls(), full);
    assert_int_equal(node->queued->len, 0);
    assert_true(fake_rpc_calls() < 25);
    if (!IS_SANITIZED)
        assert_true(took <= BUDGET_MS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_changed_costs_no_request_for_a_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_server_that_differs_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_domain_that_stopped_is_found_without_its_record, set_up, tear_down),
        cmocka_unit_test_setup_teardown(servers_that_run_are_not_reaped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_switch_that_is_not_there_is_not_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_schedulers_are_told_by_uuid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pass_over_a_thousand_servers_is_cheap, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
