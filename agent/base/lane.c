/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/lane.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "agent/base/monotonic.h"

/* Frees its lanes from waiting for each other: a worker that ends wakes every lane that shares
 * the keys, since the key it gave back may be what their first job waits for. */
struct LaneKeys {
    pthread_mutex_t lock;
    GHashTable *busy; /* set of keys; guarded by lock */
    GPtrArray *lanes; /* guarded by lock */
};

struct Lane {
    const char *name;   /* immutable */
    unsigned max_threads; /* immutable */
    LaneKeys *keys;     /* its lock guards all that follows */
    int idle_ms;        /* a thread without work for so long ends */
    pthread_cond_t wake; /* a job may have become runnable, or the lane is closed */
    pthread_cond_t idle; /* running or threads went down */
    GQueue jobs;        /* of LaneJob* */
    unsigned threads;
    unsigned waiting;
    unsigned running;
    bool held;
    bool closed;
};

#define THREAD_STACK_BYTES (512 * 1024)
#define IDLE_MS 10000

LaneKeys *
lane_keys_new(void)
{
    LaneKeys *keys = g_new0(LaneKeys, 1);

    /* The C library's heap belongs to the thread that asks it first; behind another allocator (a sanitizer's, a
     * preloaded one) that would be a worker, at whose end the heap would miss its main thread and abort. */
    malloc_trim(0);
    pthread_mutex_init(&keys->lock, NULL);
    keys->busy = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    keys->lanes = g_ptr_array_new();
    return keys;
}

void
lane_keys_free(LaneKeys *keys)
{
    if (!keys)
        return;
    g_hash_table_unref(keys->busy);
    g_ptr_array_unref(keys->lanes);
    pthread_mutex_destroy(&keys->lock);
    g_free(keys);
}

Lane *
lane_new(const char *name, unsigned max_threads, LaneKeys *keys)
{
    Lane *lane = g_new0(Lane, 1);

    lane->name = name;
    lane->max_threads = MAX(max_threads, 1);
    lane->keys = keys;
    lane->idle_ms = IDLE_MS;
    monotonic_cond_init(&lane->wake);
    monotonic_cond_init(&lane->idle);
    g_queue_init(&lane->jobs);
    pthread_mutex_lock(&keys->lock);
    g_ptr_array_add(keys->lanes, lane);
    pthread_mutex_unlock(&keys->lock);
    return lane;
}

static void
job_free(LaneJob *job)
{
    g_free(job->key);
    g_free(job);
}

static bool
is_key_busy(LaneKeys *keys, const char *key)
{
    return key && g_hash_table_contains(keys->busy, key);
}

/* The first job whose key is free and that no earlier job of the same key waits before. */
static LaneJob *
take_job(Lane *lane)
{
    if (lane->held || lane->closed)
        return NULL;
    for (GList *link = lane->jobs.head; link; link = link->next) {
        LaneJob *job = link->data;

        if (is_key_busy(lane->keys, job->key))
            continue;
        g_queue_delete_link(&lane->jobs, link);
        if (job->key)
            g_hash_table_add(lane->keys->busy, g_strdup(job->key));
        return job;
    }
    return NULL;
}

static void
wake_all_lanes(LaneKeys *keys)
{
    for (guint i = 0; i < keys->lanes->len; i++) {
        Lane *lane = keys->lanes->pdata[i];

        if (lane->jobs.length > 0)
            pthread_cond_broadcast(&lane->wake);
    }
}

static void
run_job(Lane *lane, LaneJob *job)
{
    LaneKeys *keys = lane->keys;

    lane->running++;
    pthread_mutex_unlock(&keys->lock);
    job->run(job->user);
    pthread_mutex_lock(&keys->lock);
    lane->running--;
    if (job->key) {
        g_hash_table_remove(keys->busy, job->key);
        wake_all_lanes(keys);
    }
    pthread_cond_broadcast(&lane->idle);
    job_free(job);
}

/* False when nothing came in time. */
static bool
wait_for_job(Lane *lane)
{
    bool came;

    lane->waiting++;
    came = monotonic_cond_wait(&lane->wake, &lane->keys->lock, monotonic_after_ms(lane->idle_ms));
    lane->waiting--;
    return came;
}

