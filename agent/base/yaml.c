/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "agent/base/json.h"

#define MAX_VALUES 100000 /* aliases of aliases make many out of few */

typedef struct Reader {
    yaml_document_t document;
    int n_values;
} Reader;

static json_t *read_node(Reader *reader, int index, int depth, NovaError **err);

/* ---- scalars ---- */

static const char *
scalar_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* "1_000" is a number for YAML. */
static char *
without_underscores(const char *text)
{
    GString *digits = g_string_new(text);

    g_string_replace(digits, "_", "", 0);
    return g_string_free(digits, FALSE);
}

static json_t *
integer(const char *text, NovaError **err)
{
    g_autofree char *digits = without_underscores(text);
    const char *sign = strchr("+-", digits[0]) ? digits : "";
    const char *start = digits + (*sign ? 1 : 0);
    bool is_binary = g_str_has_prefix(start, "0b");
    gint64 value;

    if (is_binary)
        memmove((char *)start, start + 2, strlen(start + 2) + 1);
    errno = 0;
    value = g_ascii_strtoll(digits, NULL, is_binary ? 2 : 0);
    if (errno == 0)
        return json_integer(value);
    nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s is beyond 64 bits", text);
    return NULL;
}

static json_t *
real(const char *text, NovaError **err)
{
    g_autofree char *digits = without_underscores(text);
    json_t *value = json_real(g_ascii_strtod(digits, NULL));

    if (!value)
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s is beyond 64 bits", text);
    return value;
}

static json_t *
infinite(const char *text, NovaError **err)
{
    nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s is no finite number", text);
    return NULL;
}

static json_t *
truth(const char *text, NovaError **err G_GNUC_UNUSED)
{
    return json_boolean(g_regex_match_simple("^(yes|true|on)$", text, G_REGEX_CASELESS, 0));
}

static json_t *
nothing(const char *text G_GNUC_UNUSED, NovaError **err G_GNUC_UNUSED)
{
    return json_null();
}

/* What text without quotes means: YAML 1.1 as PyYAML resolves it. */
static const struct {
    const char *pattern;
    json_t *(*make)(const char *text, NovaError **err);
} meanings[] = {
    {"^(yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$", truth},
    {"^(~|null|Null|NULL|)$", nothing},
    {"^[-+]?(0b[01_]+|0[0-7_]+|0|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$", integer},
    {"^[-+]?([0-9][0-9_]*\\.[0-9_]*|\\.[0-9][0-9_]*)([eE][-+][0-9]+)?$", real},
    {"^([-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN))$", infinite},
};

static json_t *
read_scalar(const yaml_node_t *node, NovaError **err)
{
    const char *text = scalar_text(node);

    if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        for (size_t i = 0; i < G_N_ELEMENTS(meanings); i++)
            if (g_regex_match_simple(meanings[i].pattern, text, G_REGEX_DOLLAR_ENDONLY, 0))
                return meanings[i].make(text, err);
    if (memchr(text, 0, node->data.scalar.length)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "a text has a NUL in it");
        return NULL;
    }
    return json_string(text);
}

/* ---- collections ---- */

static json_t *
read_sequence(Reader *reader, const yaml_node_t *node, int depth, NovaError **err)
{
    json_t *array = json_array();

    for (yaml_node_item_t *item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
        json_t *value = read_node(reader, *item, depth + 1, err);

        if (!value) {
            json_decref(array);
            return NULL;
        }
        json_array_append_new(array, value);
    }
    return array;
}

/* "<<: *anchor": what the mapping does not say itself. */
static bool
merge(json_t *object, const json_t *merged, NovaError **err)
{
    size_t i;
    const json_t *one;

    if (json_is_object(merged))
        return json_object_update_missing(object, (json_t *)merged) == 0;
    json_array_foreach (merged, i, one)
        if (!json_is_object(one) || json_object_update_missing(object, (json_t *)one) != 0)
            break;
    return (json_is_array(merged) && i == json_array_size(merged)) ||
           nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "expected a mapping for merging");
}

static bool
read_pair(Reader *reader, const yaml_node_pair_t *pair, json_t *object, json_t *merges, int depth, NovaError **err)
{
    const yaml_node_t *key = yaml_document_get_node(&reader->document, pair->key);
    json_t *value;

    if (key->type != YAML_SCALAR_NODE)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "line %zu: a key is no text", key->start_mark.line + 1);
    value = read_node(reader, pair->value, depth + 1, err);
    if (!value)
        return false;
    if (strcmp(scalar_text(key), "<<") == 0 && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        json_array_append_new(merges, value);
    else
        json_object_set_new(object, scalar_text(key), value);
    return true;
}

static json_t *
read_mapping(Reader *reader, const yaml_node_t *node, int depth, NovaError **err)
{
    json_t *object = json_object();
    json_auto_t *merges = json_array();
    bool ok = true;
    size_t i;
    const json_t *merged;

    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; ok && pair < node->data.mapping.pairs.top; pair++)
        ok = read_pair(reader, pair, object, merges, depth, err);
    json_array_foreach (merges, i, merged)
        ok = ok && merge(object, merged, err);
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

static bool
is_known_tag(const char *tag)
{
    static const char *const tags[] = {YAML_NULL_TAG, YAML_BOOL_TAG, YAML_STR_TAG, YAML_INT_TAG,
                                       YAML_FLOAT_TAG, YAML_SEQ_TAG, YAML_MAP_TAG, NULL};

    return g_strv_contains(tags, tag);
}

static json_t *
read_node(Reader *reader, int index, int depth, NovaError **err)
{
    const yaml_node_t *node = yaml_document_get_node(&reader->document, index);

    if (depth > JSON_MAX_DEPTH || ++reader->n_values > MAX_VALUES) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "nested too deeply, or too many values");
        return NULL;
    }
    if (!is_known_tag((const char *)node->tag)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "line %zu: could not determine a constructor for the tag '%s'",
                       node->start_mark.line + 1, (const char *)node->tag);
        return NULL;
    }
    switch (node->type) {
    case YAML_SEQUENCE_NODE: return read_sequence(reader, node, depth, err);
    case YAML_MAPPING_NODE: return read_mapping(reader, node, depth, err);
    default: return read_scalar(node, err);
    }
}

/* ---- the file ---- */

static json_t *
read_document(yaml_parser_t *parser, NovaError **err)
{
    Reader reader = {0};
    json_t *value;

    if (!yaml_parser_load(parser, &reader.document)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s, line %zu, column %zu",
                       parser->problem ? parser->problem : "out of memory", parser->problem_mark.line + 1,
                       parser->problem_mark.column + 1);
        return NULL;
    }
    value = yaml_document_get_root_node(&reader.document) ? read_node(&reader, 1, 0, err) : json_null();
    yaml_document_delete(&reader.document);
    return value;
}

json_t *
yaml_parse_file(const char *path, NovaError **err)
{
    FILE *file = fopen(path, "re");
    yaml_parser_t parser;
    json_t *value;

    if (!file) {
        nova_error_set(err, NOVA_ERROR_OS_ERROR, "[Errno %d] %s: '%s'", errno, g_strerror(errno), path);
        return NULL;
    }
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_file(&parser, file);
    value = read_document(&parser, err);
    yaml_parser_delete(&parser);
    fclose(file);
    return value;
}
