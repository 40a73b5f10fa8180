/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/amqp_link.h"

#include <amqp.h>
#include <amqp_framing.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/rpc/amqp_backoff.h"
#include "agent/rpc/amqp_connect.h"
#include "agent/rpc/rpc_message.h"

#define LOG_NAME "kilonova.rpc.link"

#define CHANNEL 1
#define FRAME_MAX_BYTES 131072
#define CONNECT_TIMEOUT_S 5   /* kombu's connect_timeout */
#define HANDSHAKE_TIMEOUT_S 10
#define RPC_TIMEOUT_S 20      /* electing a quorum queue's leader takes seconds */
#define CLOSE_TIMEOUT_S 1
#define MAX_QUEUED_IDLE_MS 20000

struct AmqpLink {
    const TransportSettings *settings;
    char *purpose;
    char *id;          /* uuid of the connection, in logs and in the broker's list */
    GPtrArray *hosts;  /* TransportHost*, borrowed from settings; shuffled once */
    int wake_fd;

    /* Only the owner thread. */
    AmqpBackoff backoff;
    amqp_connection_state_t connection; /* NULL: down */
    unsigned attempted_host;
    bool lost_is_due;       /* the owner has not heard yet that the link is gone */
    bool was_connected;
    bool use_nondurable;    /* the broker has the exchange so: declare it and its queues that way */
    uint64_t next_publish_tag;
    AmqpEvent partial;      /* a content whose frames are arriving */
    uint64_t body_left;
    bool in_content;
    size_t body_allocated;

    pthread_mutex_t lock;
    int socket;             /* guarded by lock; -1: none that may be shut down */
    bool is_interrupted;    /* guarded by lock */
};

int64_t
amqp_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
amqp_event_clear(AmqpEvent *event)
{
    g_free(event->compression);
    g_free(event->consumer_tag);
    g_free(event->routing_key);
    g_free(event->body);
    *event = (AmqpEvent){.kind = AMQP_EVENT_NONE, .stream_offset = -1};
}

/* --- making and freeing ----------------------------------------------------------------- */

static GPtrArray *
shuffled_hosts(const TransportUrl *url)
{
    GPtrArray *hosts = g_ptr_array_sized_new(url->hosts->len);

    for (unsigned i = 0; i < url->hosts->len; i++)
        g_ptr_array_add(hosts, url->hosts->pdata[i]);
    for (unsigned i = hosts->len; i > 1; i--) {
        unsigned other = g_random_int_range(0, (gint32)i);
        gpointer host = hosts->pdata[i - 1];

        hosts->pdata[i - 1] = hosts->pdata[other];
        hosts->pdata[other] = host;
    }
    return hosts;
}

AmqpLink *
amqp_link_new(const TransportSettings *settings, const char *purpose)
{
    AmqpLink *link = g_new0(AmqpLink, 1);
    AmqpBackoffPolicy policy = {
        .n_hosts = settings->url->hosts->len,
        .interval_start_ms = settings->rabbit_retry_interval_s * (int64_t)1000,
        .interval_step_ms = settings->rabbit_retry_backoff_s * (int64_t)1000,
        .interval_max_ms = settings->rabbit_interval_max_s * (int64_t)1000,
        .delay_ms = (int64_t)(settings->kombu_reconnect_delay_s * 1000),
        .splay_ms = (int64_t)(settings->kombu_reconnect_splay_s * 1000),
        .shuffle_hosts = settings->shuffle_failover,
    };

    link->settings = settings;
    link->purpose = g_strdup(purpose);
    link->id = g_uuid_string_random();
    link->hosts = shuffled_hosts(settings->url);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (link->wake_fd < 0)
        g_error("eventfd: %s", g_strerror(errno));
    link->socket = -1;
    pthread_mutex_init(&link->lock, NULL);
    amqp_backoff_init(&link->backoff, &policy, g_random_int());
    return link;
}

static void
set_socket(AmqpLink *link, int socket)
{
    pthread_mutex_lock(&link->lock);
    link->socket = socket;
    if (socket >= 0 && link->is_interrupted)
        shutdown(socket, SHUT_RDWR);
    pthread_mutex_unlock(&link->lock);
}

