/* SPDX-License-Identifier: Apache-2.0 */
/* Any case ends in either XML or an error with a class and a text; any other line in an answer that
 * has an id and an error.
 *
 * Capabilities are long: an input names those of tests/unit/data/xml that it means, as the cases of
 * the unit tests do ("host_capabilities", "domain_capabilities"). */

#include <glib.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/xml_case.h"
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

static void
expand(json_t *json)
{
    const char *host = capabilities_text(
        json_string_value(json_object_get(json, "host_capabilities")));
    json_t *list = json_object_get(json, "domain_capabilities");
    size_t i;
    json_t *item;

    if (host)
        json_object_set_new(json, "host_capabilities_xml", json_string(host));
    json_array_foreach (list, i, item)
        expand_domain_capabilities(item);
    if (list)
        json_object_set(json, "domain_capabilities_xml", list);
}

/* What xml_command_answer() does with a line that is an object: without writing and reading the
 * long capabilities as JSON, which took nine tenths of an input's time. */
static void
answer_object(XmlCapabilities *capabilities, json_t *json)
{
    g_autoptr(NovaError) err = NULL;
    g_autoptr(XmlCase) one = NULL;
    g_autofree char *xml = NULL;

    expand(json);
    one = xml_case_new(capabilities, json, &err);
    xml = one ? xml_case_make_xml(one, &err) : NULL;
    if (!xml == !err || (err && (!nova_error_class(err) || !nova_error_message(err))))
        abort();
}

static void
answer_text(XmlCapabilities *capabilities, const uint8_t *data, size_t size)
{
    g_autofree char *text = xml_command_answer(capabilities, (const char *)data, size);
    json_auto_t *answer = json_loads(text, 0, NULL);

    if (!json_object_get(answer, "id") || !json_is_string(json_object_get(answer, "error")) ||
        strchr(text, '\n'))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static XmlCapabilities *capabilities;
    json_auto_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

    if (!capabilities)
        capabilities = xml_capabilities_new();
    if (json_is_object(json))
        answer_object(capabilities, json);
    else
        answer_text(capabilities, data, size);
    return 0;
}
