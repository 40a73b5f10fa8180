/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/rpc_server.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "agent/rpc/amqp_body.h"
#include "agent/rpc/amqp_link.h"
#include "agent/rpc/queue_names.h"
#include "agent/rpc/rpc_message_private.h"
#include "agent/rpc/rpc_thread.h"

#define LOG_NAME "kilonova.rpc.server"

/* oslo.messaging remembers 16; after a broker's crash more acknowledgements than that may be lost. */
#define N_REMEMBERED_IDS 128
#define CHECK_INTERVAL_MS 15000
#define JOIN_TIMEOUT_MS 3000

/* The _unique_ids seen last, per topic: oslo.messaging has a listener for each. */
typedef struct SeenIds {
    char *ids[N_REMEMBERED_IDS];
    unsigned next;
} SeenIds;

/* One queue that is consumed. */
typedef struct Subscription {
    char *topic;
    AmqpQueueRole role;
    char *queue;
    char *exchange;
    char *routing_key;
    char tag[12];
    int64_t stream_offset; /* where to go on after a reconnect; -1: "last" */
    SeenIds *seen;         /* of the topic */
} Subscription;

struct RpcServer {
    const TransportSettings *settings; /* immutable: these down to thread */
    AmqpSender *sender;
    AmqpLink *link;
    RpcServerCallbacks callbacks;
    GPtrArray *subscriptions; /* Subscription*; the elements belong to the reader thread */
    GPtrArray *seen;          /* SeenIds*; the reader thread's */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping;    /* guarded by lock, these */
    bool is_joined;
    bool is_consuming;
};

/* --- answers ------------------------------------------------------------------------------------ */

typedef struct ReplyState {
    struct RpcReplyState base;
    AmqpSender *sender;
    int release;
    char *msg_id;
    char *reply_q;
    AmqpTimer *keepalives; /* NULL: none wanted */
    int is_answered;       /* atomic */
} ReplyState;

static void
post_reply(ReplyState *state, AmqpDestination destination, const char *body)
{
    amqp_sender_post(state->sender, &(AmqpMessage){
                                        .destination = destination,
                                        .routing_key = state->reply_q,
                                        .body = body,
                                        .length = strlen(body),
                                    });
}

static void
send_keepalive(void *data)
{
    ReplyState *state = data;
    g_autofree char *body = rpc_message_make_keepalive(state->msg_id);

    post_reply(state, AMQP_TO_REPLY_QUEUE_ONCE, body);
}

static void
stop_keepalives(ReplyState *state)
{
    AmqpTimer *timer = g_steal_pointer(&state->keepalives);

    amqp_sender_remove_timer(state->sender, timer);
}

static void
reply_state_free(struct RpcReplyState *base)
{
    ReplyState *state = (ReplyState *)base;

    stop_keepalives(state);
    g_free(state->msg_id);
    g_free(state->reply_q);
    g_free(state);
}

/* rpc/server.py: half the caller's _timeout, none when that is below a second. */
static void
start_keepalives(ReplyState *state, int timeout_s)
{
    int64_t interval_ms = timeout_s * (int64_t)500;

    if (timeout_s > 0 && interval_ms >= 1000)
        state->keepalives = amqp_sender_add_timer(state->sender, interval_ms, send_keepalive, state);
}

void
rpc_server_adopt_request(RpcServer *server, RpcRequest *request)
{
    ReplyState *state;

    if (!request->msg_id || !request->reply_q || request->reply)
        return;
    state = g_new0(ReplyState, 1);
    state->base.free = reply_state_free;
    state->sender = server->sender;
    state->release = server->settings->release;
    state->msg_id = g_strdup(request->msg_id);
    state->reply_q = g_strdup(request->reply_q);
    start_keepalives(state, request->timeout_s);
    request->reply = &state->base;
}

/* The state when this is the one time that an answer is due. */
static ReplyState *
take_answer(RpcRequest *request)
{
    ReplyState *state = (ReplyState *)request->reply;

    if (!state || __atomic_exchange_n(&state->is_answered, 1, __ATOMIC_ACQ_REL))
        return NULL;
    stop_keepalives(state);
    return state;
}

bool
rpc_request_wants_reply(const RpcRequest *request)
{
    const ReplyState *state = (const ReplyState *)request->reply;

    return state && !__atomic_load_n(&state->is_answered, __ATOMIC_ACQUIRE);
}

void
rpc_reply_result(RpcRequest *request, json_t *result)
{
    ReplyState *state = take_answer(request);
    g_autofree char *body = NULL;

    if (!state)
        return;
    body = rpc_message_make_reply(state->msg_id, result);
    post_reply(state, AMQP_TO_REPLY_QUEUE, body);
}

