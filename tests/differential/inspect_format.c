/* SPDX-License-Identifier: Apache-2.0 */
/* Prints one line for each path read from stdin: what the format inspector decides. For
 * format_inspector.py, which compares the lines with nova.virt.images. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/format_inspector.h"

static const char *
decision(const FormatVerdict *verdict)
{
    if (verdict->is_undecidable)
        return "error";
    if (verdict->is_ambiguous || verdict->is_incomplete)
        return "format-error";
    return verdict->is_safe ? "safe" : "unsafe";
}

int
main(void)
{
    char path[4096];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(path, sizeof path, stdin)) {
        FormatVerdict verdict;
        const char *word;

        path[strcspn(path, "\n")] = '\0';
        if (!format_inspector_inspect_file(path, &verdict, NULL)) {
            printf("unreadable\n");
            continue;
        }
        word = decision(&verdict);
        printf("%s", word);
        if (!strstr(word, "error"))
            printf(" %s", image_format_name(verdict.format));
        if (!strstr(word, "error") && verdict.format == IMAGE_FORMAT_QCOW2)
            printf(" %" PRIu64, verdict.virtual_size);
        printf("\n");
    }
    return 0;
}
