/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.control.notifier"
#include "agent/control/notifier.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/audit_period.h"
#include "agent/control/keystone.h"
#include "agent/control/notification_payload.h"

struct Notifier {
    RpcClient *client;
    Conductor *conductor;
    const Options *options;
    char *legacy_publisher;    /* "compute.<host>" */
    char *versioned_publisher; /* "nova-compute:<host>" */
    char *api_publisher;       /* "nova-api:<host>" */
    bool has_bus;              /* driver messaging or messagingv2 */
    bool is_bare;              /* ... and it is messaging */
    bool has_log;              /* driver log */
    bool sends_legacy;
    bool sends_versioned;
};

static void
read_driver(Notifier *notifier, const char *driver)
{
    if (strcmp(driver, "messagingv2") == 0 || strcmp(driver, "messaging") == 0) {
        notifier->is_bare = strcmp(driver, "messaging") == 0;
        notifier->has_bus = true;
    } else if (strcmp(driver, "log") == 0) {
        notifier->has_log = true;
    } else if (*driver && strcmp(driver, "noop") != 0) {
        LOG_WARNING("[oslo_messaging_notifications]driver: '%s' is not supported", driver);
    }
}

Notifier *
notifier_new(RpcClient *client, Conductor *conductor, const Options *options)
{
    Notifier *notifier = g_new0(Notifier, 1);
    const char *format = options->notifications.notification_format;
    const char *host = options->default_group.host;

    notifier->client = client;
    notifier->conductor = conductor;
    notifier->options = options;
    notifier->legacy_publisher = g_strconcat("compute.", host, NULL);
    notifier->versioned_publisher = g_strconcat("nova-compute:", host, NULL);
    notifier->api_publisher = g_strconcat("nova-api:", host, NULL);
    for (char **driver = options->oslo_messaging_notifications.driver; *driver; driver++)
        read_driver(notifier, *driver);
    if (notifier->has_bus || notifier->has_log) {
        notifier->sends_legacy = strcmp(format, "versioned") != 0;
        notifier->sends_versioned = strcmp(format, "unversioned") != 0;
    }
    return notifier;
}

void
notifier_free(Notifier *notifier)
{
    if (!notifier)
        return;
    g_free(notifier->legacy_publisher);
    g_free(notifier->versioned_publisher);
    g_free(notifier->api_publisher);
    g_free(notifier);
}

/* --- to the drivers ------------------------------------------------------------------------------- */

/* The driver "log"; Nova's logger is oslo.messaging.notification.<event type>. */
static void
log_notification(const RpcNotification *notification)
{
    g_autofree char *text = json_to_text(notification->payload);

    LOG_AT(strcmp(notification->priority, "ERROR") == 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
           "oslo.messaging.notification.%s: %s", notification->event_type, text);
}

/* Takes ownership of the payload. */
static void
publish(Notifier *notifier, const RequestContext *ctx, const char *publisher, const char *event_type,
        bool is_error, json_t *payload)
{
    const Options *options = notifier->options;
    char **topics = publisher == notifier->legacy_publisher
                        ? options->oslo_messaging_notifications.topics
                        : options->notifications.versioned_notifications_topics;
    RpcNotification notification = {
        .publisher_id = publisher,
        .event_type = event_type,
        .priority = is_error ? "ERROR" : "INFO",
        .payload = payload,
        .is_bare = notifier->is_bare,
        .retry = (int)options->oslo_messaging_notifications.retry,
    };

    if (notifier->has_log)
        log_notification(&notification);
    for (; notifier->has_bus && *topics; topics++)
        rpc_notify(notifier->client, ctx, *topics, &notification);
    json_decref(payload);
}

/* --- what a payload needs ------------------------------------------------------------------------- */

char *
notifier_image_url(Notifier *notifier, const RequestContext *ctx, const char *image)
{
    const OptionsGlance *glance = &notifier->options->glance;
    EndpointFilter filter = {
        .service_type = "image",
        .region_name = glance->adapter.region_name,
        .interfaces = (const char *const *)glance->adapter.valid_interfaces,
    };
    g_autofree char *url = NULL;

    if (glance->api_servers[0])
        url = g_strdup(glance->api_servers[0]);
    else if (glance->adapter.endpoint_override && *glance->adapter.endpoint_override)
        url = g_strdup(glance->adapter.endpoint_override);
    else
        url = keystone_endpoint_from_catalog(json_object_get(ctx->values, "service_catalog"), &filter);
    return url ? g_strdup_printf("%s/images/%s", url, image ? image : "") : g_strdup(image);
}

