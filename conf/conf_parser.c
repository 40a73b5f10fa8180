/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf_parser.h"

#include <string.h>

typedef struct Parser {
    const char *file;
    int line;
    char *section;    /* NULL: none yet */
    ConfEntry *open;  /* its value may be continued; NULL: nothing is open */
    GPtrArray *entries;
    char **error;
} Parser;

void
conf_entry_free(void *data)
{
    ConfEntry *entry = data;

    g_free(entry->section);
    g_free(entry->name);
    g_free(entry->value);
    g_free(entry);
}

static bool
refuse(Parser *parser, const char *what, const char *line)
{
    *parser->error = g_strdup_printf("%s:%d: %s: '%s'", parser->file, parser->line, what, line);
    return false;
}

static bool
parse_section(Parser *parser, const char *line)
{
    size_t length = strlen(line);

    parser->open = NULL;
    if (line[length - 1] != ']')
        return refuse(parser, "Invalid section (must end with ])", line);
    if (length == 2)
        return refuse(parser, "Empty section name", line);
    g_free(parser->section);
    parser->section = g_strndup(line + 1, length - 2);
    return true;
}

static char *
unquoted(char *value)
{
    size_t length = strlen(value);

    if (length >= 2 && (*value == '"' || *value == '\'') && value[length - 1] == *value) {
        value[length - 1] = '\0';
        return value + 1;
    }
    return value;
}

static bool
parse_assignment(Parser *parser, char *line)
{
    size_t key_length = strcspn(line, "=:");
    ConfEntry *entry;

    if (line[key_length] == '\0')
        return refuse(parser, "No ':' or '=' found in assignment", line);
    if (key_length == 0)
        return refuse(parser, "Key cannot be empty", line);
    if (!parser->section)
        return refuse(parser, "Section must be started before assignment", line);
    entry = g_new0(ConfEntry, 1);
    entry->section = g_strdup(parser->section);
    entry->name = g_strchomp(g_strndup(line, key_length));
    entry->value = g_strdup(unquoted(g_strstrip(line + key_length + 1)));
    entry->file = parser->file;
    entry->line = parser->line;
    g_ptr_array_add(parser->entries, entry);
    parser->open = entry;
    return true;
}

static bool
parse_continuation(Parser *parser, char *line)
{
    char *old;

    if (!parser->open)
        return refuse(parser, "Unexpected continuation line", line);
    old = parser->open->value;
    parser->open->value = *old ? g_strconcat(old, "\n", g_strchug(line), NULL) : g_strdup(g_strchug(line));
    g_free(old);
    return true;
}

static bool
parse_line(Parser *parser, char *line)
{
    g_strchomp(line);
    if (*line == '\0') {
        parser->open = NULL;
        return true;
    }
    if (*line == ' ' || *line == '\t')
        return parse_continuation(parser, line);
    if (*line == '#' || *line == ';')
        return true;
    if (*line == '[')
        return parse_section(parser, line);
    return parse_assignment(parser, line);
}

bool
conf_parse(const char *text, const char *file, GPtrArray *entries, char **ret_error)
{
    Parser parser = {.file = file, .entries = entries, .error = ret_error};
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    bool ok = true;

    for (char **line = lines; ok && *line; line++) {
        parser.line++;
        ok = parse_line(&parser, *line);
    }
    g_free(parser.section);
    return ok;
}
