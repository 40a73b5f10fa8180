/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes, in pieces of any size, give a verdict that does not depend on the pieces. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "storage/format_inspector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FormatVerdict
verdict_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    g_autoptr(FormatInspector) inspector = format_inspector_new();
    FormatVerdict verdict;

    for (size_t at = 0; at < size; at += piece)
        format_inspector_feed(inspector, data + at, MIN(piece, size - at));
    format_inspector_finish(inspector, &verdict);
    return verdict;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FormatVerdict whole = verdict_in_pieces(data, size, MAX(size, 1));
    FormatVerdict pieces = verdict_in_pieces(data, size, 1021);

    if (whole.matches != pieces.matches || whole.is_safe != pieces.is_safe ||
        whole.virtual_size != pieces.virtual_size || whole.violation != pieces.violation)
        abort();
    if (whole.is_safe && (whole.violation || whole.is_ambiguous || whole.is_incomplete))
        abort();
    return 0;
}
