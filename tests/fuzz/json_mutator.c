/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/json_mutator.h"

#include <glib.h>
#include <jansson.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#define MAX_SLOTS 4000
#define MAX_DEPTH 100

/* A value in its container. */
typedef struct Slot {
    json_t *container;
    const char *key; /* of an object; NULL: 'index' of an array */
    size_t index;
} Slot;

typedef struct Mutation {
    json_t *root;
    GArray *slots;
    GRand *rand;
} Mutation;

static unsigned
below(Mutation *mutation, size_t limit)
{
    return limit ? (unsigned)g_rand_int_range(mutation->rand, 0, (gint32)limit) : 0;
}

static void
collect(Mutation *mutation, json_t *value, int depth)
{
    size_t i;
    const char *key;
    json_t *item;

    if (depth > MAX_DEPTH || mutation->slots->len >= MAX_SLOTS)
        return;
    json_object_foreach (value, key, item) {
        const Slot slot = {value, key, 0};

        g_array_append_val(mutation->slots, slot);
        collect(mutation, item, depth + 1);
    }
    json_array_foreach (value, i, item) {
        const Slot slot = {value, NULL, i};

        g_array_append_val(mutation->slots, slot);
        collect(mutation, item, depth + 1);
    }
}

static Slot
any_slot(Mutation *mutation)
{
    return g_array_index(mutation->slots, Slot, below(mutation, mutation->slots->len));
}

static json_t *
slot_value(const Slot *slot)
{
    return slot->key ? json_object_get(slot->container, slot->key)
                     : json_array_get(slot->container, slot->index);
}

/* Takes ownership of 'value'; a value that cannot stand there is dropped. */
static void
put(const Slot *slot, json_t *value)
{
    if (!value)
        return;
    if (slot->key)
        json_object_set_new(slot->container, slot->key, value);
    else
        json_array_set_new(slot->container, slot->index, value);
}

static json_t *
any_scalar(Mutation *mutation)
{
    static const json_int_t integers[] = {0, 1, -1, 2, 3, 16, 64, 255, 4096, G_MAXINT32, G_MAXINT64, G_MININT64};
    static const char *const strings[] = {"", "0", "1", "-1", "true", "false", "x", "9223372036854775808",
                                          "/dev/vda", "0000:81:00.1", "\xc3\xbc<&>", "1e3", " 7 ", "1_0"};

    switch (below(mutation, 6)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(below(mutation, 2));
    case 2:
        return json_integer(integers[below(mutation, G_N_ELEMENTS(integers))]);
    case 3:
        return json_real(g_rand_double_range(mutation->rand, -1e6, 1e20));
    default:
        return json_string(strings[below(mutation, G_N_ELEMENTS(strings))]);
    }
}

static json_t *
nested(Mutation *mutation, json_t *inner)
{
    const unsigned depth = below(mutation, 20) ? 1 : MAX_DEPTH;

    for (unsigned i = 0; i < depth; i++)
        inner = below(mutation, 2) ? json_pack("[o]", inner) : json_pack("{s:o}", "x", inner);
    return inner;
}

/* Bytes as libFuzzer likes them, valid or not: json_stringn() refuses what is no UTF-8. */
static json_t *
changed_string(const json_t *string)
{
    const size_t length = json_string_length(string);
    const size_t room = length + 16;
    g_autofree uint8_t *bytes = g_malloc(room);

    memcpy(bytes, json_string_value(string), length);
    return json_stringn((const char *)bytes, LLVMFuzzerMutate(bytes, length, room));
}

static void
change_slot(Mutation *mutation)
{
    const Slot slot = any_slot(mutation);
    const Slot other = any_slot(mutation);
    json_t *value = slot_value(&slot);

    switch (below(mutation, 7)) {
    case 0:
        if (slot.key)
            json_object_del(slot.container, slot.key);
        else
            json_array_remove(slot.container, slot.index);
        break;
    case 1:
    case 2:
        put(&slot, json_deep_copy(slot_value(&other)));
        break;
    case 3:
        put(&slot, nested(mutation, json_deep_copy(value)));
        break;
    case 4:
        put(&slot, json_is_string(value) ? changed_string(value) : any_scalar(mutation));
        break;
    case 5:
        if (json_is_array(value))
            json_array_append_new(value, any_scalar(mutation));
        break;
    default:
        put(&slot, any_scalar(mutation));
    }
}

static size_t
count(const char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

static void
say_word(Mutation *mutation, const JsonWords *all)
{
    unsigned n = 0;
    const JsonWords *words;
    json_t *object = mutation->root;

    while (all[n].keys)
        n++;
    words = &all[below(mutation, n)];
    for (const char *const *key = words->path; *key; key++)
        object = json_object_get(object, *key);
    if (json_is_object(object))
        json_object_set_new(object, words->keys[below(mutation, count(words->keys))],
                            json_string(words->values[below(mutation, count(words->values))]));
}

/* Every change asks for the slots anew: the last one may have freed some. */
static void
mutate_tree(Mutation *mutation, const JsonWords *words)
{
    g_array_set_size(mutation->slots, 0);
    collect(mutation, mutation->root, 0);
    if (below(mutation, 2) && words)
        say_word(mutation, words);
    else if (mutation->slots->len)
        change_slot(mutation);
}

size_t
json_mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed, const JsonWords *words)
{
    json_t *root = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    Mutation mutation = {root, g_array_new(FALSE, FALSE, sizeof(Slot)), g_rand_new_with_seed(seed)};
    g_autofree char *text = NULL;

    if (root && below(&mutation, 16)) {
        for (unsigned n = 1 + below(&mutation, 4); n > 0; n--)
            mutate_tree(&mutation, words);
        text = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
    }
    g_array_unref(mutation.slots);
    g_rand_free(mutation.rand);
    json_decref(root);
    if (!text || strlen(text) > max_size)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(data, text, strlen(text));
    return strlen(text);
}
