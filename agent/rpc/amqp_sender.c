/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/amqp_sender.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "agent/rpc/amqp_link.h"
#include "agent/rpc/rpc_thread.h"

#define LOG_NAME "kilonova.rpc.sender"

#define RETURNED_RETRY_MS 250
#define REFUSED_RETRY_MS 1000
#define DEAD_QUEUE_MS 60000
#define MAX_DEAD_QUEUES 200
#define MAX_REFUSALS 3 /* then the message itself is at fault */
#define LARGE_BODY_BYTES (1024 * 1024) /* may be over the broker's max_message_size */
#define MAX_DROPPABLE_QUEUE 4096
#define JOIN_TIMEOUT_MS 3000

/* Owned by the queue or list it is in; one with a waiting caller also by that caller. */
typedef struct SendJob {
    AmqpDestination destination;
    char *exchange; /* NULL: the default one */
    char *routing_key;
    char *body;
    size_t length;
    int64_t expiration_ms;
    int64_t drop_ms; /* notifications that are to be forgotten; 0: never */

    /* Only the sender's thread. */
    uint64_t tag;
    int64_t not_before_ms;
    int64_t give_up_ms; /* returned replies; 0: not returned yet */
    unsigned refusals;
    bool was_returned;

    /* Guarded by the sender's lock. */
    bool has_waiter;
    bool is_done;
    NovaError *error; /* of a job that is done; NULL: confirmed */
} SendJob;

struct AmqpTimer {
    int64_t interval_ms;
    int64_t due_ms;
    void (*tick)(void *data);
    void *data;
};

struct AmqpSender {
    const TransportSettings *settings; /* immutable, these three */
    AmqpLink *link;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t done;  /* a job with a waiter is done, or a tick has returned */
    GQueue queued;        /* SendJob*; guarded by lock */
    GQueue timers;        /* AmqpTimer*; guarded by lock */
    AmqpTimer *ticking;   /* guarded by lock */
    int64_t stop_ms;      /* guarded by lock; 0: running, else when to stop lingering */
    bool is_connected;    /* guarded by lock */
    bool has_ended;       /* guarded by lock */
    bool has_dropped;     /* guarded by lock; said once for each time without a link */
    unsigned n_pending;   /* delayed and unconfirmed; guarded by lock */

    /* Only the sender's thread. */
    GQueue delayed;       /* SendJob* that wait for their time */
    GQueue unconfirmed;   /* SendJob* in the order of their tags */
    GHashTable *declared; /* names of exchanges and queues declared on this link */
    GHashTable *dead;     /* reply queue → int64_t*: counts as gone until then */
};

static void
send_job_free(SendJob *job)
{
    g_free(job->exchange);
    g_free(job->routing_key);
    g_free(job->body);
    nova_error_free(job->error);
    g_free(job);
}

static bool
is_reply(const SendJob *job)
{
    return job->destination == AMQP_TO_REPLY_QUEUE || job->destination == AMQP_TO_REPLY_QUEUE_ONCE;
}

/* --- the end of a job ------------------------------------------------------------------------- */

/* Takes ownership of 'error'; a job nobody waits for is freed. */
static void
finish_job(AmqpSender *sender, SendJob *job, NovaError *error)
{
    bool has_waiter;

    pthread_mutex_lock(&sender->lock);
    has_waiter = job->has_waiter;
    if (has_waiter) {
        job->is_done = true;
        job->error = error;
        pthread_cond_broadcast(&sender->done);
    }
    pthread_mutex_unlock(&sender->lock);
    if (has_waiter)
        return;
    if (error)
        LOG_ERROR("Failed to publish message to '%s': %s", job->routing_key,
                  nova_error_message(error));
    nova_error_free(error);
    send_job_free(job);
}

static void
fail_job(AmqpSender *sender, SendJob *job, const char *reason)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_MESSAGE_DELIVERY_FAILURE, "%s", reason);
    finish_job(sender, job, error);
}

