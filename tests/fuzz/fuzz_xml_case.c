/* SPDX-License-Identifier: Apache-2.0 */
/* Any line is answered with one JSON object that has an id, and either XML or an error. */

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/xml_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(XmlCases) cases = xml_cases_new();
    g_autofree char *text = xml_cases_answer(cases, (const char *)data, size);
    json_auto_t *answer = json_loads(text, 0, NULL);
    const json_t *xml = json_object_get(answer, "xml");
    const json_t *error = json_object_get(answer, "error");

    if (!json_object_get(answer, "id") || json_is_string(xml) == json_is_string(error) ||
        strchr(text, '\n'))
        abort();
    return 0;
}
