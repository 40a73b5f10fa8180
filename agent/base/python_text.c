/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/python_text.h"

#include <math.h>
#include <string.h>

bool
is_one_of(const char *text, const char *const *allowed)
{
    for (unsigned i = 0; text && allowed[i]; i++) {
        if (!strcmp(text, allowed[i]))
            return true;
    }
    return false;
}

static bool
is_space(gunichar c)
{
    GUnicodeType type;

    if (c < 128)
        return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
    type = g_unichar_type(c);
    return c == 0x85 || type == G_UNICODE_SPACE_SEPARATOR || type == G_UNICODE_LINE_SEPARATOR ||
           type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

char *
python_strip(const char *text)
{
    const char *end;

    while (*text && is_space(g_utf8_get_char(text)))
        text = g_utf8_next_char(text);
    end = text + strlen(text);
    while (end > text && is_space(g_utf8_get_char(g_utf8_prev_char(end))))
        end = g_utf8_prev_char(end);
    return g_strndup(text, (gsize)(end - text));
}

/* ---- booleans ---- */

static char *
strip_and_lower(const char *text)
{
    g_autofree char *stripped = python_strip(text);

    return g_utf8_strdown(stripped, -1);
}

bool
is_true_string(const char *text)
{
    static const char *const words[] = {"1", "t", "true", "on", "y", "yes", NULL};
    g_autofree char *lowered = text ? strip_and_lower(text) : NULL;

    return is_one_of(lowered, words);
}

bool
python_strict_bool(const char *text, bool *ret_value, NovaError **err)
{
    static const char *const no[] = {"0", "f", "false", "off", "n", "no", NULL};
    g_autofree char *lowered = strip_and_lower(text);

    *ret_value = is_true_string(text);
    if (*ret_value || is_one_of(lowered, no))
        return true;
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                          "Unrecognized value '%s', acceptable values are: '0', '1', 'f', 'false', "
                          "'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'", text);
}

/* ---- integers ---- */

/* Sign and digits of what int() accepts: white space around, single underscores between digits,
 * decimal digits of any script. NULL for any other text. */
static char *
strip_int(const char *text, int (*digit_of)(gunichar))
{
    g_autofree char *copy = python_strip(text);
    g_autoptr(GString) digits = g_string_new(NULL);
    const char *p = copy;
    bool was_digit = false;

    if (*p == '+' || *p == '-') {
        if (*p == '-')
            g_string_append_c(digits, '-');
        p++;
    }
    for (; *p; p = g_utf8_next_char(p)) {
        int digit = digit_of(g_utf8_get_char(p));

        if (digit < 0 && !(*p == '_' && was_digit))
            return NULL;
        was_digit = digit >= 0;
        if (was_digit)
            g_string_append_c(digits, "0123456789abcdef"[digit]);
    }
    return was_digit ? g_string_free(g_steal_pointer(&digits), FALSE) : NULL;
}

static int
decimal_digit(gunichar c)
{
    return g_unichar_digit_value(c);
}

static int
hex_digit(gunichar c)
{
    return c < 128 && g_ascii_isxdigit((char)c) ? g_ascii_xdigit_value((char)c)
                                                : g_unichar_digit_value(c);
}

char *
python_int_text(const char *text, NovaError **err)
{
    g_autofree char *digits = strip_int(text, decimal_digit);
    const char *significant;
    bool negative;

    if (!digits) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                       "invalid literal for int() with base 10: '%s'", text);
        return NULL;
    }
    negative = digits[0] == '-';
    significant = digits + negative;
    while (*significant == '0' && significant[1])
        significant++;
    if (!strcmp(significant, "0"))
        negative = false;
    return g_strconcat(negative ? "-" : "", significant, NULL);
}

bool
python_int(const char *text, int64_t *ret_value, NovaError **err)
{
    g_autofree char *digits = python_int_text(text, err);

    if (!digits)
        return false;
    *ret_value = g_ascii_strtoll(digits, NULL, 10);
    return true;
}