/* The instance as a payload sees it; new reference. What cannot be read is reported as unknown. */
static json_t *
read_instance(Notifier *notifier, const RequestContext *ctx, Instance *instance)
{
    static const char *const attributes[] = {
        "flavor", "system_metadata", "metadata", "info_cache", "keypairs", "trusted_certs", NULL,
    };
    g_autoptr(NovaError) error = NULL;
    json_auto_t *primitive = NULL;

    if (!conductor_instance_load(notifier->conductor, ctx, instance, attributes, &error))
        LOG_WARNING("A notification will lack what could not be read: %s",
                    nova_error_details(error));
    primitive = object_to_json(instance);
    return json_incref(json_object_get(primitive, "nova_object.data"));
}

/* NULL: not told. */
static GPtrArray *
read_bdms(Notifier *notifier, const RequestContext *ctx, bool has_bdms, const Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    GPtrArray *bdms;

    if (!has_bdms && !notifier->options->notifications.bdms_in_notifications)
        return NULL;
    bdms = conductor_bdms_by_instance(notifier->conductor, ctx, instance->uuid, &error);
    if (!bdms)
        LOG_WARNING("A notification will lack block devices: %s", nova_error_details(error));
    return bdms;
}

/* New reference; NULL: not told. */
static json_t *
read_shares(Notifier *notifier, const RequestContext *ctx, const Instance *instance)
{
    json_auto_t *args = json_pack("[s]", instance->uuid);
    json_auto_t *list = NULL;
    g_autoptr(NovaError) error = NULL;

    if (!notifier->options->notifications.include_share_mapping)
        return NULL;
    list = conductor_class_action(notifier->conductor, ctx, "ShareMappingList",
                                  "get_by_instance_uuid", args, NULL, &error);
    if (!list)
        LOG_WARNING("A notification will lack shares: %s", nova_error_details(error));
    return json_incref(json_path(list, "nova_object.data", "objects", NULL));
}

/* --- instances ------------------------------------------------------------------------------------ */

static void
send_legacy(Notifier *notifier, const NoticeKind *kind, const InstanceNotice *notice,
            const NoticeFacts *facts)
{
    const char *name = *kind->legacy ? kind->legacy : notice->action;
    const char *phase = kind->is_end_only ? NULL : notice->phase;
    g_autofree char *event =
        g_strdup_printf("compute.instance.%s%s%s", name, phase ? "." : "", phase ? phase : "");
    g_autofree char *url = notifier_image_url(
        notifier, facts->ctx, json_get_string(facts->instance, "image_ref", NULL));
    NoticeFacts all = *facts;

    all.image_url = url;
    publish(notifier, facts->ctx, notifier->legacy_publisher, event, notice->error != NULL,
            legacy_payload_of_action(&all));
}

/* Nova tells of shares under the API's name, also from a compute. */
static const char *
versioned_publisher(const Notifier *notifier, const char *action)
{
    return g_str_has_prefix(action, "share_") ? notifier->api_publisher : notifier->versioned_publisher;
}

static void
send_versioned(Notifier *notifier, const NoticeKind *kind, const InstanceNotice *notice,
               Instance *instance, const NoticeFacts *facts)
{
    g_autofree char *event = g_strdup_printf("instance.%s%s%s", notice->action,
                                             notice->phase ? "." : "",
                                             notice->phase ? notice->phase : "");
    g_autofree char *name = instance_make_name(
        instance, notifier->options->default_group.instance_name_template);
    g_autoptr(GPtrArray) bdms = read_bdms(notifier, facts->ctx, kind->has_bdms && !notice->hides_bdms, instance);
    json_auto_t *shares = read_shares(notifier, facts->ctx, instance);
    NoticeFacts all = *facts;

    all.instance_name = name;
    all.bdms = bdms;
    all.shares = shares;
    publish(notifier, facts->ctx, versioned_publisher(notifier, notice->action), event, notice->error != NULL,
            payload_of_action(kind, &all));
}

void
notifier_send(Notifier *notifier, const RequestContext *ctx, Instance *instance,
              const InstanceNotice *notice)
{
    const NoticeKind *kind = notice_kind_find(notice->action);
    bool has_legacy = notifier->sends_legacy && kind->legacy &&
                      (!kind->is_end_only || g_strcmp0(notice->phase, "end") == 0);
    bool has_versioned = notifier->sends_versioned && kind->payload;
    json_auto_t *data = NULL;
    NoticeFacts facts = {
        .ctx = ctx,
        .action = notice->action,
        .network = notice->network ? notice->network->json : NULL,
        .fields = notice->fields,
        .extra = notice->extra,
        .error = notice->error,
    };

    if (!has_versioned && !has_legacy)
        return;
    facts.instance = data = read_instance(notifier, ctx, instance);
    if (has_legacy)
        send_legacy(notifier, kind, notice, &facts);
    if (has_versioned)
        send_versioned(notifier, kind, notice, instance, &facts);
}

