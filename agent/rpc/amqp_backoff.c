/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/amqp_backoff.h"

#include <glib.h>

/* Numerical Recipes' generator: enough to spread agents, and the same everywhere. */
static uint32_t
next_random(AmqpBackoff *backoff)
{
    backoff->random = backoff->random * 1664525u + 1013904223u;
    return backoff->random >> 8;
}

static int64_t
random_up_to(AmqpBackoff *backoff, int64_t limit)
{
    return limit > 0 ? (int64_t)(next_random(backoff) % (uint64_t)(limit + 1)) : 0;
}

void
amqp_backoff_init(AmqpBackoff *backoff, const AmqpBackoffPolicy *policy, uint32_t seed)
{
    *backoff = (AmqpBackoff){.policy = *policy, .random = seed};
    if (backoff->policy.n_hosts == 0)
        backoff->policy.n_hosts = 1;
    next_random(backoff);
}

void
amqp_backoff_succeeded(AmqpBackoff *backoff)
{
    backoff->failures = 0;
    backoff->next_try_ms = 0;
}

/* Only a whole round through the hosts is worth a pause; before that the next host is tried. */
static int64_t
interval_ms(const AmqpBackoff *backoff)
{
    const AmqpBackoffPolicy *policy = &backoff->policy;
    unsigned rounds = backoff->failures / policy->n_hosts;

    if (backoff->failures % policy->n_hosts != 0)
        return 0;
    return MIN(policy->interval_start_ms + policy->interval_step_ms * (int64_t)(rounds - 1),
               policy->interval_max_ms);
}

int64_t
amqp_backoff_failed(AmqpBackoff *backoff, int64_t now_ms)
{
    const AmqpBackoffPolicy *policy = &backoff->policy;
    int64_t wait;

    if (backoff->failures < 1000000)
        backoff->failures++;
    wait = policy->delay_ms + random_up_to(backoff, policy->splay_ms) + interval_ms(backoff);
    wait += random_up_to(backoff, wait / 10);
    backoff->host = policy->shuffle_hosts ? next_random(backoff) % policy->n_hosts
                                          : (backoff->host + 1) % policy->n_hosts;
    backoff->next_try_ms = now_ms + wait;
    return wait;
}

int64_t
amqp_backoff_wait_ms(const AmqpBackoff *backoff, int64_t now_ms)
{
    return MAX(backoff->next_try_ms - now_ms, 0);
}
