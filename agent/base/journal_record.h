/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The journal's records as bytes. Pure: whatever the bytes are, the outcome is a record within them,
 * "more is needed" or "no record".
 *
 *     0 'K' 'J' | 2 kind | 3 version | 4 length of the text | 8 id | 16 checksum | 24 text
 *
 * Numbers are little-endian; the checksum is the first 8 bytes of the SHA-256 of all else. */

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_HEADER_BYTES 24
/* A message body (rpc_message.h) and a little more. */
#define JOURNAL_MAX_TEXT_BYTES (129u * 1024 * 1024)

typedef enum JournalKind {
    JOURNAL_REQUEST = 1, /* text: the request */
    JOURNAL_BEGIN,       /* work on it begins; once for each attempt */
    JOURNAL_NOTE,        /* text: how far it has come */
    JOURNAL_END,
} JournalKind;

typedef struct JournalRecord {
    JournalKind kind;
    uint64_t id;      /* of the request, never 0 */
    const char *text; /* borrowed from the bytes; not terminated */
    size_t length;
} JournalRecord;

/* Appends the record to 'bytes'. */
void journal_record_write(GByteArray *bytes, const JournalRecord *record);

/* The length of the record that starts there; 0 when it is cut off, -1 when there is none. */
ssize_t journal_record_read(const uint8_t *bytes, size_t length, JournalRecord *ret_record);
