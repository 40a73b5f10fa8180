/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <zlib.h>

#include "agent/rpc/amqp_body.h"
#include "agent/rpc/rpc_message.h"

static AmqpEvent
plain_event(const char *text)
{
    return (AmqpEvent){.kind = AMQP_EVENT_DELIVERY, .body = g_strdup(text), .length = strlen(text)};
}

static AmqpEvent
packed_event(const void *data, size_t length)
{
    uLongf size = compressBound(length);
    AmqpEvent event = {.kind = AMQP_EVENT_DELIVERY, .compression = g_strdup("application/x-gzip"), .body = g_malloc(size)};

    assert_int_equal(compress((Bytef *)event.body, &size, data, length), Z_OK);
    event.length = size;
    return event;
}

static void
assert_refused(AmqpEvent *event, const char *text)
{
    g_autoptr(NovaError) error = NULL;
    g_autofree char *before = g_memdup2(event->body, event->length);
    size_t length = event->length;

    assert_false(amqp_body_open(event, &error));
    assert_int_equal(nova_error_kind(error), NOVA_ERROR_VALUE_ERROR);
    assert_non_null(strstr(nova_error_message(error), text));
    assert_int_equal(event->length, length);
    assert_memory_equal(event->body, before, length);
    amqp_event_clear(event);
}

static void
a_plain_body_is_left_alone(void **state G_GNUC_UNUSED)
{
    AmqpEvent event = plain_event("{}");
    char *body = event.body;

    assert_true(amqp_body_open(&event, NULL));
    assert_ptr_equal(event.body, body);
    amqp_event_clear(&event);
}

static void
a_compressed_body_is_its_text_and_a_nul(void **state G_GNUC_UNUSED)
{
    g_autofree char *text = g_strnfill(300000, 'x');
    AmqpEvent event = packed_event(text, strlen(text));

    assert_true(amqp_body_open(&event, NULL));
    assert_null(event.compression);
    assert_int_equal(event.length, 300000);
    assert_string_equal(event.body, text);
    amqp_event_clear(&event);
}

static void
an_empty_text_is_one(void **state G_GNUC_UNUSED)
{
    AmqpEvent event = packed_event("", 0);

    assert_true(amqp_body_open(&event, NULL));
    assert_int_equal(event.length, 0);
    assert_string_equal(event.body, "");
    amqp_event_clear(&event);
}

static void
a_damaged_or_short_body_is_refused(void **state G_GNUC_UNUSED)
{
    AmqpEvent cut = packed_event("{\"oslo.version\": \"2.0\"}", 23);
    AmqpEvent none = plain_event("{}");

    cut.length -= 5;
    assert_refused(&cut, "damaged");
    none.compression = g_strdup("application/x-gzip");
    assert_refused(&none, "damaged");
}

static void
other_compressions_are_named(void **state G_GNUC_UNUSED)
{
    AmqpEvent event = plain_event("BZh9");

    event.compression = g_strdup("application/x-bz2");
    assert_refused(&event, "application/x-bz2 is not supported");
}

static void
what_grows_beyond_the_limit_is_refused(void **state G_GNUC_UNUSED)
{
    g_autofree char *zeros = g_malloc0(RPC_MAX_BODY_BYTES + 1);
    AmqpEvent event = packed_event(zeros, RPC_MAX_BODY_BYTES + 1);

    assert_refused(&event, "larger than 128 MiB");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_body_is_left_alone),
        cmocka_unit_test(a_compressed_body_is_its_text_and_a_nul),
        cmocka_unit_test(an_empty_text_is_one),
        cmocka_unit_test(a_damaged_or_short_body_is_refused),
        cmocka_unit_test(other_compressions_are_named),
        cmocka_unit_test(what_grows_beyond_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
