/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The image service: image records and their data (nova/image/glance.py over glanceclient v2).
 *
 * Requests carry the user's token (and a service token with send_service_user_token). Endpoints
 * are [glance]api_servers in random order, else the catalog's; 1 + num_retries attempts, 1 s
 * apart, on connection failures, 503 and corrupt downloads. Any thread.
 *
 * Errors: ImageNotFound (404, or not visible), ImageNotAuthorized (401, 403), ImageBadRequest,
 * ImageQuotaExceeded, ImageUnacceptable (no data), ImageDeleteConflict, GlanceConnectionFailed
 * (attempts used up); another status of Glance's is glanceclient's exception. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"

struct Keystone;
struct Options;

typedef struct Glance Glance;

/* Borrows both for its life. */
Glance *glance_new(const struct Options *options, struct Keystone *keystone);
void glance_free(Glance *glance);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Glance, glance_free)

/* The record as Glance gives it (v2 JSON: properties are members beside the base attributes).
 * New reference. */
json_t *glance_show(Glance *glance, const RequestContext *ctx, const char *image_id,
                    NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The record as Nova hands it around ("_translate_from_glance": custom members under
 * "properties", "size", "min_disk" as numbers, ...): what ImageMeta is made from. New reference. */
json_t *glance_show_translated(Glance *glance, const RequestContext *ctx, const char *image_id,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Gets the record, then the data into 'path' (created 0644, truncated first, fsynced), and checks
 * the data against os_hash_value, else the MD5 checksum. 'ret_record' may be NULL. On failure
 * nothing is left at 'path'. */
bool glance_download(Glance *glance, const RequestContext *ctx, const char *image_id,
                     const char *path, json_t **ret_record, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Images with these properties ({"image_type": "backup", ...}), the youngest first: an array of
 * records, new reference. */
json_t *glance_list(Glance *glance, const RequestContext *ctx, json_t *properties, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Sets attributes of the image, base ones and its own ({"disk_format": "raw", ...}, null allowed);
 * only what differs is sent, everything else stays. */
bool glance_update(Glance *glance, const RequestContext *ctx, const char *image_id,
                   json_t *attributes, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Tells Glance that the image's data lies there already; such an address may not be the caller's to give
 * (ImageNotAuthorized), then Glance has none. */
bool glance_add_location(Glance *glance, const RequestContext *ctx, const char *image_id, const char *url,
                         NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Begins a copy of the image's data into one more of Glance's stores. ImageBadRequest: it is there or on its way;
 * ImageImportImpossible: not with this image as it is now. */
bool glance_copy_to_store(Glance *glance, const RequestContext *ctx, const char *image_id, const char *store,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The image's data from a file. The way it goes is logged; an image that is deleted meanwhile ends
 * it early with ImageNotFound. */
bool glance_upload(Glance *glance, const RequestContext *ctx, const char *image_id,
                   const char *path, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

bool glance_delete(Glance *glance, const RequestContext *ctx, const char *image_id, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
