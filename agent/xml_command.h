/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `kilonovactl xml`: the domain XML that a request would give, before it runs.
 *
 * JSON lines (json_lines.h): {"id", "xml"} or {"id", "error", "message"}; "error" is the class of
 * Nova's exception. A case (xml_case.h) says in JSON what the agent would take from nova.conf, the
 * host and the control plane. */

#include <stddef.h>
#include <stdio.h>

#include "agent/xml_case.h"

/* Exit status: 0 unless reading or writing failed. */
int xml_command(FILE *in, FILE *out);

/* The answer to one line, without newlines. Never NULL; g_free(). */
char *xml_command_answer(XmlCapabilities *capabilities, const char *line, size_t length);
