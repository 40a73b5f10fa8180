/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.periodic"
#include "agent/periodic.h"

#include <pthread.h>

#include "agent/base/log.h"
#include "compute/resource_tracker.h"

/* What an interval of 0 means (oslo.service's DEFAULT_INTERVAL). */
#define DEFAULT_INTERVAL_S 60

static void
update_available_resource(Host *host, const RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;

    if (!resource_tracker_update(host->tracker, ctx, &error))
        LOG_ERROR("Error updating resources for node %s: %s", host->node, nova_error_details(error));
}

static void
sync_scheduler_instance_info(Host *host, const RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) instances = NULL;
    json_auto_t *uuids = json_array();

    if (!host->options->filter_scheduler.track_instance_changes)
        return;
    instances = conductor_instances_by_host(host->conductor, ctx, host->name, NULL, &error);
    if (!instances) {
        LOG_ERROR("Failed to list the host's instances: %s", nova_error_details(error));
        return;
    }
    for (guint i = 0; i < instances->len; i++)
        json_array_append_new(uuids, json_string(((const Instance *)instances->pdata[i])->uuid));
    conductor_scheduler_sync(host->conductor, ctx, host->name, uuids);
}

/* Seconds; 0: the default, less: never. */
static int64_t
update_resources_interval(const Options *options)
{
    return options->default_group.update_resources_interval;
}

static int64_t
scheduler_instance_sync_interval(const Options *options)
{
    return options->default_group.scheduler_instance_sync_interval;
}

static const struct {
    const char *name;
    int64_t (*interval)(const Options *options);
    void (*run)(Host *host, const RequestContext *ctx);
} tasks[] = {
    {"update_available_resource", update_resources_interval, update_available_resource},
    {"_sync_scheduler_instance_info", scheduler_instance_sync_interval, sync_scheduler_instance_info},
};
#define N_TASKS G_N_ELEMENTS(tasks)

typedef struct TaskRun {
    Periodic *periodic;
    size_t index;
} TaskRun;

struct Periodic {
    Host *host;
    Dispatcher *dispatcher;
    pthread_t thread;
    GMutex mutex;
    GCond wake;
    bool stop;             /* these with mutex */
    bool running[N_TASKS];
    gint64 due[N_TASKS];   /* PERIODIC thread only */
    TaskRun runs[N_TASKS];
};

static void
task_ended(void *user)
{
    TaskRun *run = user;

    g_mutex_lock(&run->periodic->mutex);
    run->periodic->running[run->index] = false;
    g_mutex_unlock(&run->periodic->mutex);
}

static void
run_task(void *user)
{
    TaskRun *run = user;
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    LOG_SCOPE(ctx, NULL);

    LOG_DEBUG("Running periodic task ComputeManager.%s", tasks[run->index].name);
    tasks[run->index].run(run->periodic->host, ctx);
    task_ended(run);
}

static bool
claim_run(Periodic *periodic, size_t i)
{
    bool free_to_run;

    g_mutex_lock(&periodic->mutex);
    free_to_run = !periodic->running[i];
    periodic->running[i] = true;
    g_mutex_unlock(&periodic->mutex);
    return free_to_run;
}

static gint64
interval_us(const Periodic *periodic, size_t i)
{
    int64_t seconds = tasks[i].interval(periodic->host->options);

    if (seconds < 0)
        return G_MAXINT64 / 4;
    return (seconds ? seconds : DEFAULT_INTERVAL_S) * G_USEC_PER_SEC;
}

/* Starts what is due; returns when the next is. */
static gint64
run_due(Periodic *periodic, gint64 now)
{
    gint64 next = now + (gint64)3600 * G_USEC_PER_SEC;

    for (size_t i = 0; i < N_TASKS; i++) {
        if (periodic->due[i] <= now) {
            periodic->due[i] = now + interval_us(periodic, i);
            if (claim_run(periodic, i))
                dispatcher_queue(periodic->dispatcher, NULL, run_task, task_ended, &periodic->runs[i]);
        }
        next = MIN(next, periodic->due[i]);
    }
    return next;
}

static void *
periodic_main(void *user)
{
    Periodic *periodic = user;

    pthread_setname_np(pthread_self(), "periodic");
    g_mutex_lock(&periodic->mutex);
    while (!periodic->stop) {
        gint64 next;

        g_mutex_unlock(&periodic->mutex);
        next = run_due(periodic, g_get_monotonic_time());
        g_mutex_lock(&periodic->mutex);
        if (!periodic->stop)
            g_cond_wait_until(&periodic->wake, &periodic->mutex, next);
    }
    g_mutex_unlock(&periodic->mutex);
    return NULL;
}

Periodic *
periodic_start(Host *host, Dispatcher *dispatcher)
{
    Periodic *periodic = g_new0(Periodic, 1);

    periodic->host = host;
    periodic->dispatcher = dispatcher;
    g_mutex_init(&periodic->mutex);
    g_cond_init(&periodic->wake);
    for (size_t i = 0; i < N_TASKS; i++) {
        periodic->runs[i] = (TaskRun){periodic, i};
        periodic->due[i] = g_get_monotonic_time() + interval_us(periodic, i);
    }
    pthread_create(&periodic->thread, NULL, periodic_main, periodic);
    return periodic;
}

void
periodic_stop(Periodic *periodic)
{
    if (!periodic)
        return;
    g_mutex_lock(&periodic->mutex);
    periodic->stop = true;
    g_cond_signal(&periodic->wake);
    g_mutex_unlock(&periodic->mutex);
    pthread_join(periodic->thread, NULL);
}

void
periodic_free(Periodic *periodic)
{
    if (!periodic)
        return;
    g_mutex_clear(&periodic->mutex);
    g_cond_clear(&periodic->wake);
    g_free(periodic);
}
