/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/monotonic.h"

#include <glib.h>

#include "tests/unit/cmocka_all.h"

static void
a_deadline_lies_so_much_later_or_is_never_reached(void **state)
{
    int64_t now = g_get_monotonic_time();

    (void)state;
    assert_in_range(monotonic_after_ms(0), now, now + G_USEC_PER_SEC);
    assert_in_range(monotonic_after_ms(5000), now + 5 * G_USEC_PER_SEC, now + 6 * G_USEC_PER_SEC);
    assert_in_range(monotonic_after_ms(-5000), now, now + G_USEC_PER_SEC); /* no wait for ever by a wrong sign */
    assert_true(monotonic_after_ms(INT64_MAX) == MONOTONIC_NEVER);
    assert_true(monotonic_after_ms(INT64_MAX / 1000) == MONOTONIC_NEVER);
}

static void
a_wait_ends_at_its_deadline(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    int64_t deadline;

    (void)state;
    monotonic_cond_init(&cond);
    pthread_mutex_lock(&lock);
    deadline = monotonic_after_ms(20);
    while (monotonic_cond_wait(&cond, &lock, deadline))
        continue;
    assert_true(g_get_monotonic_time() >= deadline);
    assert_false(monotonic_cond_wait(&cond, &lock, deadline)); /* at once */
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&cond);
}

typedef struct Told {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_told;
} Told;

static void *
tell(void *data)
{
    Told *told = data;

    pthread_mutex_lock(&told->lock);
    told->is_told = true;
    pthread_cond_signal(&told->cond);
    pthread_mutex_unlock(&told->lock);
    return NULL;
}

/* MONOTONIC_NEVER is a time that pthread_cond_timedwait() takes. */
static void
a_wait_without_deadline_ends_when_told(void **state)
{
    Told told = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;

    (void)state;
    monotonic_cond_init(&told.cond);
    pthread_mutex_lock(&told.lock);
    assert_int_equal(pthread_create(&thread, NULL, tell, &told), 0);
    while (!told.is_told)
        assert_true(monotonic_cond_wait(&told.cond, &told.lock, MONOTONIC_NEVER));
    pthread_mutex_unlock(&told.lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&told.cond);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_lies_so_much_later_or_is_never_reached),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_wait_without_deadline_ends_when_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
