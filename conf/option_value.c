/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/option_value.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static bool
parse_bool(const char *text, bool *ret)
{
    static const char *const yes[] = {"true", "1", "on", "yes", NULL};
    static const char *const no[] = {"false", "0", "off", "no", NULL};
    g_autofree char *lower = g_ascii_strdown(text, -1);

    *ret = g_strv_contains(yes, lower);
    return *ret || g_strv_contains(no, lower);
}

static bool
in_range(const OptionRow *row, double value)
{
    return !row->range.is_set || (value >= row->range.min && value <= row->range.max);
}

static char *
describe_range(const OptionRow *row, const char *what)
{
    if (!row->range.is_set)
        return g_strdup(what);
    if (isinf(row->range.max))
        return g_strdup_printf("%s of at least %g", what, row->range.min);
    if (isinf(row->range.min))
        return g_strdup_printf("%s of at most %g", what, row->range.max);
    return g_strdup_printf("%s from %g to %g", what, row->range.min, row->range.max);
}

static bool
is_choice(const OptionRow *row, const char *text)
{
    g_auto(GStrv) choices = g_strsplit(row->choices ? row->choices : "", "|", -1);
    int (*compare)(const char *a, const char *b) = row->flags & OPTION_ANY_CASE ? g_ascii_strcasecmp : strcmp;

    for (char **choice = choices; row->choices && *choice; choice++)
        if (compare(*choice, text) == 0)
            return true;
    return !row->choices;
}

static bool
parse_int(const OptionRow *row, const char *text, int64_t *ret)
{
    g_autofree char *trimmed = g_strstrip(g_strdup(text));
    char *end;

    errno = 0;
    *ret = g_ascii_strtoll(trimmed, &end, 10);
    return errno == 0 && end != trimmed && *end == '\0' && in_range(row, (double)*ret) &&
           is_choice(row, trimmed);
}

/* Host names of 253 letters, digits, '-', '_' and '.'; ':' stands in IPv6 addresses. */
static bool
is_host(const char *text)
{
    return *text && strlen(text) <= 253 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:") ==
               strlen(text);
}

static bool
is_uri(const char *text)
{
    const char *colon = strstr(text, "://");

    return colon && colon > text && colon[3];
}

static bool
parse_float(const OptionRow *row, const char *text, double *ret)
{
    char *end;

    errno = 0;
    *ret = g_ascii_strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*ret) && in_range(row, *ret);
}

static char **
split_list(const char *text)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new();
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    for (char **part = parts; *part; part++) {
        g_strstrip(*part);
        if (**part || part[1])
            g_ptr_array_add(items, g_strdup(*part));
    }
    g_ptr_array_add(items, NULL);
    return (char **)g_ptr_array_steal(items, NULL);
}

static GHashTable *
split_dict(const char *text)
{
    GHashTable *dict = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_auto(GStrv) pairs = g_strsplit(text, ",", -1);

    for (char **pair = pairs; *pair; pair++) {
        g_auto(GStrv) parts = g_strsplit(g_strstrip(*pair), ":", 2);

        if (parts[0] && parts[1])
            g_hash_table_replace(dict, g_strdup(g_strstrip(parts[0])), g_strdup(g_strstrip(parts[1])));
    }
    return dict;
}

static bool
check_list(const OptionRow *row, char **items)
{
    for (char **item = items; *item; item++)
        if (**item && !is_choice(row, *item))
            return false;
    return true;
}

/* ---- slots ---- */

static void *
slot_of(const Options *options, const OptionRow *row)
{
    return (char *)options + row->offset;
}

static bool
parse_text(const OptionRow *row, const char *text, char **slot)
{
    if ((row->kind == OPTION_HOST && !is_host(text)) ||
        (row->kind == OPTION_URI && *text && !is_uri(text)) || (*text && !is_choice(row, text)))
        return false;
    g_free(*slot);
    *slot = g_strdup(text);
    return true;
}

static bool
parse_list(const OptionRow *row, const char *text, char ***slot)
{
    g_strfreev(*slot);
    *slot = split_list(text);
    return check_list(row, *slot);
}

