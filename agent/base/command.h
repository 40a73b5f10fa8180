/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Runs a program: an argument vector, no shell, limits, one result.
 *
 * Started with vfork, so that the agent's pages are never copied; the child gets LC_ALL=C, no inherited
 * descriptors but 0 to 2, and its own process group. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct CommandLimits {
    int timeout_s;           /* wall clock, then KILL; 0: 600 */
    uint64_t address_space;  /* bytes, 0: none (RLIMIT_AS) */
    uint64_t cpu_s;          /* 0: none (RLIMIT_CPU) */
} CommandLimits;

typedef struct CommandResult {
    int exit_status; /* -1 when killed by a signal or timed out */
    char *out;       /* NUL-terminated; limited to 16 MiB, the rest is discarded */
    char *errors;
} CommandResult;

/* Runs argv[0] found on PATH and waits. ProcessExecutionError (oslo_concurrency's class, sent as
 * NovaException) when it cannot be started, timed out or exited with another status than 0; its
 * message quotes command, status, stdout and stderr. */
bool command_run(const char *const *argv, const CommandLimits *limits, CommandResult *ret_result,
                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* As command_run(), but any exit status is a success. */
bool command_run_unchecked(const char *const *argv, const CommandLimits *limits,
                           CommandResult *ret_result, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

void command_result_clear(CommandResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CommandResult, command_result_clear)

/* How many programs this process has started so far (a test counts them). */
uint64_t command_count(void);