/* A call whose caller has given up: what was asked must not happen that much later. */
static bool
is_given_up(AmqpSender *sender, const SendJob *job)
{
    bool has_waiter;

    pthread_mutex_lock(&sender->lock);
    has_waiter = job->has_waiter;
    pthread_mutex_unlock(&sender->lock);
    return job->expiration_ms > 0 && !has_waiter;
}

static void
delay_job(AmqpSender *sender, SendJob *job, int64_t wait_ms)
{
    job->not_before_ms = amqp_now_ms() + wait_ms;
    job->was_returned = false;
    g_queue_push_tail(&sender->delayed, job);
}

/* --- reply queues that are gone --------------------------------------------------------------- */

static bool
is_dead_queue(AmqpSender *sender, const char *name)
{
    const int64_t *until = g_hash_table_lookup(sender->dead, name);

    if (!until)
        return false;
    if (amqp_now_ms() < *until)
        return true;
    g_hash_table_remove(sender->dead, name);
    return false;
}

static gboolean
is_over(gpointer key, gpointer value, gpointer now)
{
    (void)key;
    return *(int64_t *)value <= *(int64_t *)now;
}

static void
remember_dead_queue(AmqpSender *sender, const char *name)
{
    int64_t now = amqp_now_ms();
    int64_t *until = g_new(int64_t, 1);

    g_hash_table_foreach_remove(sender->dead, is_over, &now);
    if (g_hash_table_size(sender->dead) >= MAX_DEAD_QUEUES)
        g_hash_table_remove_all(sender->dead);
    *until = now + DEAD_QUEUE_MS;
    g_hash_table_replace(sender->dead, g_strdup(name), until);
}

/* A mandatory message came back: its queue does not exist, perhaps not yet again. */
static void
retry_returned(AmqpSender *sender, SendJob *job)
{
    int64_t now = amqp_now_ms();
    int patience_s = sender->settings->kombu_missing_consumer_retry_timeout_s;

    if (job->destination == AMQP_TO_REPLY_QUEUE_ONCE) {
        LOG_DEBUG("keep-alive dropped: reply queue %s is missing", job->routing_key);
        finish_job(sender, job, NULL);
        return;
    }
    if (job->give_up_ms == 0)
        job->give_up_ms = now + patience_s * (int64_t)1000;
    if (now < job->give_up_ms) {
        delay_job(sender, job, RETURNED_RETRY_MS);
        return;
    }
    LOG_ERROR("A reply failed to send after %d seconds due to a missing queue (%s). Abandoning...",
              patience_s, job->routing_key);
    remember_dead_queue(sender, job->routing_key);
    finish_job(sender, job, NULL);
}

/* --- publishing ------------------------------------------------------------------------------- */

static bool
declare_once(AmqpSender *sender, const SendJob *job, NovaError **err)
{
    g_autofree char *key = g_strdup_printf("%s\n%s", job->exchange,
                                           job->destination == AMQP_TO_NOTIFICATION
                                               ? job->routing_key : "");

    if (g_hash_table_contains(sender->declared, key))
        return true;
    if (job->destination == AMQP_TO_FANOUT) {
        if (!amqp_link_declare_fanout_exchange(sender->link, job->exchange, err))
            return false;
    } else if (!amqp_link_declare_topic_exchange(sender->link, job->exchange, err)) {
        return false;
    }
    if (job->destination == AMQP_TO_NOTIFICATION &&
        !amqp_link_declare_queue(sender->link, AMQP_QUEUE_TOPIC, job->routing_key, job->exchange,
                                 job->routing_key, NULL, err))
        return false;
    g_hash_table_add(sender->declared, g_steal_pointer(&key));
    return true;
}

static bool
publish(AmqpSender *sender, SendJob *job, NovaError **err)
{
    bool mandatory = is_reply(job) && sender->settings->direct_mandatory_flag;

    if (job->exchange && !declare_once(sender, job, err))
        return false;
    return amqp_link_publish(sender->link, job->exchange, job->routing_key, mandatory,
                             job->expiration_ms, job->body, job->length, &job->tag, err);
}

