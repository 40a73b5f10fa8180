/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/manila.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/key_lock.h"
#include "agent/control/keystone.h"
#include "agent/control/rest.h"
#include "conf/options.h"

#define MICROVERSION "2.82" /* access rules that can be locked */

struct Manila {
    RestClient *rest;
    KeyLock *shares;
};

Manila *
manila_new(const struct Options *options, struct Keystone *keystone)
{
    const RestSettings settings = {
        .keystone = keystone,
        .group = "manila",
        .auth = &options->manila.auth,
        .session = &options->manila.session,
        .adapter = &options->manila.adapter,
        .service_type = "shared-file-system",
        .options = options,
    };
    Manila *manila = g_new0(Manila, 1);

    manila->rest = rest_client_new(&settings);
    manila->shares = key_lock_new();
    return manila;
}

void
manila_free(Manila *manila)
{
    if (!manila)
        return;
    rest_client_free(manila->rest);
    key_lock_free(manila->shares);
    g_free(manila);
}

void
manila_lock_share(Manila *manila, const char *share_id)
{
    key_lock_take(manila->shares, share_id);
}

void
manila_unlock_share(Manila *manila, const char *share_id)
{
    key_lock_release(manila->shares, share_id);
}

/* ---- requests ---- */

/* What Nova says when the service cannot be talked to at all; credentials that are refused or not there
 * stay what they are. */
static bool
connection_failed(NovaError *error, NovaError **err)
{
    if (nova_error_is(error, NOVA_ERROR_UNAUTHORIZED))
        return nova_error_propagate(err, error);
    if (nova_error_is(error, NOVA_ERROR_MISSING_AUTH_PLUGIN)) {
        nova_error_set(err, NOVA_ERROR_MISSING_AUTH_PLUGIN,
                       "An auth plugin is required to determine endpoint URL");
        nova_error_prefix(err, "%s", nova_error_details(error));
        nova_error_free(error);
        return false;
    }
    nova_error_set(err, NOVA_ERROR_MANILA_CONNECTION_FAILED, "Connection to manila service failed: %s",
                   nova_error_message(error));
    if (err)
        nova_error_set_kwarg(*err, "reason", nova_error_message(error));
    nova_error_free(error);
    return false;
}

static HttpResponse *
send(Manila *manila, const RequestContext *ctx, const char *method, const char *path, json_t *body,
     NovaError **err)
{
    static const char *const headers[] = {"X-OpenStack-Manila-API-Version: " MICROVERSION, NULL};
    const RestRequest request = {
        .ctx = ctx,
        .as_admin = true,
        .method = method,
        .path = path,
        .microversion = "shared-file-system " MICROVERSION,
        .headers = headers,
        .json = body,
        .not_idempotent = body != NULL,
    };
    NovaError *error = NULL;
    HttpResponse *response = rest_send(manila->rest, &request, &error);

    if (!response)
        connection_failed(error, err);
    return response;
}

/* ---- refusals ---- */

static bool
share_error(NovaError *error, const char *share_id, const char *reason, NovaError **err)
{
    nova_error_set_kwarg(error, "share_id", share_id);
    nova_error_set_kwarg(error, "reason", reason);
    return nova_error_propagate(err, error);
}

static bool
not_found(const char *share_id, const char *reason, NovaError **err)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_SHARE_NOT_FOUND, "Share %s could not be found.", share_id);
    return share_error(error, share_id, reason, err);
}

static bool
not_granted(const char *share_id, const char *reason, NovaError **err)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_SHARE_ACCESS_GRANT_ERROR,
                   "Share access could not be granted to share id %s.\nReason: %s.", share_id, reason);
    return share_error(error, share_id, reason, err);
}

static bool
not_removed(const char *share_id, const char *reason, NovaError **err)
{
    NovaError *error = NULL;

    nova_error_set(&error, NOVA_ERROR_SHARE_ACCESS_REMOVAL_ERROR,
                   "Share access could not be removed from share id %s.\nReason: %s.", share_id, reason);
    return share_error(error, share_id, reason, err);
}

