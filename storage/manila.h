/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The shared file system service: who may reach a share (nova/share/manila.py). With the service's
 * own credentials of [manila]. Any thread.
 *
 * Errors: ManilaConnectionFailed, ShareNotFound, Forbidden, ShareAccessGrantError (the rule was
 * refused), ShareAccessNotFound, ShareAccessRemovalError; InternalError for what else it answers. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"

struct Keystone;
struct Options;

typedef struct Manila Manila;

/* Borrows both for its life. */
Manila *manila_new(const struct Options *options, struct Keystone *keystone);
void manila_free(Manila *manila);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Manila, manila_free)

/* Whoever changes the rules of a share does so alone. */
void manila_lock_share(Manila *manila, const char *share_id);
void manila_unlock_share(Manila *manila, const char *share_id);

/* To a share: "ip" and an address, or "cephx" and a user. */
typedef struct ManilaAccess {
    const char *share_id;
    const char *type;
    const char *to;
} ManilaAccess;

/* *ret_granted: the rule is there and in force. */
bool manila_has_access(Manila *manila, const RequestContext *ctx, const ManilaAccess *access,
                       bool *ret_granted, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* For reading and writing; locked, with 'reason', so that nobody else takes it away. */
bool manila_allow(Manila *manila, const RequestContext *ctx, const ManilaAccess *access,
                  const char *reason, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool manila_deny(Manila *manila, const RequestContext *ctx, const ManilaAccess *access,
                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
