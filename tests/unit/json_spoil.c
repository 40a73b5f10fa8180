/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/json_spoil.h"

#include <glib.h>
#include <stdint.h>

#define LEVELS 100

typedef struct Spoiling {
    json_t *root;
    json_t *wrong; /* what stands in a member's place */
    void (*check)(const json_t *root);
} Spoiling;

static json_t *
nested(void)
{
    json_t *value = json_integer(1);

    for (int i = 0; i < LEVELS; i++)
        value = i % 2 ? json_pack("[o]", value) : json_pack("{s:o}", "nova_object.data", value);
    return value;
}

static void spoil(const Spoiling *spoiling, json_t *value);

static void
spoil_member(const Spoiling *spoiling, json_t *object, const char *key)
{
    json_t *kept = json_incref(json_object_get(object, key)), *other;
    size_t i;

    spoil(spoiling, kept);
    json_array_foreach (spoiling->wrong, i, other) {
        json_object_set(object, key, other);
        spoiling->check(spoiling->root);
    }
    json_object_del(object, key);
    spoiling->check(spoiling->root);
    json_object_set_new(object, key, kept);
}

/* The others are like the first. */
static void
spoil_first_item(const Spoiling *spoiling, json_t *array)
{
    json_t *kept = json_incref(json_array_get(array, 0)), *other;
    size_t i;

    spoil(spoiling, kept);
    json_array_foreach (spoiling->wrong, i, other) {
        json_array_set(array, 0, other);
        spoiling->check(spoiling->root);
    }
    json_array_set_new(array, 0, kept);
}

static void
spoil(const Spoiling *spoiling, json_t *value)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_auto(GStrv) keys = NULL;
    const char *key;
    json_t *item;

    json_object_foreach (value, key, item)
        g_strv_builder_add(builder, key);
    keys = g_strv_builder_end(builder);
    for (char **name = keys; *name; name++)
        spoil_member(spoiling, value, *name);
    if (json_array_size(value) > 0)
        spoil_first_item(spoiling, value);
}

void
json_spoil_each(json_t *root, void (*check)(const json_t *root))
{
    json_auto_t *wrong = json_pack("[n, b, i, I, I, f, s, s, [], {}, [n], o]", 1, 7, (json_int_t)INT64_MIN,
                                   (json_int_t)INT64_MAX, 2.5, "", "x", nested());
    const Spoiling spoiling = {root, wrong, check};

    spoil(&spoiling, root);
}
