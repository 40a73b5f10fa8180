/* SPDX-License-Identifier: Apache-2.0 */
/* What the next process does with a request that was begun: the events of its action. */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/control/conductor.h"
#include "agent/dispatch.h"
#include "agent/resume.h"
#include "tests/fakes/fake_rpc.h"

#define UUID "11111111-2222-4333-8444-555555555555"
#define LIMIT_MS 30000

typedef struct Node {
    Host host; /* first: a handler finds the rest by it */
    Options options;
    RequestContext *ctx;
    json_t *actions; /* of InstanceAction, newest first */
    json_t *events;  /* of InstanceActionEvent, all of the action 7 */
    unsigned n_looked;
    pthread_mutex_t lock;
    pthread_cond_t handled;
    bool is_handled; /* guarded by lock */
} Node;

/* ---- the table of methods, for this test ---- */

static bool
do_inner(Operation *op, NovaError **err)
{
    (void)op;
    (void)err;
    return true;
}

/* Carries the other method out, then tells the test. */
static bool
do_outer(Operation *op, NovaError **err)
{
    Node *node = (Node *)op->host;
    json_auto_t *args = json_object();
    bool ok = dispatcher_call_method(op, "inner", args, err);

    pthread_mutex_lock(&node->lock);
    node->is_handled = true;
    pthread_cond_signal(&node->handled);
    pthread_mutex_unlock(&node->lock);
    return ok;
}

static const Method rows[] = {
    {.name = "outer", .handler = do_outer, .lane = LANE_DEFAULT, .flags = SERIAL | EVENT | DURABLE},
    {.name = "inner", .handler = do_inner, .lane = LANE_DEFAULT, .flags = EVENT},
};

const Method *
method_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

const Method *
method_find_own(const char *name)
{
    return method_find(name);
}

bool
method_check_args(const Method *method, const json_t *args, NovaError **err)
{
    (void)method;
    (void)args;
    (void)err;
    return true;
}

/* ---- the control plane ---- */

static json_t *
wrapped(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova",
                     "nova_object.version", version, "nova_object.data", data);
}

static json_t *
instance(void)
{
    return wrapped("Instance", "2.8", json_pack("{s:s, s:s, s:n}", "uuid", UUID, "host", "here", "task_state"));
}

static void
add_action(Node *node, int id, const char *request_id)
{
    json_array_append_new(node->actions,
                          wrapped("InstanceAction", "1.2",
                                  json_pack("{s:i, s:s}", "id", id, "request_id", request_id)));
}

static void
add_event(Node *node, const char *name, const char *host)
{
    json_array_append_new(node->events,
                          wrapped("InstanceActionEvent", "1.4",
                                  json_pack("{s:s, s:s, s:b}", "event", name, "host", host, "is_over", 0)));
}

/* As Nova does: the first row of that name. */
static void
finish_event(Node *node, const char *name)
{
    const json_t *event;
    size_t i;

    json_array_foreach (node->events, i, event) {
        json_t *data = json_object_get(event, "nova_object.data");

        if (strcmp(json_get_string(data, "event", ""), name) == 0) {
            json_object_set_new(data, "is_over", json_true());
            return;
        }
    }
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Node *node = user;
    const char *asked = json_get_string(args, "objmethod", "");
    const json_t *given = json_object_get(args, "args");

    (void)target;
    (void)method;
    (void)err;
    if (strcmp(asked, "get_by_uuid") == 0)
        return instance();
    if (strcmp(asked, "get_by_instance_uuid") == 0) {
        node->n_looked++;
        return wrapped("InstanceActionList", "1.1", json_pack("{s:O}", "objects", node->actions));
    }
    if (strcmp(asked, "get_by_action") == 0) {
        assert_int_equal(json_integer_value(json_array_get(given, 0)), 7);
        return wrapped("InstanceActionEventList", "1.1", json_pack("{s:O}", "objects", node->events));
    }
    if (strcmp(asked, "event_start") == 0)
        add_event(node, json_string_value(json_array_get(given, 1)), "here");
    else if (strcmp(asked, "event_finish_with_failure") == 0)
        finish_event(node, json_string_value(json_array_get(given, 1)));
    else
        fail_msg("%s", asked);
    return json_null();
}

static int
set_up(void **state)
{
    Node *node = g_new0(Node, 1);
    json_auto_t *message = json_pack("{s:s, s:s}", "_context_request_id", "req-1", "_context_project_id", "1");

    node->options.default_group.executor_thread_pool_size = 4;
    node->host = (Host){.options = &node->options, .name = "here", .conductor = conductor_new(NULL)};
    node->ctx = request_context_from_message(message, NULL);
    node->actions = json_array();
    node->events = json_array();
    pthread_mutex_init(&node->lock, NULL);
    pthread_cond_init(&node->handled, NULL);
    fake_rpc_reset(answer, node);
    *state = node;
    return 0;
}

