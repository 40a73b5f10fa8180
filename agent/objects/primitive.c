/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/primitive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"

/* ---- objects ---- */

static bool
need_member(const json_t *primitive, const char *key, const json_t **ret_value, NovaError **err)
{
    *ret_value = json_object_get(primitive, key);
    if (*ret_value)
        return true;
    if (json_is_null(primitive))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "an object cannot be None");
    if (!json_is_object(primitive))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "an object's primitive must be a dict");
    return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

/* X.Y.Z as far as it is written; false when it is no version. */
static bool
read_version(const char *text, int ret_parts[3])
{
    int ends[3] = {0};

    memset(ret_parts, 0, 3 * sizeof(int));
    sscanf(text, "%9d%n.%9d%n.%9d%n", &ret_parts[0], &ends[0], &ret_parts[1], &ends[1], &ret_parts[2], &ends[2]);
    return ends[0] && !text[MAX(ends[0], MAX(ends[1], ends[2]))] && ret_parts[0] >= 0 && ret_parts[1] >= 0 &&
           ret_parts[2] >= 0;
}

static bool
is_compatible(const int version[3], const int known[3])
{
    if (version[0] != known[0])
        return false;
    return version[1] < known[1] || (version[1] == known[1] && version[2] <= known[2]);
}

static bool
check_version(const json_t *value, const char *name, const char *known_text, NovaError **err)
{
    const char *text = json_string_value(value);
    int version[3], known[3];

    if (text && !strcmp(text, known_text))
        return true;
    if (!text || !read_version(text, version)) {
        g_autofree char *shown = json_to_python_repr(value);

        return nova_error_set(err, NOVA_ERROR_INVALID_VERSION, "Invalid version: %s", shown);
    }
    if (read_version(known_text, known) && is_compatible(version, known))
        return true;
    return nova_error_set(err, NOVA_ERROR_INCOMPATIBLE_OBJECT_VERSION,
                          "Version %s of %s is not supported, supported version is %s", text, name,
                          known_text);
}

bool
primitive_open(const json_t *primitive, const char *name, const char *version,
               const json_t **ret_data, const char **ret_version, NovaError **err)
{
    const json_t *space, *its_name, *its_version;

    if (!need_member(primitive, "nova_object.namespace", &space, err) ||
        !need_member(primitive, "nova_object.name", &its_name, err) ||
        !need_member(primitive, "nova_object.version", &its_version, err))
        return false;
    if (g_strcmp0(json_string_value(space), "nova") ||
        g_strcmp0(json_string_value(its_name), name))
        return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_OBJECT_ERROR,
                              "Unsupported object type %s", json_is_string(its_name)
                                                                ? json_string_value(its_name) : "");
    if (!check_version(its_version, name, version, err) ||
        !need_member(primitive, "nova_object.data", ret_data, err))
        return false;
    if (!json_is_object(*ret_data))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "an object's data must be a dict");
    *ret_version = json_string_value(its_version);
    return true;
}

json_t *
primitive_make(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", version, "nova_object.data", data);
}

bool
primitive_unset(const char *field, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                          "Cannot load '%s' in the base class", field);
}

/* ---- values ---- */

