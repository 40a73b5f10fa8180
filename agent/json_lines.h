/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Commands that answer JSON lines: one case a line in, one object with the case's id a line out, in
 * the same order. Blank lines are skipped.
 *
 * A line that is no JSON object is answered with {"id": null, "error": "ValueError", "message"};
 * when only a number is too big for us, or a string has a NUL, with its own id. */

#include <glib.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "agent/base/nova_error.h"

/* Adds the members of the answer to one case, which is an object, to 'answer', which has its id;
 * or fails: "error" and "message" are then added by the caller. */
typedef bool (*JsonLinesAnswer)(void *user, const json_t *json, json_t *answer, NovaError **err);

/* Exit status: 0 unless reading or writing failed. */
int json_lines_run(FILE *in, FILE *out, JsonLinesAnswer answer, void *user);

/* The answer to one line, without newlines. Never NULL; g_free(). */
char *json_lines_answer(const char *line, size_t length, JsonLinesAnswer answer, void *user);
