/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tokens and endpoints, as keystoneauth1's sessions and identity plugins give them.
 *
 * One Keystone a process; it owns a KeystoneSession for each different set of auth settings, so
 * that [placement] and [neutron] with the same user share one token and one catalog. A session is
 * usable from any thread; it asks Keystone when a token is first needed, again shortly before the
 * token ends, and once more when a service answered 401. Nothing is asked at creation: an
 * unreachable Keystone is an error of the request that needed it, and the next one tries again.
 *
 * Errors: Unauthorized (Keystone refused the credentials), MissingAuthPlugin (the group has no
 * auth_type, or one that we do not have), EndpointNotFound, DiscoveryFailure, ConnectFailure.
 * Passwords and tokens appear in no error and no log line. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "conf/options.h"

typedef struct Keystone Keystone;
typedef struct KeystoneSession KeystoneSession;

Keystone *keystone_new(void);
void keystone_free(Keystone *keystone); /* and its sessions; no request may be running */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keystone, keystone_free)

/* The session for these settings ('group' names them in messages); the options are borrowed for
 * good (they live as long as the process's Options), the session belongs to 'keystone'. */
KeystoneSession *keystone_session(Keystone *keystone, const char *group,
                                  const KeystoneAuthOptions *auth, const SessionOptions *session);

/* A valid token; the caller frees it. 'refused' is a token that a service has just answered 401
 * to: when it is still the cached one a new one is fetched. NULL: none was refused. */
char *keystone_session_token(KeystoneSession *session, const char *refused, NovaError **err);

/* Which endpoint of a catalog: the first of 'interfaces' that has one. */
typedef struct EndpointFilter {
    const char *service_type; /* official type or any of its aliases */
    const char *service_name; /* NULL: any */
    const char *region_name;  /* NULL: any, as the two above */
    const char *const *interfaces; /* "internal", "public", "admin" */
} EndpointFilter;

/* URL without a trailing slash, as the catalog has it; the caller frees it. */
char *keystone_session_endpoint(KeystoneSession *session, const EndpointFilter *filter,
                                NovaError **err);

/* The same from a catalog that came with a request (RequestContext's "service_catalog", version 2
 * format) or with a token (version 3). NULL when there is none. */
char *keystone_endpoint_from_catalog(const json_t *catalog, const EndpointFilter *filter);

/* The project of the session's token ("" when it has none): what %(project_id)s means. */
char *keystone_session_project_id(KeystoneSession *session, NovaError **err);