static bool
is_interrupted(AmqpLink *link)
{
    bool result;

    pthread_mutex_lock(&link->lock);
    result = link->is_interrupted;
    pthread_mutex_unlock(&link->lock);
    return result;
}

static void
forget_connection(AmqpLink *link)
{
    if (link->connection) {
        set_socket(link, -1);
        amqp_destroy_connection(link->connection);
        link->connection = NULL;
    }
    amqp_event_clear(&link->partial);
    link->in_content = false;
}

void
amqp_link_free(AmqpLink *link)
{
    if (!link)
        return;
    if (link->connection) {
        struct timeval timeout = {.tv_sec = CLOSE_TIMEOUT_S};

        amqp_set_rpc_timeout(link->connection, &timeout);
        amqp_connection_close(link->connection, AMQP_REPLY_SUCCESS);
    }
    forget_connection(link);
    g_ptr_array_unref(link->hosts);
    g_free(link->purpose);
    g_free(link->id);
    close(link->wake_fd);
    pthread_mutex_destroy(&link->lock);
    g_free(link);
}

bool
amqp_link_is_open(const AmqpLink *link)
{
    return link->connection != NULL;
}

void
amqp_link_wake(AmqpLink *link)
{
    uint64_t one = 1;

    /* EAGAIN means that it is awake already. */
    (void)!write(link->wake_fd, &one, sizeof(one));
}

void
amqp_link_interrupt(AmqpLink *link)
{
    pthread_mutex_lock(&link->lock);
    link->is_interrupted = true;
    if (link->socket >= 0)
        shutdown(link->socket, SHUT_RDWR);
    pthread_mutex_unlock(&link->lock);
    amqp_link_wake(link);
}

/* --- going down -------------------------------------------------------------------------- */

static const TransportHost *
current_host(const AmqpLink *link)
{
    return link->hosts->pdata[link->attempted_host];
}

/* The line that operators know from oslo.messaging. */
static void
log_unreachable(AmqpLink *link, const char *reason, int64_t wait_ms)
{
    const TransportHost *host = current_host(link);

    LOG_ERROR("[%s] AMQP server on %s:%d is unreachable: %s. Trying again in %d seconds.", link->id,
              host->hostname, host->port, reason, (int)((wait_ms + 999) / 1000));
}

void
amqp_link_drop(AmqpLink *link, const char *reason)
{
    if (!link->connection)
        return;
    forget_connection(link);
    link->lost_is_due = true;
    if (!is_interrupted(link))
        log_unreachable(link, reason, amqp_backoff_failed(&link->backoff, amqp_now_ms()));
}

static char *
describe_close(amqp_method_number_t id, const void *decoded)
{
    if (id == AMQP_CONNECTION_CLOSE_METHOD) {
        const amqp_connection_close_t *close = decoded;

        return g_strdup_printf("(%d) %.*s", close->reply_code, (int)close->reply_text.len,
                               (const char *)close->reply_text.bytes);
    }
    if (id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = decoded;

        return g_strdup_printf("(%d) %.*s", close->reply_code, (int)close->reply_text.len,
                               (const char *)close->reply_text.bytes);
    }
    return g_strdup_printf("unexpected answer 0x%08x", id);
}

static char *
describe_status(int status)
{
    if (status == AMQP_STATUS_HEARTBEAT_TIMEOUT)
        return g_strdup("Too many heartbeats missed");
    if (status == AMQP_STATUS_CONNECTION_CLOSED || status == AMQP_STATUS_SOCKET_ERROR)
        return g_strdup("Server unexpectedly closed connection");
    if (status == AMQP_STATUS_SOCKET_INUSE || status == AMQP_STATUS_TCP_ERROR)
        return g_strdup_printf("%s: %s", amqp_error_string2(status), g_strerror(errno));
    return g_strdup(amqp_error_string2(status));
}

static char *
describe_reply(amqp_rpc_reply_t reply)
{
    switch (reply.reply_type) {
    case AMQP_RESPONSE_SERVER_EXCEPTION:
        return describe_close(reply.reply.id, reply.reply.decoded);
    case AMQP_RESPONSE_LIBRARY_EXCEPTION:
        return describe_status(reply.library_error);
    default:
        return g_strdup("no answer");
    }
}

