/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.dispatch"
#include "agent/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/lane.h"
#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "agent/rpc/rpc_server.h"
#include "compute/resource_tracker.h"

/* Threads of lanes whose limit is not an option of Nova's. */
#define URGENT_THREADS 4
#define PEER_THREADS 8

struct Dispatcher {
    Host *host;
    LaneKeys *keys;
    Lane *lanes[N_LANES];
};

static const char *const lane_names[N_LANES] = {
    [LANE_URGENT] = "urgent",     [LANE_PEER] = "peer",       [LANE_DEFAULT] = "default", [LANE_LONG] = "long",
    [LANE_BUILD] = "build",       [LANE_SNAPSHOT] = "snapshot", [LANE_MIGRATE] = "migrate",
};

/* A limit of 0 means as many as the executor has. */
static unsigned
lane_threads(const Options *options, MethodLane lane)
{
    int64_t cap = options->default_group.executor_thread_pool_size;
    int64_t limit = cap;

    switch (lane) {
    case LANE_URGENT:
        return URGENT_THREADS;
    case LANE_PEER:
        return PEER_THREADS;
    case LANE_BUILD:
        limit = options->default_group.max_concurrent_builds;
        break;
    case LANE_SNAPSHOT:
        limit = options->default_group.max_concurrent_snapshots;
        break;
    case LANE_MIGRATE:
        limit = options->default_group.max_concurrent_live_migrations;
        break;
    default:
        break;
    }
    return (unsigned)(limit > 0 ? MIN(limit, cap) : cap);
}

Dispatcher *
dispatcher_new(Host *host, const Options *options)
{
    Dispatcher *dispatcher = g_new0(Dispatcher, 1);

    dispatcher->host = host;
    dispatcher->keys = lane_keys_new();
    for (int lane = 0; lane < N_LANES; lane++) {
        dispatcher->lanes[lane] = lane_new(lane_names[lane], lane_threads(options, (MethodLane)lane),
                                           dispatcher->keys);
        lane_set_held(dispatcher->lanes[lane], lane != LANE_URGENT);
    }
    return dispatcher;
}

void
dispatcher_release(Dispatcher *dispatcher)
{
    for (int lane = 0; lane < N_LANES; lane++)
        lane_set_held(dispatcher->lanes[lane], false);
}

bool
dispatcher_close(Dispatcher *dispatcher, int timeout_ms)
{
    gint64 deadline = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
    bool ended = true;

    for (int lane = 0; lane < N_LANES; lane++) {
        gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;

        ended = lane_close(dispatcher->lanes[lane], (int)MAX(left_ms, 0)) && ended;
    }
    return ended;
}

void
dispatcher_free(Dispatcher *dispatcher)
{
    if (!dispatcher)
        return;
    for (int lane = 0; lane < N_LANES; lane++)
        lane_free(dispatcher->lanes[lane]);
    lane_keys_free(dispatcher->keys);
    g_free(dispatcher);
}

char *
dispatcher_state(Dispatcher *dispatcher)
{
    GString *text = g_string_new(NULL);

    for (int lane = 0; lane < N_LANES; lane++) {
        LaneStats stats = lane_stats(dispatcher->lanes[lane]);

        g_string_append_printf(text, "%s%s %u queued, %u running, %u threads", lane ? "; " : "",
                               lane_names[lane], stats.queued, stats.running, stats.threads);
    }
    return g_string_free(text, FALSE);
}

/* ---- carrying out a method ---- */

/* wrap_instance_fault */
static void
record_fault(Operation *op, const NovaError *error)
{
    g_autoptr(NovaError) failure = NULL;

    if (nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
        return;
    if (!conductor_fault_create(op->host->conductor, op->ctx, op->instance->uuid, op->host->name,
                                error, &failure))
        LOG_WARNING("Failed to record the instance's fault: %s", nova_error_details(failure));
}

/* reverts_task_state: not when somebody else's task has taken over. */
static void
revert_task(Operation *op, const NovaError *error)
{
    g_autoptr(NovaError) failure = NULL;
    const char *old = task_state_name(op->instance->task_state);

    if (nova_error_is(error, NOVA_ERROR_UNEXPECTED_TASK_STATE_ERROR)) {
        LOG_INFO("Task possibly preempted: %s", nova_error_message(error));
        return;
    }
    OBJECT_SET(op->instance, task_state, TASK_STATE_NONE);
    if (conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &failure))
        LOG_INFO("Successfully reverted task state from %s on failure for instance.",
                 old ? old : "None");
    else if (!nova_error_is(failure, NOVA_ERROR_INSTANCE_NOT_FOUND))
        LOG_WARNING("Failed to revert task state for instance. Error: %s",
                    nova_error_details(failure));
}

