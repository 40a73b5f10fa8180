/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/json_lines.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"

/* The end of the string that starts at 'quote', or NULL. */
static const char *
skip_string(const char *quote, const char *end)
{
    for (const char *p = quote + 1; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

static json_t *
read_value(const char *p, const char *end)
{
    while (p < end && g_ascii_isspace(*p))
        p++;
    if (p >= end || *p != ':')
        return NULL;
    return json_loadb(p + 1, (size_t)(end - p - 1),
                      JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, NULL);
}

/* The id of a line that jansson refuses although it is JSON. New reference or NULL. */
static json_t *
salvage_id(const char *line, size_t length)
{
    const char *end = line + length;
    int depth = 0;

    for (const char *p = line; p && p < end;) {
        if (*p == '"') {
            const char *after = skip_string(p, end);

            if (depth == 1 && after && after - p == 4 && !strncmp(p, "\"id\"", 4)) {
                json_t *id = read_value(after, end);

                if (id)
                    return id;
            }
            p = after;
            continue;
        }
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
    }
    return NULL;
}

static json_t *
answer_unreadable(const char *line, size_t length, const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    json_t *id = NULL;

    if (code == json_error_numeric_overflow || code == json_error_null_character)
        id = salvage_id(line, length);
    return json_pack("{s:o, s:s, s:s}", "id", id ? id : json_null(), "error", "ValueError",
                     "message", *error->text ? error->text : "a case must be an object");
}

static json_t *
answer_case(const json_t *json, JsonLinesAnswer make, void *user)
{
    g_autoptr(NovaError) err = NULL;
    json_t *answer = json_object();
    json_t *id = json_object_get(json, "id");

    json_object_set_new(answer, "id", id ? json_incref(id) : json_null());
    if (make(user, json, answer, &err))
        return answer;
    json_set_string(answer, "error", nova_error_class(err));
    json_set_string(answer, "message", nova_error_message(err));
    return answer;
}

char *
json_lines_answer(const char *line, size_t length, JsonLinesAnswer make, void *user)
{
    json_error_t error;
    json_auto_t *json = json_loadb(line, length, JSON_DECODE_ANY, &error);
    json_auto_t *answer = json_is_object(json) ? answer_case(json, make, user)
                                               : answer_unreadable(line, length, &error);
    g_autofree char *text = answer ? json_to_text(answer) : NULL;

    /* jansson's message may quote bytes that are no UTF-8. */
    return text ? g_steal_pointer(&text) : g_strdup("{\"id\":null,\"error\":\"ValueError\"}");
}

static bool
is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (!g_ascii_isspace(line[i]))
            return false;
    }
    return true;
}

int
json_lines_run(FILE *in, FILE *out, JsonLinesAnswer make, void *user)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while ((length = getline(&line, &size, in)) >= 0) {
        g_autofree char *answer = NULL;

        if (is_blank(line, (size_t)length))
            continue;
        answer = json_lines_answer(line, (size_t)length, make, user);
        if (fprintf(out, "%s\n", answer) < 0)
            break;
    }
    free(line);
    return ferror(in) || ferror(out) || fflush(out) != 0 ? 1 : 0;
}