/* oslo.messaging's fall-back for exchanges that another service declared before with less. */
static void
note_durability_conflict(AmqpLink *link, const char *what, const char *text)
{
    if (link->use_nondurable || !strstr(text, "inequivalent arg 'durable'"))
        return;
    LOG_WARNING("[%s] %s could not be declared probably because of conflicting configurations: %s. "
                "Trying a non durable one.", link->id, what, text);
    link->use_nondurable = true;
}

/* MessageDeliveryFailure when the broker refused what was asked, OSError when the link broke. Takes
 * ownership of 'text'. */
static bool
fail(AmqpLink *link, const char *what, char *text, bool is_refusal, NovaError **err)
{
    g_autofree char *reason = g_strdup_printf("%s: %s", what, text);

    note_durability_conflict(link, what, text);
    g_free(text);
    amqp_link_drop(link, reason);
    return nova_error_set(err, is_refusal ? NOVA_ERROR_MESSAGE_DELIVERY_FAILURE
                                          : NOVA_ERROR_OS_ERROR, "%s", reason);
}

static bool
check_status(AmqpLink *link, int status, const char *what, NovaError **err)
{
    return status == AMQP_STATUS_OK || fail(link, what, describe_status(status), false, err);
}

static bool
check_reply(AmqpLink *link, const char *what, NovaError **err)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(link->connection);

    return reply.reply_type == AMQP_RESPONSE_NORMAL ||
           fail(link, what, describe_reply(reply),
                reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
                    reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD, err);
}

static bool
need_open(AmqpLink *link, NovaError **err)
{
    return link->connection || nova_error_set(err, NOVA_ERROR_OS_ERROR,
                                              "the connection to the AMQP server is down");
}

/* --- connecting ------------------------------------------------------------------------------ */

/* A peer that vanished without a word must not hold a write or an idle link for long. */
static void
set_socket_options(AmqpLink *link, int fd)
{
    int seconds = link->settings->heartbeat_timeout_threshold_s;
    unsigned user_timeout_ms = (seconds > 0 ? seconds : 60) * 1000u;
    int on = 1, idle = 30, interval = 10, count = 3;

    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static amqp_table_entry_t
bool_entry(const char *key, bool value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = value},
    };
}

static amqp_table_entry_t
int_entry(const char *key, int64_t value)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(key)};

    if (value >= INT32_MIN && value <= INT32_MAX) {
        entry.value.kind = AMQP_FIELD_KIND_I32;
        entry.value.value.i32 = (int32_t)value;
    } else {
        entry.value.kind = AMQP_FIELD_KIND_I64;
        entry.value.value.i64 = value;
    }
    return entry;
}

/* 'value' must live as long as the entry. */
static amqp_table_entry_t
text_entry(const char *key, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)},
    };
}

static amqp_rpc_reply_t
login(AmqpLink *link, const TransportHost *host)
{
    const TransportSettings *settings = link->settings;
    g_autofree char *name = g_strdup_printf("%s:%d:%s", settings->program, (int)getpid(), link->id);
    amqp_table_entry_t capabilities[] = {
        bool_entry("authentication_failure_close", true),
        bool_entry("connection.blocked", true),
        bool_entry("consumer_cancel_notify", true),
    };
    amqp_table_entry_t properties[] = {
        text_entry("connection_name", name),
        {.key = amqp_cstring_bytes("capabilities"),
         .value = {.kind = AMQP_FIELD_KIND_TABLE,
                   .value.table = {G_N_ELEMENTS(capabilities), capabilities}}},
    };
    amqp_table_t table = {G_N_ELEMENTS(properties), properties};
    int heartbeat = settings->heartbeat_timeout_threshold_s;

    if (settings->login_external)
        return amqp_login_with_properties(link->connection, settings->url->virtual_host, 0,
                                          FRAME_MAX_BYTES, heartbeat, &table,
                                          AMQP_SASL_METHOD_EXTERNAL, host->username);
    return amqp_login_with_properties(link->connection, settings->url->virtual_host, 0,
                                      FRAME_MAX_BYTES, heartbeat, &table, AMQP_SASL_METHOD_PLAIN,
                                      host->username, host->password);
}