/* errors_out_migration */
static void
fail_migration(Operation *op)
{
    const json_t *primitive = json_object_get(op->args, "migration");
    g_autoptr(NovaError) failure = NULL;
    g_autoptr(Migration) migration = NULL;

    if (!primitive || json_is_null(primitive))
        return;
    migration = migration_from_json(primitive, &failure);
    if (migration) {
        OBJECT_SET_STRING(migration, status, "error");
        if (conductor_migration_save(op->host->conductor, op->ctx, migration, &failure))
            return;
    }
    LOG_DEBUG("Error setting migration status for instance: %s", nova_error_details(failure));
}

static bool
start_event(Operation *op, const char *event, NovaError **err)
{
    return conductor_event_start(op->host->conductor, op->ctx, op->instance->uuid, event,
                                 op->host->name, err);
}

static void
finish_event(Operation *op, const char *event, const NovaError *error)
{
    g_autoptr(NovaError) failure = NULL;

    if (!conductor_event_finish(op->host->conductor, op->ctx, op->instance->uuid, event, error,
                                &failure))
        LOG_WARNING("Failed to finish the action's event: %s", nova_error_details(failure));
}

static void
log_failure(const Method *method, const NovaError *error)
{
    LogLevel level = method->flags & EXPECTED ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR;

    LOG_AT(level, "Exception during message handling: %s: %s: %s", method->name,
           nova_error_class(error), nova_error_details(error));
}

/* The handler and the notifications around it; nothing is said of an end that did not come. */
static bool
handle(const Method *method, Operation *op, NovaError **err)
{
    if (method->notification)
        notifier_instance(op->host->notifier, op->ctx, op->instance, method->notification, "start",
                          NULL);
    if (!method->handler(op, err))
        return false;
    if (method->notification)
        notifier_instance(op->host->notifier, op->ctx, op->instance, method->notification, "end",
                          NULL);
    return true;
}

/* The handler inside of what Nova's decorators do, from the innermost out. */
static bool
carry_out(const Method *method, Operation *op, NovaError **err)
{
    g_autofree char *event = method->event ? g_strdup(method->event)
                                           : g_strconcat("compute_", method->name, NULL);
    NovaError *error = NULL;
    bool ok = true;

    if (method->flags & EVENT)
        ok = start_event(op, event, &error);
    if (ok) {
        ok = handle(method, op, &error);
        if (!ok && (method->flags & FAULT))
            record_fault(op, error);
        if (!ok && (method->flags & FAIL_MIGRATION))
            fail_migration(op);
        if (method->flags & EVENT)
            finish_event(op, event, error);
    }
    if (ok)
        return true;
    if (method->flags & REVERT_TASK)
        revert_task(op, error);
    log_failure(method, error);
    notifier_exception(op->host->notifier, op->ctx, method->name, op->args, error);
    return nova_error_propagate(err, error);
}

/* ---- from the queue to the answer ---- */

typedef struct Job {
    Dispatcher *dispatcher;
    const Method *method;
    RpcRequest *request; /* owned; NULL: nobody asked, it is work of our own */
    RequestContext *ctx; /* referenced */
    json_t *args;        /* referenced */
    Instance *instance;  /* owned; decoded from args when the work starts */
} Job;

static void
job_free(void *user)
{
    Job *job = user;

    if (job->request)
        rpc_request_free(job->request);
    request_context_unref(job->ctx);
    json_decref(job->args);
    instance_free(job->instance);
    g_free(job);
}

/* The method's instance, if it has one. */
static bool
decode_instance(Job *job, NovaError **err)
{
    const json_t *primitive = json_object_get(job->args, "instance");

    if (!primitive || job->instance)
        return true;
    job->instance = instance_from_json(primitive, err);
    return job->instance != NULL;
}

static bool
work_on(Job *job, Operation *op, NovaError **err)
{
    if (!method_check_args(job->method, job->args, err) || !decode_instance(job, err)) {
        log_failure(job->method, *err);
        return false;
    }
    op->instance = job->instance;
    LOG_SCOPE(op->ctx, op->instance ? op->instance->uuid : NULL);
    LOG_DEBUG("%s", job->method->name);
    return carry_out(job->method, op, err);
}

static void
run_job(void *user)
{
    Job *job = user;
    g_autoptr(NovaError) error = NULL;
    Operation op = {
        .host = job->dispatcher->host,
        .ctx = job->ctx,
        .method = job->method->name,
        .args = job->args,
    };
    LOG_SCOPE(job->ctx, NULL);
    bool ok = work_on(job, &op, &error);

    if (job->request && ok)
        rpc_reply_result(job->request, op.result);
    else if (job->request)
        rpc_reply_failure(job->request, error);
    json_decref(op.result);
    job_free(job);
}

/* Takes ownership of the job and the key. */
static void
push_job(Job *job, char *key)
{
    LaneJob lane_job = {key, run_job, job_free, job};

    lane_push(job->dispatcher->lanes[job->method->lane], &lane_job);
}

