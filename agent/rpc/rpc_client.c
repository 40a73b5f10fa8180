/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/rpc_client.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "agent/rpc/amqp_body.h"
#include "agent/rpc/amqp_link.h"
#include "agent/rpc/queue_names.h"
#include "agent/rpc/rpc_message.h"
#include "agent/rpc/rpc_thread.h"

#define LOG_NAME "kilonova.rpc.client"

#define CONSUMER_TAG "1"
#define CHECK_INTERVAL_MS 15000
#define JOIN_TIMEOUT_MS 3000

/* A call that waits; on its caller's stack, in the table while it waits. */
typedef struct PendingCall {
    pthread_cond_t changed;
    json_t *result;     /* guarded by the client's lock, all of them */
    NovaError *failure;
    bool is_done;
    int64_t sign_ms;    /* when the server last gave a sign of life */
} PendingCall;

struct RpcClient {
    const TransportSettings *settings; /* immutable */
    AmqpSender *sender;

    pthread_mutex_t lock;
    pthread_cond_t ready;
    GHashTable *calls;   /* msg_id → PendingCall*; guarded by lock */
    char *reply_q;       /* made by the first call; immutable from then on */
    AmqpLink *link;      /* of the reply thread; made with it */
    pthread_t thread;
    bool has_thread;     /* guarded by lock, these */
    bool is_ready;       /* the reply queue was consumed once */
    bool is_stopping;
};

/* --- the reply thread ------------------------------------------------------------------------- */

static void
deliver(RpcClient *client, RpcReply *reply)
{
    PendingCall *call;

    pthread_mutex_lock(&client->lock);
    call = g_hash_table_lookup(client->calls, reply->msg_id);
    if (!call || call->is_done) {
        pthread_mutex_unlock(&client->lock);
        LOG_INFO("No calling threads waiting for msg_id : %s", reply->msg_id);
        return;
    }
    call->sign_ms = amqp_now_ms();
    if (reply->failure) {
        nova_error_free(call->failure);
        call->failure = g_steal_pointer(&reply->failure);
    } else if (!json_is_null(reply->result)) {
        json_decref(call->result);
        call->result = json_incref(reply->result);
    }
    call->is_done = reply->is_ending;
    pthread_cond_signal(&call->changed);
    pthread_mutex_unlock(&client->lock);
}

static void
take_delivery(RpcClient *client, AmqpEvent *event)
{
    NovaError *error = NULL;
    g_autoptr(RpcReply) reply =
        amqp_body_open(event, &error) ? rpc_reply_parse(event->body, event->length, &error) : NULL;

    if (!reply) {
        LOG_ERROR("Failed to process message from %s ... skipping it: %s", client->reply_q,
                  nova_error_message(error));
        nova_error_free(error);
        amqp_link_reject(client->link, event->delivery_tag, NULL);
        return;
    }
    amqp_link_ack(client->link, event->delivery_tag, NULL);
    deliver(client, reply);
}

static void
subscribe(RpcClient *client)
{
    NovaError *error = NULL;

    if (!amqp_link_declare_queue(client->link, AMQP_QUEUE_REPLY, client->reply_q, NULL, NULL, NULL,
                                 &error) ||
        !amqp_link_consume(client->link, AMQP_QUEUE_REPLY, client->reply_q, CONSUMER_TAG, -1,
                           &error)) {
        LOG_ERROR("Failed to declare the reply queue %s: %s", client->reply_q,
                  nova_error_message(error));
        nova_error_free(error);
        return;
    }
    pthread_mutex_lock(&client->lock);
    client->is_ready = true;
    pthread_cond_broadcast(&client->ready);
    pthread_mutex_unlock(&client->lock);
}

static void
check_subscription(RpcClient *client)
{
    unsigned consumers = 1;

    if (amqp_link_declare_queue(client->link, AMQP_QUEUE_REPLY, client->reply_q, NULL, NULL,
                                &consumers, NULL) && consumers == 0)
        amqp_link_drop(client->link, "the consumer of the reply queue was lost");
}

static void
take_event(RpcClient *client, AmqpEvent *event)
{
    switch (event->kind) {
    case AMQP_EVENT_CANCELLED:
        LOG_WARNING("The reply queue %s is gone: declaring it anew", client->reply_q);
        subscribe(client);
        break;
    case AMQP_EVENT_CONNECTED:
        subscribe(client);
        break;
    case AMQP_EVENT_DELIVERY:
        take_delivery(client, event);
        break;
    default:
        break;
    }
}

static bool
is_stopping(RpcClient *client)
{
    bool result;

    pthread_mutex_lock(&client->lock);
    result = client->is_stopping;
    pthread_mutex_unlock(&client->lock);
    return result;
}

