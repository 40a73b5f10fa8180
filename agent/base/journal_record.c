/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/journal_record.h"

#include <string.h>

#define RECORD_VERSION 1
#define CHECKSUM_AT 16
#define CHECKSUM_BYTES 8

static void
compute_checksum(const uint8_t *header, const char *text, size_t length, uint8_t sum[CHECKSUM_BYTES])
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t digest[32];
    gsize n = sizeof digest;

    g_checksum_update(checksum, header, CHECKSUM_AT);
    g_checksum_update(checksum, (const guchar *)text, (gssize)length);
    g_checksum_get_digest(checksum, digest, &n);
    memcpy(sum, digest, CHECKSUM_BYTES);
}

void
journal_record_write(GByteArray *bytes, const JournalRecord *record)
{
    uint8_t header[JOURNAL_HEADER_BYTES] = {'K', 'J', (uint8_t)record->kind, RECORD_VERSION};
    uint32_t length = GUINT32_TO_LE((uint32_t)record->length);
    uint64_t id = GUINT64_TO_LE(record->id);

    memcpy(header + 4, &length, sizeof length);
    memcpy(header + 8, &id, sizeof id);
    compute_checksum(header, record->text, record->length, header + CHECKSUM_AT);
    g_byte_array_append(bytes, header, sizeof header);
    if (record->length > 0)
        g_byte_array_append(bytes, (const guint8 *)record->text, (guint)record->length);
}

static bool
is_header(const uint8_t *header)
{
    return header[0] == 'K' && header[1] == 'J' && header[2] >= JOURNAL_REQUEST &&
           header[2] <= JOURNAL_END && header[3] == RECORD_VERSION;
}

ssize_t
journal_record_read(const uint8_t *bytes, size_t length, JournalRecord *ret_record)
{
    uint8_t sum[CHECKSUM_BYTES];
    uint32_t text_length;
    uint64_t id;

    if (length < JOURNAL_HEADER_BYTES)
        return 0;
    memcpy(&text_length, bytes + 4, sizeof text_length);
    memcpy(&id, bytes + 8, sizeof id);
    text_length = GUINT32_FROM_LE(text_length);
    if (!is_header(bytes) || text_length > JOURNAL_MAX_TEXT_BYTES || id == 0)
        return -1;
    if (text_length > length - JOURNAL_HEADER_BYTES)
        return 0;
    compute_checksum(bytes, (const char *)bytes + JOURNAL_HEADER_BYTES, text_length, sum);
    if (memcmp(sum, bytes + CHECKSUM_AT, CHECKSUM_BYTES) != 0)
        return -1;
    *ret_record = (JournalRecord){
        .kind = (JournalKind)bytes[2],
        .id = GUINT64_FROM_LE(id),
        .text = (const char *)bytes + JOURNAL_HEADER_BYTES,
        .length = text_length,
    };
    return (ssize_t)(JOURNAL_HEADER_BYTES + text_length);
}
