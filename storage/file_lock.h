/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Named locks that also hold against other processes: oslo.concurrency's external locks with
 * Nova's prefix, <instances_path>/locks/nova-NAME, locked with fcntl.
 *
 * A name is held by one thread at a time; a lock may be released by any thread. The file stays,
 * so that a waiter never holds a lock on a file that is gone; whoever removes it does so while
 * holding it, and file_locks_take() notices. Errors: OSError. */

#include <glib.h>

#include "agent/base/nova_error.h"

typedef struct FileLocks FileLocks;
typedef struct FileLock FileLock;

FileLocks *file_locks_new(const char *instances_path);
void file_locks_free(FileLocks *locks); /* no lock may be held */

/* Waits as long as it takes. */
FileLock *file_locks_take(FileLocks *locks, const char *name, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* NULL when somebody else holds it, or it cannot be had. */
FileLock *file_locks_try(FileLocks *locks, const char *name) G_GNUC_WARN_UNUSED_RESULT;
void file_lock_release(FileLock *lock);
/* Releases and removes the file: what the lock protected is gone. */
void file_lock_release_and_remove(FileLock *lock);
