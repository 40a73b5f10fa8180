/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.journal"
#include "agent/base/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/journal_record.h"
#include "agent/base/log.h"

/* A process that is ending may hold the lock for as long as it may take to end. */
#define LOCK_TRIES 60
#define LOCK_PAUSE_US 100000
#define MAX_BYTES (512u * 1024 * 1024)
/* The file is rewritten when this much of it, and more than half, is closed. */
#define GARBAGE_BYTES (1024u * 1024)

typedef struct OpenEntry {
    uint64_t id;
    off_t at;      /* where its text stands */
    size_t length;
    size_t live_bytes; /* of all its records */
    unsigned n_begun;
    GPtrArray *notes;
} OpenEntry;

struct Journal {
    char *path; /* immutable */
    pthread_mutex_t lock;
    GQueue *entries; /* of OpenEntry*, oldest first; guarded by lock, as all that follows */
    int fd;
    off_t size;
    size_t live_bytes;
    uint64_t next_id;
    bool is_frozen;
    bool has_complained;
};

static void
open_entry_free(void *data)
{
    OpenEntry *entry = data;

    g_ptr_array_unref(entry->notes);
    g_free(entry);
}

void
journal_entry_free(JournalEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->text);
    g_ptr_array_unref(entry->notes);
    g_free(entry);
}

static OpenEntry *
find_entry(Journal *journal, uint64_t id)
{
    for (GList *link = journal->entries->head; link; link = link->next)
        if (((OpenEntry *)link->data)->id == id)
            return link->data;
    return NULL;
}

/* ---- what the records say; called with the lock held, or before anybody else knows the journal ---- */

static void
note_request(Journal *journal, const JournalRecord *record, off_t at)
{
    OpenEntry *entry = g_new0(OpenEntry, 1);

    entry->id = record->id;
    entry->at = at + JOURNAL_HEADER_BYTES;
    entry->length = record->length;
    entry->notes = g_ptr_array_new_with_free_func(g_free);
    g_queue_push_tail(journal->entries, entry);
    journal->next_id = MAX(journal->next_id, record->id + 1);
}

static void
note_record(Journal *journal, const JournalRecord *record, off_t at)
{
    size_t bytes = JOURNAL_HEADER_BYTES + record->length;
    OpenEntry *entry = find_entry(journal, record->id);

    if (record->kind == JOURNAL_REQUEST && !entry) {
        note_request(journal, record, at);
        entry = journal->entries->tail->data;
    } else if (!entry || record->kind == JOURNAL_REQUEST) {
        return;
    }
    if (record->kind == JOURNAL_BEGIN)
        entry->n_begun++;
    else if (record->kind == JOURNAL_NOTE)
        g_ptr_array_add(entry->notes, g_strndup(record->text, record->length));
    entry->live_bytes += bytes;
    journal->live_bytes += bytes;
    if (record->kind == JOURNAL_END) {
        journal->live_bytes -= entry->live_bytes;
        g_queue_remove(journal->entries, entry);
        open_entry_free(entry);
    }
}

static void
read_records(Journal *journal, const uint8_t *bytes, size_t length)
{
    size_t at = 0;

    while (at < length) {
        JournalRecord record;
        ssize_t n = journal_record_read(bytes + at, length - at, &record);

        if (n <= 0) {
            LOG_WARNING("%s: dropping %zu bytes from byte %zu on: %s", journal->path, length - at, at,
                        n == 0 ? "the last record is cut off" : "no record of a journal");
            break;
        }
        note_record(journal, &record, (off_t)at);
        at += (size_t)n;
    }
}

/* ---- writing; called with the lock held ---- */

static bool
write_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

static bool
complain(Journal *journal, const char *what)
{
    if (!journal->has_complained)
        LOG_ERROR("%s: %s: %s; requests are worked on without it", journal->path, what, g_strerror(errno));
    journal->has_complained = true;
    return false;
}

/* A record that was written in part would hide what follows it. */
static bool
write_record(Journal *journal, const JournalRecord *record)
{
    g_autoptr(GByteArray) bytes = g_byte_array_sized_new((guint)(JOURNAL_HEADER_BYTES + record->length));

    if (journal->is_frozen)
        return false;
    journal_record_write(bytes, record);
    if (!write_all(journal->fd, bytes->data, bytes->len)) {
        complain(journal, "cannot be written");
        if (ftruncate(journal->fd, journal->size) < 0)
            journal->is_frozen = true;
        return false;
    }
    journal->has_complained = false;
    note_record(journal, record, journal->size);
    journal->size += bytes->len;
    return true;
}

