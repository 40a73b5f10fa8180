/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/nova_error.h"

#include <stdarg.h>
#include <string.h>

#include "agent/base/json.h"

struct NovaError {
    NovaErrorKind kind;
    char *remote_class; /* NOVA_ERROR_REMOTE: the class that the peer named; else NULL */
    char *message;
    char *prefix; /* "pausing X: " or NULL */
    json_t *kwargs;
};

typedef struct ErrorClass {
    const char *name;
    NovaErrorKind base;
    int code;
    int since;
    const char *module;
} ErrorClass;

static const ErrorClass classes[] = {
#define NOVA_ERROR(kind, class, base, code, since) \
    [NOVA_ERROR_##kind] = {class, NOVA_ERROR_##base, code, since, "nova.exception"},
#define OTHER_ERROR(kind, class, base, code, module) \
    [NOVA_ERROR_##kind] = {class, NOVA_ERROR_##base, code, 0, module},
#include "agent/base/nova_errors.def"
#undef NOVA_ERROR
};

static NovaError *
error_new(NovaErrorKind kind, char *message)
{
    NovaError *error = g_new0(NovaError, 1);

    error->kind = kind;
    error->message = message;
    error->kwargs = json_object();
    return error;
}

bool
nova_error_set(NovaError **err, NovaErrorKind kind, const char *format, ...)
{
    va_list args;

    if (!err)
        return false;
    va_start(args, format);
    *err = error_new(kind, g_strdup_vprintf(format, args));
    va_end(args);
    return false;
}

bool
nova_error_prefix(NovaError **err, const char *format, ...)
{
    g_autofree char *old = NULL;
    g_autofree char *text = NULL;
    va_list args;

    if (!err || !*err)
        return false;
    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    old = (*err)->prefix;
    (*err)->prefix = g_strdup_printf("%s: %s", text, old ? old : "");
    return false;
}

void
nova_error_set_kwarg(NovaError *err, const char *name, const char *value)
{
    nova_error_set_kwarg_json(err, name, value ? json_string(value) : json_null());
}

void
nova_error_set_kwarg_json(NovaError *err, const char *name, json_t *value)
{
    if (err)
        json_object_set_new(err->kwargs, name, value);
    else
        json_decref(value);
}

bool
nova_error_propagate(NovaError **err, NovaError *src)
{
    if (err)
        *err = src;
    else
        nova_error_free(src);
    return false;
}

NovaErrorKind
nova_error_kind(const NovaError *err)
{
    return err->kind;
}

bool
nova_error_is(const NovaError *err, NovaErrorKind base)
{
    NovaErrorKind kind;

    if (!err)
        return false;
    for (kind = err->kind; kind != base; kind = classes[kind].base)
        if (kind == NOVA_ERROR_EXCEPTION)
            return false;
    return true;
}

const char *
nova_error_class(const NovaError *err)
{
    return err->remote_class ? err->remote_class : classes[err->kind].name;
}

const char *
nova_error_message(const NovaError *err)
{
    return err->message;
}

const char *
nova_error_details(const NovaError *err)
{
    static __thread char *text; /* valid until this thread's next call */

    if (!err->prefix)
        return err->message;
    g_free(text);
    text = g_strconcat(err->prefix, err->message, NULL);
    return text;
}

int
nova_error_code(const NovaError *err)
{
    json_int_t code = json_integer_value(json_object_get(err->kwargs, "code"));

    return code > 0 && code < 1000 ? (int)code : classes[err->kind].code;
}

json_t *
nova_error_kwarg(const NovaError *err, const char *name)
{
    return json_object_get(err->kwargs, name);
}

/* The class as a control plane of that release knows it. */
static const ErrorClass *
class_for_release(NovaErrorKind kind, int release)
{
    while (classes[kind].since > release)
        kind = classes[kind].base;
    return &classes[kind];
}

json_t *
nova_error_to_failure(const NovaError *err, int release)
{
    const ErrorClass *class = class_for_release(err->kind, release);
    bool is_nova = strcmp(class->module, "nova.exception") == 0;
    json_t *kwargs = is_nova ? json_deep_copy(err->kwargs) : json_object();
    g_autofree char *trace = g_strdup_printf("%s: %s\n", class->name, nova_error_details(err));

    if (is_nova && !json_object_get(kwargs, "code"))
        json_object_set_new(kwargs, "code", json_integer(nova_error_code(err)));
    return json_pack("{s:s, s:s, s:s, s:[s], s:[s], s:o}", "class", class->name, "module",
                     class->module, "message", err->message, "tb", trace, "args", err->message,
                     "kwargs", kwargs);
}

static NovaErrorKind
kind_of_class(const char *name)
{
    for (size_t i = 0; i < N_NOVA_ERRORS; i++)
        if (strcmp(classes[i].name, name) == 0)
            return (NovaErrorKind)i;
    return NOVA_ERROR_REMOTE;
}

/* What a RemoteError or a plain exception wanted to say: args[0] is the formatted message, while
 * 'message' of a re-raised remote error may carry the traceback too. */
static const char *
failure_text(const json_t *failure)
{
    const json_t *args = json_object_get(failure, "args");
    const char *text = json_string_value(json_array_get(args, 0));

    return text && *text ? text : json_get_string(failure, "message", "");
}

NovaError *
nova_error_from_failure(const json_t *failure)
{
    g_autofree char *class = g_strdup(json_get_string(failure, "class", "Exception"));
    json_t *kwargs = json_get_object(failure, "kwargs");
    const char *text = failure_text(failure);
    NovaErrorKind kind;
    NovaError *error;

    if (g_str_has_suffix(class, "_Remote"))
        class[strlen(class) - strlen("_Remote")] = '\0';
    if (strcmp(class, "RemoteError") == 0) {
        /* RemoteError(exc_type, value, traceback): a class outside nova.exception. */
        const char *inner = json_get_string(kwargs, "exc_type", NULL);

        if (inner) {
            g_free(class);
            class = g_strdup(inner);
            text = json_get_string(kwargs, "value", text);
        }
    }
    kind = kind_of_class(class);
    error = error_new(kind, g_utf8_make_valid(text, -1));
    if (kind == NOVA_ERROR_REMOTE)
        error->remote_class = g_steal_pointer(&class);
    if (kwargs)
        json_object_update(error->kwargs, kwargs);
    return error;
}

NovaError *
nova_error_copy(const NovaError *err)
{
    NovaError *copy = error_new(err->kind, g_strdup(err->message));

    copy->remote_class = g_strdup(err->remote_class);
    copy->prefix = g_strdup(err->prefix);
    json_object_update(copy->kwargs, err->kwargs);
    return copy;
}

void
nova_error_free(NovaError *err)
{
    if (!err)
        return;
    g_free(err->remote_class);
    g_free(err->message);
    g_free(err->prefix);
    json_decref(err->kwargs);
    g_free(err);
}