void
rpc_reply_failure(RpcRequest *request, const NovaError *failure)
{
    ReplyState *state = take_answer(request);
    g_autofree char *body = NULL;

    if (!state)
        return;
    body = rpc_message_make_failure(state->msg_id, failure, state->release);
    post_reply(state, AMQP_TO_REPLY_QUEUE, body);
}

/* --- one delivery ---------------------------------------------------------------------------------- */

static bool
is_seen(const SeenIds *seen, const char *id)
{
    for (unsigned i = 0; id && i < N_REMEMBERED_IDS; i++)
        if (seen->ids[i] && strcmp(seen->ids[i], id) == 0)
            return true;
    return false;
}

static bool
is_known(RpcServer *server, const char *id)
{
    return id && server->callbacks.is_known && server->callbacks.is_known(id, server->callbacks.data);
}

static void
remember(SeenIds *seen, const char *id)
{
    if (!id)
        return;
    g_free(seen->ids[seen->next]);
    seen->ids[seen->next] = g_strdup(id);
    seen->next = (seen->next + 1) % N_REMEMBERED_IDS;
}

static Subscription *
find_subscription(RpcServer *server, const char *tag)
{
    for (unsigned i = 0; i < server->subscriptions->len; i++) {
        Subscription *subscription = server->subscriptions->pdata[i];

        if (strcmp(subscription->tag, tag) == 0)
            return subscription;
    }
    return NULL;
}

static RpcRequest *
parse_delivery(AmqpEvent *event, NovaError **err)
{
    return amqp_body_open(event, err) ? rpc_request_parse(event->body, event->length, err) : NULL;
}

/* The journal sees the body as it came. False: the request must stay with the broker. */
static bool
keep_in_journal(RpcServer *server, RpcRequest *request, AmqpEvent *event)
{
    bool is_kept;

    if (!server->callbacks.journal)
        return true;
    request->raw = g_steal_pointer(&event->body);
    request->raw_length = event->length;
    is_kept = server->callbacks.journal(request, server->callbacks.data);
    g_clear_pointer(&request->raw, g_free);
    request->raw_length = 0;
    return is_kept;
}

/* A message that nobody can work on: its caller, if it has one, learns why. */
static void
refuse(RpcServer *server, RpcRequest *request)
{
    LOG_ERROR("A message for topic %s cannot be worked on: %s", request->topic,
              nova_error_message(request->defect));
    rpc_server_adopt_request(server, request);
    rpc_reply_failure(request, request->defect);
    rpc_request_free(request);
}

/* Takes ownership of the request. Read, journal, acknowledge, hand on. What could not be
 * acknowledged comes again, unless the journal has it: then it is worked on now, and its second
 * coming is a duplicate. */
static void
accept(RpcServer *server, Subscription *subscription, RpcRequest *request, AmqpEvent *event)
{
    NovaError *error = NULL;

    request->topic = g_strdup(subscription->topic);
    if (!request->defect && !keep_in_journal(server, request, event)) {
        LOG_ERROR("The journal did not take '%s'; the broker keeps it", request->method);
        rpc_request_free(request);
        amqp_link_drop(server->link, "the journal cannot be written");
        return;
    }
    if (!amqp_link_ack(server->link, event->delivery_tag, &error)) {
        LOG_WARNING("Discarding RPC request due to failed acknowledge: %s",
                    nova_error_message(error));
        nova_error_free(error);
        if (!server->callbacks.journal || request->defect) {
            rpc_request_free(request);
            return;
        }
    }
    remember(subscription->seen, request->unique_id);
    if (request->defect) {
        refuse(server, request);
        return;
    }
    LOG_DEBUG("received '%s' unique_id: %s msg_id: %s", request->method,
              request->unique_id ? request->unique_id : "-",
              request->msg_id ? request->msg_id : "-");
    rpc_server_adopt_request(server, request);
    server->callbacks.on_request(request, server->callbacks.data);
}

static void
take_delivery(RpcServer *server, AmqpEvent *event)
{
    Subscription *subscription = find_subscription(server, event->consumer_tag);
    NovaError *error = NULL;
    RpcRequest *request = parse_delivery(event, &error);

    if (!request || !subscription) {
        LOG_ERROR("Failed to process message from %s ... skipping it: %s",
                  subscription ? subscription->queue : event->consumer_tag,
                  error ? nova_error_message(error) : "unknown consumer");
        nova_error_free(error);
        rpc_request_free(request);
        amqp_link_reject(server->link, event->delivery_tag, NULL);
        return;
    }
    if (event->stream_offset >= 0)
        subscription->stream_offset = event->stream_offset + 1;
    if (is_seen(subscription->seen, request->unique_id) || is_known(server, request->unique_id)) {
        LOG_WARNING("ignoring duplicate message %s", request->unique_id);
        amqp_link_ack(server->link, event->delivery_tag, NULL);
        rpc_request_free(request);
        return;
    }
    accept(server, subscription, request, event);
}