static bool
parse_dict(const char *text, GHashTable **slot)
{
    g_clear_pointer(slot, g_hash_table_unref);
    *slot = split_dict(text);
    return true;
}

bool
option_value_store(Options *options, const OptionRow *row, const char *text)
{
    void *slot = slot_of(options, row);
    OptBool *opt_bool = slot;
    OptInt *opt_int = slot;
    OptFloat *opt_float = slot;

    switch (row->kind) {
    case OPTION_STRING:
    case OPTION_HOST:
    case OPTION_URI:
        return parse_text(row, text, slot);
    case OPTION_BOOL:
        return parse_bool(text, slot);
    case OPTION_OPT_BOOL:
        return opt_bool->is_set = parse_bool(text, &opt_bool->value);
    case OPTION_INT:
        return parse_int(row, text, slot);
    case OPTION_OPT_INT:
        return opt_int->is_set = parse_int(row, text, &opt_int->value);
    case OPTION_FLOAT:
        return parse_float(row, text, slot);
    case OPTION_OPT_FLOAT:
        return opt_float->is_set = parse_float(row, text, &opt_float->value);
    case OPTION_LIST:
        return parse_list(row, text, slot);
    case OPTION_DICT:
        return parse_dict(text, slot);
    case OPTION_MULTI:
        break;
    }
    g_assert_not_reached(); /* option_value_store_multi() is for those */
}

void
option_value_store_multi(Options *options, const OptionRow *row, char **items)
{
    char ***slot = slot_of(options, row);

    g_strfreev(*slot);
    *slot = items;
}

void
option_value_store_empty(Options *options, const OptionRow *row)
{
    void *slot = slot_of(options, row);

    option_value_clear(options, row);
    if (row->kind == OPTION_STRING || row->kind == OPTION_HOST || row->kind == OPTION_URI)
        *(char **)slot = NULL;
    else if (row->kind == OPTION_LIST || row->kind == OPTION_MULTI)
        *(char ***)slot = g_new0(char *, 1);
    else if (row->kind == OPTION_DICT)
        *(GHashTable **)slot = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

void
option_value_clear(Options *options, const OptionRow *row)
{
    void *slot = slot_of(options, row);

    if (row->kind == OPTION_STRING || row->kind == OPTION_HOST || row->kind == OPTION_URI)
        g_free(*(char **)slot);
    else if (row->kind == OPTION_LIST || row->kind == OPTION_MULTI)
        g_strfreev(*(char ***)slot);
    else if (row->kind == OPTION_DICT && *(GHashTable **)slot)
        g_hash_table_unref(*(GHashTable **)slot);
}

bool
option_value_is_same(const Options *a, const Options *b, const OptionRow *row)
{
    const void *x = slot_of(a, row), *y = slot_of(b, row);

    switch (row->kind) {
    case OPTION_STRING:
    case OPTION_HOST:
    case OPTION_URI:
        return g_strcmp0(*(char *const *)x, *(char *const *)y) == 0;
    case OPTION_LIST:
    case OPTION_MULTI:
        return g_strv_equal(*(const char *const *const *)x, *(const char *const *const *)y);
    case OPTION_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case OPTION_INT:
        return *(const int64_t *)x == *(const int64_t *)y;
    default:
        return true; /* none of these is mutable, nor worth a warning */
    }
}

char *
option_value_describe(const OptionRow *row)
{
    static const char *const kinds[] = {
        [OPTION_STRING] = "a string",
        [OPTION_HOST] = "a host name or an address",
        [OPTION_URI] = "a URI",
        [OPTION_INT] = "an integer",
        [OPTION_OPT_INT] = "an integer",
        [OPTION_BOOL] = "true or false",
        [OPTION_OPT_BOOL] = "true or false",
        [OPTION_FLOAT] = "a number",
        [OPTION_OPT_FLOAT] = "a number",
        [OPTION_LIST] = "a list a,b",
        [OPTION_DICT] = "pairs key:value,key:value",
        [OPTION_MULTI] = "repeatable",
    };

    if (row->choices)
        return g_strdup_printf("%s%s", row->kind == OPTION_LIST ? "a list of " : "", row->choices);
    return describe_range(row, kinds[row->kind]);
}
