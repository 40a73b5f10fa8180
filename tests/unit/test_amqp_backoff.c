/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib.h>

#include "agent/rpc/amqp_backoff.h"

static const AmqpBackoffPolicy defaults = {
    .n_hosts = 1,
    .interval_start_ms = 1000,
    .interval_step_ms = 2000,
    .interval_max_ms = 30000,
    .delay_ms = 1000,
};

static void
assert_wait(int64_t wait, int64_t base)
{
    assert_in_range(wait, base, base + base / 10);
}

static void
waits_grow_to_the_maximum(void **state)
{
    AmqpBackoff backoff;

    (void)state;
    amqp_backoff_init(&backoff, &defaults, 7);
    assert_int_equal(amqp_backoff_wait_ms(&backoff, 0), 0);
    assert_wait(amqp_backoff_failed(&backoff, 0), 2000);
    assert_wait(amqp_backoff_failed(&backoff, 0), 4000);
    assert_wait(amqp_backoff_failed(&backoff, 0), 6000);
    for (int i = 0; i < 100; i++)
        amqp_backoff_failed(&backoff, 0);
    assert_wait(amqp_backoff_failed(&backoff, 0), 31000);
}

static void
success_starts_over(void **state)
{
    AmqpBackoff backoff;

    (void)state;
    amqp_backoff_init(&backoff, &defaults, 7);
    for (int i = 0; i < 5; i++)
        amqp_backoff_failed(&backoff, 0);
    amqp_backoff_succeeded(&backoff);
    assert_int_equal(amqp_backoff_wait_ms(&backoff, 0), 0);
    assert_wait(amqp_backoff_failed(&backoff, 0), 2000);
}

static void
hosts_take_turns_and_only_a_round_is_worth_a_pause(void **state)
{
    AmqpBackoffPolicy policy = defaults;
    AmqpBackoff backoff;

    (void)state;
    policy.n_hosts = 3;
    amqp_backoff_init(&backoff, &policy, 7);
    assert_int_equal(backoff.host, 0);
    assert_wait(amqp_backoff_failed(&backoff, 0), 1000);
    assert_int_equal(backoff.host, 1);
    assert_wait(amqp_backoff_failed(&backoff, 0), 1000);
    assert_int_equal(backoff.host, 2);
    assert_wait(amqp_backoff_failed(&backoff, 0), 2000);
    assert_int_equal(backoff.host, 0);
    assert_wait(amqp_backoff_failed(&backoff, 0), 1000);
}

static void
the_wait_counts_down(void **state)
{
    AmqpBackoff backoff;
    int64_t wait;

    (void)state;
    amqp_backoff_init(&backoff, &defaults, 7);
    wait = amqp_backoff_failed(&backoff, 5000);
    assert_int_equal(amqp_backoff_wait_ms(&backoff, 5000), wait);
    assert_int_equal(amqp_backoff_wait_ms(&backoff, 5000 + wait / 2), wait - wait / 2);
    assert_int_equal(amqp_backoff_wait_ms(&backoff, 5000 + wait), 0);
}

static void
agents_do_not_come_back_in_the_same_instant(void **state)
{
    g_autoptr(GHashTable) waits = g_hash_table_new(NULL, NULL);

    (void)state;
    for (uint32_t seed = 0; seed < 100; seed++) {
        AmqpBackoff backoff;

        amqp_backoff_init(&backoff, &defaults, seed * 2654435761u);
        g_hash_table_add(waits, GINT_TO_POINTER((int)amqp_backoff_failed(&backoff, 0)));
    }
    assert_true(g_hash_table_size(waits) > 30);
}

static void
shuffle_stays_within_the_hosts(void **state)
{
    AmqpBackoffPolicy policy = defaults;
    AmqpBackoff backoff;

    (void)state;
    policy.n_hosts = 3;
    policy.shuffle_hosts = true;
    amqp_backoff_init(&backoff, &policy, 7);
    for (int i = 0; i < 50; i++) {
        amqp_backoff_failed(&backoff, 0);
        assert_in_range(backoff.host, 0, 2);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_to_the_maximum),
        cmocka_unit_test(success_starts_over),
        cmocka_unit_test(hosts_take_turns_and_only_a_round_is_worth_a_pause),
        cmocka_unit_test(the_wait_counts_down),
        cmocka_unit_test(agents_do_not_come_back_in_the_same_instant),
        cmocka_unit_test(shuffle_stays_within_the_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