/* 'bad_request' is what the request calls an answer of 400. */
static bool
refused(const HttpResponse *response, const char *share_id,
        bool (*bad_request)(const char *share_id, const char *reason, NovaError **err),
        NovaError **err)
{
    g_autofree char *text = rest_error_text(response);

    switch (response->status) {
    case 400:
        return bad_request(share_id, text, err);
    case 401:
        return nova_error_set(err, NOVA_ERROR_UNAUTHORIZED, "%s", text);
    case 403:
        return nova_error_set(err, NOVA_ERROR_FORBIDDEN, "%s", text);
    case 404:
        return not_found(share_id, text, err);
    default:
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Manila answered %ld: %s", response->status, text);
    }
}

/* ---- access rules ---- */

static bool
is_for(const json_t *rule, const ManilaAccess *access)
{
    return strcmp(json_get_string(rule, "access_type", ""), access->type) == 0 &&
           strcmp(json_get_string(rule, "access_to", ""), access->to) == 0;
}

/* *ret_rule is a new reference, NULL: there is none. */
static bool
find_rule(Manila *manila, const RequestContext *ctx, const ManilaAccess *access, json_t **ret_rule,
          NovaError **err)
{
    g_autofree char *id = g_uri_escape_string(access->share_id, NULL, FALSE);
    g_autofree char *path = g_strconcat("/share-access-rules?share_id=", id, NULL);
    g_autoptr(HttpResponse) response = send(manila, ctx, "GET", path, NULL, err);
    size_t i;
    json_t *rule;

    if (!response)
        return false;
    if (response->status != 200)
        return refused(response, access->share_id, not_found, err);
    *ret_rule = NULL;
    json_array_foreach (json_get_array(response->json, "access_list"), i, rule)
        if (!*ret_rule && is_for(rule, access))
            *ret_rule = json_incref(rule);
    return true;
}

static HttpResponse *
act(Manila *manila, const RequestContext *ctx, const ManilaAccess *access, json_t *body,
    NovaError **err)
{
    g_autofree char *id = g_uri_escape_string(access->share_id, NULL, FALSE);
    g_autofree char *path = g_strdup_printf("/shares/%s/action", id);

    return send(manila, ctx, "POST", path, body, err);
}

bool
manila_has_access(Manila *manila, const RequestContext *ctx, const ManilaAccess *access,
                  bool *ret_granted, NovaError **err)
{
    json_t *found = NULL;
    json_auto_t *rule = NULL;

    if (!find_rule(manila, ctx, access, &found, err))
        return false;
    rule = found;
    *ret_granted = strcmp(json_get_string(rule, "state", ""), "active") == 0;
    return true;
}

bool
manila_allow(Manila *manila, const RequestContext *ctx, const ManilaAccess *access,
             const char *reason, NovaError **err)
{
    json_auto_t *body = json_pack("{s:{s:s, s:s, s:s, s:b, s:b, s:s}}", "allow_access", "access_type",
                                  access->type, "access_to", access->to, "access_level", "rw",
                                  "lock_visibility", 1, "lock_deletion", 1, "lock_reason", reason);
    g_autoptr(HttpResponse) response = act(manila, ctx, access, body, err);
    const json_t *rule;

    if (!response)
        return false;
    if (response->status >= 300)
        return refused(response, access->share_id, not_granted, err);
    rule = json_get_object(response->json, "access");
    return (is_for(rule, access) && strcmp(json_get_string(rule, "access_level", ""), "rw") == 0) ||
           not_granted(access->share_id, "the answer shows another rule", err);
}

bool
manila_deny(Manila *manila, const RequestContext *ctx, const ManilaAccess *access, NovaError **err)
{
    json_t *found = NULL;
    json_auto_t *rule = NULL, *body = NULL;
    g_autoptr(HttpResponse) response = NULL;

    if (!find_rule(manila, ctx, access, &found, err))
        return false;
    rule = found;
    if (!rule)
        return nova_error_set(err, NOVA_ERROR_SHARE_ACCESS_NOT_FOUND,
                              "Share access from Manila could not be found for share id %s.",
                              access->share_id);
    body = json_pack("{s:{s:s, s:b}}", "deny_access", "access_id", json_get_string(rule, "id", ""),
                     "unrestrict", 1);
    response = act(manila, ctx, access, body, err);
    if (!response)
        return false;
    return response->status == 202 || refused(response, access->share_id, not_removed, err);
}