static void
append_record(GByteArray *bytes, uint64_t id, JournalKind kind, const char *text, size_t length)
{
    JournalRecord record = {kind, id, text, length};

    journal_record_write(bytes, &record);
}

static bool
copy_entry(Journal *journal, OpenEntry *entry, int fd, off_t *inout_at)
{
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *text = g_malloc(entry->length + 1);

    if (pread(journal->fd, text, entry->length, entry->at) != (ssize_t)entry->length)
        return false;
    append_record(bytes, entry->id, JOURNAL_REQUEST, text, entry->length);
    for (unsigned i = 0; i < entry->n_begun; i++)
        append_record(bytes, entry->id, JOURNAL_BEGIN, "", 0);
    for (guint i = 0; i < entry->notes->len; i++)
        append_record(bytes, entry->id, JOURNAL_NOTE, entry->notes->pdata[i],
                      strlen(entry->notes->pdata[i]));
    if (!write_all(fd, bytes->data, bytes->len))
        return false;
    *inout_at += bytes->len;
    return true;
}

static int
open_file(const char *path, int flags)
{
    return open(path, flags | O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Where the texts stand is only taken over once the new file is in place. */
static void
move_entries(Journal *journal)
{
    off_t at = 0;

    for (GList *link = journal->entries->head; link; link = link->next) {
        OpenEntry *entry = link->data;

        entry->at = at + JOURNAL_HEADER_BYTES;
        at += (off_t)entry->live_bytes;
    }
    journal->size = at;
}

static bool
write_new_file(Journal *journal, const char *path, int *ret_fd)
{
    off_t size = 0;
    int fd = open_file(path, O_EXCL);
    bool ok = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

    for (GList *link = journal->entries->head; ok && link; link = link->next)
        ok = copy_entry(journal, link->data, fd, &size);
    if (ok && rename(path, journal->path) == 0) {
        *ret_fd = fd;
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}

/* A new file with what is open, in place of the old one. */
static bool
compact(Journal *journal)
{
    g_autofree char *path = g_strconcat(journal->path, ".new", NULL);
    int fd;

    unlink(path);
    if (!write_new_file(journal, path, &fd)) {
        complain(journal, "cannot be rewritten");
        unlink(path);
        return false;
    }
    close(journal->fd);
    journal->fd = fd;
    move_entries(journal);
    return true;
}

static void
drop_garbage(Journal *journal)
{
    size_t garbage = (size_t)journal->size - journal->live_bytes;

    if (journal->is_frozen || garbage == 0)
        return;
    if (journal->entries->length == 0) {
        if (ftruncate(journal->fd, 0) == 0)
            journal->size = 0;
    } else if (garbage > GARBAGE_BYTES && garbage > journal->live_bytes) {
        compact(journal);
    }
}

/* ---- opening ---- */

static bool
refuse(Journal *journal, NovaError **err, const char *why)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION, "%s: %s", journal->path, why);
}

/* Is what was locked still what is there? A compaction may have come between. */
static bool
is_in_place(const Journal *journal)
{
    struct stat of_fd, of_path;

    return fstat(journal->fd, &of_fd) == 0 && lstat(journal->path, &of_path) == 0 &&
           of_fd.st_ino == of_path.st_ino && of_fd.st_dev == of_path.st_dev;
}

static bool
open_and_lock(Journal *journal, NovaError **err)
{
    for (int tries = 0; tries < LOCK_TRIES; tries++) {
        journal->fd = open_file(journal->path, 0);
        if (journal->fd < 0)
            return refuse(journal, err, g_strerror(errno));
        if (flock(journal->fd, LOCK_EX | LOCK_NB) == 0 && is_in_place(journal))
            return true;
        close(journal->fd);
        journal->fd = -1;
        g_usleep(LOCK_PAUSE_US);
    }
    return refuse(journal, err, "another process has this journal");
}

static bool
check_file(Journal *journal, const struct stat *status, NovaError **err)
{
    if (!S_ISREG(status->st_mode))
        return refuse(journal, err, "not a regular file");
    if (status->st_uid != geteuid())
        return refuse(journal, err, "belongs to another user");
    if (status->st_size > MAX_BYTES)
        return refuse(journal, err, "larger than a journal ever is");
    return fchmod(journal->fd, 0600) == 0 || refuse(journal, err, g_strerror(errno));
}

static bool
read_file(Journal *journal, NovaError **err)
{
    struct stat status;
    void *bytes;

    if (fstat(journal->fd, &status) < 0)
        return refuse(journal, err, g_strerror(errno));
    if (!check_file(journal, &status, err))
        return false;
    journal->size = status.st_size;
    if (status.st_size == 0)
        return true;
    bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, journal->fd, 0);
    if (bytes == MAP_FAILED)
        return refuse(journal, err, g_strerror(errno));
    read_records(journal, bytes, (size_t)status.st_size);
    munmap(bytes, (size_t)status.st_size);
    return true;
}