static bool
open_channel(AmqpLink *link, char **ret_reason)
{
    bool sends = strcmp(link->purpose, "send") == 0;
    int prefetch = link->settings->rabbit_qos_prefetch_count;
    amqp_rpc_reply_t reply;

    amqp_channel_open(link->connection, CHANNEL);
    reply = amqp_get_rpc_reply(link->connection);
    if (reply.reply_type == AMQP_RESPONSE_NORMAL && sends) {
        amqp_confirm_select(link->connection, CHANNEL);
        reply = amqp_get_rpc_reply(link->connection);
    } else if (reply.reply_type == AMQP_RESPONSE_NORMAL && prefetch > 0) {
        amqp_basic_qos(link->connection, CHANNEL, 0, (uint16_t)MIN(prefetch, UINT16_MAX), false);
        reply = amqp_get_rpc_reply(link->connection);
    }
    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return true;
    *ret_reason = describe_reply(reply);
    return false;
}

static bool
connect_to(AmqpLink *link, const TransportHost *host, char **ret_reason)
{
    struct timeval handshake = {.tv_sec = HANDSHAKE_TIMEOUT_S}, rpc = {.tv_sec = RPC_TIMEOUT_S};
    amqp_rpc_reply_t reply;

    link->connection = amqp_new_connection();
    if (!link->connection)
        g_error("amqp_new_connection: out of memory");
    amqp_set_handshake_timeout(link->connection, &handshake);
    amqp_set_rpc_timeout(link->connection, &rpc);
    if (!amqp_connect(link->connection, link->settings, host, CONNECT_TIMEOUT_S, ret_reason))
        return false;
    set_socket(link, amqp_get_sockfd(link->connection));
    set_socket_options(link, amqp_get_sockfd(link->connection));
    reply = login(link, host);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) {
        *ret_reason = describe_reply(reply);
        return false;
    }
    return open_channel(link, ret_reason);
}

static void
log_connected(AmqpLink *link, const TransportHost *host)
{
    if (link->was_connected)
        LOG_INFO("[%s] Reconnected to AMQP server on %s:%d via [amqp] client (%s).", link->id,
                 host->hostname, host->port, link->purpose);
    else
        LOG_DEBUG("[%s] Connected to AMQP server on %s:%d via [amqp] client (%s).", link->id,
                  host->hostname, host->port, link->purpose);
    link->was_connected = true;
}

static bool
try_connect(AmqpLink *link)
{
    g_autofree char *reason = NULL;
    const TransportHost *host;

    link->attempted_host = link->backoff.host % link->hosts->len;
    host = current_host(link);
    if (!connect_to(link, host, &reason)) {
        forget_connection(link);
        if (!is_interrupted(link))
            log_unreachable(link, reason ? reason : "unknown error",
                            amqp_backoff_failed(&link->backoff, amqp_now_ms()));
        return false;
    }
    link->next_publish_tag = 1;
    log_connected(link, host);
    return true;
}

/* --- reading ----------------------------------------------------------------------------------- */

static char *
dup_bytes(amqp_bytes_t bytes)
{
    return g_strndup(bytes.bytes, bytes.len);
}

static void
begin_content(AmqpLink *link, AmqpEventKind kind)
{
    amqp_event_clear(&link->partial);
    link->partial.kind = kind;
    link->in_content = true;
    link->body_left = 0;
    link->body_allocated = 0;
}

static void
take_headers(AmqpEvent *event, const amqp_table_t *headers)
{
    for (int i = 0; i < headers->num_entries; i++) {
        const amqp_table_entry_t *entry = &headers->entries[i];
        const amqp_field_value_t *value = &entry->value;
        bool is_text = value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES;

        if (entry->key.len == 11 && memcmp(entry->key.bytes, "compression", 11) == 0 && is_text &&
            !event->compression)
            event->compression = dup_bytes(value->value.bytes);
        if (entry->key.len == 15 && memcmp(entry->key.bytes, "x-stream-offset", 15) == 0 &&
            value->kind == AMQP_FIELD_KIND_I64)
            event->stream_offset = value->value.i64;
    }
}