/* The link is down now. A message that the broker refuses again and again is not sent any more. */
static void
take_publish_failure(AmqpSender *sender, SendJob *job, NovaError *error)
{
    if (nova_error_is(error, NOVA_ERROR_MESSAGE_DELIVERY_FAILURE))
        job->refusals++;
    if (job->destination == AMQP_TO_REPLY_QUEUE_ONCE || job->refusals > MAX_REFUSALS) {
        finish_job(sender, job, g_steal_pointer(&error));
        return;
    }
    nova_error_free(error);
    pthread_mutex_lock(&sender->lock);
    g_queue_push_head(&sender->queued, job);
    pthread_mutex_unlock(&sender->lock);
}

static SendJob *
pop_queued(AmqpSender *sender)
{
    SendJob *job;

    pthread_mutex_lock(&sender->lock);
    job = g_queue_pop_head(&sender->queued);
    pthread_mutex_unlock(&sender->lock);
    return job;
}

/* True once for each time that the link was away. */
static bool
is_first_drop(AmqpSender *sender)
{
    bool is_first;

    pthread_mutex_lock(&sender->lock);
    is_first = !sender->has_dropped;
    sender->has_dropped = true;
    pthread_mutex_unlock(&sender->lock);
    return is_first;
}

/* A notification that waited for the link longer than its retries. */
static bool
is_stale(AmqpSender *sender, const SendJob *job)
{
    if (job->drop_ms == 0 || amqp_now_ms() < job->drop_ms)
        return false;
    if (is_first_drop(sender))
        LOG_WARNING("Could not send notification to %s: dropped, and others with it",
                    job->routing_key);
    return true;
}

static void
publish_queued(AmqpSender *sender)
{
    SendJob *job;

    while (amqp_link_is_open(sender->link) && (job = pop_queued(sender))) {
        NovaError *error = NULL;

        if ((is_reply(job) && is_dead_queue(sender, job->routing_key)) || is_stale(sender, job) ||
            is_given_up(sender, job))
            finish_job(sender, job, NULL);
        else if (publish(sender, job, &error))
            g_queue_push_tail(&sender->unconfirmed, job);
        else
            take_publish_failure(sender, job, error);
    }
}

/* --- what the broker says --------------------------------------------------------------------- */

static void
settle(AmqpSender *sender, SendJob *job, bool is_refused)
{
    if (is_refused && job->destination != AMQP_TO_REPLY_QUEUE_ONCE)
        delay_job(sender, job, REFUSED_RETRY_MS);
    else if (job->was_returned)
        retry_returned(sender, job);
    else
        finish_job(sender, job, NULL);
}

static void
take_confirm(AmqpSender *sender, const AmqpEvent *event)
{
    GList *item = sender->unconfirmed.head;

    while (item) {
        GList *next = item->next;
        SendJob *job = item->data;

        if (job->tag > event->delivery_tag)
            break;
        if (job->tag == event->delivery_tag || event->multiple) {
            g_queue_delete_link(&sender->unconfirmed, item);
            settle(sender, job, event->kind == AMQP_EVENT_REFUSED);
        }
        item = next;
    }
}

/* A return carries no tag, but queue and body, and comes before its confirm. */
static void
take_return(AmqpSender *sender, const AmqpEvent *event)
{
    for (GList *item = sender->unconfirmed.head; item; item = item->next) {
        SendJob *job = item->data;

        if (is_reply(job) && !job->was_returned && job->length == event->length &&
            strcmp(job->routing_key, event->routing_key) == 0 &&
            memcmp(job->body, event->body, job->length) == 0) {
            job->was_returned = true;
            return;
        }
    }
}

/* What was not confirmed goes out again, in its order, before what came later. */
static void
requeue_unconfirmed(AmqpSender *sender)
{
    SendJob *job;

    while ((job = g_queue_pop_tail(&sender->unconfirmed))) {
        job->was_returned = false;
        if (job->destination == AMQP_TO_REPLY_QUEUE_ONCE) {
            finish_job(sender, job, NULL);
            continue;
        }
        if (job->length > LARGE_BODY_BYTES && ++job->refusals > MAX_REFUSALS) {
            fail_job(sender, job, "the AMQP server closed the link whenever it was sent");
            continue;
        }
        pthread_mutex_lock(&sender->lock);
        g_queue_push_head(&sender->queued, job);
        pthread_mutex_unlock(&sender->lock);
    }
    g_hash_table_remove_all(sender->declared);
}