static JournalEntry *
export_entry(Journal *journal, const OpenEntry *open_entry)
{
    JournalEntry *entry = g_new0(JournalEntry, 1);

    entry->id = open_entry->id;
    entry->length = open_entry->length;
    entry->n_begun = open_entry->n_begun;
    entry->text = g_malloc0(open_entry->length + 1);
    entry->notes = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i < open_entry->notes->len; i++)
        g_ptr_array_add(entry->notes, g_strdup(open_entry->notes->pdata[i]));
    if (pread(journal->fd, entry->text, entry->length, open_entry->at) == (ssize_t)entry->length)
        return entry;
    journal_entry_free(entry);
    return NULL;
}

static GPtrArray *
export_entries(Journal *journal)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func((GDestroyNotify)journal_entry_free);

    for (GList *link = journal->entries->head; link; link = link->next) {
        JournalEntry *entry = export_entry(journal, link->data);

        if (entry)
            g_ptr_array_add(entries, entry);
    }
    return entries;
}

Journal *
journal_open(const char *path, GPtrArray **ret_open, NovaError **err)
{
    g_autoptr(Journal) journal = g_new0(Journal, 1);

    pthread_mutex_init(&journal->lock, NULL);
    journal->path = g_strdup(path);
    journal->entries = g_queue_new();
    journal->fd = -1;
    journal->next_id = 1;
    if (!open_and_lock(journal, err) || !read_file(journal, err))
        return NULL;
    if (journal->size > 0 && !compact(journal)) {
        refuse(journal, err, "cannot be rewritten");
        return NULL;
    }
    *ret_open = export_entries(journal);
    return g_steal_pointer(&journal);
}

void
journal_free(Journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        close(journal->fd);
    g_queue_free_full(journal->entries, open_entry_free);
    pthread_mutex_destroy(&journal->lock);
    g_free(journal->path);
    g_free(journal);
}

/* ---- using ---- */

uint64_t
journal_append(Journal *journal, const char *text, size_t length)
{
    JournalRecord record = {.kind = JOURNAL_REQUEST, .text = text, .length = length};
    uint64_t id = 0;

    pthread_mutex_lock(&journal->lock);
    record.id = journal->next_id;
    if (length > JOURNAL_MAX_TEXT_BYTES || (size_t)journal->size + length > MAX_BYTES) {
        errno = EFBIG;
        complain(journal, "cannot take a request");
    } else if (write_record(journal, &record)) {
        id = record.id;
    }
    pthread_mutex_unlock(&journal->lock);
    return id;
}

static void
add_record(Journal *journal, uint64_t id, JournalKind kind, const char *text)
{
    JournalRecord record = {kind, id, text, strlen(text)};

    if (id == 0)
        return;
    pthread_mutex_lock(&journal->lock);
    if (find_entry(journal, id) && write_record(journal, &record))
        drop_garbage(journal);
    pthread_mutex_unlock(&journal->lock);
}

void
journal_begin(Journal *journal, uint64_t id)
{
    add_record(journal, id, JOURNAL_BEGIN, "");
}

void
journal_note(Journal *journal, uint64_t id, const char *note)
{
    add_record(journal, id, JOURNAL_NOTE, note);
}

void
journal_end(Journal *journal, uint64_t id)
{
    add_record(journal, id, JOURNAL_END, "");
}

void
journal_freeze(Journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->is_frozen = true;
    pthread_mutex_unlock(&journal->lock);
}

unsigned
journal_open_count(Journal *journal)
{
    unsigned n;

    pthread_mutex_lock(&journal->lock);
    n = journal->entries->length;
    pthread_mutex_unlock(&journal->lock);
    return n;
}

size_t
journal_bytes(Journal *journal)
{
    size_t bytes;

    pthread_mutex_lock(&journal->lock);
    bytes = (size_t)journal->size;
    pthread_mutex_unlock(&journal->lock);
    return bytes;
}
