/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/request_context.h"

/* Guarded by lock; read without it only through the atomic 'debug'. */
static struct {
    pthread_mutex_t lock;
    int fd;
    bool use_journal;
    bool use_json;
    bool use_stderr;
    char date_format[64];
} sink = {PTHREAD_MUTEX_INITIALIZER, STDERR_FILENO, false, false, false, "%Y-%m-%d %H:%M:%S"};

static gint debug_enabled;
static __thread LogScope *innermost;

typedef struct LevelName {
    const char *name;
    int syslog_priority;
} LevelName;

static const LevelName levels[] = {
    [LOG_LEVEL_DEBUG] = {"DEBUG", 7},       [LOG_LEVEL_INFO] = {"INFO", 6},
    [LOG_LEVEL_WARNING] = {"WARNING", 4},   [LOG_LEVEL_ERROR] = {"ERROR", 3},
    [LOG_LEVEL_CRITICAL] = {"CRITICAL", 2},
};

bool
log_init(const LogSettings *settings, char **ret_error)
{
    int fd = STDERR_FILENO;
    int old;

    if (settings->file && !settings->use_journal) {
        fd = open(settings->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
        if (fd < 0) {
            *ret_error =
                g_strdup_printf("cannot open log file %s: %s", settings->file, g_strerror(errno));
            return false;
        }
    }
    pthread_mutex_lock(&sink.lock);
    old = sink.fd;
    sink.fd = fd;
    sink.use_journal = settings->use_journal;
    sink.use_json = settings->use_json;
    sink.use_stderr = settings->use_stderr && fd != STDERR_FILENO;
    g_strlcpy(sink.date_format, settings->date_format ? settings->date_format : "%Y-%m-%d %H:%M:%S",
              sizeof(sink.date_format));
    pthread_mutex_unlock(&sink.lock);
    if (old != STDERR_FILENO)
        close(old);
    log_set_debug(settings->debug);
    return true;
}

void
log_set_debug(bool debug)
{
    g_atomic_int_set(&debug_enabled, debug);
}

bool
log_is_enabled(LogLevel level)
{
    return level > LOG_LEVEL_DEBUG || g_atomic_int_get(&debug_enabled);
}

void
log_scope_enter(LogScope *scope, const RequestContext *ctx, const char *instance_uuid)
{
    scope->ctx = ctx;
    g_strlcpy(scope->instance_uuid, instance_uuid ? instance_uuid : "", sizeof(scope->instance_uuid));
    scope->outer = innermost;
    innermost = scope;
}

void
log_scope_leave(LogScope *scope)
{
    innermost = scope->outer;
}

const RequestContext *
log_scope_context(void)
{
    for (LogScope *scope = innermost; scope; scope = scope->outer)
        if (scope->ctx)
            return scope->ctx;
    return NULL;
}

const char *
log_scope_instance(void)
{
    for (LogScope *scope = innermost; scope; scope = scope->outer)
        if (*scope->instance_uuid)
            return scope->instance_uuid;
    return NULL;
}

static const char *
or_none(const char *text)
{
    return text && *text ? text : "None";
}

/* logging_context_format_string's "[%(global_request_id)s %(request_id)s %(user_identity)s]". */
static void
append_context(GString *line, const RequestContext *ctx)
{
    if (!ctx) {
        g_string_append(line, "[-] ");
        return;
    }
    g_string_append_printf(line, "[%s %s %s] ", or_none(ctx->global_request_id),
                           or_none(ctx->request_id),
                           json_get_string(ctx->values, "user_identity", "- - - - -"));
}

/* The message goes on one line a piece, each with the prefix, as oslo.log leaves it to logging:
 * newlines stay, control characters do not. */
static void
append_clean(GString *line, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 && c != '\n' && c != '\t')
            g_string_append_printf(line, "\\x%02x", c);
        else
            g_string_append_c(line, *text);
    }
}

static void
format_time(GString *line, const struct timespec *now)
{
    struct tm local;
    char text[64];

    localtime_r(&now->tv_sec, &local);
    strftime(text, sizeof(text), sink.date_format, &local);
    g_string_append_printf(line, "%s.%03ld", text, now->tv_nsec / 1000000);
}

