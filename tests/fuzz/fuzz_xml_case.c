/* SPDX-License-Identifier: Apache-2.0 */
/* Any line is answered with one JSON object that has an id, and either XML or an error with a text.
 *
 * Capabilities are long: an input names those of tests/unit/data/xml that it means, as the cases of
 * the unit tests do ("host_capabilities", "domain_capabilities"). */

#include <glib.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/xml_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of one of the folder's XML files, read once; NULL for any other name. */
static const char *
capabilities_text(const char *name)
{
    static GHashTable *texts;
    const char *folder = g_getenv("KILONOVA_TEST_DATA");
    char *text;

    if (!texts)
        texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    text = name ? g_hash_table_lookup(texts, name) : NULL;
    if (!text && name && folder && !strchr(name, '/') && g_str_has_suffix(name, ".xml")) {
        g_autofree char *path = g_build_filename(folder, "xml", name, NULL);

        if (g_file_get_contents(path, &text, NULL, NULL))
            g_hash_table_insert(texts, g_strdup(name), text);
    }
    return text;
}

static void
expand_domain_capabilities(json_t *item)
{
    const char *text = capabilities_text(json_string_value(json_object_get(item, "file")));

    if (text)
        json_object_set_new(item, "xml", json_string(text));
}

static char *
expand(const uint8_t *data, size_t size)
{
    json_auto_t *json = json_loadb((const char *)data, size, 0, NULL);
    const char *host = capabilities_text(
        json_string_value(json_object_get(json, "host_capabilities")));
    json_t *list = json_object_get(json, "domain_capabilities");
    size_t i;
    json_t *item;

    if (!json_is_object(json))
        return g_strndup((const char *)data, size);
    if (host)
        json_object_set_new(json, "host_capabilities_xml", json_string(host));
    json_array_foreach (list, i, item)
        expand_domain_capabilities(item);
    if (list)
        json_object_set(json, "domain_capabilities_xml", list);
    return json_dumps(json, JSON_COMPACT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static XmlCapabilities *capabilities;
    g_autofree char *line = expand(data, size);
    g_autofree char *text = NULL;
    json_auto_t *answer = NULL;
    const json_t *xml, *error;

    if (!capabilities)
        capabilities = xml_capabilities_new();
    text = xml_command_answer(capabilities, line, strlen(line));
    answer = json_loads(text, 0, NULL);
    xml = json_object_get(answer, "xml");
    error = json_object_get(answer, "error");
    if (!json_object_get(answer, "id") || json_is_string(xml) == json_is_string(error) ||
        (error && !json_is_string(json_object_get(answer, "message"))) || strchr(text, '\n'))
        abort();
    return 0;
}
