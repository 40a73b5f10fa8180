/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notifications on the bus (nova.rpc, nova.compute.utils.notify_about_*): legacy
 * "compute.instance.*" and versioned "instance.*", as [notifications]notification_format and
 * [oslo_messaging_notifications] say.
 *
 * Sending only queues: a dead bus holds up nobody. What a payload needs and the instance does not
 * have yet is read from the conductor, only when somebody is to be told. Any thread. */

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/control/conductor.h"
#include "agent/objects/instance.h"
#include "agent/objects/network_info.h"
#include "agent/objects/volume_usage.h"
#include "agent/rpc/rpc_client.h"
#include "conf/options.h"

typedef struct Notifier Notifier;

/* 'client' is the bus to send to; all must outlive it. */
Notifier *notifier_new(RpcClient *client, Conductor *conductor, const Options *options);
void notifier_free(Notifier *notifier);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Notifier, notifier_free)

/* Something that happens to a server, by Nova's names (fields.NotificationAction): "pause",
 * "resize_prep", "live_migration_post". The legacy name follows from it. All borrowed. */
typedef struct InstanceNotice {
    const char *action;
    const char *phase;          /* "start", "end", "error"; NULL: the action has none */
    const NovaError *error;     /* of the phase "error" */
    const NetworkInfo *network; /* legacy: listed as fixed_ips; NULL: not listed */
    json_t *extra;              /* legacy: further members ({"image_name": ...}); NULL: none */
    bool hides_bdms;            /* versioned: block devices are listed only as bdms_in_notifications says */
    json_t *fields;             /* versioned: members of the action's own payload ({"volume_id": ...},
                                   {"new_flavor": Flavor primitive}); NULL: none */
} InstanceNotice;

void notifier_send(Notifier *notifier, const RequestContext *ctx, Instance *instance,
                   const InstanceNotice *notice);
/* The same without the rarer members. */
void notifier_instance(Notifier *notifier, const RequestContext *ctx, Instance *instance,
                       const char *action, const char *phase, const NovaError *error);

/* notify_usage_exists(): the server existed in the period (the running one, or the one that ended
 * last). */
typedef struct ExistsNotice {
    bool is_current_period;
    const char *image_ref_url;     /* NULL: of the instance's image */
    const json_t *system_metadata; /* for image_meta; NULL: the instance's */
} ExistsNotice;
void notifier_exists(Notifier *notifier, const RequestContext *ctx, Instance *instance,
                     const ExistsNotice *notice);

/* wrap_exception: a method failed. 'args' are the message's. */
void notifier_exception(Notifier *notifier, const RequestContext *ctx, const char *method,
                        const json_t *args, const NovaError *error);
/* The connection to libvirt could not be opened. */
void notifier_libvirt_error(Notifier *notifier, const RequestContext *ctx, const NovaError *error);

/* What a server has read from a volume and written to it (notify_about_volume_usage). */
void notifier_volume_usage(Notifier *notifier, const RequestContext *ctx, const VolumeUsage *usage);

/* "<image service>/images/<id>", as legacy notifications name an image; caller frees. */
char *notifier_image_url(Notifier *notifier, const RequestContext *ctx, const char *image);
