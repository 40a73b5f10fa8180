/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/xml_command.h"

#include "agent/base/json.h"
#include "agent/json_lines.h"
#include "agent/xml_case.h"

static bool
answer_case(void *capabilities, const json_t *json, json_t *answer, NovaError **err)
{
    g_autoptr(XmlCase) one = xml_case_new(capabilities, json, err);
    g_autofree char *xml = one ? xml_case_make_xml(one, err) : NULL;

    if (xml)
        json_set_string(answer, "xml", xml);
    return xml != NULL;
}

char *
xml_command_answer(XmlCapabilities *capabilities, const char *line, size_t length)
{
    return json_lines_answer(line, length, answer_case, capabilities);
}

int
xml_command(FILE *in, FILE *out)
{
    g_autoptr(XmlCapabilities) capabilities = xml_capabilities_new();

    return json_lines_run(in, out, answer_case, capabilities);
}
