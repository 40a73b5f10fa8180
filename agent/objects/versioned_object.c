/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/versioned_object.h"

#include <math.h>
#include <string.h>

#include "agent/base/json.h"

#define KEY_NAME "nova_object.name"
#define KEY_NAMESPACE "nova_object.namespace"
#define KEY_VERSION "nova_object.version"
#define KEY_DATA "nova_object.data"
#define KEY_CHANGES "nova_object.changes"

static void *
slot_of(const void *object, const ObjectField *field)
{
    return (char *)object + field->offset;
}

static int
index_of(const ObjectType *type, size_t offset)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].offset == offset)
            return (int)i;
    g_assert_not_reached();
}

bool
object_is_set_at(const void *object, size_t offset)
{
    const ObjectBase *base = object;

    return base->set & (UINT64_C(1) << index_of(base->type, offset));
}

void
object_set_at(void *object, size_t offset)
{
    ObjectBase *base = object;

    base->set |= UINT64_C(1) << index_of(base->type, offset);
}

void *
object_new(const ObjectType *type)
{
    ObjectBase *base = g_malloc0(type->size);

    base->type = type;
    base->version = g_strdup(type->version);
    return base;
}

/* ---- freeing ---- */

static void
free_slot(void *slot, const ObjectField *field)
{
    switch (field->kind) {
    case FIELD_STRING:
        g_clear_pointer((char **)slot, g_free);
        break;
    case FIELD_STRING_MAP:
        g_clear_pointer((GHashTable **)slot, g_hash_table_unref);
        break;
    case FIELD_OBJECT:
        object_free(*(void **)slot);
        *(void **)slot = NULL;
        break;
    case FIELD_LIST:
    case FIELD_OBJECT_LIST:
        g_clear_pointer((GPtrArray **)slot, g_ptr_array_unref);
        break;
    case FIELD_JSON:
        json_decref(*(json_t **)slot);
        *(json_t **)slot = NULL;
        break;
    default:
        break;
    }
}

void
object_free(void *object)
{
    ObjectBase *base = object;

    if (!base)
        return;
    for (unsigned i = 0; i < base->type->n_fields; i++)
        free_slot(slot_of(base, &base->type->fields[i]), &base->type->fields[i]);
    g_free(base->version);
    json_decref(base->kept);
    g_free(base);
}

/* ---- decoding ---- */

static bool
wrong(NovaError **err, const ObjectType *type, const char *name, const char *what)
{
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s.%s: %s", type->name, name, what);
}

static int
enum_value(const char *const *names, const char *text)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

/* Nova's maps hold strings; what else is there reads as its JSON. */
static char *
map_text(const json_t *item)
{
    if (json_is_string(item))
        return g_strdup(json_string_value(item));
    return json_is_null(item) ? NULL : json_to_text(item);
}

static GHashTable *
decode_map(const json_t *value)
{
    GHashTable *map = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    const char *key;
    json_t *item;

    json_object_foreach ((json_t *)value, key, item) {
        g_hash_table_replace(map, g_strdup(key), map_text(item));
    }
    return map;
}

static GPtrArray *
decode_list(const ObjectType *type, const json_t *list, NovaError **err)
{
    g_autoptr(GPtrArray) array = g_ptr_array_new_with_free_func(object_free);
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item) {
        void *object = object_from_json(type, item, err);

        if (!object)
            return NULL;
        g_ptr_array_add(array, object);
    }
    return g_steal_pointer(&array);
}

GPtrArray *
object_list_from_json(const ObjectType *type, const json_t *primitive, NovaError **err)
{
    const json_t *objects = json_path(primitive, KEY_DATA, "objects", NULL);

    if (!json_is_array(objects)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "not a list of %s objects", type->name);
        return NULL;
    }
    return decode_list(type, objects, err);
}

/* Python writes an integer as 1.0 where it was computed. */
static bool
decode_int(const json_t *value, int64_t *ret_int)
{
    double number = json_number_value(value);

    if (json_is_integer(value))
        *ret_int = json_integer_value(value);
    else if (json_is_real(value) && fabs(number) < 1e18)
        *ret_int = (int64_t)number;
    else
        return false;
    return true;
}

