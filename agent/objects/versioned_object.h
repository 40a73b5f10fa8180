/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* oslo.versionedobjects ↔ structs.
 *
 * A struct starts with ObjectBase and has one member for each field that this agent works with, named
 * as Nova names it; a table says which. What arrived is kept: fields without a row, versions, and
 * the text of enum values that we do not know go back as they came. Code assigns members; encoding
 * compares them with what was kept, writes the differences and names them in
 * "nova_object.changes". A field that was never loaded is 'unset', which is not null.
 *
 * Pure. An object belongs to one thread at a time. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct NullableInt {
    bool is_null;
    int64_t value;
} NullableInt;

typedef struct ObjectType ObjectType;

typedef enum FieldKind {
    FIELD_STRING,       /* char *; NULL: null. Also UUID, DateTime, IPAddress and free enums */
    FIELD_INT,          /* int64_t */
    FIELD_NULLABLE_INT, /* NullableInt */
    FIELD_FLOAT,        /* double */
    FIELD_BOOL,         /* bool; null reads as false */
    FIELD_ENUM,         /* int, by the row's 'names'; unknown text reads as -1 and goes back as it came */
    FIELD_STRING_MAP,   /* GHashTable char * → char *; a NULL value is null */
    FIELD_OBJECT,       /* pointer to the row's 'type'; NULL: null */
    FIELD_LIST,         /* GPtrArray of the row's 'type': a JSON list */
    FIELD_OBJECT_LIST,  /* the same inside of an XList object */
    FIELD_JSON,         /* json_t *, as it is; NULL: null */
} FieldKind;

typedef struct ObjectField {
    const char *name;
    FieldKind kind;
    size_t offset;
    const ObjectType *type;
    const char *const *names; /* of an enum: value → text, NULL-terminated; names[0] may be "" for null */
} ObjectField;

struct ObjectType {
    const char *name;    /* "Instance" */
    const char *version; /* of new objects, Nova 34's */
    size_t size;
    const ObjectField *fields;
    unsigned n_fields; /* at most 64 */
};

typedef struct ObjectBase {
    const ObjectType *type;
    char *version;
    json_t *kept; /* nova_object.data as it arrived or was last saved; NULL: a new object */
    uint64_t set; /* a bit for each row */
    uint64_t unsaved; /* likewise: plain fields that its sender had changed and not saved */
} ObjectBase;

/* All fields unset. */
void *object_new(const ObjectType *type);

/* Another name than the type's, a namespace other than nova, no data, or a field of the wrong type:
 * ValueError. Never crashes, whatever the JSON is. */
void *object_from_json(const ObjectType *type, const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The primitive with its changes; new reference. */
json_t *object_to_json(const void *object);
bool object_has_changes(const void *object);

/* Nothing is changed any more: what the struct says has been saved. */
void object_mark_saved(void *object);

/* Takes over fields that the conductor sent back (object_action's updates); what it does not know
 * is kept. Marks the object saved. ValueError leaves it as it was. */
bool object_apply_updates(void *object, const json_t *updates, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Sets fields that were not loaded yet, as saved ones; everything else stays as it is. */
bool object_load_fields(void *object, const json_t *fields, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Assigns fields from their primitives, as code assigns members: what differs from the database is
 * a change. ValueError leaves the rest unassigned. */
bool object_assign_fields(void *object, const json_t *fields, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* This field, as the struct has it, is what the database has. */
void object_keep_field(void *object, const char *name);

void object_free(void *object);

/* 'member' is a member of the struct that has a row. */
bool object_is_set_at(const void *object, size_t offset);
void object_set_at(void *object, size_t offset);
#define OBJECT_IS_SET(object, member) object_is_set_at((object), offsetof(__typeof__(*(object)), member))
/* Makes an unset field one that has been assigned. */
#define OBJECT_MARK_SET(object, member) object_set_at((object), offsetof(__typeof__(*(object)), member))
/* Assigns and marks. */
#define OBJECT_SET(object, member, value)    \
    do {                                     \
        (object)->member = (value);          \
        OBJECT_MARK_SET((object), member);   \
    } while (0)
/* The same for strings: frees the old one, copies the new one. */
#define OBJECT_SET_STRING(object, member, value)          \
    do {                                                  \
        char *old_text_ = (object)->member;               \
        (object)->member = g_strdup(value);               \
        g_free(old_text_);                                \
        OBJECT_MARK_SET((object), member);                \
    } while (0)
#define OBJECT_SET_INT(object, member, number)                       \
    do {                                                             \
        (object)->member = (NullableInt){false, (number)};           \
        OBJECT_MARK_SET((object), member);                           \
    } while (0)

/* An object without a struct of ours as Nova writes a new one: every field set and changed. Takes
 * ownership of 'data'. */
json_t *object_new_primitive(const char *name, const char *version, json_t *data);

/* {"name": version, ...} of a class and all that may be nested in it: object_versions. */
json_t *object_versions_json(const char *const *names_and_versions);

/* The objects of an XList primitive; NULL with ValueError if it is none. Owning array. */
GPtrArray *object_list_from_json(const ObjectType *type, const json_t *primitive, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* "2026-01-02T03:04:05Z"; caller frees. */
char *object_time_text(gint64 unix_seconds);
/* Seconds since 1970 of such a text, or of Python's isoformat() without a zone; 0 for none. */
gint64 object_time_seconds(const char *text);