static void *
run_replies(void *data)
{
    RpcClient *client = data;
    int64_t check_ms = amqp_now_ms() + CHECK_INTERVAL_MS;

    while (!is_stopping(client)) {
        AmqpEvent event;

        amqp_link_next(client->link, check_ms, &event);
        take_event(client, &event);
        amqp_event_clear(&event);
        if (amqp_now_ms() >= check_ms) {
            check_subscription(client);
            check_ms = amqp_now_ms() + CHECK_INTERVAL_MS;
        }
    }
    return NULL;
}

/* Call with the lock held. */
static void
start_replies(RpcClient *client)
{
    client->reply_q = queue_names_make(client->settings, "reply_");
    client->link = amqp_link_new(client->settings, "reply");
    client->thread = rpc_thread_start("rpc-replies", run_replies, client);
    client->has_thread = true;
}

/* --- calls ---------------------------------------------------------------------------------------- */

static bool
fail_with_timeout(const char *msg_id, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_MESSAGING_TIMEOUT,
                          "Timed out waiting for a reply to message ID %s", msg_id);
}

/* The first call makes the reply queue and waits for it; a request sent before it exists could
 * be answered into the void. Call with the lock held. */
static bool
ensure_replies(RpcClient *client, const char *msg_id, int64_t deadline_ms, NovaError **err)
{
    if (!client->has_thread && !client->is_stopping)
        start_replies(client);
    while (!client->is_ready && !client->is_stopping)
        if (!monotonic_cond_wait(&client->ready, &client->lock, deadline_ms * 1000))
            return fail_with_timeout(msg_id, err);
    return !client->is_stopping || fail_with_timeout(msg_id, err);
}

static bool
begin_call(RpcClient *client, const char *msg_id, PendingCall *call, int64_t deadline_ms,
           NovaError **err)
{
    bool is_ready;

    monotonic_cond_init(&call->changed);
    pthread_mutex_lock(&client->lock);
    is_ready = ensure_replies(client, msg_id, deadline_ms, err);
    if (is_ready) {
        call->sign_ms = amqp_now_ms();
        g_hash_table_insert(client->calls, (gpointer)msg_id, call);
    }
    pthread_mutex_unlock(&client->lock);
    if (!is_ready)
        pthread_cond_destroy(&call->changed);
    return is_ready;
}

static void
end_call(RpcClient *client, const char *msg_id, PendingCall *call)
{
    pthread_mutex_lock(&client->lock);
    g_hash_table_remove(client->calls, msg_id);
    pthread_mutex_unlock(&client->lock);
    pthread_cond_destroy(&call->changed);
    json_decref(call->result);
    nova_error_free(call->failure);
}

static bool
wait_for_reply(RpcClient *client, const char *msg_id, PendingCall *call, int64_t deadline_ms,
               int monitor_s, NovaError **err)
{
    bool is_late = false;

    pthread_mutex_lock(&client->lock);
    while (!call->is_done && !client->is_stopping && !is_late) {
        int64_t due = deadline_ms;

        if (monitor_s > 0)
            due = MIN(due, call->sign_ms + monitor_s * (int64_t)1000);
        is_late = amqp_now_ms() >= due;
        if (!is_late)
            monotonic_cond_wait(&call->changed, &client->lock, due * 1000);
    }
    is_late = !call->is_done;
    pthread_mutex_unlock(&client->lock);
    return !is_late || fail_with_timeout(msg_id, err);
}

static char *
target_key(const RpcTarget *target)
{
    return target->server ? g_strdup_printf("%s.%s", target->topic, target->server)
                          : g_strdup(target->topic);
}

static bool
send_call(RpcClient *client, const RequestContext *ctx, const RpcTarget *target, const char *method,
          json_t *args, const char *msg_id, int64_t deadline_ms, int monitor_s, NovaError **err)
{
    g_autofree char *key = target_key(target);
    int64_t left_ms = MAX(deadline_ms - amqp_now_ms(), 1);
    g_autofree char *body = rpc_message_make_request(ctx, target->namespace, target->version,
                                                     method, args, msg_id, client->reply_q,
                                                     monitor_s > 0 ? monitor_s : -1);
    AmqpMessage message = {
        .destination = AMQP_TO_TOPIC,
        .exchange = client->settings->control_exchange,
        .routing_key = key,
        .body = body,
        .length = strlen(body),
        .expiration_ms = left_ms,
    };

    return amqp_sender_send(client->sender, &message, left_ms, err);
}

static json_t *
take_outcome(PendingCall *call, NovaError **err)
{
    if (call->failure) {
        nova_error_propagate(err, g_steal_pointer(&call->failure));
        return NULL;
    }
    return call->result ? g_steal_pointer(&call->result) : json_null();
}