/* A value that is not null into an empty slot. */
static bool
decode_value(const ObjectType *type, const ObjectField *field, void *slot, const json_t *value,
             NovaError **err)
{
    switch (field->kind) {
    case FIELD_STRING:
        if (!json_is_string(value))
            return wrong(err, type, field->name, "not a string");
        *(char **)slot = g_strdup(json_string_value(value));
        return true;
    case FIELD_INT:
        return decode_int(value, slot) || wrong(err, type, field->name, "not an integer");
    case FIELD_NULLABLE_INT:
        if (!json_is_integer(value))
            return wrong(err, type, field->name, "not an integer");
        *(NullableInt *)slot = (NullableInt){false, json_integer_value(value)};
        return true;
    case FIELD_FLOAT:
        if (!json_is_number(value))
            return wrong(err, type, field->name, "not a number");
        *(double *)slot = json_number_value(value);
        return true;
    case FIELD_BOOL:
        if (!json_is_boolean(value))
            return wrong(err, type, field->name, "not a boolean");
        *(bool *)slot = json_is_true(value);
        return true;
    case FIELD_ENUM:
        if (!json_is_string(value))
            return wrong(err, type, field->name, "not a string");
        *(int *)slot = enum_value(field->names, json_string_value(value));
        return true;
    case FIELD_STRING_MAP:
        if (!json_is_object(value))
            return wrong(err, type, field->name, "not an object");
        *(GHashTable **)slot = decode_map(value);
        return true;
    case FIELD_OBJECT:
        *(void **)slot = object_from_json(field->type, value, err);
        return *(void **)slot != NULL;
    case FIELD_LIST:
        if (!json_is_array(value))
            return wrong(err, type, field->name, "not a list");
        *(GPtrArray **)slot = decode_list(field->type, value, err);
        return *(GPtrArray **)slot != NULL;
    case FIELD_OBJECT_LIST:
        *(GPtrArray **)slot = object_list_from_json(field->type, value, err);
        return *(GPtrArray **)slot != NULL;
    case FIELD_JSON:
        *(json_t **)slot = json_incref((json_t *)value);
        return true;
    }
    return true;
}

/* The size of the largest slot, for values on trial. */
typedef union SlotSpace {
    void *pointer;
    int64_t integer;
    NullableInt nullable;
    double number;
} SlotSpace;

static size_t
slot_size(FieldKind kind)
{
    switch (kind) {
    case FIELD_INT:
        return sizeof(int64_t);
    case FIELD_NULLABLE_INT:
        return sizeof(NullableInt);
    case FIELD_FLOAT:
        return sizeof(double);
    case FIELD_BOOL:
        return sizeof(bool);
    case FIELD_ENUM:
        return sizeof(int);
    default:
        return sizeof(void *);
    }
}

/* Replaces what the slot holds; on an error it stays. */
static bool
decode_field(void *object, unsigned i, const json_t *value, NovaError **err)
{
    ObjectBase *base = object;
    const ObjectField *field = &base->type->fields[i];
    void *slot = slot_of(object, field);
    SlotSpace space = {0};

    if (json_is_null(value)) {
        if (field->kind == FIELD_NULLABLE_INT)
            space.nullable.is_null = true;
    } else if (!decode_value(base->type, field, &space, value, err)) {
        free_slot(&space, field);
        return false;
    }
    free_slot(slot, field);
    memcpy(slot, &space, slot_size(field->kind));
    base->set |= UINT64_C(1) << i;
    return true;
}

static bool
decode_data(void *object, const json_t *data, NovaError **err)
{
    const ObjectBase *base = object;

    for (unsigned i = 0; i < base->type->n_fields; i++) {
        const json_t *value = json_object_get(data, base->type->fields[i].name);

        if (value && !decode_field(object, i, value, err))
            return nova_error_prefix(err, "decoding %s", base->type->name);
    }
    return true;
}

