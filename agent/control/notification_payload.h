/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What notifications carry: versioned payloads (nova.notifications.objects) and legacy ones
 * (nova.notifications.base), made from the primitives of objects. Pure. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/objects/volume_usage.h"

/* One action that is reported: a row of Nova's notification_sample table. */
typedef struct NoticeKind {
    const char *action;  /* "resize_prep": instance.resize_prep.start */
    const char *legacy;  /* "resize.prep": compute.instance.resize.prep.start; NULL: none is sent */
    const char *payload; /* class of the versioned payload, and its version; NULL: none is sent */
    const char *version;
    bool has_bdms;       /* block devices are listed whatever bdms_in_notifications says */
    bool is_end_only;    /* the legacy one has no phases and stands for the end */
} NoticeKind;

/* Never NULL: an action without a row of its own is like most. */
const NoticeKind *notice_kind_find(const char *action);

/* What is known when an action is reported; all borrowed. */
typedef struct NoticeFacts {
    const RequestContext *ctx;
    const char *action;
    const json_t *instance;  /* the Instance's nova_object.data */
    const char *instance_name;
    const char *image_url;   /* legacy; NULL: null */
    const GPtrArray *bdms;   /* of BlockDeviceMapping; NULL: not told */
    const json_t *shares;    /* primitives of ShareMapping; NULL: not told */
    const json_t *network;   /* legacy fixed_ips: VIFs as the cache has them; NULL: not told */
    const json_t *fields;    /* versioned: members of this kind alone; "new_flavor" is a Flavor */
    const json_t *extra;     /* legacy: further members, or other values; NULL: none */
    const NovaError *error;  /* NULL unless the phase is "error" */
} NoticeFacts;

/* New references, all of these. */
json_t *payload_of_action(const NoticeKind *kind, const NoticeFacts *facts);
json_t *legacy_payload_of_action(const NoticeFacts *facts);

/* Usage from begin to end (microseconds since 1970, UTC). */
json_t *payload_of_exists(const NoticeFacts *facts, gint64 begin_us, gint64 end_us);

/* An exception that came out of 'function'. */
json_t *payload_of_exception(const NovaError *error, const char *function);
json_t *payload_of_libvirt_error(const NovaError *error, const char *ip);
json_t *payload_of_volume_usage(const VolumeUsage *usage);
json_t *legacy_volume_usage(const VolumeUsage *usage);
/* The image's properties among the system metadata. */
json_t *legacy_image_meta(const json_t *system_metadata);
/* repr() of the exception, as legacy payloads name it. */
json_t *legacy_exception(const NovaError *error);
/* A method's arguments without secrets; objects are their members. */
json_t *legacy_arguments(const json_t *args);
/* "2026-01-02 03:04:05.678901", without the fraction when there is none: str(datetime). */
char *legacy_time_text(gint64 time_us);
