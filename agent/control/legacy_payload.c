/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "agent/base/json.h"
#include "agent/control/notification_payload.h"
#include "agent/control/payload_private.h"

/* clang-format off */
static const char *const legacy_members[][2] = {
    {"tenant_id", "project_id"}, {"user_id", "user_id"}, {"instance_id", "uuid"}, {"display_name", "display_name"},
    {"reservation_id", "reservation_id"}, {"hostname", "hostname"}, {"instance_type_id", "instance_type_id"},
    {"architecture", "architecture"}, {"host", "host"}, {"node", "node"}, {"availability_zone", "availability_zone"},
    {"os_type", "os_type"}, {"kernel_id", "kernel_id"}, {"ramdisk_id", "ramdisk_id"}, {"state", "vm_state"},
    {"access_ip_v4", "access_ip_v4"}, {"access_ip_v6", "access_ip_v6"}, {"metadata", "metadata"},
};
/* payload's member, Flavor's */
static const char *const legacy_flavor_members[][2] = {
    {"instance_type", "name"}, {"instance_flavor_id", "flavorid"}, {"memory_mb", "memory_mb"}, {"vcpus", "vcpus"},
    {"root_gb", "root_gb"}, {"ephemeral_gb", "ephemeral_gb"},
};
/* clang-format on */

/* "2026-01-02T03:04:05Z" → "2026-01-02T03:04:05.000000"; "" for none. */
static json_t *
legacy_iso_time(const json_t *instance, const char *member)
{
    const char *text = json_get_string(instance, member, "");
    size_t length = strlen(text);

    if (length == 0)
        return json_string("");
    return json_sprintf("%.*s.000000", (int)(length - (text[length - 1] == 'Z')), text);
}

/* str() of an aware datetime: "2026-01-02 03:04:05+00:00"; 'none' for no time. */
static json_t *
legacy_aware_time(const char *text, const char *none)
{
    g_autofree char *spaced = text ? g_strdelimit(g_strdup(text), "T", ' ') : NULL;

    if (!spaced)
        return json_string(none);
    if (g_str_has_suffix(spaced, "Z"))
        spaced[strlen(spaced) - 1] = '\0';
    return json_sprintf("%s+00:00", spaced);
}

static json_t *
legacy_created_at(const json_t *instance)
{
    return legacy_aware_time(json_get_string(instance, "created_at", NULL), "None");
}

json_t *
legacy_image_meta(const json_t *system_metadata)
{
    json_t *meta = json_object();
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)system_metadata, key, value)
        if (g_str_has_prefix(key, "image_"))
            json_object_set(meta, key + strlen("image_"), value);
    return meta;
}

static void
add_legacy_flavor(json_t *payload, const json_t *instance)
{
    const json_t *flavor = json_path(instance, "flavor", "nova_object.data", NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(legacy_flavor_members); i++)
        payload_copy_member(payload, legacy_flavor_members[i][0], flavor, legacy_flavor_members[i][1]);
    json_object_set_new(payload, "disk_gb",
                        json_integer(json_get_int(flavor, "root_gb", 0) +
                                     json_get_int(flavor, "ephemeral_gb", 0)));
}

static json_t *
legacy_address(const json_t *vif, const json_t *ip)
{
    json_t *address = json_copy((json_t *)ip);

    payload_copy_member(address, "label", json_object_get(vif, "network"), "label");
    payload_copy_member(address, "vif_mac", vif, "address");
    return address;
}

#define MESSAGE_BYTES 255 /* as long as a fault's */

/* exception_to_dict() */
static void
add_legacy_fault(json_t *payload, const NovaError *error)
{
    bool is_public = nova_error_is(error, NOVA_ERROR_NOVA_EXCEPTION);
    const char *text = is_public ? nova_error_message(error) : nova_error_class(error);
    size_t length = strlen(text);

    if (length > MESSAGE_BYTES)
        length = (size_t)(g_utf8_find_prev_char(text, text + MESSAGE_BYTES + 1) - text);
    json_object_set_new(payload, "exception", legacy_exception(error));
    json_object_set_new(payload, "message", json_stringn(text, length));
    json_object_set_new(payload, "code", json_integer(nova_error_code(error)));
}