static bool
is_nested(FieldKind kind)
{
    return kind == FIELD_OBJECT || kind == FIELD_LIST || kind == FIELD_OBJECT_LIST;
}

/* The next save is to take them along, as the sender's would have. */
static void
note_unsaved(ObjectBase *base, const json_t *changes)
{
    size_t i;
    json_t *name;

    json_array_foreach (changes, i, name)
        for (unsigned row = 0; row < base->type->n_fields; row++)
            if (json_is_string(name) && !is_nested(base->type->fields[row].kind) &&
                strcmp(base->type->fields[row].name, json_string_value(name)) == 0)
                base->unsaved |= base->set & (UINT64_C(1) << row);
}

void *
object_from_json(const ObjectType *type, const json_t *primitive, NovaError **err)
{
    json_t *data = json_get_object(primitive, KEY_DATA);
    ObjectBase *base;

    if (strcmp(json_get_string(primitive, KEY_NAME, ""), type->name) != 0 || !data ||
        strcmp(json_get_string(primitive, KEY_NAMESPACE, ""), "nova") != 0) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "not a %s object", type->name);
        return NULL;
    }
    base = object_new(type);
    g_free(base->version);
    base->version = g_strdup(json_get_string(primitive, KEY_VERSION, type->version));
    if (!decode_data(base, data, err)) {
        object_free(base);
        return NULL;
    }
    base->kept = json_copy(data);
    note_unsaved(base, json_get_array(primitive, KEY_CHANGES));
    return base;
}

/* ---- encoding ---- */

static json_t *
string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *
encode_map_item(const char *text, const json_t *kept)
{
    g_autofree char *was = kept ? map_text(kept) : NULL;

    return was && g_strcmp0(was, text) == 0 ? json_incref((json_t *)kept) : string_or_null(text);
}

static json_t *
encode_map(GHashTable *map, const json_t *kept)
{
    GHashTableIter iter;
    void *key, *value;
    json_t *object;

    if (!map)
        return json_null();
    object = json_object();
    g_hash_table_iter_init(&iter, map);
    while (g_hash_table_iter_next(&iter, &key, &value))
        json_object_set_new(object, key, encode_map_item(value, json_object_get(kept, key)));
    return object;
}

static json_t *
encode_list(const GPtrArray *array)
{
    json_t *list;

    if (!array)
        return json_null();
    list = json_array();
    for (guint i = 0; i < array->len; i++)
        json_array_append_new(list, object_to_json(array->pdata[i]));
    return list;
}

/* The container as it came, with the items as they are now. */
static json_t *
encode_object_list(const ObjectField *field, const GPtrArray *array, const json_t *kept)
{
    json_t *list, *data;

    if (!array)
        return json_null();
    if (json_is_object(kept)) {
        list = json_copy((json_t *)kept);
        json_object_del(list, KEY_CHANGES);
        data = json_copy(json_object_get(kept, KEY_DATA));
    } else {
        g_autofree char *name = g_strconcat(field->type->name, "List", NULL);

        list = json_pack("{s:s, s:s, s:s}", KEY_NAME, name, KEY_NAMESPACE, "nova", KEY_VERSION, "1.0");
        data = json_object();
    }
    json_object_set_new(data, "objects", encode_list(array));
    json_object_set_new(list, KEY_DATA, data);
    return list;
}

static json_t *
encode_enum(const ObjectField *field, int value, const json_t *kept)
{
    if (value < 0)
        return json_incref((json_t *)kept ? (json_t *)kept : json_null());
    return *field->names[value] ? json_string(field->names[value]) : json_null();
}