static void
take_content_header(AmqpLink *link, const amqp_frame_t *frame)
{
    const amqp_basic_properties_t *properties = frame->payload.properties.decoded;

    link->body_left = frame->payload.properties.body_size;
    link->partial.is_too_large = link->body_left > RPC_MAX_BODY_BYTES;
    if (frame->payload.properties.class_id == AMQP_BASIC_CLASS &&
        (properties->_flags & AMQP_BASIC_HEADERS_FLAG))
        take_headers(&link->partial, &properties->headers);
}

/* Grows with what has arrived, not with what the header promised. */
static void
take_body(AmqpLink *link, amqp_bytes_t fragment)
{
    AmqpEvent *event = &link->partial;
    size_t needed = event->length + fragment.len + 1;

    link->body_left -= MIN((uint64_t)fragment.len, link->body_left);
    if (event->is_too_large)
        return;
    if (needed > link->body_allocated) {
        link->body_allocated = MAX(needed, link->body_left == 0 ? needed : needed * 2);
        event->body = g_realloc(event->body, link->body_allocated);
    }
    memcpy(event->body + event->length, fragment.bytes, fragment.len);
    event->length += fragment.len;
    event->body[event->length] = '\0';
}

static bool
finish_content(AmqpLink *link, AmqpEvent *ret_event)
{
    if (link->body_left > 0)
        return false;
    link->in_content = false;
    if (!link->partial.body)
        link->partial.body = g_strdup("");
    *ret_event = link->partial;
    link->partial = (AmqpEvent){.stream_offset = -1};
    return true;
}

static void
take_blocked(AmqpLink *link, const amqp_connection_blocked_t *blocked)
{
    LOG_ERROR("[%s] The broker has blocked the connection: %.*s", link->id,
              (int)blocked->reason.len, (const char *)blocked->reason.bytes);
}

/* True when the method alone is an event. */
static bool
take_method(AmqpLink *link, const amqp_method_t *method, AmqpEvent *event)
{
    g_autofree char *reason = NULL;

    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD: {
        const amqp_basic_deliver_t *deliver = method->decoded;

        begin_content(link, AMQP_EVENT_DELIVERY);
        link->partial.delivery_tag = deliver->delivery_tag;
        link->partial.is_redelivered = deliver->redelivered;
        link->partial.consumer_tag = dup_bytes(deliver->consumer_tag);
        link->partial.routing_key = dup_bytes(deliver->routing_key);
        return false;
    }
    case AMQP_BASIC_RETURN_METHOD:
        begin_content(link, AMQP_EVENT_RETURNED);
        link->partial.routing_key = dup_bytes(((amqp_basic_return_t *)method->decoded)->routing_key);
        return false;
    case AMQP_BASIC_ACK_METHOD:
        event->kind = AMQP_EVENT_CONFIRMED;
        event->delivery_tag = ((amqp_basic_ack_t *)method->decoded)->delivery_tag;
        event->multiple = ((amqp_basic_ack_t *)method->decoded)->multiple;
        return true;
    case AMQP_BASIC_NACK_METHOD:
        event->kind = AMQP_EVENT_REFUSED;
        event->delivery_tag = ((amqp_basic_nack_t *)method->decoded)->delivery_tag;
        event->multiple = ((amqp_basic_nack_t *)method->decoded)->multiple;
        return true;
    case AMQP_BASIC_CANCEL_METHOD:
        event->kind = AMQP_EVENT_CANCELLED;
        event->consumer_tag = dup_bytes(((amqp_basic_cancel_t *)method->decoded)->consumer_tag);
        return true;
    case AMQP_CONNECTION_CLOSE_METHOD:
    case AMQP_CHANNEL_CLOSE_METHOD:
        reason = describe_close(method->id, method->decoded);
        amqp_link_drop(link, reason);
        return false;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        take_blocked(link, method->decoded);
        return false;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        LOG_INFO("[%s] The broker has unblocked the connection", link->id);
        return false;
    default:
        return false;
    }
}

static bool
take_frame(AmqpLink *link, const amqp_frame_t *frame, AmqpEvent *ret_event)
{
    switch (frame->frame_type) {
    case AMQP_FRAME_METHOD:
        return take_method(link, &frame->payload.method, ret_event);
    case AMQP_FRAME_HEADER:
        if (!link->in_content)
            return false;
        take_content_header(link, frame);
        return finish_content(link, ret_event);
    case AMQP_FRAME_BODY:
        if (!link->in_content)
            return false;
        take_body(link, frame->payload.body_fragment);
        return finish_content(link, ret_event);
    default:
        return false;
    }
}