/* "0x" may stand before the digits, and an underscore behind it. */
static char *
without_hex_prefix(const char *text)
{
    g_autofree char *copy = python_strip(text);
    char *start = copy + (*copy == '+' || *copy == '-');

    if (start[0] == '0' && (start[1] == 'x' || start[1] == 'X')) {
        size_t skip = start[2] == '_' ? 3 : 2;

        if (!start[skip] || start[skip] == '+' || start[skip] == '-')
            return NULL;
        memmove(start, start + skip, strlen(start + skip) + 1);
    }
    return g_steal_pointer(&copy);
}

bool
python_int_base16(const char *text, int64_t *ret_value)
{
    g_autofree char *copy = without_hex_prefix(text);
    g_autofree char *digits = copy ? strip_int(copy, hex_digit) : NULL;

    if (!digits)
        return false;
    *ret_value = g_ascii_strtoll(digits, NULL, 16);
    return true;
}

/* Digits that are no decimal ones: superscripts, subscripts, in circles, brackets, with a point. */
static bool
is_other_digit(gunichar c)
{
    static const struct { gunichar first, last; } ranges[] = {
        {0xb2, 0xb3},     {0xb9, 0xb9},     {0x2070, 0x2070}, {0x2074, 0x2079}, {0x2080, 0x2089},
        {0x2460, 0x2468}, {0x2474, 0x247c}, {0x2488, 0x2490},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(ranges); i++) {
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    }
    return false;
}

bool
python_is_digits(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text = g_utf8_next_char(text)) {
        const gunichar c = g_utf8_get_char(text);

        if (g_unichar_digit_value(c) < 0 && !is_other_digit(c))
            return false;
    }
    return true;
}

/* ---- sizes ---- */

/* [-+]?\d*\.?\d+ */
static const char *
skip_magnitude(const char *text)
{
    const char *p = text + (*text == '-' || *text == '+');
    const char *digits = p;

    while (g_ascii_isdigit(*p))
        p++;
    if (*p != '.' || !g_ascii_isdigit(p[1]))
        return p > digits ? p : NULL;
    p++;
    while (g_ascii_isdigit(*p))
        p++;
    return p;
}

/* (b|bit|B)$, which matches in front of a last newline, too. */
static bool
parse_unit(const char *text, double *ret_scale)
{
    static const char *const bits[] = {"b", "bit", NULL};
    g_autofree char *unit = g_str_has_suffix(text, "\n") ? g_strndup(text, strlen(text) - 1)
                                                         : g_strdup(text);

    *ret_scale = is_one_of(unit, bits) ? 1.0 / 8 : 1.0;
    return is_one_of(unit, bits) || !strcmp(unit, "B");
}

bool
python_string_to_bytes(const char *text, double *ret_bytes)
{
    static const char prefixes[] = "KMGTPEZYRQ";
    const char *p = skip_magnitude(text);
    g_autofree char *magnitude = p ? g_strndup(text, (gsize)(p - text)) : NULL;
    const char *prefix = p && *p ? strchr(prefixes, *p) : NULL;
    double scale;

    if (!p)
        return false;
    if (prefix)
        p += p[1] == 'i' ? 2 : 1;
    if (!parse_unit(p, &scale))
        return false;
    scale = ldexp(scale, prefix ? 10 * (int)(prefix - prefixes + 1) : 0);
    *ret_bytes = ceil(g_ascii_strtod(magnitude, NULL) * scale);
    return true;
}

char *
python_uuid(const char *text, NovaError **err)
{
    g_autoptr(GString) digits = g_string_new(text);
    size_t first, length;

    g_string_replace(digits, "urn:", "", 0);
    g_string_replace(digits, "uuid:", "", 0);
    first = strspn(digits->str, "{}");
    g_string_erase(digits, 0, (gssize)first);
    while (digits->len > 0 && strchr("{}", digits->str[digits->len - 1]))
        g_string_truncate(digits, digits->len - 1);
    g_string_replace(digits, "-", "", 0);
    length = strspn(digits->str, "0123456789abcdefABCDEF");
    if (length != 32 || digits->len != length) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "badly formed hexadecimal UUID string");
        return NULL;
    }
    g_string_ascii_down(digits);
    return g_strdup_printf("%.8s-%.4s-%.4s-%.4s-%.12s", digits->str, digits->str + 8, digits->str + 12,
                           digits->str + 16, digits->str + 20);
}