/* nova.baserpc.BaseRPCAPI, namespace baseapi 1.1. */
static void
answer_base_method(RpcRequest *request, NovaError **err)
{
    if (strcmp(request->method, "ping") == 0) {
        json_auto_t *result = json_pack("{s:s, s:O?}", "service", "compute", "arg",
                                        json_object_get(request->args, "arg"));

        rpc_reply_result(request, result);
    } else {
        nova_error_set(err, NOVA_ERROR_NO_SUCH_METHOD, "Endpoint does not support RPC method %s",
                       request->method);
    }
}

/* Same major version, minor at most ours. */
static bool
is_version_ok(const char *version, int major, int minor)
{
    int its_major = -1, its_minor = -1;

    return sscanf(version, "%9d.%9d", &its_major, &its_minor) == 2 && its_major == major &&
           its_minor >= 0 && its_minor <= minor;
}

static bool
refuse_version(const RpcRequest *request, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_VERSION,
                          "Endpoint does not support RPC version %s. Attempted method: %s",
                          request->version, request->method);
}

/* The row for the request; NULL when it was answered already, or with *err set. */
static const Method *
route(RpcRequest *request, NovaError **err)
{
    const Method *method;

    if (request->namespace && strcmp(request->namespace, "baseapi") == 0) {
        if (is_version_ok(request->version, 1, 1))
            answer_base_method(request, err);
        else
            refuse_version(request, err);
        return NULL;
    }
    if (request->namespace || !is_version_ok(request->version, COMPUTE_RPC_MAJOR, COMPUTE_RPC_MINOR)) {
        refuse_version(request, err);
        return NULL;
    }
    method = method_find(request->method);
    if (!method)
        nova_error_set(err, NOVA_ERROR_NO_SUCH_METHOD, "Endpoint does not support RPC method %s",
                       request->method);
    return method;
}

static char *
instance_key(const RpcRequest *request, const Method *method)
{
    if (!(method->flags & SERIAL))
        return NULL;
    return g_strdup(json_string_value(
        json_path(request->args, "instance", "nova_object.data", "uuid", NULL)));
}

void
dispatcher_on_request(RpcRequest *request, void *user)
{
    Dispatcher *dispatcher = user;
    g_autoptr(NovaError) error = NULL;
    const Method *method = route(request, &error);
    Job *job;

    if (!method) {
        if (error) {
            LOG_SCOPE(request->ctx, NULL);
            LOG_ERROR("Exception during message handling: %s", nova_error_message(error));
            rpc_reply_failure(request, error);
        }
        rpc_request_free(request);
        return;
    }
    job = g_new(Job, 1);
    *job = (Job){dispatcher, method, request, request_context_ref(request->ctx),
                 json_incref(request->args), NULL};
    push_job(job, instance_key(request, method));
}

/* ---- work of our own ---- */

void
dispatcher_queue_method(Host *host, const char *name, RequestContext *ctx, Instance *instance,
                        json_t *args)
{
    const Method *method = method_find(name);
    Job *job = g_new(Job, 1);

    g_assert(method);
    *job = (Job){host->agent, method, NULL, request_context_ref(ctx), json_incref(args), instance};
    json_object_set_new(args, "instance", json_null());
    push_job(job, method->flags & SERIAL ? g_strdup(instance->uuid) : NULL);
}

void
dispatcher_queue(Dispatcher *dispatcher, const char *key, void (*work)(void *user),
                 void (*discard)(void *user), void *user)
{
    LaneJob job = {g_strdup(key), work, discard, user};

    lane_push(dispatcher->lanes[LANE_DEFAULT], &job);
}

typedef struct OwnWork {
    Host *host;
    const char *name;
    void (*work)(Host *host, RequestContext *ctx, Instance *instance);
    RequestContext *ctx;
    Instance *instance;
} OwnWork;

static void
own_work_free(void *user)
{
    OwnWork *own = user;

    request_context_unref(own->ctx);
    instance_free(own->instance);
    g_free(own);
}

static void
own_work_run(void *user)
{
    OwnWork *own = user;
    LOG_SCOPE(own->ctx, own->instance ? own->instance->uuid : NULL);

    LOG_DEBUG("%s", own->name);
    own->work(own->host, own->ctx, own->instance);
    own_work_free(own);
}

void
dispatcher_queue_work(Host *host, const char *name,
                      void (*work)(Host *host, RequestContext *ctx, Instance *instance),
                      RequestContext *ctx, Instance *instance)
{
    OwnWork *own = g_new(OwnWork, 1);

    *own = (OwnWork){host, name, work, request_context_ref(ctx), instance};
    dispatcher_queue(host->agent, instance ? instance->uuid : NULL, own_work_run, own_work_free, own);
}
