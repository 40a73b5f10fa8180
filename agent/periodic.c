/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.periodic"
#include "agent/periodic.h"

#include <pthread.h>
#include <stddef.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "compute/tasks/tasks.h"

/* What an interval of 0 means (oslo.service's DEFAULT_INTERVAL). */
#define DEFAULT_INTERVAL_S 60
#define NEVER_US (G_MAXINT64 / 4)

/* clang-format off */
#define OPTION(member) offsetof(Options, member)
#define DEFAULT(member) offsetof(Options, default_group.member)
#define NONE ((size_t)-1)

/* reboot_timeout is not here: libvirt's driver does nothing about it in Nova. */
static const struct {
    const char *name;
    size_t interval; /* option: seconds; 0: every minute, less: never. NONE: every minute */
    size_t needs;    /* option that must be above 0 for the task to do anything. NONE: always */
    bool at_once;    /* the first run does not wait for the interval */
    void (*run)(Host *host, RequestContext *ctx);
} tasks[] = {
    {"update_available_resource",             DEFAULT(update_resources_interval),              NONE,                               false, task_update_available_resource},
    {"_sync_power_states",                    DEFAULT(sync_power_state_interval),              NONE,                               true,  task_sync_power_states},
    {"_sync_scheduler_instance_info",         DEFAULT(scheduler_instance_sync_interval),       NONE,                               false, task_sync_scheduler_instance_info},
    {"_heal_instance_info_cache",             DEFAULT(heal_instance_info_cache_interval),      NONE,                               false, task_heal_instance_info_cache},
    {"_check_instance_build_time",            NONE,                                            DEFAULT(instance_build_timeout),    false, task_check_instance_build_time},
    {"_poll_rescued_instances",               NONE,                                            DEFAULT(rescue_timeout),            false, task_poll_rescued_instances},
    {"_poll_unconfirmed_resizes",             NONE,                                            DEFAULT(resize_confirm_window),     false, task_poll_unconfirmed_resizes},
    {"_poll_shelved_instances",               DEFAULT(shelved_poll_interval),                  DEFAULT(shelved_offload_time),      false, task_poll_shelved_instances},
    {"_instance_usage_audit",                 NONE,                                            NONE,                               false, task_instance_usage_audit},
    {"_reclaim_queued_deletes",               NONE,                                            DEFAULT(reclaim_instance_interval), false, task_reclaim_queued_deletes},
    {"_cleanup_running_deleted_instances",    DEFAULT(running_deleted_instance_poll_interval), NONE,                               true,  task_cleanup_running_deleted_instances},
    {"_run_pending_deletes",                  DEFAULT(instance_delete_interval),               NONE,                               false, task_run_pending_deletes},
    {"_cleanup_incomplete_migrations",        DEFAULT(instance_delete_interval),               NONE,                               false, task_cleanup_incomplete_migrations},
    {"_cleanup_expired_console_auth_tokens",  DEFAULT(instance_delete_interval),               NONE,                               false, task_cleanup_expired_console_auth_tokens},
    {"_poll_volume_usage",                    DEFAULT(volume_usage_poll_interval),             DEFAULT(volume_usage_poll_interval), false, task_poll_volume_usage},
    {"_run_image_cache_manager_pass",         OPTION(image_cache.manager_interval),            NONE,                               false,  task_run_image_cache_manager_pass},
    {"_remove_orphan_ports",                  NONE,                                            NONE,                               false, task_remove_orphan_ports},
};
/* clang-format on */
#define N_TASKS G_N_ELEMENTS(tasks)

typedef struct TaskRun {
    Periodic *periodic;
    size_t index;
} TaskRun;

struct Periodic {
    Host *host;
    Dispatcher *dispatcher;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;             /* these with mutex */
    bool running[N_TASKS];
    gint64 due[N_TASKS];   /* PERIODIC thread only */
    TaskRun runs[N_TASKS];
};

