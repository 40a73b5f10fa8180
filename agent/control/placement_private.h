/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What placement.c and placement_allocations.c share. */

#include <pthread.h>

#include "agent/control/placement.h"
#include "agent/control/rest.h"

struct Placement {
    RestClient *rest;        /* immutable, as the next one */
    const Options *options;
    pthread_mutex_t lock;    /* of all below; held while a request about providers runs */
    ProviderTree *tree;      /* as Placement last told us */
    GHashTable *refreshed;   /* provider uuid → gint64 *, monotonic microseconds */
};

/* How often Nova starts over when generations conflict. */
#define PLACEMENT_ATTEMPTS 4

/* 'version' NULL: none, which is 1.0. The path is already encoded. */
HttpResponse *placement_request(Placement *placement, const RequestContext *ctx,
                                const char *method, const char *path, const char *version,
                                json_t *json, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* "/resource_providers/UUID/traits" from "/resource_providers/", UUID, "/traits". */
char *placement_path(const char *before, const char *name, const char *after);

/* Python's bool(response). */
bool placement_is_ok(const HttpResponse *response);

/* The providers of one tree, as GET /resource_providers?in_tree= lists them; new reference. */
json_t *placement_fetch_providers_in_tree(Placement *placement, const RequestContext *ctx,
                                          const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
