/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One connection to the broker with one channel: connect, log in, TLS, heartbeats, declare,
 * publish, and what arrives as events. Only its owner thread may touch it, except for
 * amqp_link_wake() and amqp_link_interrupt().
 *
 * The owner's loop:   for (;;) { amqp_link_next(link, due, &event); ... amqp_event_clear(&event); }
 * While the link is down amqp_link_next() connects again when its back-off says so, so a loop like
 * that is all that reconnecting takes. (oslo_messaging impl_rabbit.Connection.) */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/rpc/transport_settings.h"

typedef struct AmqpLink AmqpLink;

typedef enum AmqpEventKind {
    AMQP_EVENT_NONE,      /* the time is over, or amqp_link_wake() */
    AMQP_EVENT_CONNECTED, /* a new link: nothing is declared on it */
    AMQP_EVENT_LOST,      /* the link is gone with all that was unconfirmed; logged already */
    AMQP_EVENT_DELIVERY,
    AMQP_EVENT_RETURNED,  /* a mandatory message without a queue; its confirm comes after it */
    AMQP_EVENT_CONFIRMED,
    AMQP_EVENT_REFUSED,   /* basic.nack */
    AMQP_EVENT_CANCELLED, /* the broker ended a consumer: its queue is gone */
} AmqpEventKind;

typedef struct AmqpEvent {
    AmqpEventKind kind;
    uint64_t delivery_tag; /* DELIVERY, CONFIRMED, REFUSED */
    bool multiple;         /* CONFIRMED, REFUSED: all up to the tag */
    bool is_redelivered;
    bool is_too_large;     /* DELIVERY: over RPC_MAX_BODY_BYTES, body left out */
    char *compression;     /* DELIVERY: that header, or NULL; the body is as it came */
    int64_t stream_offset; /* DELIVERY: header x-stream-offset, or -1 */
    char *consumer_tag;    /* DELIVERY, CANCELLED */
    char *routing_key;     /* DELIVERY, RETURNED */
    char *body;            /* DELIVERY, RETURNED; with a NUL behind it that is not counted */
    size_t length;
} AmqpEvent;

void amqp_event_clear(AmqpEvent *event);

typedef enum AmqpQueueRole {
    AMQP_QUEUE_TOPIC,
    AMQP_QUEUE_FANOUT,
    AMQP_QUEUE_REPLY,
} AmqpQueueRole;

/* 'purpose' ("listen", "reply", "send") goes into logs. Connects in amqp_link_next(). */
AmqpLink *amqp_link_new(const TransportSettings *settings, const char *purpose);
/* Closes in good order when it can be done within a second. */
void amqp_link_free(AmqpLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AmqpLink, amqp_link_free)

/* Waits until something happened, at most until 'deadline_ms' (amqp_now_ms(); -1: no limit). */
void amqp_link_next(AmqpLink *link, int64_t deadline_ms, AmqpEvent *ret_event);
bool amqp_link_is_open(const AmqpLink *link);

/* Any thread: makes amqp_link_next() return. */
void amqp_link_wake(AmqpLink *link);
/* Any thread: breaks the socket under whatever the owner is stuck in; the link is then not
 * opened again. For shutting down. */
void amqp_link_interrupt(AmqpLink *link);

/* Each of these returns false when the link broke or the broker refused, which closes the channel
 * and so ends the link as well: LOST follows, then, after the back-off, CONNECTED. The error is
 * MessageDeliveryFailure for a refusal, OSError for a broken link. */

/* Durable as the options say for that kind. Where the broker has a non-durable one already, the
 * next connection tries exchange and queue so, as oslo.messaging does. */
bool amqp_link_declare_topic_exchange(AmqpLink *link, const char *name, NovaError **err);
bool amqp_link_declare_fanout_exchange(AmqpLink *link, const char *name, NovaError **err);
/* Queue with the role's arguments, bound to 'exchange' (NULL: the default exchange, no bind).
 * ret_consumers (may be NULL): how many consume it already. */
bool amqp_link_declare_queue(AmqpLink *link, AmqpQueueRole role, const char *name,
                             const char *exchange, const char *routing_key,
                             unsigned *ret_consumers, NovaError **err);
/* stream_offset < 0: "last"; only used for stream queues. */
bool amqp_link_consume(AmqpLink *link, AmqpQueueRole role, const char *queue,
                       const char *consumer_tag, int64_t stream_offset, NovaError **err);
bool amqp_link_cancel(AmqpLink *link, const char *consumer_tag, NovaError **err);
bool amqp_link_delete_queue(AmqpLink *link, const char *name, NovaError **err);
bool amqp_link_ack(AmqpLink *link, uint64_t delivery_tag, NovaError **err);
bool amqp_link_reject(AmqpLink *link, uint64_t delivery_tag, NovaError **err);
/* ret_tag: what its confirm will name. expiration_ms 0: none. */
bool amqp_link_publish(AmqpLink *link, const char *exchange, const char *routing_key,
                       bool is_mandatory, int64_t expiration_ms, const char *body, size_t length,
                       uint64_t *ret_tag, NovaError **err);

/* Gives the link up (LOST follows) with a reason for the log, and waits its back-off. */
void amqp_link_drop(AmqpLink *link, const char *reason);

/* CLOCK_MONOTONIC in milliseconds. */
int64_t amqp_now_ms(void);
