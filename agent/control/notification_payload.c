/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/notification_payload.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/control/payload_private.h"
#include "agent/objects/block_device.h"
#include "agent/objects/states.h"
#include "agent/objects/versioned_object.h"

/* clang-format off */
static const NoticeKind kinds[] = {
    {"create",                        "create",                        "InstanceCreatePayload",           "1.13", true,  false},
    {"rebuild",                       "rebuild",                       "InstanceActionRebuildPayload",    "1.10", true,  false},
    {"rescue",                        "rescue",                        "InstanceActionRescuePayload",     "1.4",  false, false},
    {"snapshot",                      "snapshot",                      "InstanceActionSnapshotPayload",   "1.10", false, false},
    {"resize_prep",                   "resize.prep",                   "InstanceActionResizePrepPayload", "1.4",  false, false},
    {"resize",                        "resize",                        "InstanceActionPayload",           "1.9",  true,  false},
    {"resize_finish",                 "finish_resize",                 "InstanceActionPayload",           "1.9",  true,  false},
    {"resize_confirm",                "resize.confirm",                "InstanceActionPayload",           "1.9",  false, false},
    {"resize_revert",                 "resize.revert",                 "InstanceActionPayload",           "1.9",  true,  false},
    {"delete",                        "delete",                        "InstanceActionPayload",           "1.9",  true,  false},
    {"shutdown",                      "shutdown",                      "InstanceActionPayload",           "1.9",  true,  false},
    {"reboot",                        "reboot",                        "InstanceActionPayload",           "1.9",  true,  false},
    {"resume",                        "resume",                        "InstanceActionPayload",           "1.9",  true,  false},
    {"shelve",                        "shelve",                        "InstanceActionPayload",           "1.9",  true,  false},
    {"shelve_offload",                "shelve_offload",                "InstanceActionPayload",           "1.9",  true,  false},
    {"unshelve",                      "unshelve",                      "InstanceActionPayload",           "1.9",  true,  false},
    {"live_migration_pre",            "live_migration.pre",            "InstanceActionPayload",           "1.9",  true,  false},
    {"live_migration_post",           "live_migration._post",          "InstanceActionPayload",           "1.9",  false, false},
    {"live_migration_post_dest",      "live_migration.post.dest",      "InstanceActionPayload",           "1.9",  false, false},
    {"live_migration_rollback",       "live_migration._rollback",      "InstanceActionPayload",           "1.9",  true,  false},
    {"live_migration_rollback_dest",  "live_migration.rollback.dest",  "InstanceActionPayload",           "1.9",  false, false},
    {"live_migration_abort",          "live.migration.abort",          "InstanceActionPayload",           "1.9",  false, false},
    {"live_migration_force_complete", "live.migration.force.complete", "InstanceActionPayload",           "1.9",  false, false},
    {"volume_attach",                 "volume.attach",                 "InstanceActionVolumePayload",     "1.7",  false, true},
    {"volume_detach",                 "volume.detach",                 "InstanceActionVolumePayload",     "1.7",  false, true},
    {"volume_swap",                   NULL,                            "InstanceActionVolumeSwapPayload", "1.9",  false, false},
    {"share_attach",                  NULL,                            "InstanceActionSharePayload",      "1.0",  false, false},
    {"share_detach",                  NULL,                            "InstanceActionSharePayload",      "1.0",  false, false},
    {"interface_attach",              NULL,                            "InstanceActionPayload",           "1.9",  false, false},
    {"interface_detach",              NULL,                            "InstanceActionPayload",           "1.9",  false, false},
    {"create_ip",                     "create_ip",                     NULL,                              NULL,   false, false},
    {"delete_ip",                     "delete_ip",                     NULL,                              NULL,   false, false},
    /* the rest: pause, power_on, soft_delete, ... */
    {NULL,                            "",                              "InstanceActionPayload",           "1.9",  false, false},
};

