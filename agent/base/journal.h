/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The requests that this host has taken on and not finished, in one append-only file: what a process
 * that was killed leaves to the next one. Any thread.
 *
 * Nothing is synced: what was written outlives kill -9, which is what it is for; after a power cut no
 * guest runs and init_host's table is enough. The file is 0600, since requests carry passwords and
 * tokens: it is emptied whenever nothing is open and rewritten without what is closed when that
 * is most of it.
 *
 * A journal that cannot be written says so once and keeps nothing; work goes on as in Nova. */

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct Journal Journal;

/* A request that was not closed. */
typedef struct JournalEntry {
    uint64_t id;
    char *text; /* as it was appended, and terminated */
    size_t length;
    unsigned n_begun; /* 0: it waited in a queue */
    GPtrArray *notes; /* of char *, in their order */
} JournalEntry;

void journal_entry_free(JournalEntry *entry);

/* Opens or makes the file and locks it. *ret_open: array of JournalEntry*, owning, oldest first.
 * A tail that cannot be read is dropped with a warning. InvalidConfiguration: another process has
 * the journal, or what is there is no file of ours. */
Journal *journal_open(const char *path, GPtrArray **ret_open, NovaError **err);

/* Keeps a request; its id, or 0 when it was not kept. */
uint64_t journal_append(Journal *journal, const char *text, size_t length);
/* 'id' 0 is nothing to all of these. */
void journal_begin(Journal *journal, uint64_t id);
void journal_note(Journal *journal, uint64_t id, const char *note);
void journal_end(Journal *journal, uint64_t id);

/* From now on nothing is written: what is open stays so for the next process. */
void journal_freeze(Journal *journal);

unsigned journal_open_count(Journal *journal);
size_t journal_bytes(Journal *journal);

void journal_free(Journal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Journal, journal_free)