static json_t *
encode_field(const void *object, const ObjectField *field, const json_t *kept)
{
    const void *slot = slot_of(object, field);
    const NullableInt *nullable = slot;

    switch (field->kind) {
    case FIELD_STRING:
        return string_or_null(*(char *const *)slot);
    case FIELD_INT:
        return json_is_null(kept) && *(const int64_t *)slot == 0 ? json_null()
                                                                  : json_integer(*(const int64_t *)slot);
    case FIELD_NULLABLE_INT:
        return nullable->is_null ? json_null() : json_integer(nullable->value);
    case FIELD_FLOAT:
        return json_is_null(kept) ? json_null() : json_real(*(const double *)slot);
    case FIELD_BOOL:
        return json_is_null(kept) && !*(const bool *)slot ? json_null() : json_boolean(*(const bool *)slot);
    case FIELD_ENUM:
        return encode_enum(field, *(const int *)slot, kept);
    case FIELD_STRING_MAP:
        return encode_map(*(GHashTable *const *)slot, kept);
    case FIELD_OBJECT:
        return *(void *const *)slot ? object_to_json(*(void *const *)slot) : json_null();
    case FIELD_LIST:
        return encode_list(*(GPtrArray *const *)slot);
    case FIELD_OBJECT_LIST:
        return encode_object_list(field, *(GPtrArray *const *)slot, kept);
    case FIELD_JSON:
        return *(json_t *const *)slot ? json_incref(*(json_t *const *)slot) : json_null();
    }
    return json_null();
}

/* Numbers that are equal are the same: 1 and 1.0 are one value to Python. Nested objects carry their
 * changes, which are no difference in themselves. */
static bool
is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static bool
has_nested_changes(const void *object, const ObjectField *field)
{
    void *const *slot = slot_of(object, field);
    const GPtrArray *list = *slot;

    if (!*slot)
        return false;
    if (field->kind == FIELD_OBJECT)
        return object_has_changes(*slot);
    for (guint i = 0; (field->kind == FIELD_LIST || field->kind == FIELD_OBJECT_LIST) && i < list->len; i++)
        if (object_has_changes(list->pdata[i]))
            return true;
    return false;
}

/* Equal in all but which of their fields are marked as changed. */
static bool
is_same_object(const json_t *a, const json_t *b)
{
    size_t n_a = 0, n_b = 0, i;
    const char *key;
    json_t *item;

    if (json_is_array(a) && json_array_size(a) == json_array_size(b)) {
        json_array_foreach (a, i, item)
            if (!is_same_object(item, json_array_get(b, i)))
                return false;
        return true;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return is_same(a, b);
    json_object_foreach ((json_t *)b, key, item)
        n_b += strcmp(key, KEY_CHANGES) != 0;
    json_object_foreach ((json_t *)a, key, item) {
        if (strcmp(key, KEY_CHANGES) == 0)
            continue;
        n_a++;
        if (!is_same_object(item, json_object_get(b, key)))
            return false;
    }
    return n_a == n_b;
}

static bool
is_changed(const void *object, const ObjectField *field, const json_t *kept, const json_t *value)
{
    if (is_nested(field->kind))
        return !kept || !is_same_object(kept, value) || has_nested_changes(object, field);
    return !kept || !is_same(kept, value);
}

json_t *
object_to_json(const void *object)
{
    const ObjectBase *base = object;
    json_t *data = base->kept ? json_copy(base->kept) : json_object();
    json_t *changes = json_array();
    json_t *primitive;

    for (unsigned i = 0; i < base->type->n_fields; i++) {
        const ObjectField *field = &base->type->fields[i];
        const json_t *kept = json_object_get(base->kept, field->name);
        json_t *value;

        if (!(base->set & (UINT64_C(1) << i)))
            continue;
        value = encode_field(object, field, kept);
        if ((base->unsaved & (UINT64_C(1) << i)) || is_changed(object, field, kept, value))
            json_array_append_new(changes, json_string(field->name));
        else if (!is_nested(field->kind)) /* as it came; nested objects keep theirs themselves */
            g_clear_pointer(&value, json_decref);
        if (value)
            json_object_set_new(data, field->name, value);
    }
    primitive = json_pack("{s:s, s:s, s:s, s:o}", KEY_NAME, base->type->name, KEY_NAMESPACE, "nova",
                          KEY_VERSION, base->version, KEY_DATA, data);
    if (json_array_size(changes) > 0)
        json_object_set(primitive, KEY_CHANGES, changes);
    json_decref(changes);
    return primitive;
}

bool
object_has_changes(const void *object)
{
    json_auto_t *primitive = object_to_json(object);

    return json_object_get(primitive, KEY_CHANGES) != NULL;
}

/* ---- after a save ---- */

static void
mark_nested_saved(void *object, const ObjectField *field)
{
    void **slot = slot_of(object, field);
    GPtrArray *list = *slot;

    if (!*slot)
        return;
    if (field->kind == FIELD_OBJECT)
        object_mark_saved(*slot);
    for (guint i = 0; field->kind != FIELD_OBJECT && i < list->len; i++)
        object_mark_saved(list->pdata[i]);
}

void
object_mark_saved(void *object)
{
    ObjectBase *base = object;
    json_auto_t *primitive = NULL;

    for (unsigned i = 0; i < base->type->n_fields; i++)
        if (is_nested(base->type->fields[i].kind) && (base->set & (UINT64_C(1) << i)))
            mark_nested_saved(object, &base->type->fields[i]);
    primitive = object_to_json(object);
    json_decref(base->kept);
    base->kept = json_incref(json_object_get(primitive, KEY_DATA));
    base->unsaved = 0;
}

/* What decode_data() would refuse half-way, it refuses of an object that nobody sees. */
static bool
can_decode(const ObjectType *type, const json_t *data, NovaError **err)
{
    void *scratch = object_new(type);
    bool ok = decode_data(scratch, data, err);

    object_free(scratch);
    return ok;
}

bool
object_apply_updates(void *object, const json_t *updates, NovaError **err)
{
    ObjectBase *base = object;
    const char *key;
    json_t *value;

    if (!json_is_object(updates))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s: the conductor's updates are no object",
                              base->type->name);
    if (!can_decode(base->type, updates, err) || !decode_data(object, updates, err))
        return false;
    object_mark_saved(object);
    json_object_foreach ((json_t *)updates, key, value)
        if (strcmp(key, "obj_what_changed") != 0)
            json_object_set(base->kept, key, value);
    return true;
}

