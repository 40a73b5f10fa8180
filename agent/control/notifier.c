/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/notifier.h"

#include <string.h>

#include "agent/base/json.h"

struct Notifier {
    RpcClient *client;
    const Options *options;
    char *publisher_id; /* "compute.<host>" */
    bool is_enabled;
};

/* A driver other than noop, and a format that includes the legacy one. */
static bool
wants_legacy(const Options *options)
{
    const char *format = options->notifications.notification_format;
    bool has_driver = false;

    for (char **driver = options->oslo_messaging_notifications.driver; *driver; driver++)
        if (**driver && strcmp(*driver, "noop") != 0)
            has_driver = true;
    return has_driver && g_strcmp0(format, "versioned") != 0;
}

Notifier *
notifier_new(RpcClient *client, const Options *options)
{
    Notifier *notifier = g_new0(Notifier, 1);

    notifier->client = client;
    notifier->options = options;
    notifier->publisher_id = g_strconcat("compute.", options->default_group.host, NULL);
    notifier->is_enabled = wants_legacy(options);
    return notifier;
}

void
notifier_free(Notifier *notifier)
{
    if (!notifier)
        return;
    g_free(notifier->publisher_id);
    g_free(notifier);
}

static json_t *
int_or_empty(NullableInt number)
{
    return number.is_null ? json_string("") : json_integer(number.value);
}

/* Nova's legacy times: "2026-11-22 15:47:11+00:00", "" for none. */
static json_t *
legacy_time(const char *text)
{
    g_autofree char *copy = NULL;
    size_t length;

    if (!text || !*text)
        return json_string("");
    copy = g_strdelimit(g_strdup(text), "T", ' ');
    length = strlen(copy);
    if (copy[length - 1] == 'Z')
        copy[length - 1] = '\0';
    return json_sprintf("%s+00:00", copy);
}

static json_t *
image_meta(const Instance *instance)
{
    json_t *meta = json_object();
    GHashTableIter iter;
    void *key, *value;

    if (!instance->system_metadata)
        return meta;
    g_hash_table_iter_init(&iter, instance->system_metadata);
    while (g_hash_table_iter_next(&iter, &key, &value))
        if (g_str_has_prefix(key, "image_"))
            json_set_string(meta, (char *)key + strlen("image_"), value);
    return meta;
}

static json_t *
string_map(GHashTable *map)
{
    json_t *object = json_object();
    GHashTableIter iter;
    void *key, *value;

    if (!map)
        return object;
    g_hash_table_iter_init(&iter, map);
    while (g_hash_table_iter_next(&iter, &key, &value))
        json_set_string(object, key, value);
    return object;
}

/* notifications.utils.info_from_instance() */
static json_t *
instance_payload(const Instance *instance)
{
    const Flavor *flavor = instance->flavor;
    const char *vm_state = vm_state_name(instance->vm_state);
    const char *task = task_state_name(instance->task_state);
    json_t *payload = json_pack(
        "{s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s, "
        "s:s, s:s?, s:s?}",
        "tenant_id", instance->project_id, "user_id", instance->user_id, "instance_id",
        instance->uuid, "display_name", instance->display_name, "reservation_id",
        instance->reservation_id, "hostname", instance->hostname, "architecture",
        instance->architecture, "host", instance->host, "node", instance->node, "availability_zone",
        instance->availability_zone, "os_type", instance->os_type, "kernel_id", instance->kernel_id,
        "ramdisk_id", instance->ramdisk_id, "cell_name",
        instance->cell_name ? instance->cell_name : "", "state", vm_state ? vm_state : "",
        "state_description", task ? task : "", "access_ip_v4", instance->access_ip_v4,
        "access_ip_v6", instance->access_ip_v6);

    json_object_set_new(payload, "created_at",
                        legacy_time(json_get_string(instance->base.kept, "created_at", NULL)));
    json_object_set_new(payload, "launched_at", legacy_time(instance->launched_at));
    json_object_set_new(payload, "terminated_at", legacy_time(instance->terminated_at));
    json_object_set_new(payload, "deleted_at",
                        legacy_time(json_get_string(instance->base.kept, "deleted_at", NULL)));
    json_object_set_new(payload, "progress", int_or_empty(instance->progress));
    json_object_set_new(payload, "memory_mb", int_or_empty(instance->memory_mb));
    json_object_set_new(payload, "vcpus", int_or_empty(instance->vcpus));
    json_object_set_new(payload, "root_gb", int_or_empty(instance->root_gb));
    json_object_set_new(payload, "ephemeral_gb", int_or_empty(instance->ephemeral_gb));
    json_object_set_new(payload, "disk_gb",
                        json_integer(instance->root_gb.value + instance->ephemeral_gb.value));
    json_object_set_new(payload, "metadata", string_map(instance->metadata));
    json_object_set_new(payload, "image_meta", image_meta(instance));
    if (flavor) {
        json_set_string(payload, "instance_type", flavor->name);
        json_set_string(payload, "instance_flavor_id", flavor->flavorid);
        json_object_set_new(payload, "instance_type_id", json_integer(flavor->id));
    }
    return payload;
}

static void
send(Notifier *notifier, const RequestContext *ctx, const char *event_type, const char *priority,
     json_t *payload)
{
    for (char **topic = notifier->options->oslo_messaging_notifications.topics; *topic; topic++)
        rpc_notify(notifier->client, ctx, *topic, notifier->publisher_id, event_type, priority, payload);
}

void
notifier_instance(Notifier *notifier, const RequestContext *ctx, const Instance *instance,
                  const char *action, const char *phase, const NovaError *error)
{
    g_autofree char *event = NULL;
    json_auto_t *payload = NULL;

    if (!notifier->is_enabled)
        return;
    event = g_strdup_printf("compute.instance.%s.%s", action, phase);
    payload = instance_payload(instance);
    if (error) {
        json_set_string(payload, "message", nova_error_message(error));
        json_set_string(payload, "exception", nova_error_class(error));
        json_object_set_new(payload, "code", json_integer(nova_error_code(error)));
    } else if (strcmp(action, "create") == 0 && strcmp(phase, "end") == 0) {
        json_set_string(payload, "message", "Success");
    }
    send(notifier, ctx, event, error ? "error" : "info", payload);
}

void
notifier_exception(Notifier *notifier, const RequestContext *ctx, const char *method,
                   const json_t *args, const NovaError *error)
{
    json_auto_t *payload = NULL;
    json_auto_t *shown = NULL;

    if (!notifier->is_enabled)
        return;
    shown = json_copy((json_t *)args);
    json_object_del(shown, "admin_password");
    json_object_del(shown, "injected_files");
    payload = json_pack("{s:s, s:O}", "exception", nova_error_message(error), "args", shown);
    send(notifier, ctx, method, "error", payload);
}
