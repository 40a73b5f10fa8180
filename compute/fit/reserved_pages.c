/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/reserved_pages.h"

#include <string.h>

#include "agent/base/python_text.h"
#include "agent/objects/primitive.h"

/* A number of KiB, or a size with a unit. */
static bool
read_size(const json_t *value, int64_t *ret_size_kib)
{
    const char *text = json_string_value(value);
    double bytes;

    if (!value || primitive_int(value, "size", ret_size_kib, NULL))
        return value != NULL;
    if (!text || !python_string_to_bytes(text, &bytes))
        return false;
    *ret_size_kib = bytes / 1024 >= 9223372036854775807.0    ? INT64_MAX
                    : bytes / 1024 <= -9223372036854775808.0 ? INT64_MIN
                                                             : (int64_t)(bytes / 1024);
    return true;
}

static bool
read_number(const json_t *value, const char *key, int64_t *ret_value)
{
    return value && primitive_int(value, key, ret_value, NULL);
}

static bool
read_entry(const json_t *entry, ReservedPages *pages)
{
    return read_size(json_object_get(entry, "size"), &pages->size_kib) &&
           read_number(json_object_get(entry, "node"), "node", &pages->node) &&
           read_number(json_object_get(entry, "count"), "count", &pages->count);
}

static ReservedPages *
find(const GArray *reserved, int64_t node, int64_t size_kib)
{
    for (guint i = 0; i < reserved->len; i++) {
        ReservedPages *pages = &g_array_index(reserved, ReservedPages, i);

        if (pages->node == node && pages->size_kib == size_kib)
            return pages;
    }
    return NULL;
}

static void
put(GArray *reserved, const ReservedPages *pages)
{
    ReservedPages *same = find(reserved, pages->node, pages->size_kib);

    if (same)
        same->count = pages->count;
    else
        g_array_append_val(reserved, *pages);
}

GArray *
reserved_pages_from_json(const json_t *option, NovaError **err)
{
    g_autoptr(GArray) reserved = g_array_new(FALSE, FALSE, sizeof(ReservedPages));
    size_t i;
    json_t *entry;

    json_array_foreach (option, i, entry) {
        ReservedPages pages;

        if (!read_entry(entry, &pages)) {
            g_autofree char *text = json_dumps(option, JSON_ENCODE_ANY);

            nova_error_set(err, NOVA_ERROR_INVALID_RESERVED_MEMORY_PAGES_OPTION,
                           "The format of the option 'reserved_huge_pages' is invalid. (found "
                           "'%s') Please refer to the nova config-reference.", text);
            return NULL;
        }
        put(reserved, &pages);
    }
    return g_steal_pointer(&reserved);
}

/* "key:value,key:value", as oslo.config reads a dictionary. */
static json_t *
entry_from_text(const char *text)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    json_t *entry = json_object();

    for (char **part = parts; *part; part++) {
        char *colon = strchr(*part, ':');

        if (!colon)
            continue;
        *colon = '\0';
        json_object_set_new(entry, g_strstrip(*part), json_string(g_strstrip(colon + 1)));
    }
    return entry;
}

GArray *
reserved_pages_parse(const char *const *option, NovaError **err)
{
    json_auto_t *entries = json_array();

    for (; option && *option; option++)
        json_array_append_new(entries, entry_from_text(*option));
    return reserved_pages_from_json(entries, err);
}

int64_t
reserved_pages_find(const GArray *reserved, int64_t node, int64_t size_kib)
{
    const ReservedPages *pages = find(reserved, node, size_kib);

    return pages ? pages->count : 0;
}