typedef enum ReadOutcome { READ_EVENT, READ_NOTHING, READ_DOWN } ReadOutcome;

/* Reads what is there, without waiting; librabbitmq sends and checks heartbeats meanwhile. */
static ReadOutcome
read_frames(AmqpLink *link, AmqpEvent *ret_event)
{
    while (link->connection) {
        struct timeval at_once = {0};
        amqp_frame_t frame;
        int status;

        amqp_maybe_release_buffers(link->connection);
        status = amqp_simple_wait_frame_noblock(link->connection, &frame, &at_once);
        if (status == AMQP_STATUS_TIMEOUT)
            return READ_NOTHING;
        if (status != AMQP_STATUS_OK) {
            g_autofree char *reason = describe_status(status);

            amqp_link_drop(link, reason);
            return READ_DOWN;
        }
        if (take_frame(link, &frame, ret_event))
            return READ_EVENT;
    }
    return READ_DOWN;
}

/* --- waiting ----------------------------------------------------------------------------------- */

static int
poll_timeout_ms(int64_t now_ms, int64_t deadline_ms, int64_t limit_ms)
{
    if (deadline_ms >= 0)
        limit_ms = MIN(limit_ms, MAX(deadline_ms - now_ms, 0));
    return (int)limit_ms;
}

/* Returns true when woken by amqp_link_wake(). */
static bool
wait_for_input(AmqpLink *link, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = link->wake_fd, .events = POLLIN},
                            {.fd = -1, .events = POLLIN}};
    uint64_t count;

    if (link->connection)
        fds[1].fd = amqp_get_sockfd(link->connection);
    if (poll(fds, 2, timeout_ms) <= 0)
        return false;
    return (fds[0].revents & POLLIN) && read(link->wake_fd, &count, sizeof(count)) > 0;
}

/* librabbitmq checks its heartbeats when it is asked to read: four times a period. */
static int64_t
idle_limit_ms(const AmqpLink *link)
{
    int64_t heartbeat_ms = amqp_get_heartbeat(link->connection) * (int64_t)1000;

    return heartbeat_ms > 0 ? MIN(heartbeat_ms / 4, MAX_QUEUED_IDLE_MS) : MAX_QUEUED_IDLE_MS;
}

/* One turn while the link is down; true when that made an event. */
static bool
work_on_connecting(AmqpLink *link, int64_t deadline_ms, bool *ret_is_over, AmqpEvent *ret_event)
{
    int64_t now = amqp_now_ms();
    bool may_connect = !is_interrupted(link);
    int64_t wait = may_connect ? amqp_backoff_wait_ms(&link->backoff, now) : G_MAXINT32;

    if (wait == 0) {
        if (!try_connect(link))
            return false;
        ret_event->kind = AMQP_EVENT_CONNECTED;
        return true;
    }
    *ret_is_over = wait_for_input(link, poll_timeout_ms(now, deadline_ms, wait));
    return false;
}

void
amqp_link_next(AmqpLink *link, int64_t deadline_ms, AmqpEvent *ret_event)
{
    bool is_over = false;

    *ret_event = (AmqpEvent){.kind = AMQP_EVENT_NONE, .stream_offset = -1};
    for (;;) {
        if (link->lost_is_due) {
            link->lost_is_due = false;
            ret_event->kind = AMQP_EVENT_LOST;
            return;
        }
        if (!link->connection) {
            if (work_on_connecting(link, deadline_ms, &is_over, ret_event))
                return;
        } else {
            ReadOutcome outcome = read_frames(link, ret_event);

            if (outcome == READ_EVENT)
                return;
            if (outcome == READ_DOWN)
                continue;
            /* Whoever owns it has declared what it needs and come back to wait: it works. */
            amqp_backoff_succeeded(&link->backoff);
            is_over = wait_for_input(link, poll_timeout_ms(amqp_now_ms(), deadline_ms,
                                                           idle_limit_ms(link)));
        }
        if (is_over || (deadline_ms >= 0 && amqp_now_ms() >= deadline_ms))
            return;
    }
}