/* payload's member, Instance's */
static const char *const instance_members[][2] = {
    {"uuid", "uuid"}, {"user_id", "user_id"}, {"tenant_id", "project_id"}, {"reservation_id", "reservation_id"},
    {"display_name", "display_name"}, {"display_description", "display_description"}, {"host_name", "hostname"},
    {"host", "host"}, {"node", "node"}, {"os_type", "os_type"}, {"architecture", "architecture"},
    {"availability_zone", "availability_zone"}, {"image_uuid", "image_ref"}, {"key_name", "key_name"},
    {"kernel_id", "kernel_id"}, {"ramdisk_id", "ramdisk_id"}, {"created_at", "created_at"},
    {"launched_at", "launched_at"}, {"terminated_at", "terminated_at"}, {"deleted_at", "deleted_at"},
    {"updated_at", "updated_at"}, {"state", "vm_state"}, {"task_state", "task_state"}, {"progress", "progress"},
    {"metadata", "metadata"}, {"locked", "locked"},
};
/* clang-format on */

static const char *const flavor_members[] = {
    "flavorid", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "name", "swap", "rxtx_factor",
    "vcpu_weight", "disabled", "is_public", "extra_specs", "projects", "description",
};

static const char *const keypair_members[] = {
    "user_id", "name", "fingerprint", "public_key", "type",
};

const NoticeKind *
notice_kind_find(const char *action)
{
    const NoticeKind *kind = kinds;

    while (kind->action && strcmp(kind->action, action) != 0)
        kind++;
    return kind;
}

/* Takes ownership of 'data'. */
static json_t *
payload_object(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", version, "nova_object.data", data);
}

void
payload_copy_member(json_t *to, const char *name, const json_t *from, const char *from_name)
{
    json_t *value = json_object_get(from, from_name);

    json_object_set_new(to, name, value ? json_incref(value) : json_null());
}

static json_t *
copy_members(const json_t *from, const char *const *names, size_t n)
{
    json_t *to = json_object();

    for (size_t i = 0; i < n; i++)
        payload_copy_member(to, names[i], from, names[i]);
    return to;
}

static json_t *
flavor_payload(const json_t *flavor)
{
    const json_t *data = json_object_get(flavor, "nova_object.data");

    if (!data)
        return json_null();
    return payload_object("FlavorPayload", "1.4",
                          copy_members(data, flavor_members, G_N_ELEMENTS(flavor_members)));
}

/* --- addresses -------------------------------------------------------------------------------- */

/* The VIFs of the instance's cache; new reference. */
static json_t *
cached_vifs(const json_t *instance)
{
    const char *text = json_string_value(
        json_path(instance, "info_cache", "nova_object.data", "network_info", NULL));
    json_t *vifs = text ? json_loads(text, 0, NULL) : NULL;

    return vifs ? vifs : json_array();
}

json_t *
payload_list_addresses(const json_t *vifs, AddressPayload payload)
{
    json_t *list = json_array();
    size_t i, j, k;
    json_t *vif, *subnet, *ip;

    json_array_foreach (vifs, i, vif)
        json_array_foreach (json_path(vif, "network", "subnets", NULL), j, subnet)
            json_array_foreach (json_get_array(subnet, "ips"), k, ip)
                if (strcmp(json_get_string(ip, "type", ""), "fixed") == 0)
                    json_array_append_new(list, payload(vif, ip));
    return list;
}

static json_t *
ip_payload(const json_t *vif, const json_t *ip)
{
    json_t *data = json_object();
    json_t *meta = json_get_object(vif, "meta");

    payload_copy_member(data, "label", json_object_get(vif, "network"), "label");
    payload_copy_member(data, "mac", vif, "address");
    json_object_set_new(data, "meta", meta ? json_incref(meta) : json_object());
    payload_copy_member(data, "port_uuid", vif, "id");
    payload_copy_member(data, "version", ip, "version");
    payload_copy_member(data, "address", ip, "address");
    payload_copy_member(data, "device_name", vif, "devname");
    return payload_object("IpPayload", "1.0", data);
}

/* --- versioned -------------------------------------------------------------------------------- */

