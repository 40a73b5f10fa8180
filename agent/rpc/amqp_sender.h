/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one thread that publishes: requests, replies and notifications of the whole process.
 *
 * Callers of any thread hand it messages through a queue; it alone touches its link, matches the
 * broker's confirms and returns to messages, sends again what was not confirmed when a link broke
 * (receivers tell duplicates by _unique_id), and services heartbeats while idle. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/rpc/transport_settings.h"

typedef struct AmqpSender AmqpSender;
typedef struct AmqpTimer AmqpTimer;

typedef enum AmqpDestination {
    AMQP_TO_TOPIC,        /* topic exchange 'exchange', declared before */
    AMQP_TO_FANOUT,       /* fanout exchange 'exchange', declared before */
    AMQP_TO_REPLY_QUEUE,  /* default exchange, mandatory; returned: again every 0.25 s up to
                             kombu_missing_consumer_retry_timeout, then the queue counts as dead
                             for a minute and what goes there is dropped */
    AMQP_TO_REPLY_QUEUE_ONCE, /* keep-alives: as above, but dropped when returned or unsendable */
    AMQP_TO_NOTIFICATION, /* topic exchange, and the queue 'routing_key' declared and bound */
} AmqpDestination;

typedef struct AmqpMessage {
    AmqpDestination destination;
    const char *exchange;     /* NULL for reply queues */
    const char *routing_key;
    const char *body;         /* 'length' bytes */
    size_t length;
    int64_t expiration_ms;    /* 0: none */
    int retry;                /* notifications: how often the link may be tried for it before it is
                                 dropped; 0: sent only while there is a link, -1: no limit */
} AmqpMessage;

AmqpSender *amqp_sender_new(const TransportSettings *settings);
/* What is queued goes out first, for at most 'linger_ms'; waiting callers then fail with
 * MessageDeliveryFailure. */
void amqp_sender_stop(AmqpSender *sender, int linger_ms);
/* After stop; nobody may use it any more. */
void amqp_sender_free(AmqpSender *sender);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AmqpSender, amqp_sender_free)

/* Copies and returns at once. */
void amqp_sender_post(AmqpSender *sender, const AmqpMessage *message);
/* Copies and waits for the broker's confirm; timeout_ms < 0: until stopped. MessagingTimeout or
 * MessageDeliveryFailure. */
bool amqp_sender_send(AmqpSender *sender, const AmqpMessage *message, int64_t timeout_ms,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Calls 'tick' on the sender's thread every interval, the first time after one interval. tick must
 * not block; it may post. */
AmqpTimer *amqp_sender_add_timer(AmqpSender *sender, int64_t interval_ms,
                                 void (*tick)(void *data), void *data);
/* Once this returns tick does not run and will not again. */
void amqp_sender_remove_timer(AmqpSender *sender, AmqpTimer *timer);

/* For state reports: is the link up, and how many messages wait. */
bool amqp_sender_is_connected(AmqpSender *sender);
unsigned amqp_sender_queue_length(AmqpSender *sender);