static void
task_ended(void *user)
{
    TaskRun *run = user;

    pthread_mutex_lock(&run->periodic->mutex);
    run->periodic->running[run->index] = false;
    pthread_mutex_unlock(&run->periodic->mutex);
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

    pthread_mutex_lock(&periodic->mutex);
    free_to_run = !periodic->running[i];
    periodic->running[i] = true;
    pthread_mutex_unlock(&periodic->mutex);
    return free_to_run;
}

static int64_t
option_value(const Options *options, size_t option)
{
    return *(const int64_t *)((const char *)options + option);
}

static gint64
interval_us(const Periodic *periodic, size_t i)
{
    const Options *options = periodic->host->options;
    int64_t seconds = tasks[i].interval == NONE ? 0 : option_value(options, tasks[i].interval);

    if (seconds < 0)
        return NEVER_US;
    return (seconds ? seconds : DEFAULT_INTERVAL_S) * G_USEC_PER_SEC;
}

static bool
is_wanted(const Periodic *periodic, size_t i)
{
    return tasks[i].needs == NONE || option_value(periodic->host->options, tasks[i].needs) > 0;
}

/* Starts what is due; returns when the next is. */
static gint64
run_due(Periodic *periodic, gint64 now)
{
    gint64 next = now + (gint64)3600 * G_USEC_PER_SEC;

    for (size_t i = 0; i < N_TASKS; i++) {
        if (periodic->due[i] <= now) {
            periodic->due[i] = now + interval_us(periodic, i);
            if (is_wanted(periodic, i) && claim_run(periodic, i))
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
    pthread_mutex_lock(&periodic->mutex);
    while (!periodic->stop) {
        gint64 next;

        pthread_mutex_unlock(&periodic->mutex);
        next = run_due(periodic, g_get_monotonic_time());
        pthread_mutex_lock(&periodic->mutex);
        if (!periodic->stop)
            monotonic_cond_wait(&periodic->wake, &periodic->mutex, next);
    }
    pthread_mutex_unlock(&periodic->mutex);
    return NULL;
}

/* Hosts that start together do not ask together: periodic_fuzzy_delay. */
static gint64
first_due(const Periodic *periodic, size_t i, gint64 now)
{
    int64_t fuzzy_s = periodic->host->options->default_group.periodic_fuzzy_delay;
    gint64 delay = fuzzy_s > 0 ? g_random_int_range(0, (gint32)MIN(fuzzy_s, 86400)) * G_USEC_PER_SEC : 0;
    gint64 interval = interval_us(periodic, i);

    if (interval == NEVER_US || !periodic->host->options->default_group.periodic_enable)
        return now + NEVER_US;
    return now + delay + (tasks[i].at_once ? 0 : interval);
}

Periodic *
periodic_start(Host *host, Dispatcher *dispatcher)
{
    Periodic *periodic = g_new0(Periodic, 1);

    periodic->host = host;
    periodic->dispatcher = dispatcher;
    pthread_mutex_init(&periodic->mutex, NULL);
    monotonic_cond_init(&periodic->wake);
    for (size_t i = 0; i < N_TASKS; i++) {
        periodic->runs[i] = (TaskRun){periodic, i};
        periodic->due[i] = first_due(periodic, i, g_get_monotonic_time());
    }
    pthread_create(&periodic->thread, NULL, periodic_main, periodic);
    return periodic;
}

void
periodic_stop(Periodic *periodic)
{
    if (!periodic)
        return;
    pthread_mutex_lock(&periodic->mutex);
    periodic->stop = true;
    pthread_cond_signal(&periodic->wake);
    pthread_mutex_unlock(&periodic->mutex);
    pthread_join(periodic->thread, NULL);
}

void
periodic_free(Periodic *periodic)
{
    if (!periodic)
        return;
    pthread_mutex_destroy(&periodic->mutex);
    pthread_cond_destroy(&periodic->wake);
    g_free(periodic);
}