/* --- declaring ------------------------------------------------------------------------------------- */

static bool
declare(RpcServer *server, Subscription *subscription, unsigned *ret_consumers, NovaError **err)
{
    bool is_declared = subscription->role == AMQP_QUEUE_FANOUT
                           ? amqp_link_declare_fanout_exchange(server->link, subscription->exchange, err)
                           : amqp_link_declare_topic_exchange(server->link, subscription->exchange, err);

    return is_declared && amqp_link_declare_queue(server->link, subscription->role,
                                                  subscription->queue, subscription->exchange,
                                                  subscription->routing_key, ret_consumers, err);
}

static bool
consume(RpcServer *server, Subscription *subscription, NovaError **err)
{
    return amqp_link_consume(server->link, subscription->role, subscription->queue,
                             subscription->tag, subscription->stream_offset, err);
}

static void
set_consuming(RpcServer *server, bool is_consuming)
{
    pthread_mutex_lock(&server->lock);
    server->is_consuming = is_consuming;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void
subscribe_all(RpcServer *server)
{
    NovaError *error = NULL;

    for (unsigned i = 0; i < server->subscriptions->len; i++) {
        Subscription *subscription = server->subscriptions->pdata[i];

        if (!declare(server, subscription, NULL, &error) ||
            !consume(server, subscription, &error)) {
            LOG_ERROR("Failed to declare consumer for topic '%s': %s", subscription->topic,
                      nova_error_message(error));
            nova_error_free(error);
            return;
        }
    }
    set_consuming(server, true);
}

/* The queue was deleted, expired, or its node went down. */
static void
resubscribe(RpcServer *server, const char *tag)
{
    Subscription *subscription = find_subscription(server, tag);
    NovaError *error = NULL;

    if (!subscription)
        return;
    LOG_WARNING("The broker cancelled the consumer of %s: declaring it anew", subscription->queue);
    subscription->stream_offset = -1;
    if (!declare(server, subscription, NULL, &error) || !consume(server, subscription, &error))
        LOG_ERROR("Failed to declare consumer for topic '%s': %s", subscription->topic,
                  nova_error_message(error));
    nova_error_free(error);
}

/* A queue or binding may vanish without a cancel. Declaring again changes nothing where all is
 * well; a queue of our own without a consumer means that the broker forgot us. */
static void
check_subscriptions(RpcServer *server)
{
    for (unsigned i = 0; i < server->subscriptions->len; i++) {
        Subscription *subscription = server->subscriptions->pdata[i];
        unsigned consumers = 1;

        if (!declare(server, subscription, &consumers, NULL))
            return;
        if (consumers == 0 && !(subscription->role == AMQP_QUEUE_FANOUT &&
                                server->settings->rabbit_stream_fanout)) {
            LOG_WARNING("Nobody consumes %s any more: connecting anew", subscription->queue);
            amqp_link_drop(server->link, "the consumer was lost");
            return;
        }
    }
}

/* --- the thread -------------------------------------------------------------------------------------- */

static bool
is_stopping(RpcServer *server)
{
    bool result;

    pthread_mutex_lock(&server->lock);
    result = server->is_stopping;
    pthread_mutex_unlock(&server->lock);
    return result;
}

static void
take_event(RpcServer *server, AmqpEvent *event)
{
    switch (event->kind) {
    case AMQP_EVENT_CONNECTED:
        subscribe_all(server);
        break;
    case AMQP_EVENT_LOST:
        set_consuming(server, false);
        break;
    case AMQP_EVENT_DELIVERY:
        take_delivery(server, event);
        break;
    case AMQP_EVENT_CANCELLED:
        resubscribe(server, event->consumer_tag);
        break;
    default:
        break;
    }
}

/* What oslo.messaging deletes on a clean stop: fanout queues with random names. */
static void
unsubscribe(RpcServer *server)
{
    bool deletes = !server->settings->rabbit_stream_fanout && !server->settings->use_queue_manager;

    for (unsigned i = 0; i < server->subscriptions->len; i++) {
        Subscription *subscription = server->subscriptions->pdata[i];

        if (!amqp_link_cancel(server->link, subscription->tag, NULL))
            return;
        if (deletes && subscription->role == AMQP_QUEUE_FANOUT &&
            !amqp_link_delete_queue(server->link, subscription->queue, NULL))
            return;
    }
}

static void *
run_server(void *data)
{
    RpcServer *server = data;
    int64_t check_ms = amqp_now_ms() + CHECK_INTERVAL_MS;

    while (!is_stopping(server)) {
        AmqpEvent event;

        amqp_link_next(server->link, check_ms, &event);
        take_event(server, &event);
        amqp_event_clear(&event);
        if (amqp_now_ms() >= check_ms) {
            check_subscriptions(server);
            check_ms = amqp_now_ms() + CHECK_INTERVAL_MS;
        }
    }
    unsubscribe(server);
    set_consuming(server, false);
    return NULL;
}

/* --- making and freeing -------------------------------------------------------------------------------- */

static void
seen_ids_free(SeenIds *seen)
{
    for (unsigned i = 0; i < N_REMEMBERED_IDS; i++)
        g_free(seen->ids[i]);
    g_free(seen);
}

static void
subscription_free(Subscription *subscription)
{
    g_free(subscription->topic);
    g_free(subscription->queue);
    g_free(subscription->exchange);
    g_free(subscription->routing_key);
    g_free(subscription);
}

/* Takes ownership of queue and exchange. */
static void
add_subscription(RpcServer *server, SeenIds *seen, const char *topic, AmqpQueueRole role,
                 char *queue, char *exchange, const char *routing_key)
{
    Subscription *subscription = g_new0(Subscription, 1);

    subscription->topic = g_strdup(topic);
    subscription->role = role;
    subscription->queue = queue;
    subscription->exchange = exchange;
    subscription->routing_key = g_strdup(routing_key ? routing_key : queue);
    subscription->stream_offset = -1;
    subscription->seen = seen;
    snprintf(subscription->tag, sizeof(subscription->tag), "%u", server->subscriptions->len + 1);
    g_ptr_array_add(server->subscriptions, subscription);
}

static char *
fanout_queue_name(const TransportSettings *settings, const char *fanout)
{
    g_autofree char *prefix = g_strconcat(fanout, "_", NULL);

    return settings->rabbit_stream_fanout ? g_strdup(fanout) : queue_names_make(settings, prefix);
}

/* amqpdriver.listen(): the topic's shared queue, the server's own, the fanout queue. */
static void
add_topic(RpcServer *server, const char *topic, const char *name)
{
    const TransportSettings *settings = server->settings;
    g_autofree char *fanout = g_strconcat(topic, "_fanout", NULL);
    SeenIds *seen = g_new0(SeenIds, 1);

    g_ptr_array_add(server->seen, seen);
    add_subscription(server, seen, topic, AMQP_QUEUE_TOPIC, g_strdup(topic),
                     g_strdup(settings->control_exchange), NULL);
    add_subscription(server, seen, topic, AMQP_QUEUE_TOPIC, g_strdup_printf("%s.%s", topic, name),
                     g_strdup(settings->control_exchange), NULL);
    add_subscription(server, seen, topic, AMQP_QUEUE_FANOUT, fanout_queue_name(settings, fanout),
                     g_strdup(fanout), topic);
}

RpcServer *
rpc_server_new(const TransportSettings *settings, AmqpSender *sender, const char *const *topics,
               const char *server_name, const RpcServerCallbacks *callbacks)
{
    RpcServer *server = g_new0(RpcServer, 1);

    server->settings = settings;
    server->sender = sender;
    server->link = amqp_link_new(settings, "listen");
    server->callbacks = *callbacks;
    server->subscriptions = g_ptr_array_new_with_free_func((GDestroyNotify)subscription_free);
    server->seen = g_ptr_array_new_with_free_func((GDestroyNotify)seen_ids_free);
    for (unsigned i = 0; topics[i]; i++)
        add_topic(server, topics[i], server_name);
    pthread_mutex_init(&server->lock, NULL);
    monotonic_cond_init(&server->changed);
    server->thread = rpc_thread_start("rpc-reader", run_server, server);
    return server;
}

bool
rpc_server_wait_consuming(RpcServer *server, int timeout_ms)
{
    int64_t deadline = timeout_ms < 0 ? MONOTONIC_NEVER : monotonic_after_ms(timeout_ms);
    bool result;

    pthread_mutex_lock(&server->lock);
    while (!server->is_consuming && !server->is_stopping &&
           monotonic_cond_wait(&server->changed, &server->lock, deadline))
        continue;
    result = server->is_consuming && !server->is_stopping;
    pthread_mutex_unlock(&server->lock);
    return result;
}

bool
rpc_server_is_consuming(RpcServer *server)
{
    return rpc_server_wait_consuming(server, 0);
}

void
rpc_server_stop(RpcServer *server)
{
    bool was_joined;

    pthread_mutex_lock(&server->lock);
    was_joined = server->is_joined;
    server->is_joined = true;
    server->is_stopping = true;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (was_joined)
        return;
    amqp_link_wake(server->link);
    rpc_thread_join(server->thread, JOIN_TIMEOUT_MS, server->link);
    amqp_link_free(g_steal_pointer(&server->link));
}

void
rpc_server_free(RpcServer *server)
{
    if (!server)
        return;
    rpc_server_stop(server);
    g_ptr_array_unref(server->subscriptions);
    g_ptr_array_unref(server->seen);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    g_free(server);
}