json_t *
rpc_call(RpcClient *client, const RequestContext *ctx, const RpcTarget *target, const char *method,
         json_t *args, int timeout_s, int monitor_s, NovaError **err)
{
    g_autofree char *msg_id = rpc_new_id();
    int seconds = timeout_s > 0 ? timeout_s : client->settings->rpc_response_timeout_s;
    int64_t deadline_ms = amqp_now_ms() + seconds * (int64_t)1000;
    PendingCall call = {.is_done = false};
    json_t *result = NULL;

    if (!begin_call(client, msg_id, &call, deadline_ms, err))
        return NULL;
    if (send_call(client, ctx, target, method, args, msg_id, deadline_ms, monitor_s, err) &&
        wait_for_reply(client, msg_id, &call, deadline_ms, monitor_s, err))
        result = take_outcome(&call, err);
    end_call(client, msg_id, &call);
    return result;
}

/* --- casts and notifications ------------------------------------------------------------------------ */

static bool
send_and_wait(RpcClient *client, const AmqpMessage *message, const char *method G_GNUC_UNUSED,
              NovaError **err)
{
    bool ok;

    FAIL_POINT("rpc.cast:before", method);
    ok = amqp_sender_send(client->sender, message, -1, err);
    FAIL_POINT("rpc.cast:after", method);
    return ok;
}

bool
rpc_cast(RpcClient *client, const RequestContext *ctx, const RpcTarget *target, const char *method,
         json_t *args, NovaError **err)
{
    g_autofree char *key = target_key(target);
    g_autofree char *body = rpc_message_make_request(ctx, target->namespace, target->version,
                                                     method, args, NULL, NULL, -1);
    AmqpMessage message = {
        .destination = AMQP_TO_TOPIC,
        .exchange = client->settings->control_exchange,
        .routing_key = key,
        .body = body,
        .length = strlen(body),
    };

    return send_and_wait(client, &message, method, err);
}

bool
rpc_fanout(RpcClient *client, const RequestContext *ctx, const RpcTarget *target,
           const char *method, json_t *args, NovaError **err)
{
    g_autofree char *exchange = g_strconcat(target->topic, "_fanout", NULL);
    g_autofree char *body = rpc_message_make_request(ctx, target->namespace, target->version,
                                                     method, args, NULL, NULL, -1);
    AmqpMessage message = {
        .destination = AMQP_TO_FANOUT,
        .exchange = exchange,
        .routing_key = "",
        .body = body,
        .length = strlen(body),
    };

    return send_and_wait(client, &message, method, err);
}

void
rpc_notify(RpcClient *client, const RequestContext *ctx, const char *topic,
           const RpcNotification *notification)
{
    g_autofree char *level = g_ascii_strdown(notification->priority, -1);
    g_autofree char *key = g_strdup_printf("%s.%s", topic, level);
    g_autofree char *body = rpc_message_make_notification(ctx, notification);

    FAIL_POINT("rpc.notify:before", notification->event_type);
    amqp_sender_post(client->sender, &(AmqpMessage){
                                         .destination = AMQP_TO_NOTIFICATION,
                                         .exchange = client->settings->control_exchange,
                                         .routing_key = key,
                                         .body = body,
                                         .length = strlen(body),
                                         .retry = notification->retry,
                                     });
    FAIL_POINT("rpc.notify:after", notification->event_type);
}

/* --- making and freeing -------------------------------------------------------------------------------- */

RpcClient *
rpc_client_new(const TransportSettings *settings, AmqpSender *sender)
{
    RpcClient *client = g_new0(RpcClient, 1);

    client->settings = settings;
    client->sender = sender;
    pthread_mutex_init(&client->lock, NULL);
    monotonic_cond_init(&client->ready);
    client->calls = g_hash_table_new(g_str_hash, g_str_equal);
    return client;
}

/* Call with the lock held. */
static void
wake_callers(RpcClient *client)
{
    GHashTableIter iter;
    gpointer call;

    g_hash_table_iter_init(&iter, client->calls);
    while (g_hash_table_iter_next(&iter, NULL, &call))
        pthread_cond_signal(&((PendingCall *)call)->changed);
    pthread_cond_broadcast(&client->ready);
}

void
rpc_client_stop(RpcClient *client)
{
    bool has_thread;

    pthread_mutex_lock(&client->lock);
    client->is_stopping = true;
    has_thread = client->has_thread;
    client->has_thread = false;
    wake_callers(client);
    pthread_mutex_unlock(&client->lock);
    if (!has_thread)
        return;
    amqp_link_wake(client->link);
    rpc_thread_join(client->thread, JOIN_TIMEOUT_MS, client->link);
    amqp_link_free(g_steal_pointer(&client->link));
}

void
rpc_client_free(RpcClient *client)
{
    if (!client)
        return;
    rpc_client_stop(client);
    g_hash_table_unref(client->calls);
    g_free(client->reply_q);
    pthread_cond_destroy(&client->ready);
    pthread_mutex_destroy(&client->lock);
    g_free(client);
}
