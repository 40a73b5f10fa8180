/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The log of a guest's serial console: a file that virtlogd writes and rotates (console.log, .0, .1, ...). */

#include <jansson.h>
#include <glib.h>

/* The last 100 KiB, older files before newer ones; empty when there is no file. */
GString *console_log_read(const char *path);

/* As Nova hands it out: the last 'tail_length' pieces between newlines (so that the end of the last line counts as one, too),
 * all of it when that is null; bytes that are not ASCII are replaced. */
json_t *console_log_text(const GString *log, const json_t *tail_length);
