/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Text as Python reads it: str.strip(), int(), oslo's bool_from_string() and string_to_bytes().
 * Pure; text is UTF-8. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* str.strip(), which knows more white space than ASCII's; g_free(). */
char *python_strip(const char *text);

/* oslo_utils.strutils.bool_from_string(); NULL is false. */
bool is_true_string(const char *text);
/* The same with strict=True: false (ValueError in *err) for a text that is neither. */
bool python_strict_bool(const char *text, bool *ret_value, NovaError **err);

/* Python's int(text): false (ValueError in *err) for what it refuses; clamps beyond 64 bits. */
bool python_int(const char *text, int64_t *ret_value, NovaError **err);
/* int(text, 16). */
bool python_int_base16(const char *text, int64_t *ret_value);
/* str(int(text)), of any length; NULL with ValueError; g_free(). */
char *python_int_text(const char *text, NovaError **err);
/* str.isdigit(), which knows digits that int() refuses. */
bool python_is_digits(const char *text);

/* oslo_utils.strutils.string_to_bytes(text, return_int=True): "2MB", "1.5GiB", "8192b". A whole
 * number, or infinite. False for any other text. */
bool python_string_to_bytes(const char *text, double *ret_bytes);

bool is_one_of(const char *text, const char *const *allowed);

/* str(uuid.UUID(text)): 32 hexadecimal digits, wherever hyphens and "urn:uuid:" stand, as lower-case text with
 * hyphens; ValueError for anything else; g_free(). */
char *python_uuid(const char *text, NovaError **err);
