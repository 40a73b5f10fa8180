/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/request_context.h"

#include <string.h>
#include <time.h>

#include "agent/base/json.h"

#define WIRE_PREFIX "_context_"

static void
context_borrow_strings(RequestContext *ctx)
{
    ctx->request_id = json_get_string(ctx->values, "request_id", "");
    ctx->global_request_id = json_get_string(ctx->values, "global_request_id", "");
    ctx->user_id = json_get_string(ctx->values, "user_id", "");
    ctx->project_id = json_get_string(ctx->values, "project_id", "");
    ctx->auth_token = json_get_string(ctx->values, "auth_token", "");
    ctx->is_admin = json_get_bool(ctx->values, "is_admin", false);
}

/* Takes ownership of 'values'. */
static RequestContext *
context_new(json_t *values)
{
    RequestContext *ctx = g_new0(RequestContext, 1);

    ctx->refs = 1;
    ctx->values = values;
    context_borrow_strings(ctx);
    return ctx;
}

/* nova.context.RequestContext: "%Y-%m-%dT%H:%M:%S.%f" and nothing else. */
static bool
is_timestamp(const char *text)
{
    struct tm tm;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    return rest && *rest == '.' && rest[1] != '\0' && strlen(rest + 1) <= 6 &&
           strspn(rest + 1, "0123456789") == strlen(rest + 1);
}

static bool
context_check(const json_t *values, NovaError **err)
{
    const char *read_deleted = json_get_string(values, "read_deleted", "no");
    const char *timestamp = json_get_string(values, "timestamp", NULL);

    if (strcmp(read_deleted, "no") != 0 && strcmp(read_deleted, "yes") != 0 &&
        strcmp(read_deleted, "only") != 0)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "read_deleted can only be one of 'no', 'yes' or 'only', not '%s'",
                              read_deleted);
    if (timestamp && !is_timestamp(timestamp))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "time data '%s' does not match format '%%Y-%%m-%%dT%%H:%%M:%%S.%%f'",
                              timestamp);
    return true;
}

RequestContext *
request_context_from_message(const json_t *message, NovaError **err)
{
    json_auto_t *values = json_object();
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)message, key, value)
        if (g_str_has_prefix(key, WIRE_PREFIX))
            json_object_set(values, key + strlen(WIRE_PREFIX), value);
    if (!context_check(values, err))
        return NULL;
    return context_new(g_steal_pointer(&values));
}

static char *
now_text(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *seconds = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%s.%06d", seconds, g_date_time_get_microsecond(now));
}

RequestContext *
request_context_new_admin(void)
{
    g_autofree char *uuid = g_uuid_string_random();
    g_autofree char *request_id = g_strdup_printf("req-%s", uuid);
    g_autofree char *timestamp = now_text();

    return context_new(json_pack(
        "{s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:n, s:s, s:n, s:n, s:[], s:s, "
        "s:b, s:n, s:n, s:s, s:n, s:s, s:n, s:n, s:[]}",
        "user", "user_id", "project", "project_id", "system_scope", "domain", "user_domain",
        "project_domain", "is_admin", 1, "read_only", 0, "show_deleted", 0, "auth_token",
        "request_id", request_id, "global_request_id", "resource_uuid", "roles", "user_identity",
        "- - - - -", "is_admin_project", 1, "user_name", "project_name", "read_deleted", "no",
        "remote_address", "timestamp", timestamp, "quota_class", "tenant", "service_catalog"));
}

RequestContext *
request_context_elevated(const RequestContext *ctx, const char *read_deleted)
{
    json_t *values = json_copy(ctx->values);
    json_t *roles = json_get_array(values, "roles");

    roles = roles ? json_copy(roles) : json_array();
    if (!json_has_string(roles, "admin"))
        json_array_append_new(roles, json_string("admin"));
    json_object_set_new(values, "roles", roles);
    json_object_set_new(values, "is_admin", json_true());
    if (read_deleted)
        json_set_string(values, "read_deleted", read_deleted);
    return context_new(values);
}

RequestContext *
request_context_redacted(const RequestContext *ctx)
{
    json_t *values = json_copy(ctx->values);
    g_autofree char *now = now_text();

    json_object_set_new(values, "auth_token", json_null());
    json_object_set_new(values, "remote_address", json_null());
    json_object_set_new(values, "service_catalog", json_array());
    json_set_string(values, "timestamp", now);
    return context_new(values);
}

void
request_context_to_message(const RequestContext *ctx, json_t *message)
{
    const char *key;
    json_t *value;

    json_object_foreach (ctx->values, key, value) {
        g_autofree char *wire_key = g_strconcat(WIRE_PREFIX, key, NULL);

        json_object_set(message, wire_key, value);
    }
}

RequestContext *
request_context_ref(RequestContext *ctx)
{
    g_atomic_int_inc(&ctx->refs);
    return ctx;
}

void
request_context_unref(RequestContext *ctx)
{
    if (!ctx || !g_atomic_int_dec_and_test(&ctx->refs))
        return;
    json_decref(ctx->values);
    g_free(ctx);
}
