/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <unistd.h>

#include "agent/base/lane.h"

typedef struct Record {
    pthread_mutex_t lock;
    GString *order; /* guarded by lock */
    int running;    /* guarded by lock */
    int most;       /* guarded by lock */
} Record;

typedef struct Job {
    Record *record;
    char mark;
    int sleep_us;
    gint *gate; /* NULL, or waits until it is not 0 */
} Job;

static void
run(void *user)
{
    Job *job = user;

    pthread_mutex_lock(&job->record->lock);
    job->record->running++;
    job->record->most = MAX(job->record->most, job->record->running);
    pthread_mutex_unlock(&job->record->lock);
    usleep((useconds_t)job->sleep_us);
    while (job->gate && g_atomic_int_get(job->gate) == 0)
        usleep(1000);
    pthread_mutex_lock(&job->record->lock);
    job->record->running--;
    g_string_append_c(job->record->order, job->mark);
    pthread_mutex_unlock(&job->record->lock);
}

static void
push(Lane *lane, const char *key, Job *job)
{
    LaneJob lane_job = {g_strdup(key), run, NULL, job};

    lane_push(lane, &lane_job);
}

static void
wait_for(Record *record, size_t n)
{
    for (int i = 0; i < 30000; i++) {
        size_t length;

        pthread_mutex_lock(&record->lock);
        length = record->order->len;
        pthread_mutex_unlock(&record->lock);
        if (length >= n)
            return;
        usleep(1000);
    }
    fail_msg("only %s was run", record->order->str);
}

static void
wait_until_running(Lane *lane)
{
    for (int i = 0; i < 30000 && lane_stats(lane).running == 0; i++)
        usleep(1000);
    assert_int_equal(lane_stats(lane).running, 1);
}

static void
jobs_of_one_key_keep_their_order_and_never_overlap(void **state)
{
    Record record = {PTHREAD_MUTEX_INITIALIZER, g_string_new(NULL), 0, 0};
    LaneKeys *keys = lane_keys_new();
    Lane *lane = lane_new("test", 4, keys);
    Job jobs[6];

    (void)state;
    for (int i = 0; i < 6; i++) {
        jobs[i] = (Job){&record, (char)('a' + i), 2000, NULL};
        push(lane, "instance", &jobs[i]);
    }
    wait_for(&record, 6);
    assert_string_equal(record.order->str, "abcdef");
    assert_int_equal(record.most, 1);
    assert_true(lane_close(lane, 30000));
    lane_free(lane);
    lane_keys_free(keys);
    g_string_free(record.order, TRUE);
}

static void
a_busy_key_holds_back_no_other_key(void **state)
{
    Record record = {PTHREAD_MUTEX_INITIALIZER, g_string_new(NULL), 0, 0};
    LaneKeys *keys = lane_keys_new();
    Lane *lane = lane_new("one", 2, keys);
    Lane *other = lane_new("two", 1, keys);
    gint gate = 0;
    Job slow = {&record, 's', 0, &gate}, second = {&record, '2', 0, NULL}, quick = {&record, 'q', 0, NULL};

    (void)state;
    push(lane, "a", &slow);
    wait_until_running(lane);
    push(other, "a", &second); /* waits for the other lane's job of the same key */
    push(lane, "b", &quick);
    wait_for(&record, 1);
    g_atomic_int_set(&gate, 1);
    wait_for(&record, 3);
    assert_string_equal(record.order->str, "qs2");
    assert_true(lane_close(lane, 30000));
    assert_true(lane_close(other, 30000));
    lane_free(lane);
    lane_free(other);
    lane_keys_free(keys);
    g_string_free(record.order, TRUE);
}

static void
threads_without_work_end_and_come_back(void **state)
{
    Record record = {PTHREAD_MUTEX_INITIALIZER, g_string_new(NULL), 0, 0};
    LaneKeys *keys = lane_keys_new();
    Lane *lane = lane_new("idle", 2, keys);
    Job jobs[3] = {{&record, 'a', 20000, NULL}, {&record, 'b', 20000, NULL}, {&record, 'c', 0, NULL}};

    (void)state;
    lane_set_idle_timeout(lane, 20);
    push(lane, NULL, &jobs[0]);
    push(lane, NULL, &jobs[1]);
    assert_int_equal(lane_stats(lane).threads, 2);
    for (int i = 0; i < 200 && lane_stats(lane).threads > 0; i++)
        usleep(10000);
    assert_int_equal(lane_stats(lane).threads, 0);
    push(lane, NULL, &jobs[2]);
    wait_for(&record, 3);
    assert_true(lane_close(lane, 30000));
    lane_free(lane);
    lane_keys_free(keys);
    g_string_free(record.order, TRUE);
}

/* The job waits for another lane's key for longer than its thread would wait for work. */
static void
a_thread_does_not_end_while_a_job_waits_for_its_key(void **state)
{
    Record record = {PTHREAD_MUTEX_INITIALIZER, g_string_new(NULL), 0, 0};
    LaneKeys *keys = lane_keys_new();
    Lane *lane = lane_new("one", 1, keys);
    Lane *other = lane_new("two", 1, keys);
    Job slow = {&record, 's', 100000, NULL}, second = {&record, '2', 0, NULL};

    (void)state;
    lane_set_idle_timeout(other, 10);
    push(lane, "a", &slow);
    wait_until_running(lane);
    push(other, "a", &second);
    wait_for(&record, 2);
    assert_string_equal(record.order->str, "s2");
    assert_true(lane_close(lane, 30000));
    assert_true(lane_close(other, 30000));
    lane_free(lane);
    lane_free(other);
    lane_keys_free(keys);
    g_string_free(record.order, TRUE);
}

static void
a_held_lane_starts_nothing_until_released(void **state)
{
    Record record = {PTHREAD_MUTEX_INITIALIZER, g_string_new(NULL), 0, 0};
    LaneKeys *keys = lane_keys_new();
    Lane *lane = lane_new("held", 2, keys);
    Job jobs[3];

    (void)state;
    lane_set_held(lane, true);
    for (int i = 0; i < 3; i++) {
        jobs[i] = (Job){&record, 'x', 0, NULL};
        push(lane, NULL, &jobs[i]);
    }
    usleep(20000);
    assert_int_equal(lane_stats(lane).queued, 3);
    lane_set_held(lane, false);
    wait_for(&record, 3);
    assert_true(lane_close(lane, 30000));
    lane_free(lane);
    lane_keys_free(keys);
    g_string_free(record.order, TRUE);
}

static void
discard(void *user)
{
    ++*(int *)user;
}

static void
a_closed_lane_discards_what_was_not_started(void **state)
{
    LaneKeys *keys = lane_keys_new();
    Lane *lane = lane_new("closed", 1, keys);
    int discarded = 0;
    LaneJob job = {NULL, run, discard, &discarded};

    (void)state;
    lane_set_held(lane, true);
    lane_push(lane, &job);
    assert_true(lane_close(lane, 100));
    lane_push(lane, &job);
    assert_int_equal(discarded, 2);
    lane_free(lane);
    lane_keys_free(keys);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_one_key_keep_their_order_and_never_overlap),
        cmocka_unit_test(a_busy_key_holds_back_no_other_key),
        cmocka_unit_test(threads_without_work_end_and_come_back),
        cmocka_unit_test(a_thread_does_not_end_while_a_job_waits_for_its_key),
        cmocka_unit_test(a_held_lane_starts_nothing_until_released),
        cmocka_unit_test(a_closed_lane_discards_what_was_not_started),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
