/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where Glance says that an image is: rbd://<cluster id>/<pool>/<image>/<snapshot> (pure). */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct RbdLocation {
    char *fsid, *pool, *image, *snapshot;
} RbdLocation;

/* False: it is none; then there is nothing to clear. */
bool rbd_location_parse(const char *url, RbdLocation *ret_location);
void rbd_location_clear(RbdLocation *location);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RbdLocation, rbd_location_clear)

/* The addresses in an image's record, "locations" and "direct_url", of char *; caller unrefs. */
GPtrArray *rbd_location_urls(const json_t *record);
