/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Values of oslo.versionedobjects primitives, read as loosely and as strictly as oslo's fields read
 * them (int("5") is 5, int(null) is no number), with the exceptions that those raise. Pure. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/cpu_set.h"

/* The data of an object with that name, of 'version' or an older one that is compatible. */
bool primitive_open(const json_t *primitive, const char *name, const char *version,
                    const json_t **ret_data, const char **ret_version, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The primitive of an object; takes ownership of 'data'. */
json_t *primitive_make(const char *name, const char *version, json_t *data);

bool primitive_int(const json_t *value, const char *field, int64_t *ret_value, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool primitive_float(const json_t *value, const char *field, double *ret_value, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Python's bool(value); null is an error. */
bool primitive_bool(const json_t *value, const char *field, bool *ret_value, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Strings and numbers, as text; g_free(). */
bool primitive_string(const json_t *value, const char *field, char **ret_value, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Adds to 'set'. */
bool primitive_cpu_set(const json_t *value, const char *field, CpuSet *set, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Is it something that Python can iterate over? */
bool primitive_list(const json_t *value, const char *field, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The index of the text in 'names', ValueError when it is none of them; null is 'of_null'. */
bool primitive_enum(const json_t *value, const char *field, const char *const *names, int of_null,
                    int *ret_value, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* What reading a field that was never set raises. Returns false. */
bool primitive_unset(const char *field, NovaError **err);

/* bool(value): empty is false. */
bool primitive_is_true(const json_t *value);
/* str(value) of a number or a boolean; g_free(). */
char *primitive_number_text(const json_t *value);
/* a == b, where 1, 1.0 and True are equal. */
bool primitive_equal(const json_t *a, const json_t *b);

json_t *primitive_from_cpu_set(const CpuSet *set);
