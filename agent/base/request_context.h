/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who asked: nova.context.RequestContext as it travels in the "_context_*" keys of a message.
 *
 * The whole map is kept and goes back in every call made on behalf of the request; keys that we do
 * not know survive (rpc.md 6). Immutable once made: share it between threads by reference. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct RequestContext {
    gint refs;
    json_t *values;         /* {"request_id": ..., "user_id": ...}: keys without "_context_" */
    const char *request_id; /* borrowed from values, all of them; "" rather than NULL */
    const char *global_request_id;
    const char *user_id;
    const char *project_id;
    const char *auth_token;
    bool is_admin;
} RequestContext;

/* Takes the "_context_*" keys out of a decoded RPC message (borrowed). Sets ValueError when
 * read_deleted or timestamp are not what Nova's own constructor accepts. */
RequestContext *request_context_from_message(const json_t *message, NovaError **err);

/* A context of our own for periodic and start-up work: is_admin, no user, a fresh req-<uuid>. */
RequestContext *request_context_new_admin(void);

/* nova.context.RequestContext.elevated(): is_admin and the role admin; read_deleted "yes" or NULL
 * to leave it. */
RequestContext *request_context_elevated(const RequestContext *ctx, const char *read_deleted);

/* What notifications may show: no token, catalog or address; the timestamp is now. */
RequestContext *request_context_redacted(const RequestContext *ctx);

/* Adds the "_context_*" keys to an RPC message. */
void request_context_to_message(const RequestContext *ctx, json_t *message);

RequestContext *request_context_ref(RequestContext *ctx);
void request_context_unref(RequestContext *ctx);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RequestContext, request_context_unref)
