/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When to try the broker again and at which of its hosts: no socket and no clock in here, callers
 * say what time it is (monotonic milliseconds).
 *
 * kombu's and oslo.messaging's rules: hosts shuffled once, then in turn; the wait starts at
 * rabbit_retry_interval, grows by rabbit_retry_backoff after each round through the hosts up to
 * rabbit_interval_max; kombu_reconnect_delay (plus splay) comes on top. A tenth of jitter is ours,
 * so that a thousand agents do not return in the same instant. */

#include <stdbool.h>
#include <stdint.h>

typedef struct AmqpBackoffPolicy {
    unsigned n_hosts;
    int64_t interval_start_ms;
    int64_t interval_step_ms;
    int64_t interval_max_ms;
    int64_t delay_ms;  /* kombu_reconnect_delay */
    int64_t splay_ms;  /* kombu_reconnect_splay */
    bool shuffle_hosts; /* a random host each time instead of the next one */
} AmqpBackoffPolicy;

/* Only the thread that owns the link. */
typedef struct AmqpBackoff {
    AmqpBackoffPolicy policy;
    uint32_t random;     /* state of the jitter */
    unsigned host;       /* index of the host to try next */
    unsigned failures;   /* since the last success */
    int64_t next_try_ms; /* not before */
} AmqpBackoff;

void amqp_backoff_init(AmqpBackoff *backoff, const AmqpBackoffPolicy *policy, uint32_t seed);
/* Connected and of use: the next failure starts from the shortest wait again. */
void amqp_backoff_succeeded(AmqpBackoff *backoff);
/* Returns the wait in milliseconds and turns to the next host. */
int64_t amqp_backoff_failed(AmqpBackoff *backoff, int64_t now_ms);
/* How long from 'now' until the next try is due; 0 when it is. */
int64_t amqp_backoff_wait_ms(const AmqpBackoff *backoff, int64_t now_ms);