static void
format_text(GString *line, LogLevel level, const char *name, const char *message)
{
    const char *instance = log_scope_instance();
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    format_time(line, &now);
    g_string_append_printf(line, " %d %s %s ", (int)getpid(), levels[level].name, name);
    append_context(line, log_scope_context());
    if (instance)
        g_string_append_printf(line, "[instance: %s] ", instance);
    append_clean(line, message);
    g_string_append_c(line, '\n');
}

/* The keys of oslo_log.formatters.JSONFormatter that a reader of Nova's logs uses. */
static void
format_json(GString *line, LogLevel level, const char *name, const char *message)
{
    const RequestContext *ctx = log_scope_context();
    const char *instance = log_scope_instance();
    g_autofree char *valid = g_utf8_make_valid(message, -1);
    g_autoptr(GString) time_text = g_string_new(NULL);
    json_auto_t *record = NULL;
    g_autofree char *text = NULL;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    format_time(time_text, &now);
    record = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:f, s:s, s:s?}", "message", valid,
                       "asctime", time_text->str, "name", name, "levelname", levels[level].name,
                       "process", (int)getpid(), "process_name", "kilonovad", "created",
                       (double)now.tv_sec + (double)now.tv_nsec / 1e9, "hostname", g_get_host_name(),
                       "instance", instance);
    json_object_set_new(record, "context", ctx ? json_copy(ctx->values) : json_object());
    json_object_del(json_object_get(record, "context"), "auth_token");
    json_object_del(json_object_get(record, "context"), "service_catalog");
    text = json_to_python_text(record);
    g_string_append(line, text);
    g_string_append_c(line, '\n');
}

static void
write_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, text, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere to report it */
        text += n;
        length -= (size_t)n;
    }
}

static void
write_journal(LogLevel level, const char *name, const char *message)
{
    const RequestContext *ctx = log_scope_context();
    const char *instance = log_scope_instance();

    sd_journal_send("MESSAGE=%s", message, "PRIORITY=%d", levels[level].syslog_priority,
                    "LOGGER_NAME=%s", name, "LOGGER_LEVEL=%s", levels[level].name,
                    "SYSLOG_IDENTIFIER=kilonovad", "REQUEST_ID=%s", ctx ? ctx->request_id : "",
                    "INSTANCE_ID=%s", instance ? instance : "", NULL);
}

void
log_write(LogLevel level, const char *name, const char *format, ...)
{
    g_autoptr(GString) line = g_string_sized_new(256);
    g_autofree char *message = NULL;
    int saved_errno = errno;
    va_list args;

    va_start(args, format);
    message = g_strdup_vprintf(format, args);
    va_end(args);

    pthread_mutex_lock(&sink.lock);
    if (sink.use_journal) {
        write_journal(level, name, message);
    } else {
        (sink.use_json ? format_json : format_text)(line, level, name, message);
        write_all(sink.fd, line->str, line->len);
    }
    if (sink.use_stderr && line->len)
        write_all(STDERR_FILENO, line->str, line->len);
    pthread_mutex_unlock(&sink.lock);
    errno = saved_errno;
}

/* oslo_utils.strutils.mask_password's keys, in the shapes that our own texts have: JSON members,
 * key=value, headers and URLs. */
static const char *const mask_patterns[] = {
    ("(\"[A-Za-z_]*(?:pass|password|token|secret|auth_key|admin_pass|secret_uuid|private_key|"
     "encryption_key_id|chap_secret)\"\\s*:\\s*\")(?:[^\"\\\\]|\\\\.)*(\")"),
    "((?:X-Auth-Token|X-Service-Token|X-Subject-Token|Authorization)\\s*:\\s*)[^\\s,]+()",
    "((?:password|auth_password|secret|token)\\s*=\\s*)[^\\s,;&]+()",
    "([a-z+]+://[^:/\\s@]*:)[^@\\s/]*(@)",
};

char *
log_masked(const char *text)
{
    char *masked = g_strdup(text);

    for (size_t i = 0; i < G_N_ELEMENTS(mask_patterns); i++) {
        g_autoptr(GRegex) regex = g_regex_new(mask_patterns[i], G_REGEX_CASELESS | G_REGEX_RAW, 0, NULL);
        char *next = g_regex_replace(regex, masked, -1, 0, "\\1***\\2", 0, NULL);

        if (next) {
            g_free(masked);
            masked = next;
        }
    }
    return masked;
}
