/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/amqp_body.h"

#include <string.h>
#include <zlib.h>

#include "agent/rpc/rpc_message.h"

#define CHUNK (64 * 1024)

static bool
too_large(NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "the body is larger than %d MiB", RPC_MAX_BODY_BYTES >> 20);
}

/* zlib's last word; 'text' grows with what comes out, whatever the sender claims. */
static int
inflate_all(z_stream *stream, GByteArray *text)
{
    int rc = Z_OK;

    while (rc == Z_OK && text->len <= RPC_MAX_BODY_BYTES) {
        guint before = text->len;

        g_byte_array_set_size(text, before + CHUNK);
        stream->next_out = text->data + before;
        stream->avail_out = CHUNK;
        rc = inflate(stream, Z_NO_FLUSH);
        g_byte_array_set_size(text, before + CHUNK - stream->avail_out);
    }
    return rc;
}

static bool
decompress(AmqpEvent *event, GByteArray *text, NovaError **err)
{
    z_stream stream = {.next_in = (Bytef *)event->body, .avail_in = (uInt)event->length};
    int rc = inflateInit(&stream);

    if (rc == Z_OK)
        rc = inflate_all(&stream, text);
    inflateEnd(&stream);
    if (text->len > RPC_MAX_BODY_BYTES)
        return too_large(err);
    return rc == Z_STREAM_END || nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "the compressed body is damaged");
}

bool
amqp_body_open(AmqpEvent *event, NovaError **err)
{
    g_autoptr(GByteArray) text = NULL;

    if (event->is_too_large)
        return too_large(err);
    if (!event->compression)
        return true;
    if (strcmp(event->compression, "application/x-gzip") != 0)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "compression %s is not supported", event->compression);
    text = g_byte_array_new();
    if (!decompress(event, text, err))
        return false;
    g_byte_array_append(text, (const guint8 *)"", 1);
    g_free(event->body);
    event->length = text->len - 1;
    event->body = (char *)g_byte_array_free(g_steal_pointer(&text), FALSE);
    g_clear_pointer(&event->compression, g_free);
    return true;
}
