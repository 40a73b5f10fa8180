/* SPDX-License-Identifier: Apache-2.0 */
/* The sender between callers and a link that breaks. The link stands in for agent/rpc/amqp_link.c at link time. */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "agent/rpc/amqp_link.h"
#include "agent/rpc/amqp_sender.h"

#define PATIENCE_MS 30000

/* ---- the link ---- */

struct AmqpLink {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    GQueue events;      /* AmqpEventKind, as pointers */
    bool is_woken;
    bool is_open;
    uint64_t n_published;
    GString *published; /* the bodies, in their order */
};

static AmqpLink broker = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int64_t
amqp_now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

void
amqp_event_clear(AmqpEvent *event)
{
    (void)event;
}

AmqpLink *
amqp_link_new(const TransportSettings *settings, const char *purpose)
{
    (void)settings;
    (void)purpose;
    return &broker;
}

void
amqp_link_free(AmqpLink *link)
{
    (void)link;
}

/* False when nothing happened in time. */
static bool
wait_for_change(int milliseconds)
{
    gint64 until_us = g_get_real_time() + milliseconds * (gint64)1000;
    struct timespec until = {until_us / G_USEC_PER_SEC, until_us % G_USEC_PER_SEC * 1000};

    return pthread_cond_timedwait(&broker.changed, &broker.lock, &until) == 0;
}

void
amqp_link_next(AmqpLink *link, int64_t deadline_ms, AmqpEvent *ret_event)
{
    (void)deadline_ms;
    *ret_event = (AmqpEvent){.kind = AMQP_EVENT_NONE};
    pthread_mutex_lock(&link->lock);
    while (!link->is_woken && g_queue_is_empty(&link->events) && wait_for_change(10))
        continue;
    link->is_woken = false;
    if (!g_queue_is_empty(&link->events))
        ret_event->kind = (AmqpEventKind)GPOINTER_TO_INT(g_queue_pop_head(&link->events));
    if (ret_event->kind == AMQP_EVENT_CONNECTED || ret_event->kind == AMQP_EVENT_LOST)
        link->is_open = ret_event->kind == AMQP_EVENT_CONNECTED;
    if (ret_event->kind == AMQP_EVENT_CONFIRMED || ret_event->kind == AMQP_EVENT_REFUSED) {
        ret_event->delivery_tag = link->n_published;
        ret_event->multiple = true;
    }
    pthread_mutex_unlock(&link->lock);
}

bool
amqp_link_is_open(const AmqpLink *link)
{
    return link->is_open; /* only the sender's thread asks */
}

void
amqp_link_wake(AmqpLink *link)
{
    pthread_mutex_lock(&link->lock);
    link->is_woken = true;
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
}

void
amqp_link_interrupt(AmqpLink *link)
{
    amqp_link_wake(link);
}

bool
amqp_link_declare_topic_exchange(AmqpLink *link, const char *name, NovaError **err)
{
    (void)link;
    (void)name;
    (void)err;
    return true;
}

bool
amqp_link_declare_fanout_exchange(AmqpLink *link, const char *name, NovaError **err)
{
    return amqp_link_declare_topic_exchange(link, name, err);
}

bool
amqp_link_declare_queue(AmqpLink *link, AmqpQueueRole role, const char *name, const char *exchange,
                        const char *routing_key, unsigned *ret_consumers, NovaError **err)
{
    (void)role;
    (void)exchange;
    (void)routing_key;
    (void)ret_consumers;
    return amqp_link_declare_topic_exchange(link, name, err);
}

bool
amqp_link_publish(AmqpLink *link, const char *exchange, const char *routing_key, bool is_mandatory,
                  int64_t expiration_ms, const char *body, size_t length, uint64_t *ret_tag, NovaError **err)
{
    (void)exchange;
    (void)routing_key;
    (void)is_mandatory;
    (void)expiration_ms;
    (void)err;
    pthread_mutex_lock(&link->lock);
    *ret_tag = ++link->n_published;
    g_string_append_len(link->published, body, (gssize)length);
    pthread_cond_broadcast(&link->changed);
    pthread_mutex_unlock(&link->lock);
    return true;
}

