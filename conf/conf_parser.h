/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The dialect of nova.conf (oslo_config.iniparser): text in, entries out. Pure. */

#include <glib.h>
#include <stdbool.h>

typedef struct ConfEntry {
    char *section;
    char *name;
    char *value;      /* continuation lines joined with newlines, outer quotes removed */
    const char *file; /* borrowed from whoever parsed */
    int line;         /* of the name */
} ConfEntry;

void conf_entry_free(void *entry);

/* Appends to 'entries' (of ConfEntry*). False with "FILE:LINE: what is wrong" in *ret_error. */
bool conf_parse(const char *text, const char *file, GPtrArray *entries, char **ret_error);