static void
set_connected(AmqpSender *sender, bool is_connected)
{
    pthread_mutex_lock(&sender->lock);
    sender->is_connected = is_connected;
    if (!is_connected)
        sender->has_dropped = false;
    pthread_mutex_unlock(&sender->lock);
}

static void
take_event(AmqpSender *sender, const AmqpEvent *event)
{
    switch (event->kind) {
    case AMQP_EVENT_CONNECTED:
        set_connected(sender, true);
        break;
    case AMQP_EVENT_LOST:
        set_connected(sender, false);
        requeue_unconfirmed(sender);
        break;
    case AMQP_EVENT_CONFIRMED:
    case AMQP_EVENT_REFUSED:
        take_confirm(sender, event);
        break;
    case AMQP_EVENT_RETURNED:
        take_return(sender, event);
        break;
    default:
        break;
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static int64_t
earlier(int64_t a, int64_t b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return MIN(a, b);
}

/* -1: nothing is due ever. */
static int64_t
next_due_ms(AmqpSender *sender)
{
    int64_t due = -1;

    for (GList *item = sender->delayed.head; item; item = item->next)
        due = earlier(due, ((SendJob *)item->data)->not_before_ms);
    pthread_mutex_lock(&sender->lock);
    for (GList *item = sender->timers.head; item; item = item->next)
        due = earlier(due, ((AmqpTimer *)item->data)->due_ms);
    if (sender->stop_ms > 0)
        due = earlier(due, sender->stop_ms);
    sender->n_pending = g_queue_get_length(&sender->delayed) +
                        g_queue_get_length(&sender->unconfirmed);
    pthread_mutex_unlock(&sender->lock);
    return due;
}

static void
release_delayed(AmqpSender *sender)
{
    int64_t now = amqp_now_ms();
    GList *item = sender->delayed.head;

    while (item) {
        GList *next = item->next;
        SendJob *job = item->data;

        if (job->not_before_ms <= now) {
            g_queue_delete_link(&sender->delayed, item);
            pthread_mutex_lock(&sender->lock);
            g_queue_push_tail(&sender->queued, job);
            pthread_mutex_unlock(&sender->lock);
        }
        item = next;
    }
}

/* Marks the timer as ticking, so that removing it waits. */
static AmqpTimer *
take_due_timer(AmqpSender *sender)
{
    int64_t now = amqp_now_ms();
    AmqpTimer *due = NULL;

    pthread_mutex_lock(&sender->lock);
    for (GList *item = sender->timers.head; item && !due; item = item->next) {
        AmqpTimer *timer = item->data;

        if (timer->due_ms <= now) {
            timer->due_ms = now + timer->interval_ms;
            due = sender->ticking = timer;
        }
    }
    pthread_mutex_unlock(&sender->lock);
    return due;
}

static void
run_timers(AmqpSender *sender)
{
    AmqpTimer *timer;

    while ((timer = take_due_timer(sender))) {
        timer->tick(timer->data);
        pthread_mutex_lock(&sender->lock);
        sender->ticking = NULL;
        pthread_cond_broadcast(&sender->done);
        pthread_mutex_unlock(&sender->lock);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

/* Told to stop, and either all is out or the time is over. */
static bool
may_end(AmqpSender *sender)
{
    bool result;

    pthread_mutex_lock(&sender->lock);
    result = sender->stop_ms > 0 &&
             (amqp_now_ms() >= sender->stop_ms ||
              (g_queue_is_empty(&sender->queued) && g_queue_is_empty(&sender->unconfirmed)));
    pthread_mutex_unlock(&sender->lock);
    return result;
}

static void
fail_all(AmqpSender *sender)
{
    SendJob *job;

    requeue_unconfirmed(sender);
    pthread_mutex_lock(&sender->lock);
    sender->has_ended = true;
    pthread_mutex_unlock(&sender->lock);
    while ((job = g_queue_pop_head(&sender->delayed)))
        fail_job(sender, job, "the service is stopping");
    while ((job = pop_queued(sender)))
        fail_job(sender, job, "the service is stopping");
}

static void *
run_sender(void *data)
{
    AmqpSender *sender = data;

    while (!may_end(sender)) {
        AmqpEvent event;

        amqp_link_next(sender->link, next_due_ms(sender), &event);
        take_event(sender, &event);
        amqp_event_clear(&event);
        run_timers(sender);
        release_delayed(sender);
        publish_queued(sender);
    }
    fail_all(sender);
    return NULL;
}

AmqpSender *
amqp_sender_new(const TransportSettings *settings)
{
    AmqpSender *sender = g_new0(AmqpSender, 1);

    sender->settings = settings;
    sender->link = amqp_link_new(settings, "send");
    pthread_mutex_init(&sender->lock, NULL);
    monotonic_cond_init(&sender->done);
    g_queue_init(&sender->queued);
    g_queue_init(&sender->timers);
    g_queue_init(&sender->delayed);
    g_queue_init(&sender->unconfirmed);
    sender->declared = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    sender->dead = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    sender->thread = rpc_thread_start("amqp-sender", run_sender, sender);
    return sender;
}

void
amqp_sender_stop(AmqpSender *sender, int linger_ms)
{
    bool is_first;

    pthread_mutex_lock(&sender->lock);
    is_first = sender->stop_ms == 0;
    if (is_first)
        sender->stop_ms = amqp_now_ms() + MAX(linger_ms, 0);
    pthread_mutex_unlock(&sender->lock);
    if (!is_first)
        return;
    amqp_link_wake(sender->link);
    rpc_thread_join(sender->thread, linger_ms + JOIN_TIMEOUT_MS, sender->link);
}

void
amqp_sender_free(AmqpSender *sender)
{
    if (!sender)
        return;
    amqp_sender_stop(sender, 0);
    amqp_link_free(sender->link);
    g_queue_clear_full(&sender->timers, g_free);
    g_hash_table_unref(sender->declared);
    g_hash_table_unref(sender->dead);
    pthread_cond_destroy(&sender->done);
    pthread_mutex_destroy(&sender->lock);
    g_free(sender);
}

/* --- for other threads ------------------------------------------------------------------------ */

static SendJob *
send_job_new(const AmqpMessage *message)
{
    SendJob *job = g_new0(SendJob, 1);

    job->destination = message->destination;
    job->exchange = g_strdup(message->exchange);
    job->routing_key = g_strdup(message->routing_key ? message->routing_key : "");
    job->body = g_malloc(message->length + 1);
    memcpy(job->body, message->body, message->length);
    job->length = message->length;
    job->expiration_ms = message->expiration_ms;
    return job;
}

/* Keep-alives are for now or never; notifications must not fill the memory of a deaf broker's
 * peer. Call with the lock held. */
static bool
is_accepted(const AmqpSender *sender, const AmqpMessage *message)
{
    if (sender->has_ended)
        return false;
    if (message->destination == AMQP_TO_REPLY_QUEUE_ONCE)
        return sender->is_connected;
    if (message->destination != AMQP_TO_NOTIFICATION)
        return true;
    return (sender->is_connected || message->retry != 0) &&
           g_queue_get_length((GQueue *)&sender->queued) < MAX_DROPPABLE_QUEUE;
}

/* How long that many attempts at the link take; 0: for ever. */
static int64_t
patience_ms(const TransportSettings *settings, int retry)
{
    int64_t patience = 0, pause = settings->rabbit_retry_interval_s;

    for (int i = 0; i < retry && i < 1000; i++) {
        patience += MIN(pause, settings->rabbit_interval_max_s) * 1000;
        pause += settings->rabbit_retry_backoff_s;
    }
    return patience;
}

void
amqp_sender_post(AmqpSender *sender, const AmqpMessage *message)
{
    SendJob *job = send_job_new(message);
    int64_t patience = patience_ms(sender->settings, message->retry);
    bool is_taken;

    job->drop_ms = patience ? amqp_now_ms() + patience : 0;
    pthread_mutex_lock(&sender->lock);
    is_taken = is_accepted(sender, message);
    if (is_taken)
        g_queue_push_tail(&sender->queued, job);
    pthread_mutex_unlock(&sender->lock);
    if (is_taken) {
        amqp_link_wake(sender->link);
        return;
    }
    if (message->destination == AMQP_TO_NOTIFICATION && is_first_drop(sender))
        LOG_WARNING("Could not send notification to %s: dropped, and others with it until the bus "
                    "is back", job->routing_key);
    else if (message->destination == AMQP_TO_REPLY_QUEUE)
        LOG_WARNING("A message to '%s' was dropped: it cannot be sent now", job->routing_key);
    send_job_free(job);
}

/* Waits until the job is done. True when it is; else it stays with the sender, who frees it. */
static bool
wait_for_job(AmqpSender *sender, SendJob *job, int64_t timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? MONOTONIC_NEVER : monotonic_after_ms(timeout_ms);

    while (!job->is_done && monotonic_cond_wait(&sender->done, &sender->lock, deadline))
        continue;
    if (!job->is_done)
        job->has_waiter = false;
    return job->is_done;
}

bool
amqp_sender_send(AmqpSender *sender, const AmqpMessage *message, int64_t timeout_ms, NovaError **err)
{
    SendJob *job = send_job_new(message);
    NovaError *error;
    bool is_done;

    job->has_waiter = true;
    pthread_mutex_lock(&sender->lock);
    if (sender->has_ended) {
        pthread_mutex_unlock(&sender->lock);
        send_job_free(job);
        return nova_error_set(err, NOVA_ERROR_MESSAGE_DELIVERY_FAILURE, "the service is stopping");
    }
    g_queue_push_tail(&sender->queued, job);
    amqp_link_wake(sender->link);
    is_done = wait_for_job(sender, job, timeout_ms);
    /* Still unsent: it will not be, its caller has gone. */
    if (!is_done && g_queue_remove(&sender->queued, job))
        send_job_free(job);
    pthread_mutex_unlock(&sender->lock);
    if (!is_done)
        return nova_error_set(err, NOVA_ERROR_MESSAGING_TIMEOUT,
                              "Timed out waiting for the AMQP server to take a message to %s",
                              message->routing_key ? message->routing_key : message->exchange);
    error = g_steal_pointer(&job->error);
    send_job_free(job);
    return error ? nova_error_propagate(err, error) : true;
}

AmqpTimer *
amqp_sender_add_timer(AmqpSender *sender, int64_t interval_ms, void (*tick)(void *data), void *data)
{
    AmqpTimer *timer = g_new0(AmqpTimer, 1);

    timer->interval_ms = MAX(interval_ms, 1);
    timer->due_ms = amqp_now_ms() + timer->interval_ms;
    timer->tick = tick;
    timer->data = data;
    pthread_mutex_lock(&sender->lock);
    g_queue_push_tail(&sender->timers, timer);
    pthread_mutex_unlock(&sender->lock);
    amqp_link_wake(sender->link);
    return timer;
}

void
amqp_sender_remove_timer(AmqpSender *sender, AmqpTimer *timer)
{
    if (!timer)
        return;
    pthread_mutex_lock(&sender->lock);
    g_queue_remove(&sender->timers, timer);
    while (sender->ticking == timer)
        pthread_cond_wait(&sender->done, &sender->lock);
    pthread_mutex_unlock(&sender->lock);
    g_free(timer);
}

bool
amqp_sender_is_connected(AmqpSender *sender)
{
    bool result;

    pthread_mutex_lock(&sender->lock);
    result = sender->is_connected;
    pthread_mutex_unlock(&sender->lock);
    return result;
}

unsigned
amqp_sender_queue_length(AmqpSender *sender)
{
    unsigned length;

    pthread_mutex_lock(&sender->lock);
    length = g_queue_get_length(&sender->queued) + sender->n_pending;
    pthread_mutex_unlock(&sender->lock);
    return length;
}
