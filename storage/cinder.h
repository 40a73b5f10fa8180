/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The block storage service, version 3 (nova/volume/cinder.py). With the token of the request, and
 * our service token beside it where [service_user] says so: without that Cinder deletes no attachment
 * of a server (LP 2004555). Any thread.
 *
 * Errors: CinderConnectionFailed, InvalidInput (400), Forbidden, VolumeNotFound,
 * VolumeAttachmentNotFound, SnapshotNotFound, OverQuota; ClientException for whatever else it answers. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"

struct Keystone;
struct Options;

typedef struct Cinder Cinder;

/* Borrows both for its life. */
Cinder *cinder_new(const struct Options *options, struct Keystone *keystone);
void cinder_free(Cinder *cinder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cinder, cinder_free)

/* ---- volumes ---- */

typedef enum SharedTargets {
    TARGETS_NOT_SHARED,
    TARGETS_SHARED,        /* other volumes are behind the same target */
    TARGETS_ALWAYS_LOCKED, /* ... and attaching to it is never safe beside another */
} SharedTargets;

typedef struct CinderVolume {
    json_t *json; /* as it came; the strings below are borrowed from it */
    const char *id;
    const char *status;            /* "in-use" */
    const char *availability_zone; /* may be NULL, as all below */
    const char *volume_type;
    const char *migration_status;
    const char *service_uuid;
    int64_t size_gib;
    bool is_multiattach;
    SharedTargets shared_targets;
} CinderVolume;

/* In the newest form that Cinder knows, 3.69 at most. */
CinderVolume *cinder_volume_get(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void cinder_volume_free(CinderVolume *volume);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CinderVolume, cinder_volume_free)

/* On how many of these servers (json strings) is it attached? */
unsigned cinder_volume_count_servers(const CinderVolume *volume, const json_t *uuids);

typedef struct CinderNewVolume {
    int64_t size_gib; /* 0: the snapshot's */
    const char *name;
    const char *description;
    const char *snapshot_id;       /* NULL: not from one, as the next */
    const char *image_id;
    const char *volume_type;       /* NULL: Cinder's choice, as the next */
    const char *availability_zone;
} CinderNewVolume;

CinderVolume *cinder_volume_create(Cinder *cinder, const RequestContext *ctx,
                                   const CinderNewVolume *what, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool cinder_volume_delete(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The project's volume of that name: *ret_id is the caller's, NULL when there is none. */
bool cinder_volume_find(Cinder *cinder, const RequestContext *ctx, const char *name, char **ret_id,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool cinder_volume_rename(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                          const char *name, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* {"provider", "cipher", "key_size", "control_location", "encryption_key_id"}: all null when it is not
 * encrypted. New reference. */
json_t *cinder_volume_encryption(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Writes an image over it (3.68); Cinder says when it is done by an event. */
bool cinder_volume_reimage(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                           const char *image_id, bool is_reserved, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Which id the volume has from now on: Cinder gives the new one the old one's when it migrates. The
 * caller frees it. */
char *cinder_migrate_completion(Cinder *cinder, const RequestContext *ctx, const char *old_volume_id,
                                const char *new_volume_id, bool failed, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* detaching → in-use */
bool cinder_roll_detaching(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* attaching → available */
bool cinder_unreserve(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- snapshots ---- */

/* Its "snapshot" as it came; new reference. */
json_t *cinder_snapshot_get(Cinder *cinder, const RequestContext *ctx, const char *snapshot_id,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Our part of a snapshot that Cinder takes with our help is done, or has failed: "creating",
 * "deleting", "error", "error_deleting". */
bool cinder_snapshot_update_status(Cinder *cinder, const RequestContext *ctx, const char *snapshot_id,
                                   const char *status, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- attachments (3.44) ---- */

/* 'connector' NULL: reserved only. Its id, which the caller frees. */
char *cinder_attachment_create(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                               const char *instance_uuid, const json_t *connector,
                               const char *mountpoint, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* connection_info in the form that block device mappings keep: {"driver_volume_type", "data", ...}; an
 * empty object when no host is connected. New reference. */
json_t *cinder_attachment_get(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The server's attachments, [{"id", "volume_id", "status", ...}]; new reference. */
json_t *cinder_attachments_of_instance(Cinder *cinder, const RequestContext *ctx,
                                       const char *instance_uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Connects the host: connection_info as above. */
json_t *cinder_attachment_update(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                                 const json_t *connector, const char *mountpoint, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* attaching → in-use */
bool cinder_attachment_complete(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* One that is not there is a success with a warning. */
bool cinder_attachment_delete(Cinder *cinder, const RequestContext *ctx, const char *attachment_id,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- servers from before attachments (block device mappings without attachment_id) ---- */

json_t *cinder_initialize_connection(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                                     const json_t *connector, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool cinder_terminate_connection(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                                 const json_t *connector, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool cinder_detach(Cinder *cinder, const RequestContext *ctx, const char *volume_id,
                   const char *instance_uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