/* --- commands ------------------------------------------------------------------------------------ */

static bool
declare_exchange(AmqpLink *link, const char *name, const char *type, bool durable,
                 bool auto_delete, NovaError **err)
{
    g_autofree char *what = g_strdup_printf("declaring exchange %s", name);

    if (!need_open(link, err))
        return false;
    amqp_exchange_declare(link->connection, CHANNEL, amqp_cstring_bytes(name),
                          amqp_cstring_bytes(type), false, durable, auto_delete, false,
                          amqp_empty_table);
    return check_reply(link, what, err);
}

static bool
topic_is_durable(const AmqpLink *link)
{
    const TransportSettings *settings = link->settings;

    return (settings->amqp_durable_queues || settings->rabbit_quorum_queue) &&
           !link->use_nondurable;
}

bool
amqp_link_declare_topic_exchange(AmqpLink *link, const char *name, NovaError **err)
{
    return declare_exchange(link, name, "topic", topic_is_durable(link),
                            link->settings->amqp_auto_delete, err);
}

bool
amqp_link_declare_fanout_exchange(AmqpLink *link, const char *name, NovaError **err)
{
    return declare_exchange(link, name, "fanout",
                            link->settings->rabbit_transient_quorum_queue && !link->use_nondurable,
                            true, err);
}

#define MAX_QUEUE_ARGUMENTS 6

/* impl_rabbit._get_queue_arguments(). */
static amqp_table_t
queue_arguments(const TransportSettings *settings, AmqpQueueRole role, amqp_table_entry_t *entries,
                char *max_age, size_t max_age_size)
{
    int64_t ttl_s = role == AMQP_QUEUE_TOPIC ? 0 : settings->rabbit_transient_queues_ttl_s;
    bool quorum = role == AMQP_QUEUE_TOPIC ? settings->rabbit_quorum_queue
                                           : settings->rabbit_transient_quorum_queue;
    int n = 0;

    if (role == AMQP_QUEUE_FANOUT && settings->rabbit_stream_fanout) {
        entries[n++] = text_entry("x-queue-type", "stream");
        g_snprintf(max_age, max_age_size, "%" G_GINT64_FORMAT "s", ttl_s);
        if (ttl_s > 0)
            entries[n++] = text_entry("x-max-age", max_age);
        return (amqp_table_t){n, entries};
    }
    if (settings->rabbit_ha_queues)
        entries[n++] = text_entry("x-ha-policy", "all");
    if (quorum) {
        entries[n++] = text_entry("x-queue-type", "quorum");
        if (settings->rabbit_quorum_delivery_limit)
            entries[n++] = int_entry("x-delivery-limit", settings->rabbit_quorum_delivery_limit);
        if (settings->rabbit_quorum_max_memory_length)
            entries[n++] = int_entry("x-max-in-memory-length",
                                     settings->rabbit_quorum_max_memory_length);
        if (settings->rabbit_quorum_max_memory_bytes)
            entries[n++] = int_entry("x-max-in-memory-bytes",
                                     settings->rabbit_quorum_max_memory_bytes);
    }
    if (ttl_s > 0)
        entries[n++] = int_entry("x-expires", ttl_s * 1000);
    return (amqp_table_t){n, entries};
}

static bool
queue_is_durable(const AmqpLink *link, AmqpQueueRole role)
{
    if (role == AMQP_QUEUE_TOPIC)
        return topic_is_durable(link);
    return link->settings->rabbit_transient_quorum_queue ||
           (role == AMQP_QUEUE_FANOUT && link->settings->rabbit_stream_fanout);
}