static void *
worker_main(void *user)
{
    Lane *lane = user;
    LaneKeys *keys = lane->keys;

    pthread_setname_np(pthread_self(), lane->name);
    pthread_mutex_lock(&keys->lock);
    while (!lane->closed) {
        LaneJob *job = take_job(lane);

        if (job)
            run_job(lane, job);
        else if (!wait_for_job(lane) && lane->jobs.length == 0)
            break;
    }
    lane->threads--;
    pthread_cond_broadcast(&lane->idle);
    pthread_mutex_unlock(&keys->lock);
    malloc_trim(0); /* the work has ended: what it needed goes back to the system */
    return NULL;
}

/* Called with the lock held. A lane that cannot start its first thread keeps the job queued and
 * tries again at the next push. */
static void
start_thread(Lane *lane)
{
    pthread_attr_t attr;
    pthread_t thread;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    if (pthread_create(&thread, &attr, worker_main, lane) == 0)
        lane->threads++;
    pthread_attr_destroy(&attr);
}

static void
ensure_worker(Lane *lane)
{
    if (lane->waiting > 0)
        pthread_cond_signal(&lane->wake);
    if (lane->waiting < lane->jobs.length && lane->threads < lane->max_threads)
        start_thread(lane);
}

void
lane_push(Lane *lane, const LaneJob *job)
{
    LaneJob *copy = g_memdup2(job, sizeof(*job));

    pthread_mutex_lock(&lane->keys->lock);
    if (!lane->closed) {
        g_queue_push_tail(&lane->jobs, g_steal_pointer(&copy));
        if (!lane->held)
            ensure_worker(lane);
    }
    pthread_mutex_unlock(&lane->keys->lock);
    if (copy) {
        if (copy->discard)
            copy->discard(copy->user);
        job_free(copy);
    }
}

void
lane_set_held(Lane *lane, bool held)
{
    pthread_mutex_lock(&lane->keys->lock);
    lane->held = held;
    if (!held)
        for (guint i = 0; i < lane->jobs.length && i < lane->max_threads; i++)
            ensure_worker(lane);
    pthread_mutex_unlock(&lane->keys->lock);
}

void
lane_set_idle_timeout(Lane *lane, int timeout_ms)
{
    pthread_mutex_lock(&lane->keys->lock);
    lane->idle_ms = timeout_ms;
    pthread_mutex_unlock(&lane->keys->lock);
}

LaneStats
lane_stats(Lane *lane)
{
    LaneStats stats;

    pthread_mutex_lock(&lane->keys->lock);
    stats = (LaneStats){lane->jobs.length, lane->running, lane->threads};
    pthread_mutex_unlock(&lane->keys->lock);
    return stats;
}

static void
discard_jobs(GQueue *jobs)
{
    LaneJob *job;

    while ((job = g_queue_pop_head(jobs))) {
        if (job->discard)
            job->discard(job->user);
        job_free(job);
    }
}

bool
lane_close(Lane *lane, int timeout_ms)
{
    int64_t deadline = monotonic_after_ms(timeout_ms);
    GQueue jobs;
    bool done;

    pthread_mutex_lock(&lane->keys->lock);
    lane->closed = true;
    jobs = lane->jobs;
    g_queue_init(&lane->jobs);
    pthread_cond_broadcast(&lane->wake);
    while (lane->threads > 0 && monotonic_cond_wait(&lane->idle, &lane->keys->lock, deadline))
        continue;
    done = lane->threads == 0;
    pthread_mutex_unlock(&lane->keys->lock);
    discard_jobs(&jobs);
    return done;
}

void
lane_free(Lane *lane)
{
    bool in_use;

    if (!lane)
        return;
    pthread_mutex_lock(&lane->keys->lock);
    g_ptr_array_remove(lane->keys->lanes, lane);
    in_use = lane->threads > 0;
    pthread_mutex_unlock(&lane->keys->lock);
    if (in_use)
        return;
    pthread_cond_destroy(&lane->wake);
    pthread_cond_destroy(&lane->idle);
    g_free(lane);
}
