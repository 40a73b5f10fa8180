/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `kilonovactl numa`: what-if questions about CPUs, memory and PCI devices; `kilonovactl explain`
 * says in words how a fit came out.
 *
 * JSON lines (json_lines.h): {"id", "op", ...} is answered with {"id", "result"} or {"id", "error",
 * "message"}; "error" is the class of the exception that Nova raises. A case says in JSON what the
 * agent would take from nova.conf, the host and the control plane. */

#include <stddef.h>
#include <stdio.h>

/* Exit status: 0 unless reading or writing failed. */
int numa_command(FILE *in, FILE *out);
int explain_command(FILE *in, FILE *out);

/* The answer to one line, without newlines. Never NULL; g_free(). */
char *numa_answer(const char *line, size_t length);
