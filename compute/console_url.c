/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/console_url.h"

#include <glib.h>
#include <stdbool.h>
#include <string.h>

/* Python's urllib.parse.quote_plus(). */
static void
append_quoted(GString *query, const char *text)
{
    for (; *text; text++) {
        if (g_ascii_isalnum(*text) || strchr("_.-~", *text))
            g_string_append_c(query, *text);
        else if (*text == ' ')
            g_string_append_c(query, '+');
        else
            g_string_append_printf(query, "%%%02X", (unsigned char)*text);
    }
}

static void
append_parameter(GString *query, const char *name, const char *value)
{
    if (query->len > 0)
        g_string_append_c(query, '&');
    append_quoted(query, name);
    g_string_append_c(query, '=');
    append_quoted(query, value);
}

/* The part of "name=value" as its meaning; NULL: none, or not decodable. */
static char *
decoded(const char *text)
{
    g_autofree char *spaced = g_strdelimit(g_strdup(text), "+", ' ');

    return g_uri_unescape_string(spaced, NULL);
}

/* The query with its "path" made into "<path>?token=<token>"; blank parameters are dropped, as
 * Python's parse_qs() does. */
static char *
query_with_token(const char *old, const char *token)
{
    g_auto(GStrv) pairs = g_strsplit(old, "&", -1);
    GString *query = g_string_new(NULL);
    bool has_path = false;

    for (char **pair = pairs; *pair; pair++) {
        char *equals = strchr(*pair, '=');
        g_autofree char *value = equals ? decoded(equals + 1) : NULL;
        g_autofree char *name = NULL;

        if (!value || !*value)
            continue;
        *equals = '\0';
        name = decoded(*pair);
        if (!name || (has_path && strcmp(name, "path") == 0))
            continue;
        if (strcmp(name, "path") == 0) {
            g_autofree char *path = g_strdup_printf("%s?token=%s", value, token);

            has_path = true;
            append_parameter(query, name, path);
        } else {
            append_parameter(query, name, value);
        }
    }
    if (!has_path) {
        g_autofree char *path = g_strdup_printf("?token=%s", token);

        append_parameter(query, "path", path);
    }
    return g_string_free(query, FALSE);
}

char *
console_url(const char *console_type, const char *base, const char *token)
{
    const char *fragment = strchr(base, '#');
    g_autofree char *whole = fragment ? g_strndup(base, (size_t)(fragment - base)) : g_strdup(base);
    char *question = strchr(whole, '?');
    g_autofree char *query = NULL;

    if (strcmp(console_type, "novnc") != 0)
        return g_strdup_printf("%s?token=%s", base, token);
    query = query_with_token(question ? question + 1 : "", token);
    if (question)
        *question = '\0';
    return g_strdup_printf("%s?%s%s", whole, query, fragment ? fragment : "");
}