/* info_from_instance() */
json_t *
legacy_payload_of_action(const NoticeFacts *facts)
{
    const json_t *instance = facts->instance;
    int64_t progress = json_get_int(instance, "progress", 0);
    json_t *payload = json_object();

    for (size_t i = 0; i < G_N_ELEMENTS(legacy_members); i++)
        payload_copy_member(payload, legacy_members[i][0], instance, legacy_members[i][1]);
    add_legacy_flavor(payload, instance);
    json_set_string(payload, "cell_name", json_get_string(instance, "cell_name", ""));
    json_set_string(payload, "state_description", json_get_string(instance, "task_state", ""));
    json_object_set_new(payload, "progress", progress ? json_integer(progress) : json_string(""));
    json_object_set_new(payload, "created_at", legacy_created_at(instance));
    json_object_set_new(payload, "launched_at", legacy_iso_time(instance, "launched_at"));
    json_object_set_new(payload, "terminated_at", legacy_iso_time(instance, "terminated_at"));
    json_object_set_new(payload, "deleted_at", legacy_iso_time(instance, "deleted_at"));
    json_set_string(payload, "image_ref_url", facts->image_url);
    json_object_set_new(payload, "image_meta",
                        legacy_image_meta(json_object_get(instance, "system_metadata")));
    if (facts->network)
        json_object_set_new(payload, "fixed_ips", payload_list_addresses(facts->network, legacy_address));
    if (facts->extra)
        json_object_update(payload, (json_t *)facts->extra);
    if (facts->error)
        add_legacy_fault(payload, facts->error);
    return payload;
}

json_t *
legacy_exception(const NovaError *error)
{
    json_auto_t *message = json_string(nova_error_message(error));
    g_autofree char *text = NULL;

    if (nova_error_is(error, NOVA_ERROR_NOVA_EXCEPTION)) {
        json_auto_t *failure = nova_error_to_failure(error, G_MAXINT);
        json_auto_t *members = json_pack("{s:O, s:O, s:s}", "kwargs",
                                         json_object_get(failure, "kwargs"), "message", message,
                                         "class", nova_error_class(error));

        text = json_to_python_repr(members);
    } else {
        g_autofree char *quoted = json_to_python_repr(message);

        text = g_strdup_printf("%s(%s)", nova_error_class(error), *nova_error_message(error) ? quoted : "");
    }
    return json_string(text);
}

/* Members of objects instead of objects; Nova's own rendering also shows their request context,
 * tokens included, which is left out. */
static json_t *
plain(const json_t *value)
{
    const json_t *data = json_object_get(value, "nova_object.data");
    const char *key;
    size_t i;
    json_t *member, *copy;

    if (data)
        return plain(data);
    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach (value, i, member)
            json_array_append_new(copy, plain(member));
        return copy;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    copy = json_object();
    json_object_foreach ((json_t *)value, key, member)
        json_object_set_new(copy, key, plain(member));
    return copy;
}

json_t *
legacy_arguments(const json_t *args)
{
    json_t *shown = json_object();
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)args, key, value)
        if (!strstr(key, "_pass"))
            json_object_set_new(shown, key, plain(value));
    return shown;
}

char *
legacy_time_text(gint64 time_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(time_us / G_USEC_PER_SEC);
    g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%d %H:%M:%S");
    int fraction = (int)(time_us % G_USEC_PER_SEC);

    return fraction ? g_strdup_printf("%s.%06d", seconds, fraction) : g_steal_pointer(&seconds);
}

json_t *
legacy_volume_usage(const VolumeUsage *usage)
{
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:o, s:I, s:I, s:I, s:I}", "volume_id", usage->volume_id,
                     "tenant_id", usage->project_id, "user_id", usage->user_id, "availability_zone",
                     usage->availability_zone, "instance_id", usage->instance_uuid, "last_refreshed",
                     legacy_aware_time(volume_usage_last_refreshed(usage), ""), "reads",
                     (json_int_t)(usage->tot_reads + usage->curr_reads), "read_bytes",
                     (json_int_t)(usage->tot_read_bytes + usage->curr_read_bytes), "writes",
                     (json_int_t)(usage->tot_writes + usage->curr_writes), "write_bytes",
                     (json_int_t)(usage->tot_write_bytes + usage->curr_write_bytes));
}
