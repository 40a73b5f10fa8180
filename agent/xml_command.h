/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `kilonovactl xml`: the domain XML that a request would give, before it runs.
 *
 * JSON lines (json_lines.h): {"id", "xml"} or {"id", "error", "message"}; "error" is the class of
 * Nova's exception. A case says in JSON what the agent would take from nova.conf, the host and the
 * control plane. */

#include <glib.h>
#include <stddef.h>
#include <stdio.h>

/* Exit status: 0 unless reading or writing failed. */
int xml_command(FILE *in, FILE *out);

/* Remembers capabilities that it has parsed. One thread at a time. */
typedef struct XmlCases XmlCases;

XmlCases *xml_cases_new(void);
void xml_cases_free(XmlCases *cases);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlCases, xml_cases_free)

/* The answer to one line, without newlines. Never NULL; g_free(). */
char *xml_cases_answer(XmlCases *cases, const char *line, size_t length);
