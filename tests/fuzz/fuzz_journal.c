/* SPDX-License-Identifier: Apache-2.0 */
/* Any file is a row of records and then a rest; a record lies within the bytes and is written again as
 * it was read. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "agent/base/journal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const uint8_t *bytes, size_t length, const JournalRecord *record)
{
    g_autoptr(GByteArray) again = g_byte_array_new();

    if (record->length + JOURNAL_HEADER_BYTES != length || record->id == 0)
        abort();
    journal_record_write(again, record);
    if (again->len != length || memcmp(again->data, bytes, length) != 0)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t at = 0;
    JournalRecord record;
    ssize_t n;

    while ((n = journal_record_read(data + at, size - at, &record)) > 0) {
        if ((size_t)n > size - at)
            abort();
        check(data + at, (size_t)n, &record);
        at += (size_t)n;
    }
    return 0;
}