static bool
is_none(const char *field, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field `%s' cannot be None", field);
}

static bool
is_no_number(const char *field, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                          "field %s must be a string or a number, not a list or dict", field);
}

bool
primitive_int(const json_t *value, const char *field, int64_t *ret_value, NovaError **err)
{
    double real;

    switch (json_typeof(value)) {
    case JSON_INTEGER:
        *ret_value = json_integer_value(value);
        return true;
    case JSON_STRING:
        return python_int(json_string_value(value), ret_value, err);
    case JSON_TRUE:
    case JSON_FALSE:
        *ret_value = json_is_true(value);
        return true;
    case JSON_REAL:
        real = trunc(json_real_value(value));
        *ret_value = real >= 9223372036854775808.0    ? INT64_MAX
                     : real <= -9223372036854775808.0 ? INT64_MIN
                                                      : (int64_t)real;
        return true;
    case JSON_NULL:
        return is_none(field, err);
    default:
        return is_no_number(field, err);
    }
}

bool
primitive_float(const json_t *value, const char *field, double *ret_value, NovaError **err)
{
    const char *text = json_string_value(value);
    g_autofree char *stripped = text ? python_strip(text) : NULL;
    char *end;

    if (json_is_null(value))
        return is_none(field, err);
    if (stripped) {
        *ret_value = g_ascii_strtod(stripped, &end);
        return (*stripped && !*end) ||
               nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "could not convert string to float: '%s'", text);
    }
    *ret_value = json_is_true(value) ? 1.0 : json_number_value(value);
    return json_is_number(value) || json_is_boolean(value) || is_no_number(field, err);
}

bool
primitive_is_true(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return json_object_size(value) > 0;
    case JSON_ARRAY:
        return json_array_size(value) > 0;
    case JSON_STRING:
        return json_string_length(value) > 0;
    case JSON_INTEGER:
        return json_integer_value(value) != 0;
    case JSON_REAL:
        return json_real_value(value) != 0.0;
    case JSON_TRUE:
        return true;
    default:
        return false;
    }
}

bool
primitive_bool(const json_t *value, const char *field, bool *ret_value, NovaError **err)
{
    if (json_is_null(value))
        return is_none(field, err);
    *ret_value = primitive_is_true(value);
    return true;
}

char *
primitive_number_text(const json_t *value)
{
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "True" : "False");
    return json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
}

bool
primitive_string(const json_t *value, const char *field, char **ret_value, NovaError **err)
{
    if (json_is_null(value))
        return is_none(field, err);
    if (json_is_object(value) || json_is_array(value))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "A string is required in field %s, not a %s", field,
                              json_is_array(value) ? "list" : "dict");
    *ret_value = json_is_string(value) ? g_strdup(json_string_value(value))
                                       : primitive_number_text(value);
    return true;
}

bool
primitive_list(const json_t *value, const char *field, NovaError **err)
{
    if (json_is_array(value) || (json_is_object(value) && !json_object_size(value)) ||
        (json_is_string(value) && !json_string_length(value)))
        return true;
    if (json_is_null(value))
        return is_none(field, err);
    return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "field %s must be a list", field);
}

/* Python iterates over the characters of a string. */
static bool
add_digits(const char *text, CpuSet *set, NovaError **err)
{
    for (; *text; text = g_utf8_next_char(text)) {
        int digit = g_unichar_digit_value(g_utf8_get_char(text));

        if (digit < 0)
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                                  "invalid literal for int() with base 10 in '%s'", text);
        cpu_set_add(set, digit);
    }
    return true;
}

bool
primitive_cpu_set(const json_t *value, const char *field, CpuSet *set, NovaError **err)
{
    size_t i;
    json_t *item;

    if (json_is_string(value))
        return add_digits(json_string_value(value), set, err);
    if (!primitive_list(value, field, err))
        return false;
    json_array_foreach (value, i, item) {
        int64_t number;

        if (!primitive_int(item, field, &number, err))
            return false;
        if (!cpu_set_add(set, number))
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%" PRId64 " is no CPU number",
                                  number);
    }
    return true;
}

bool
primitive_enum(const json_t *value, const char *field, const char *const *names, int of_null,
               int *ret_value, NovaError **err)
{
    const char *text = json_string_value(value);

    *ret_value = of_null;
    if (json_is_null(value))
        return true;
    for (int i = 0; text && names[i]; i++) {
        if (!strcmp(text, names[i])) {
            *ret_value = i;
            return true;
        }
    }
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field value %s is invalid in field %s",
                          text ? text : "", field);
}

/* ---- comparing and writing ---- */

static bool
is_numeric(const json_t *value)
{
    return json_is_number(value) || json_is_boolean(value);
}

static double
as_number(const json_t *value)
{
    return json_is_boolean(value) ? json_is_true(value) : json_number_value(value);
}

bool
primitive_equal(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    if (is_numeric(a) && is_numeric(b))
        return as_number(a) == as_number(b);
    return json_equal(a, b);
}

json_t *
primitive_from_cpu_set(const CpuSet *set)
{
    json_t *list = json_array();

    for (int64_t number = cpu_set_next(set, 0); number >= 0; number = cpu_set_next(set, number + 1))
        json_array_append_new(list, json_integer(number));
    return list;
}
