/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.dispatch"
#include "agent/dispatch.h"

#include <stdio.h>
#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/journal.h"
#include "agent/base/json.h"
#include "agent/base/lane.h"
#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "agent/control/conductor_moves.h"
#include "agent/resume.h"
#include "compute/ops/steps.h"
#include "compute/recovery.h"
#include "compute/resource_tracker.h"

/* How often, and how far apart, the database is asked for the instance of a request to resume. */
#define RESUME_TRIES 5
#define RESUME_PAUSE_US (2 * G_USEC_PER_SEC)

/* Notes of ours in the journal. */
#define NOTE_SUCCEEDED "event finished"
#define NOTE_FAILED "event failed"

/* Threads of lanes whose limit is not an option of Nova's. */
#define URGENT_THREADS 4
#define PEER_THREADS 8

struct Dispatcher {
    Host *host;
    LaneKeys *keys;
    Lane *lanes[N_LANES];
    Jobs *jobs;
    GHashTable *known_ids; /* _unique_id of each resumed request; immutable once messages are consumed */
    RpcServer *server;     /* immutable once the lanes open */
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
    dispatcher->jobs = jobs_new();
    dispatcher->known_ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
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

void
dispatcher_hold(Dispatcher *dispatcher)
{
    for (int lane = 0; lane < N_LANES; lane++)
        lane_set_held(dispatcher->lanes[lane], lane != LANE_URGENT);
}

bool
dispatcher_close(Dispatcher *dispatcher, int timeout_ms)
{
    int64_t deadline = monotonic_after_ms(timeout_ms);
    bool ended = true;

    dispatcher_hold(dispatcher); /* no lane starts a job while another is waited for */
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
    jobs_free(dispatcher->jobs);
    g_hash_table_unref(dispatcher->known_ids);
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

/* _update_resource_tracker() */
static void
note_usage(Operation *op)
{
    g_autoptr(NovaError) failure = NULL;

    if (g_strcmp0(op->instance->host, op->host->name) != 0)
        return;
    if (step_load_instance(op->host, op->ctx, op->instance, &failure))
        resource_tracker_note(op->host->tracker, op->ctx, op->instance);
    else
        LOG_WARNING("Telling the resource tracker: %s", nova_error_details(failure));
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
    if (conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &failure)) {
        LOG_INFO("Successfully reverted task state from %s on failure for instance.",
                 old ? old : "None");
        note_usage(op);
    } else if (!nova_error_is(failure, NOVA_ERROR_INSTANCE_NOT_FOUND)) {
        LOG_WARNING("Failed to revert task state for instance. Error: %s",
                    nova_error_details(failure));
    }
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

/* Nova finishes one row of a name only: what a process before us has started is not started again. */
static bool
start_event(Operation *op, const char *event, NovaError **err)
{
    const Host *host = op->host;
    bool is_started = false;

    if (op->is_resumed && !conductor_event_find(host->conductor, op->ctx, op->instance->uuid, event,
                                                host->name, &is_started, err))
        return false;
    return is_started ||
           conductor_event_start(host->conductor, op->ctx, op->instance->uuid, event, host->name, err);
}

static void
finish_event(Operation *op, const char *event, const NovaError *error)
{
    g_autoptr(NovaError) failure = NULL;

    if (operation_has_note(op, NOTE_SUCCEEDED) || operation_has_note(op, NOTE_FAILED))
        return;
    if (!conductor_event_finish(op->host->conductor, op->ctx, op->instance->uuid, event, error,
                                &failure))
        LOG_WARNING("Failed to finish the action's event: %s", nova_error_details(failure));
    operation_note(op, error ? NOTE_FAILED : NOTE_SUCCEEDED);
}

static void
log_failure(const Method *method, const NovaError *error)
{
    bool is_callers = nova_error_code(error) < 500 || nova_error_is(error, NOVA_ERROR_NOT_IMPLEMENTED_ERROR);
    LogLevel level = method->flags & EXPECTED && is_callers ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR;

    LOG_AT(level, "Exception during message handling: %s: %s: %s", method->name,
           nova_error_class(error), nova_error_details(error));
}

/* What was decided before puts itself in the handler's place. */
static bool
is_decided(const Method *method, const Operation *op, ResumeVerdict verdict, NovaError **err)
{
    if (operation_has_note(op, NOTE_FAILED) || verdict == RESUME_GIVE_UP) {
        nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION,
                       "The compute agent ended in the middle of %s.", method->name);
        return true;
    }
    return operation_has_note(op, NOTE_SUCCEEDED) || verdict == RESUME_OVER;
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
carry_out(const Method *method, Operation *op, ResumeVerdict verdict, NovaError **err)
{
    g_autofree char *event = method->event ? g_strdup(method->event)
                                           : g_strconcat("compute_", method->name, NULL);
    NovaError *error = NULL;
    bool ok = true;

    if (method->flags & EVENT)
        ok = start_event(op, event, &error);
    if (ok) {
        if (is_decided(method, op, verdict, &error))
            ok = !error;
        else
            ok = handle(method, op, &error);
        if (!ok && (method->flags & FAULT) && !operation_has_note(op, NOTE_FAILED))
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
    if (!(method->flags & UNTOLD))
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
    Instance *asked;     /* owned; the instance as it came, when another took its place */
    JobTicket *ticket;
    uint64_t journal_id; /* 0: not in the journal */
    unsigned n_begun;    /* by processes before us */
    GPtrArray *notes;    /* of char *, owned; what they noted; NULL: nothing */
} Job;

static const char *
instance_uuid_of(const json_t *args)
{
    return json_string_value(json_path(args, "instance", "nova_object.data", "uuid", NULL));
}

/* Takes ownership of request and instance, either may be NULL; refs the rest. */
static Job *
job_new(Dispatcher *dispatcher, const Method *method, RpcRequest *request, RequestContext *ctx,
        json_t *args, Instance *instance)
{
    Job *job = g_new0(Job, 1);
    const char *uuid = instance ? instance->uuid : instance_uuid_of(args);

    job->dispatcher = dispatcher;
    job->method = method;
    job->request = request;
    job->ctx = request_context_ref(ctx);
    job->args = json_incref(args);
    job->instance = instance;
    job->journal_id = request ? request->journal_id : 0;
    job->ticket = jobs_add(dispatcher->jobs, method->name, uuid, ctx->request_id,
                           method->flags & DURABLE);
    return job;
}

/* A job that was not begun stays in the journal. */
static void
job_free(void *user)
{
    Job *job = user;

    jobs_remove(job->dispatcher->jobs, job->ticket);
    if (job->request)
        rpc_request_free(job->request);
    if (job->notes)
        g_ptr_array_unref(job->notes);
    request_context_unref(job->ctx);
    json_decref(job->args);
    instance_free(job->instance);
    instance_free(job->asked);
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

/* As the database has it now; *ret_instance is NULL when it has none any more. */
static bool
fetch_instance(const Host *host, const RequestContext *ctx, const char *uuid, Instance **ret_instance,
               NovaError **err)
{
    static const char *const attributes[] = {"info_cache", "metadata", "system_metadata", "flavor", NULL};
    g_autoptr(RequestContext) elevated = request_context_elevated(ctx, NULL);

    for (int tries = 1;; tries++) {
        g_autoptr(NovaError) error = NULL;

        *ret_instance = conductor_instance_get(host->conductor, elevated, uuid, attributes, &error);
        if (*ret_instance || nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
            return true;
        if (tries == RESUME_TRIES)
            return nova_error_propagate(err, g_steal_pointer(&error));
        LOG_WARNING("Reading the instance of a request to resume: %s", nova_error_details(error));
        g_usleep(RESUME_PAUSE_US);
    }
}

/* The instance of a request that was begun, and what is to be done about it. */
static bool
take_up(Job *job, Operation *op, ResumeVerdict *ret_verdict, NovaError **err)
{
    ResumeCase resume = {
        .method = job->method,
        .is_call = job->request->msg_id,
        .n_begun = job->n_begun,
        .host = op->host->name,
    };
    Instance *now;

    op->is_resumed = true;
    op->n_begun = job->n_begun;
    op->notes = job->notes;
    if (job->instance) {
        if (!fetch_instance(op->host, op->ctx, job->instance->uuid, &now, err))
            return false;
        if (!now) {
            recovery_remove_all(op->host, op->ctx, job->instance, job->args);
            *ret_verdict = RESUME_OVER;
            return true;
        }
        resume.asked = job->instance->task_state;
        resume.now = now;
        job->asked = job->instance; /* log lines speak of it */
        job->instance = now;
    }
    *ret_verdict = resume_judge(&resume);
    if (*ret_verdict == RESUME_OVER && job->instance && job->instance->task_state == TASK_STATE_DELETING)
        recovery_remove_image(op->host, op->ctx, job->args);
    LOG_INFO("%s had been begun when the agent ended: %s", job->method->name,
             *ret_verdict == RESUME_AGAIN ? "again" : *ret_verdict == RESUME_OVER ? "over" : "given up");
    return true;
}

static bool
work_on(Job *job, Operation *op, NovaError **err)
{
    ResumeVerdict verdict = RESUME_AGAIN;

    if (!method_check_args(job->method, job->args, err) || !decode_instance(job, err)) {
        log_failure(job->method, *err);
        return false;
    }
    LOG_SCOPE(op->ctx, job->instance ? job->instance->uuid : NULL);
    LOG_DEBUG("%s", job->method->name);
    if (job->n_begun > 0 && !take_up(job, op, &verdict, err)) {
        log_failure(job->method, *err);
        return false;
    }
    op->instance = job->instance;
    return carry_out(job->method, op, verdict, err);
}

static void
answer(Job *job, const Operation *op, const NovaError *error)
{
    if (!job->request || job->n_begun > 0)
        return;
    if (job->request->msg_id && job->dispatcher->server) /* one from the journal has no way back yet */
        rpc_server_adopt_request(job->dispatcher->server, job->request);
    if (error)
        rpc_reply_failure(job->request, error);
    else
        rpc_reply_result(job->request, op->result);
}

static void
run_job(void *user)
{
    Job *job = user;
    Host *host = job->dispatcher->host;
    g_autoptr(NovaError) error = NULL;
    Operation op = {
        .host = host,
        .ctx = job->ctx,
        .method = job->method->name,
        .args = job->args,
        .journal_id = job->journal_id,
        .ticket = job->ticket,
    };
    LOG_SCOPE(job->ctx, NULL);

    fail_point_enter(job->method->name);
    jobs_start(job->dispatcher->jobs, job->ticket);
    journal_begin(host->journal, op.journal_id);
    FAIL_POINT("job:begun", job->method->name);
    if (!work_on(job, &op, &error))
        g_assert(error);
    FAIL_POINT("job:done", job->method->name);
    answer(job, &op, error);
    journal_end(host->journal, op.journal_id);
    FAIL_POINT("job:closed", job->method->name);
    fail_point_enter(NULL);
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
    return method->flags & SERIAL ? g_strdup(instance_uuid_of(request->args)) : NULL;
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
        journal_end(dispatcher->host->journal, request->journal_id);
        rpc_request_free(request);
        return;
    }
    job = job_new(dispatcher, method, request, request->ctx, request->args, NULL);
    push_job(job, instance_key(request, method));
}

/* ---- the journal ---- */

static uint64_t
keep(Host *host, const RpcRequest *request)
{
    size_t length;
    g_autofree char *text = resume_make_text(request, g_get_real_time() / G_USEC_PER_SEC, &length);
    uint64_t id;

    FAIL_POINT("journal.append:before", NULL);
    id = journal_append(host->journal, text, length);
    FAIL_POINT("journal.append:after", NULL);
    return id;
}

bool
dispatcher_keep(RpcRequest *request, void *user)
{
    Dispatcher *dispatcher = user;
    const Method *method = request->namespace ? NULL : method_find(request->method);

    if (!method || !(method->flags & DURABLE))
        return true;
    fail_point_enter(method->name);
    request->journal_id = keep(dispatcher->host, request);
    fail_point_enter(NULL);
    return true;
}

bool
dispatcher_is_known(const char *unique_id, void *user)
{
    Dispatcher *dispatcher = user;

    return g_hash_table_contains(dispatcher->known_ids, unique_id);
}

/* NULL: there is nothing to carry out. */
static Job *
job_from_entry(Dispatcher *dispatcher, const JournalEntry *entry)
{
    g_autoptr(NovaError) error = NULL;
    int64_t received_s = 0, now_s = g_get_real_time() / G_USEC_PER_SEC;
    RpcRequest *request = resume_parse_text(entry->text, entry->length, &received_s, &error);
    const Method *method = request ? method_find_own(request->method) : NULL;
    Job *job;

    if (!method) {
        LOG_ERROR("Dropping an entry of the journal: %s",
                  request ? request->method : nova_error_details(error));
        rpc_request_free(request);
        return NULL;
    }
    if (request->unique_id)
        g_hash_table_add(dispatcher->known_ids, g_strdup(request->unique_id));
    if (entry->n_begun == 0 &&
        resume_is_call_over(request, now_s - received_s,
                            dispatcher->host->options->default_group.rpc_response_timeout)) {
        LOG_WARNING("%s is not carried out: its caller has given up", request->method);
        rpc_request_free(request);
        return NULL;
    }
    request->journal_id = entry->id;
    job = job_new(dispatcher, method, request, request->ctx, request->args, NULL);
    job->n_begun = entry->n_begun;
    job->notes = g_ptr_array_ref(entry->notes);
    return job;
}

void
dispatcher_resume(Dispatcher *dispatcher, const GPtrArray *entries)
{
    for (guint i = 0; i < entries->len; i++) {
        const JournalEntry *entry = entries->pdata[i];
        Job *job = job_from_entry(dispatcher, entry);

        if (job)
            push_job(job, instance_key(job->request, job->method));
        else
            journal_end(dispatcher->host->journal, entry->id);
    }
    if (entries->len > 0)
        LOG_INFO("Taking up %u requests that the process before left", entries->len);
}

void
dispatcher_set_server(Dispatcher *dispatcher, RpcServer *server)
{
    dispatcher->server = server;
}

/* ---- what is going on ---- */

bool
dispatcher_has_request(Host *host, const char *uuid, const Operation *except)
{
    Dispatcher *dispatcher = host->agent;

    return jobs_has_change(dispatcher->jobs, uuid, except ? except->ticket : NULL);
}

bool
dispatcher_has_method(Host *host, const char *uuid, const char *method)
{
    Dispatcher *dispatcher = host->agent;

    return jobs_has_method(dispatcher->jobs, uuid, method);
}

void
dispatcher_show_step(Operation *op, const char *step)
{
    Dispatcher *dispatcher = op->host->agent;

    jobs_step(dispatcher->jobs, op->ticket, step);
}

Jobs *
dispatcher_jobs(Dispatcher *dispatcher)
{
    return dispatcher->jobs;
}

json_t *
dispatcher_lanes_to_json(Dispatcher *dispatcher)
{
    json_t *lanes = json_object();

    for (int lane = 0; lane < N_LANES; lane++) {
        LaneStats stats = lane_stats(dispatcher->lanes[lane]);

        json_object_set_new(lanes, lane_names[lane],
                            json_pack("{s:i, s:i, s:i}", "queued", stats.queued, "running",
                                      stats.running, "threads", stats.threads));
    }
    return lanes;
}

/* ---- work of our own ---- */

/* As if it had come in a message. */
static uint64_t
keep_own(Host *host, const Method *method, const RequestContext *ctx, Instance *instance, json_t *args)
{
    g_autofree char *version = g_strdup_printf("%d.%d", COMPUTE_RPC_MAJOR, COMPUTE_RPC_MINOR);
    json_auto_t *whole = json_copy(args);
    RpcRequest message = {0};
    uint64_t id;

    json_object_set_new(whole, "instance", object_to_json(instance));
    message.raw = rpc_message_make_request(ctx, NULL, version, method->name, whole, NULL, NULL, -1);
    message.raw_length = strlen(message.raw);
    id = keep(host, &message);
    g_free(message.raw);
    return id;
}

void
dispatcher_queue_method(Host *host, const char *name, RequestContext *ctx, Instance *instance,
                        json_t *args)
{
    const Method *method = method_find_own(name);
    Job *job;

    g_assert(method);
    job = job_new(host->agent, method, NULL, ctx, args, instance);
    if (method->flags & DURABLE)
        job->journal_id = keep_own(host, method, ctx, instance, args);
    json_object_set_new(args, "instance", json_null());
    push_job(job, method->flags & SERIAL ? g_strdup(instance->uuid) : NULL);
}

bool
dispatcher_call_method(Operation *op, const char *name, json_t *args, NovaError **err)
{
    const Method *method = method_find(name);
    Operation inner = {
        .host = op->host,
        .ctx = op->ctx,
        .method = name,
        .instance = op->instance,
        .args = args,
        .is_resumed = op->is_resumed,
    };
    bool ok;

    g_assert(method);
    ok = carry_out(method, &inner, RESUME_AGAIN, err);
    json_decref(inner.result);
    return ok;
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