bool
amqp_link_declare_queue(AmqpLink *link, AmqpQueueRole role, const char *name, const char *exchange,
                        const char *routing_key, unsigned *ret_consumers, NovaError **err)
{
    g_autofree char *what = g_strdup_printf("declaring queue %s", name);
    amqp_table_entry_t entries[MAX_QUEUE_ARGUMENTS];
    char max_age[24];
    amqp_table_t arguments = queue_arguments(link->settings, role, entries, max_age,
                                             sizeof(max_age));
    bool auto_delete = role == AMQP_QUEUE_TOPIC && link->settings->amqp_auto_delete;
    amqp_queue_declare_ok_t *ok;

    if (!need_open(link, err))
        return false;
    ok = amqp_queue_declare(link->connection, CHANNEL, amqp_cstring_bytes(name), false,
                            queue_is_durable(link, role), false, auto_delete, arguments);
    if (!check_reply(link, what, err))
        return false;
    if (ret_consumers)
        *ret_consumers = ok ? ok->consumer_count : 0;
    if (!exchange)
        return true;
    amqp_queue_bind(link->connection, CHANNEL, amqp_cstring_bytes(name),
                    amqp_cstring_bytes(exchange), amqp_cstring_bytes(routing_key),
                    amqp_empty_table);
    return check_reply(link, what, err);
}

bool
amqp_link_consume(AmqpLink *link, AmqpQueueRole role, const char *queue, const char *consumer_tag,
                  int64_t stream_offset, NovaError **err)
{
    g_autofree char *what = g_strdup_printf("consuming %s", queue);
    amqp_table_entry_t entry;
    amqp_table_t arguments = {0, &entry};

    if (!need_open(link, err))
        return false;
    if (role == AMQP_QUEUE_FANOUT && link->settings->rabbit_stream_fanout) {
        entry = stream_offset < 0 ? text_entry("x-stream-offset", "last")
                                  : int_entry("x-stream-offset", stream_offset);
        arguments.num_entries = 1;
    } else if (link->settings->enable_cancel_on_failover) {
        entry = bool_entry("x-cancel-on-ha-failover", true);
        arguments.num_entries = 1;
    }
    amqp_basic_consume(link->connection, CHANNEL, amqp_cstring_bytes(queue),
                       amqp_cstring_bytes(consumer_tag), false, false, false, arguments);
    return check_reply(link, what, err);
}

bool
amqp_link_cancel(AmqpLink *link, const char *consumer_tag, NovaError **err)
{
    if (!need_open(link, err))
        return false;
    amqp_basic_cancel(link->connection, CHANNEL, amqp_cstring_bytes(consumer_tag));
    return check_reply(link, "cancelling a consumer", err);
}

bool
amqp_link_delete_queue(AmqpLink *link, const char *name, NovaError **err)
{
    if (!need_open(link, err))
        return false;
    amqp_queue_delete(link->connection, CHANNEL, amqp_cstring_bytes(name), false, false);
    return check_reply(link, "deleting a queue", err);
}

bool
amqp_link_ack(AmqpLink *link, uint64_t delivery_tag, NovaError **err)
{
    return need_open(link, err) &&
           check_status(link, amqp_basic_ack(link->connection, CHANNEL, delivery_tag, false),
                        "acknowledging", err);
}

bool
amqp_link_reject(AmqpLink *link, uint64_t delivery_tag, NovaError **err)
{
    return need_open(link, err) &&
           check_status(link, amqp_basic_reject(link->connection, CHANNEL, delivery_tag, false),
                        "rejecting", err);
}

bool
amqp_link_publish(AmqpLink *link, const char *exchange, const char *routing_key, bool is_mandatory,
                  int64_t expiration_ms, const char *body, size_t length, uint64_t *ret_tag,
                  NovaError **err)
{
    char expiration[24];
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_CONTENT_ENCODING_FLAG |
                  AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_PRIORITY_FLAG |
                  AMQP_BASIC_HEADERS_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .content_encoding = amqp_cstring_bytes("utf-8"),
        .delivery_mode = AMQP_DELIVERY_PERSISTENT,
        .headers = amqp_empty_table,
    };
    amqp_bytes_t bytes = {.len = length, .bytes = (void *)(uintptr_t)body};

    if (!need_open(link, err))
        return false;
    if (expiration_ms > 0) {
        g_snprintf(expiration, sizeof(expiration), "%" G_GINT64_FORMAT, expiration_ms);
        properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
        properties.expiration = amqp_cstring_bytes(expiration);
    }
    if (!check_status(link, amqp_basic_publish(link->connection, CHANNEL,
                                               amqp_cstring_bytes(exchange ? exchange : ""),
                                               amqp_cstring_bytes(routing_key), is_mandatory, false,
                                               &properties, bytes), "publishing", err))
        return false;
    *ret_tag = link->next_publish_tag++;
    return true;
}