static int
tear_down(void **state)
{
    Node *node = *state;

    fake_rpc_reset(NULL, NULL);
    conductor_free(node->host.conductor);
    request_context_unref(node->ctx);
    json_decref(node->actions);
    json_decref(node->events);
    pthread_cond_destroy(&node->handled);
    pthread_mutex_destroy(&node->lock);
    g_free(node);
    return 0;
}

/* ---- a start of the agent ---- */

static char *
entry_text(const Node *node, size_t *ret_length)
{
    json_auto_t *args = json_pack("{s:o}", "instance", instance());
    RpcRequest request = {.topic = (char *)"compute"};
    char *text;

    request.raw = rpc_message_make_request(node->ctx, NULL, "6.0", "outer", args, NULL, NULL, -1);
    request.raw_length = strlen(request.raw);
    text = resume_make_text(&request, g_get_real_time() / G_USEC_PER_SEC, ret_length);
    g_free(request.raw);
    return text;
}

static void
wait_until_handled(Node *node)
{
    pthread_mutex_lock(&node->lock);
    while (!node->is_handled)
        pthread_cond_wait(&node->handled, &node->lock);
    pthread_mutex_unlock(&node->lock);
}

/* Takes up the request that 'n_begun' processes had begun. */
static void
start_agent(Node *node, unsigned n_begun)
{
    g_autoptr(GPtrArray) notes = g_ptr_array_new();
    g_autoptr(GPtrArray) entries = g_ptr_array_new();
    JournalEntry entry = {.n_begun = n_begun, .notes = notes};
    Dispatcher *dispatcher = dispatcher_new(&node->host, &node->options);
    g_autofree char *text = entry.text = entry_text(node, &entry.length);

    g_ptr_array_add(entries, &entry);
    dispatcher_resume(dispatcher, entries);
    dispatcher_release(dispatcher);
    wait_until_handled(node);
    assert_true(dispatcher_close(dispatcher, LIMIT_MS));
    dispatcher_free(dispatcher);
}

/* "compute_outer over, compute_inner open" */
static char *
events_text(const Node *node)
{
    GString *text = g_string_new(NULL);
    const json_t *event;
    size_t i;

    json_array_foreach (node->events, i, event) {
        const json_t *data = json_object_get(event, "nova_object.data");

        g_string_append_printf(text, "%s%s %s", i ? ", " : "", json_get_string(data, "event", ""),
                               json_get_bool(data, "is_over", false) ? "over" : "open");
    }
    return g_string_free(text, FALSE);
}

static void
assert_events(const Node *node, const char *expected)
{
    g_autofree char *text = events_text(node);

    assert_string_equal(text, expected);
}

static void
what_was_not_begun_does_not_ask_for_its_events(void **state)
{
    Node *node = *state;

    start_agent(node, 0);
    assert_int_equal(node->n_looked, 0);
    assert_events(node, "compute_outer over, compute_inner over");
}

static void
an_event_that_was_started_before_the_kill_is_not_started_again(void **state)
{
    Node *node = *state;

    add_action(node, 8, "req-2");
    add_action(node, 7, "req-1");
    add_event(node, "compute_outer", "here");
    add_event(node, "compute_inner", "here");
    start_agent(node, 1);
    assert_events(node, "compute_outer over, compute_inner over");
}

static void
an_event_that_was_not_started_before_the_kill_is_started(void **state)
{
    Node *node = *state;

    add_action(node, 7, "req-1");
    start_agent(node, 1);
    assert_events(node, "compute_outer over, compute_inner over");
}

static void
the_event_of_another_host_is_not_ours(void **state)
{
    Node *node = *state;

    add_action(node, 7, "req-1");
    add_event(node, "compute_outer", "there");
    start_agent(node, 1);
    assert_events(node, "compute_outer over, compute_outer open, compute_inner over");
}

static void
work_of_our_own_has_its_events_in_the_newest_action(void **state)
{
    Node *node = *state;

    request_context_unref(node->ctx);
    node->ctx = request_context_new_admin();
    add_action(node, 7, "req-2");
    add_action(node, 6, "req-1");
    add_event(node, "compute_outer", "here");
    start_agent(node, 1);
    assert_events(node, "compute_outer over, compute_inner over");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_not_begun_does_not_ask_for_its_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_event_that_was_started_before_the_kill_is_not_started_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_event_that_was_not_started_before_the_kill_is_started, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_event_of_another_host_is_not_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_of_our_own_has_its_events_in_the_newest_action, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
