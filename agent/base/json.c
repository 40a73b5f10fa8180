/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/json.h"

#include <stdarg.h>

/* jansson's own limit is 2048 levels and cannot be changed at run time, so depth is counted before
 * it parses: brackets outside of strings. */
static bool
is_too_deep(const char *text, size_t length)
{
    unsigned depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < length; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_MAX_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

json_t *
json_parse(const char *text, size_t length, NovaError **err)
{
    json_error_t error;
    json_t *value;

    if (is_too_deep(text, length)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "JSON is nested deeper than %d levels",
                       JSON_MAX_DEPTH);
        return NULL;
    }
    value = json_loadb(text, length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value)
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "invalid JSON: %s at byte %d", error.text,
                       error.position);
    return value;
}

const char *
json_get_string(const json_t *object, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t
json_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

double
json_get_double(const json_t *object, const char *key, double fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : fallback;
}

bool
json_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

json_t *
json_get_object(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_object(value) ? value : NULL;
}

json_t *
json_get_array(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return json_is_array(value) ? value : NULL;
}

json_t *
json_path(const json_t *object, ...)
{
    json_t *value = (json_t *)object;
    const char *key;
    va_list keys;

    va_start(keys, object);
    while (value && (key = va_arg(keys, const char *)))
        value = json_object_get(value, key);
    va_end(keys);
    return value;
}

bool
json_need_string(const json_t *object, const char *key, const char *what, const char **ret_value,
                 NovaError **err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s: '%s' is %s", what, key,
                              value ? "not a string" : "missing");
    *ret_value = json_string_value(value);
    return true;
}

bool
json_need_int(const json_t *object, const char *key, const char *what, int64_t *ret_value,
              NovaError **err)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s: '%s' is %s", what, key,
                              value ? "not an integer" : "missing");
    *ret_value = (int64_t)json_integer_value(value);
    return true;
}

/* jansson allocates with malloc, which g_free() releases since GLib 2.46. */
char *
json_to_text(const json_t *value)
{
    return json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* jansson writes \u00E4, Python \u00e4. */
static void
lower_escapes(char *text)
{
    while ((text = strchr(text, '\\'))) {
        for (int i = 2; text[1] == 'u' && i < 6 && text[i]; i++)
            text[i] = g_ascii_tolower(text[i]);
        text += 2;
    }
}

char *
json_to_python_text(const json_t *value)
{
    char *text = json_dumps(value, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

    if (text)
        lower_escapes(text);
    return text;
}

/* repr() of a str: quoted by ' unless it holds that and no ". */
static void
append_python_string(GString *text, const char *value)
{
    char quote = strchr(value, '\'') && !strchr(value, '"') ? '"' : '\'';

    g_string_append_c(text, quote);
    for (const char *at = value; *at; at++) {
        if (*at == quote || *at == '\\')
            g_string_append_printf(text, "\\%c", *at);
        else if (*at == '\n' || *at == '\r' || *at == '\t')
            g_string_append(text, *at == '\n' ? "\\n" : *at == '\r' ? "\\r" : "\\t");
        else if ((unsigned char)*at < 0x20 || *at == 0x7f)
            g_string_append_printf(text, "\\x%02x", (unsigned char)*at);
        else
            g_string_append_c(text, *at);
    }
    g_string_append_c(text, quote);
}

static void
append_python_repr(GString *text, const json_t *value)
{
    const char *key, *comma = "";
    size_t i;
    json_t *member;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        g_string_append_c(text, '{');
        json_object_foreach ((json_t *)value, key, member) {
            g_string_append(text, comma);
            append_python_string(text, key);
            g_string_append(text, ": ");
            append_python_repr(text, member);
            comma = ", ";
        }
        g_string_append_c(text, '}');
        break;
    case JSON_ARRAY:
        g_string_append_c(text, '[');
        json_array_foreach (value, i, member) {
            g_string_append(text, i ? ", " : "");
            append_python_repr(text, member);
        }
        g_string_append_c(text, ']');
        break;
    case JSON_STRING:
        append_python_string(text, json_string_value(value));
        break;
    case JSON_INTEGER:
        g_string_append_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL: {
        g_autofree char *number = json_to_text(value);

        g_string_append(text, number);
        break;
    }
    default:
        g_string_append(text, json_is_null(value) ? "None" : json_is_true(value) ? "True" : "False");
    }
}

char *
json_to_python_repr(const json_t *value)
{
    GString *text = g_string_new(NULL);

    append_python_repr(text, value);
    return g_string_free(text, FALSE);
}

void
json_set_string(json_t *object, const char *key, const char *value)
{
    json_object_set_new(object, key, value ? json_string(value) : json_null());
}

bool
json_has_string(const json_t *list, const char *wanted)
{
    size_t i;
    json_t *value;

    json_array_foreach (list, i, value)
        if (g_strcmp0(json_string_value(value), wanted) == 0)
            return true;
    return false;
}