/* ---- the test's side of it ---- */

static void
happens(AmqpEventKind kind)
{
    pthread_mutex_lock(&broker.lock);
    g_queue_push_tail(&broker.events, GINT_TO_POINTER(kind));
    pthread_cond_broadcast(&broker.changed);
    pthread_mutex_unlock(&broker.lock);
}

/* Waits for that text; false when it does not come. */
static bool
is_published(const char *bodies)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE_MS * (gint64)1000;
    bool is_there;

    pthread_mutex_lock(&broker.lock);
    while (!(is_there = strcmp(broker.published->str, bodies) == 0) && g_get_monotonic_time() < deadline)
        wait_for_change(100);
    pthread_mutex_unlock(&broker.lock);
    return is_there;
}

static bool
has_published(const char *bodies)
{
    bool is_there;

    pthread_mutex_lock(&broker.lock);
    is_there = strcmp(broker.published->str, bodies) == 0;
    pthread_mutex_unlock(&broker.lock);
    return is_there;
}

/* Sent, but not confirmed while its caller waits; 'bodies' is all that the broker has then. */
static void
call_in_vain(AmqpSender *sender, const char *body, const char *bodies)
{
    AmqpMessage message = {.destination = AMQP_TO_TOPIC, .exchange = "nova", .routing_key = "conductor",
                           .body = body, .length = strlen(body), .expiration_ms = 50};

    do
        assert_false(amqp_sender_send(sender, &message, 50, NULL));
    while (!has_published(bodies)); /* it was still queued */
}

/* What has happened is known to the sender, and nothing waits to be sent. */
static bool
is_idle(AmqpSender *sender)
{
    gint64 deadline = g_get_monotonic_time() + PATIENCE_MS * (gint64)1000;
    bool has_news = true;

    while ((has_news || amqp_sender_queue_length(sender) > 0) && g_get_monotonic_time() < deadline) {
        g_usleep(10000);
        pthread_mutex_lock(&broker.lock);
        has_news = !g_queue_is_empty(&broker.events);
        pthread_mutex_unlock(&broker.lock);
    }
    return !has_news && amqp_sender_queue_length(sender) == 0;
}

static void
post(AmqpSender *sender, const char *body)
{
    amqp_sender_post(sender, &(AmqpMessage){.destination = AMQP_TO_REPLY_QUEUE, .routing_key = "reply_1",
                                            .body = body, .length = strlen(body)});
}

static int
set_up(void **state)
{
    static TransportSettings settings = {.kombu_missing_consumer_retry_timeout_s = 60};

    g_queue_init(&broker.events);
    broker.published = g_string_new(NULL);
    broker.n_published = 0;
    broker.is_open = broker.is_woken = false;
    *state = amqp_sender_new(&settings);
    return 0;
}

static int
tear_down(void **state)
{
    amqp_sender_free(*state);
    g_string_free(broker.published, TRUE);
    return 0;
}

/* ---- promises ---- */

static void
test_unconfirmed_messages_go_out_again(void **state)
{
    happens(AMQP_EVENT_CONNECTED);
    post(*state, "a");
    post(*state, "b");
    assert_true(is_published("ab"));
    happens(AMQP_EVENT_LOST);
    happens(AMQP_EVENT_CONNECTED);
    assert_true(is_published("abab"));
}

/* "save" must not be carried out once its caller has taken it for failed. */
static void
test_call_that_timed_out_is_not_sent_again(void **state)
{
    happens(AMQP_EVENT_CONNECTED);
    call_in_vain(*state, "a", "a");
    happens(AMQP_EVENT_LOST);
    happens(AMQP_EVENT_CONNECTED);
    post(*state, "b");
    assert_true(is_published("ab"));
}

static void
test_refused_call_that_timed_out_is_not_sent_again(void **state)
{
    happens(AMQP_EVENT_CONNECTED);
    call_in_vain(*state, "a", "a");
    happens(AMQP_EVENT_REFUSED);
    assert_true(is_idle(*state));
    assert_true(has_published("a"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unconfirmed_messages_go_out_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_call_that_timed_out_is_not_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_call_that_timed_out_is_not_sent_again, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