static json_t *
block_device_payloads(const GPtrArray *bdms)
{
    json_t *list;

    if (!bdms)
        return json_null();
    list = json_array();
    for (guint i = 0; i < bdms->len; i++) {
        const BlockDeviceMapping *bdm = bdms->pdata[i];
        json_t *data;

        if (!bdm->volume_id)
            continue;
        data = json_pack("{s:s?, s:b, s:s, s:s?}", "device_name", bdm->device_name,
                         "delete_on_termination", bdm->delete_on_termination, "volume_id",
                         bdm->volume_id, "tag", bdm->tag);
        json_object_set_new(data, "boot_index",
                            bdm->boot_index.is_null || !OBJECT_IS_SET(bdm, boot_index)
                                ? json_null()
                                : json_integer(bdm->boot_index.value));
        json_array_append_new(list, payload_object("BlockDevicePayload", "1.0", data));
    }
    return list;
}

static json_t *
share_payloads(const json_t *shares)
{
    json_t *list;
    size_t i;
    json_t *share;

    if (!shares)
        return json_null();
    list = json_array();
    json_array_foreach (shares, i, share) {
        const json_t *from = json_object_get(share, "nova_object.data");
        json_t *data = json_object();

        payload_copy_member(data, "share_mapping_uuid", from, "uuid");
        payload_copy_member(data, "share_id", from, "share_id");
        payload_copy_member(data, "status", from, "status");
        payload_copy_member(data, "tag", from, "tag");
        json_array_append_new(list, payload_object("SharePayload", "1.0", data));
    }
    return list;
}

static json_t *
power_state_name(const json_t *instance)
{
    static const char *const names[] = {
        [POWER_STATE_NOSTATE] = "pending",   [POWER_STATE_RUNNING] = "running",
        [POWER_STATE_PAUSED] = "paused",     [POWER_STATE_SHUTDOWN] = "shutdown",
        [POWER_STATE_CRASHED] = "crashed",   [POWER_STATE_SUSPENDED] = "suspended",
    };
    int64_t state = json_get_int(instance, "power_state", -1);

    return state >= 0 && state < (int64_t)G_N_ELEMENTS(names) && names[state]
               ? json_string(names[state])
               : json_null();
}

static json_t *
text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

/* Who asked. The id of a request of our own (periodic tasks) is not told. */
static void
add_initiator(json_t *data, const RequestContext *ctx)
{
    bool is_asked = *ctx->project_id && *ctx->user_id;

    json_object_set_new(data, "request_id", is_asked ? text_or_null(ctx->request_id) : json_null());
    json_object_set_new(data, "action_initiator_user", text_or_null(ctx->user_id));
    json_object_set_new(data, "action_initiator_project", text_or_null(ctx->project_id));
}

/* InstancePayload */
static json_t *
instance_data(const NoticeFacts *facts)
{
    const json_t *instance = facts->instance;
    json_auto_t *vifs = cached_vifs(instance);
    json_t *data = json_object();

    for (size_t i = 0; i < G_N_ELEMENTS(instance_members); i++)
        payload_copy_member(data, instance_members[i][0], instance, instance_members[i][1]);
    json_object_set_new(data, "power_state", power_state_name(instance));
    json_set_string(data, "auto_disk_config",
                    json_get_bool(instance, "auto_disk_config", false) ? "AUTO" : "MANUAL");
    json_object_set_new(data, "ip_addresses", payload_list_addresses(vifs, ip_payload));
    json_object_set_new(data, "flavor", flavor_payload(json_object_get(instance, "flavor")));
    json_object_set_new(data, "block_devices", block_device_payloads(facts->bdms));
    json_object_set_new(data, "shares", share_payloads(facts->shares));
    payload_copy_member(data, "locked_reason", json_object_get(instance, "system_metadata"),
                "locked_reason");
    add_initiator(data, facts->ctx);
    return data;
}

static const json_t *
list_objects(const json_t *object, const char *member)
{
    return json_path(json_object_get(object, member), "nova_object.data", "objects", NULL);
}