bool
object_load_fields(void *object, const json_t *fields, NovaError **err)
{
    ObjectBase *base = object;

    if (!can_decode(base->type, fields, err) || !decode_data(object, fields, err))
        return false;
    if (!base->kept)
        base->kept = json_object();
    json_object_update(base->kept, (json_t *)fields);
    return true;
}

bool
object_assign_fields(void *object, const json_t *fields, NovaError **err)
{
    return decode_data(object, fields, err);
}

void
object_keep_field(void *object, const char *name)
{
    ObjectBase *base = object;

    for (unsigned i = 0; i < base->type->n_fields; i++) {
        const ObjectField *field = &base->type->fields[i];

        if (strcmp(field->name, name) != 0)
            continue;
        if (!base->kept)
            base->kept = json_object();
        json_object_set_new(base->kept, name, encode_field(object, field, NULL));
        base->unsaved &= ~(UINT64_C(1) << i);
    }
}

json_t *
object_new_primitive(const char *name, const char *version, json_t *data)
{
    json_t *changes = json_array();
    const char *key;
    json_t *value;

    json_object_foreach (data, key, value)
        json_array_append_new(changes, json_string(key));
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", KEY_NAME, name, KEY_NAMESPACE,
                     "nova", KEY_VERSION, version, KEY_DATA, data,
                     KEY_CHANGES, changes);
}

json_t *
object_versions_json(const char *const *names_and_versions)
{
    json_t *versions = json_object();

    for (const char *const *pair = names_and_versions; pair[0]; pair += 2)
        json_object_set_new(versions, pair[0], json_string(pair[1]));
    return versions;
}

char *
object_time_text(gint64 unix_seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(unix_seconds);

    return g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}

gint64
object_time_seconds(const char *text)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = text ? g_date_time_new_from_iso8601(text, utc) : NULL;

    return time ? g_date_time_to_unix(time) : 0;
}
