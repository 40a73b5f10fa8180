/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Typed reads of JSON that came from outside, on jansson. All returned pointers are borrowed. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* Deepest nesting of anything we accept from a peer. */
#define JSON_MAX_DEPTH 100

/* Parses one JSON text of 'length' bytes; ValueError with jansson's text on failure. Duplicate
 * keys: the last one wins, as in Python. Integers beyond 64 bits are an error. */
json_t *json_parse(const char *text, size_t length, NovaError **err);

/* The member if it is there and of that type, else the fallback. 'object' may be NULL or of any
 * type. */
const char *json_get_string(const json_t *object, const char *key, const char *fallback);
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
double json_get_double(const json_t *object, const char *key, double fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);
json_t *json_get_object(const json_t *object, const char *key); /* NULL unless an object */
json_t *json_get_array(const json_t *object, const char *key);  /* NULL unless an array */
/* Follows object members: json_path(body, "port", "binding:profile", NULL). */
json_t *json_path(const json_t *object, ...) G_GNUC_NULL_TERMINATED;

/* As above, but absent or of another type is an error (ValueError naming key and 'what'). */
bool json_need_string(const json_t *object, const char *key, const char *what,
                      const char **ret_value, NovaError **err);
bool json_need_int(const json_t *object, const char *key, const char *what, int64_t *ret_value,
                   NovaError **err);

/* Is the string in the list? NULL and what is no list have none. */
bool json_has_string(const json_t *list, const char *wanted);

/* Compact text; the caller frees with g_free(). */
char *json_to_text(const json_t *value);
/* Text as Python's json.dumps() writes it (", " and ": ", ASCII only); g_free(). */
char *json_to_python_text(const json_t *value);

/* Text as Python's repr() writes the value: {'a': [None, True, 'b']}; g_free(). */
char *json_to_python_repr(const json_t *value);

/* Sets a string, or null when 'value' is NULL. */
void json_set_string(json_t *object, const char *key, const char *value);
