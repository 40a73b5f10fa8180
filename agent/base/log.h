/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Log lines in oslo.log's default formats (logging_context_format_string and its kin), to stderr,
 * a file or the journal, as text or JSON (oslo_log.formatters.JSONFormatter's keys).
 *
 * Any thread may log. A worker pushes a scope once, LOG_SCOPE(ctx, instance_uuid), and every line
 * of that thread carries "[req-... user project] [instance: ...]" until the block is left.
 * Each C file names its logger before the first call:   #define LOG_NAME "kilonova.rpc.server" */

#include <glib.h>
#include <stdbool.h>

struct RequestContext;

typedef enum LogLevel {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_CRITICAL,
} LogLevel;

/* Where lines go; every pointer is borrowed for the time of log_init() only. */
typedef struct LogSettings {
    const char *file;    /* absolute path; NULL: stderr */
    bool use_journal;    /* instead of file */
    bool use_json;
    bool use_stderr;     /* in addition to file or journal */
    bool debug;
    const char *date_format; /* strftime; NULL: "%Y-%m-%d %H:%M:%S" */
} LogSettings;

/* False with text in *ret_error (g_free it) when the file cannot be opened. May be called again:
 * reopening after rotation (HUP). */
bool log_init(const LogSettings *settings, char **ret_error);
void log_set_debug(bool debug);
bool log_is_enabled(LogLevel level);

void log_write(LogLevel level, const char *name, const char *format, ...) G_GNUC_PRINTF(3, 4);

#define LOG_AT(level, ...)                                  \
    do {                                                    \
        if (log_is_enabled(level))                          \
            log_write((level), LOG_NAME, __VA_ARGS__);      \
    } while (0)
#define LOG_DEBUG(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define LOG_INFO(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define LOG_WARNING(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__)
#define LOG_ERROR(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define LOG_CRITICAL(...) LOG_AT(LOG_LEVEL_CRITICAL, __VA_ARGS__)

/* 'text' with the values of password, token and secret keys, of "Bearer"/"X-Auth-Token" headers
 * and of URL userinfo replaced by *** (oslo_utils.strutils.mask_password). Caller frees. */
char *log_masked(const char *text);

typedef struct LogScope {
    const struct RequestContext *ctx; /* may be NULL */
    char instance_uuid[40];           /* a copy: the instance may be exchanged meanwhile; "": none */
    struct LogScope *outer;
} LogScope;

/* Borrows 'ctx' until log_scope_leave(); use the macro. */
void log_scope_enter(LogScope *scope, const struct RequestContext *ctx, const char *instance_uuid);
void log_scope_leave(LogScope *scope);
#define LOG_SCOPE(ctx_, uuid_)                                                          \
    __attribute__((cleanup(log_scope_leave), unused)) LogScope log_scope_here_ = {NULL, "", NULL}; \
    log_scope_enter(&log_scope_here_, (ctx_), (uuid_))

/* For threads started on behalf of a scope: borrowed, NULL outside of any. */
const struct RequestContext *log_scope_context(void);
const char *log_scope_instance(void);