static void
add_create_members(json_t *data, const NoticeFacts *facts)
{
    json_t *keypairs = json_array(), *tags = json_array();
    size_t i;
    json_t *item;

    json_array_foreach (list_objects(facts->instance, "keypairs"), i, item)
        json_array_append_new(keypairs,
                              payload_object("KeypairPayload", "1.0",
                                             copy_members(json_object_get(item, "nova_object.data"),
                                                          keypair_members,
                                                          G_N_ELEMENTS(keypair_members))));
    json_array_foreach (list_objects(facts->instance, "tags"), i, item)
        json_array_append(tags, json_path(item, "nova_object.data", "tag", NULL));
    json_object_set_new(data, "keypairs", keypairs);
    json_object_set_new(data, "tags", tags);
    json_set_string(data, "instance_name", facts->instance_name);
}

static void
add_own_members(json_t *data, const NoticeKind *kind, const NoticeFacts *facts)
{
    const char *name;
    json_t *value;

    if (strcmp(kind->payload, "InstanceCreatePayload") == 0)
        add_create_members(data, facts);
    if (strcmp(kind->payload, "InstanceCreatePayload") == 0 ||
        strcmp(kind->payload, "InstanceActionRebuildPayload") == 0)
        payload_copy_member(data, "trusted_image_certificates",
                    json_path(facts->instance, "trusted_certs", "nova_object.data", NULL), "ids");
    json_object_foreach ((json_t *)facts->fields, name, value)
        json_object_set_new(data, name,
                            strcmp(name, "new_flavor") == 0 ? flavor_payload(value)
                                                             : json_incref(value));
}

json_t *
payload_of_action(const NoticeKind *kind, const NoticeFacts *facts)
{
    json_t *data = instance_data(facts);

    json_object_set_new(data, "fault", facts->error
                                           ? payload_of_exception(facts->error, facts->action)
                                           : json_null());
    add_own_members(data, kind, facts);
    return payload_object(kind->payload, kind->version, data);
}

json_t *
payload_of_exists(const NoticeFacts *facts, gint64 begin_us, gint64 end_us)
{
    json_t *data = instance_data(facts);
    g_autofree char *begin = object_time_text(begin_us / G_USEC_PER_SEC);
    g_autofree char *end = object_time_text(end_us / G_USEC_PER_SEC);
    json_t *period = json_pack("{s:s, s:s}", "audit_period_beginning", begin,
                               "audit_period_ending", end);

    json_object_set_new(data, "audit_period", payload_object("AuditPeriodPayload", "1.0", period));
    return payload_object("InstanceExistsPayload", "2.1", data);
}

/* Nova names the Python function that raised and shows its stack; here it is the operation, and
 * the chain of what it was doing. */
json_t *
payload_of_exception(const NovaError *error, const char *function)
{
    return payload_object(
        "ExceptionPayload", "1.1",
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "module_name", "nova.compute.manager",
                  "function_name", function, "exception", nova_error_class(error),
                  "exception_message", nova_error_message(error), "traceback",
                  nova_error_details(error)));
}

json_t *
payload_of_libvirt_error(const NovaError *error, const char *ip)
{
    return payload_object("LibvirtErrorPayload", "1.0",
                          json_pack("{s:s, s:o}", "ip", ip, "reason",
                                    payload_of_exception(error, "_get_connection")));
}

json_t *
payload_of_volume_usage(const VolumeUsage *usage)
{
    return payload_object(
        "VolumeUsagePayload", "1.0",
        json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:I}", "volume_id", usage->volume_id,
                  "project_id", usage->project_id, "user_id", usage->user_id, "availability_zone",
                  usage->availability_zone, "instance_uuid", usage->instance_uuid, "last_refreshed",
                  volume_usage_last_refreshed(usage), "reads", (json_int_t)(usage->tot_reads + usage->curr_reads),
                  "read_bytes", (json_int_t)(usage->tot_read_bytes + usage->curr_read_bytes), "writes",
                  (json_int_t)(usage->tot_writes + usage->curr_writes), "write_bytes",
                  (json_int_t)(usage->tot_write_bytes + usage->curr_write_bytes)));
}