void
notifier_instance(Notifier *notifier, const RequestContext *ctx, Instance *instance,
                  const char *action, const char *phase, const NovaError *error)
{
    InstanceNotice notice = {.action = action, .phase = phase, .error = error};

    notifier_send(notifier, ctx, instance, &notice);
}

/* --- usage ---------------------------------------------------------------------------------------- */

typedef struct Period {
    gint64 begin_us, end_us;
} Period;

static Period
audited_period(const Notifier *notifier, bool is_current)
{
    gint64 now = g_get_real_time();
    Period period = {now, now};

    audit_period_last(notifier->options->default_group.instance_usage_audit_period, now,
                      &period.begin_us, &period.end_us);
    return is_current ? (Period){period.end_us, now} : period;
}

static json_t *
legacy_exists_members(const Period *period, const ExistsNotice *notice)
{
    g_autofree char *begin = legacy_time_text(period->begin_us);
    g_autofree char *end = legacy_time_text(period->end_us);
    json_t *extra = json_pack("{s:s, s:s}", "audit_period_beginning", begin, "audit_period_ending", end);

    if (notice->image_ref_url)
        json_set_string(extra, "image_ref_url", notice->image_ref_url);
    if (notice->system_metadata)
        json_object_set_new(extra, "image_meta", legacy_image_meta(notice->system_metadata));
    return extra;
}

void
notifier_exists(Notifier *notifier, const RequestContext *ctx, Instance *instance,
                const ExistsNotice *notice)
{
    static const NoticeKind plain = {.action = "exists", .legacy = "exists"};
    Period period = audited_period(notifier, notice->is_current_period);
    json_auto_t *data = NULL, *extra = NULL, *shares = NULL;
    g_autoptr(GPtrArray) bdms = NULL;
    NoticeFacts facts = {.ctx = ctx, .action = "exists"};

    if (!notifier->sends_legacy && !notifier->sends_versioned)
        return;
    facts.instance = data = read_instance(notifier, ctx, instance);
    facts.extra = extra = legacy_exists_members(&period, notice);
    if (notifier->sends_legacy)
        send_legacy(notifier, &plain, &(InstanceNotice){.action = "exists"}, &facts);
    if (!notifier->sends_versioned)
        return;
    facts.bdms = bdms = read_bdms(notifier, ctx, plain.has_bdms, instance);
    facts.shares = shares = read_shares(notifier, ctx, instance);
    publish(notifier, ctx, notifier->versioned_publisher, "instance.exists", false,
            payload_of_exists(&facts, period.begin_us, period.end_us));
}

void
notifier_volume_usage(Notifier *notifier, const RequestContext *ctx, const VolumeUsage *usage)
{
    if (notifier->sends_legacy)
        publish(notifier, ctx, notifier->legacy_publisher, "volume.usage", false, legacy_volume_usage(usage));
    if (notifier->sends_versioned)
        publish(notifier, ctx, notifier->versioned_publisher, "volume.usage", false,
                payload_of_volume_usage(usage));
}

/* --- failures ------------------------------------------------------------------------------------- */

void
notifier_exception(Notifier *notifier, const RequestContext *ctx, const char *method,
                   const json_t *args, const NovaError *error)
{
    if (notifier->sends_legacy)
        publish(notifier, ctx, notifier->legacy_publisher, method, true,
                json_pack("{s:o, s:o}", "exception", legacy_exception(error), "args",
                          legacy_arguments(args)));
    if (notifier->sends_versioned)
        publish(notifier, ctx, notifier->versioned_publisher, "compute.exception", true, payload_of_exception(error, method));
}

void
notifier_libvirt_error(Notifier *notifier, const RequestContext *ctx, const NovaError *error)
{
    const char *ip = notifier->options->default_group.my_ip;

    if (notifier->sends_legacy)
        publish(notifier, ctx, notifier->legacy_publisher, "compute.libvirt.error", true,
                json_pack("{s:s, s:s, s:o}", "ip", ip, "method", "_connect", "reason",
                          legacy_exception(error)));
    if (notifier->sends_versioned)
        publish(notifier, ctx, notifier->versioned_publisher, "libvirt.connect.error", true,
                payload_of_libvirt_error(error, ip));
}
