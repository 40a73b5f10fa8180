/* SPDX-License-Identifier: Apache-2.0 */
/* Rescuing: a server boots another image, with its own disks beside it, and goes back
 * (LibvirtDriver.rescue() and unrescue()). */
#define LOG_NAME "kilonova.compute.rescue"
#include "compute/ops/ops.h"

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/steps.h"
#include "storage/config_drive.h"
#include "storage/disks.h"

typedef struct Rescue {
    Operation *op;
    char *image_id;
    char *image_name;
    ImageMeta *image; /* what rescues; until it goes into the plan */
    NetworkInfo *network;
    GuestPlan *plan;
} Rescue;

static void
rescue_clear(Rescue *rescue)
{
    g_free(rescue->image_id);
    g_free(rescue->image_name);
    image_meta_free(rescue->image);
    network_info_free(rescue->network);
    guest_plan_free(rescue->plan);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Rescue, rescue_clear)

/* ---- which image ---- */

static bool
is_given(const char *text)
{
    return text && *text;
}

/* The one asked for, else what the server's image was made from, else its own. */
static const char *
choose_image(const Operation *op)
{
    const char *asked = json_get_string(op->args, "rescue_image_ref", NULL);
    const char *base = g_hash_table_lookup(op->instance->system_metadata, "image_base_image_ref");

    if (is_given(asked))
        return asked;
    if (is_given(base))
        return base;
    LOG_WARNING("Unable to find a different image to use for rescue VM, using instance's current image");
    return op->instance->image_ref ? op->instance->image_ref : "";
}

static ImageMeta *
fetch_image(Operation *op, const char *id, NovaError **err)
{
    json_auto_t *record = glance_show_translated(op->host->glance, op->ctx, id, err);

    return record ? image_meta_from_dict(record, err) : NULL;
}

static bool
read_request(Rescue *rescue, NovaError **err)
{
    Operation *op = rescue->op;

    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    rescue->network = step_refresh_network(op->host, op->ctx, op->instance, err);
    if (!rescue->network)
        return false;
    rescue->image_id = g_strdup(choose_image(op));
    rescue->image = fetch_image(op, rescue->image_id, err);
    if (!rescue->image)
        return false;
    rescue->image_name = g_strdup(rescue->image->name ? rescue->image->name : "");
    return true;
}

/* ---- notifications ---- */

static void
notify(Rescue *rescue, const char *phase)
{
    Operation *op = rescue->op;
    json_auto_t *extra = json_pack("{s:s}", "rescue_image_name", rescue->image_name);
    json_auto_t *fields = json_pack("{s:s?}", "rescue_image_ref",
                                    json_get_string(op->args, "rescue_image_ref", NULL));
    InstanceNotice notice = {
        .action = "rescue",
        .phase = phase,
        .network = rescue->network ? rescue->network : rescue->plan->network,
        .extra = extra,
        .fields = fields,
    };

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

/* ---- the guest ---- */

/* The image says where its disk goes: it comes beside all that the server has. */
static bool
is_stable(const ImageMeta *image)
{
    return json_object_get(image->properties, "hw_rescue_device") ||
           json_object_get(image->properties, "hw_rescue_bus");
}

/* What the volume's image was, as Cinder has kept it (block_device.get_image_metadata_from_volume()). */
static ImageMeta *
image_of_volume(const CinderVolume *volume, NovaError **err)
{
    static const char *const not_properties[] = {"image_id", "image_name", "size", "checksum",
                                                 "container_format", "disk_format", "min_ram", "min_disk"};
    json_t *properties = json_deep_copy(json_get_object(volume->json, "volume_image_metadata"));
    json_auto_t *record = NULL;

    if (!properties)
        properties = json_object();
    record = json_pack("{s:o, s:s, s:I}", "properties", properties, "status", "active", "size",
                       (json_int_t)(volume->size_gib << 30));
    for (size_t i = 0; i < G_N_ELEMENTS(not_properties); i++)
        json_object_del(properties, not_properties[i]);
    return image_meta_from_dict(record, err);
}

/* Of a server that boots from a volume (block_device.get_bdm_image_metadata()). */
static ImageMeta *
fetch_image_of_root(Operation *op, const GPtrArray *bdms, NovaError **err)
{
    const BlockDeviceMapping *root = block_device_info_root(bdms);
    g_autoptr(CinderVolume) volume = NULL;

    if (root && is_given(root->image_id))
        return fetch_image(op, root->image_id, err);
    if (!root || !root->volume_id)
        return NULL;
    volume = cinder_volume_get(op->host->cinder, op->ctx, root->volume_id, err);
    return volume ? image_of_volume(volume, err) : NULL;
}

/* The image that the server was made from; NULL without an error: the record knows it. */
static bool
fetch_own_image(Operation *op, const GPtrArray *bdms, ImageMeta **ret_image, NovaError **err)
{
    NovaError *error = NULL;

    *ret_image = is_given(op->instance->image_ref) ? fetch_image(op, op->instance->image_ref, &error)
                                                   : fetch_image_of_root(op, bdms, &error);
    if (!error)
        return true;
    if (!nova_error_is(error, NOVA_ERROR_IMAGE_NOT_FOUND))
        return nova_error_propagate(err, error);
    nova_error_free(error);
    return true;
}

static bool
make_plan(Rescue *rescue, NovaError **err)
{
    Operation *op = rescue->op;
    const OptionsLibvirt *options = &op->host->options->libvirt;
    bool stable = is_stable(rescue->image);
    g_autoptr(GPtrArray) bdms =
        conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);
    ImageMeta *own = NULL;

    if (!bdms || (stable && !fetch_own_image(op, bdms, &own, err)))
        return false;
    LOG_INFO(stable ? "Attempting a stable device rescue" : "Attempting rescue");
    rescue->plan = guest_plan_new_rescue(
        op->host->guest_config, op->instance, stable ? own : g_steal_pointer(&rescue->image),
        stable ? g_steal_pointer(&rescue->image) : NULL, g_steal_pointer(&rescue->network),
        g_steal_pointer(&bdms), err);
    if (!rescue->plan)
        return false;
    rescue->plan->rescue_kernel_id =
        g_strdup(is_given(options->rescue_kernel_id) ? options->rescue_kernel_id : op->instance->kernel_id);
    rescue->plan->rescue_ramdisk_id =
        g_strdup(is_given(options->rescue_ramdisk_id) ? options->rescue_ramdisk_id : op->instance->ramdisk_id);
    return true;
}

/* For nova-compute, should it do the unrescue; we make the guest from the record. */
static bool
note_domain(Operation *op, NovaError **err)
{
    g_autofree char *path = disks_path(op->host->options, op->instance->uuid, "unrescue.xml");
    g_autoptr(Guest) guest = guest_find(op->host->hypervisor, op->instance->uuid, err);
    g_autofree char *xml = guest ? guest_fetch_xml(guest, false, err) : NULL;
    g_autoptr(GError) failure = NULL;

    if (!xml || op->instance->vm_state == VM_STATE_RESCUED)
        return !err || !*err;
    FAIL_POINT("rescue.note:before", NULL);
    if (!g_file_set_contents(path, xml, -1, &failure))
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "%s", failure->message);
    FAIL_POINT("rescue.note:after", NULL);
    return true;
}

static bool
create_disks(const Rescue *rescue, NovaError **err)
{
    Operation *op = rescue->op;
    DiskPlanInput input = {
        .image_id = rescue->image_id,
        .kernel_id = rescue->plan->rescue_kernel_id,
        .ramdisk_id = rescue->plan->rescue_ramdisk_id,
        .os_type = op->instance->os_type,
        .needs_certificates = op->instance->trusted_certs && !json_is_null(op->instance->trusted_certs),
        .suffix = ".rescue",
    };
    g_autoptr(DiskPlan) disks = disk_plan_make(&input);

    return disks_create(op->host->options, op->host->image_cache, op->ctx, op->instance->uuid, disks, NULL,
                        err);
}

static bool
make_config_drive(void *user, NovaError **err)
{
    const Rescue *rescue = user;
    Operation *op = rescue->op;
    const char *groups[] = {"default", NULL};
    ConfigDriveInput input = {
        .instance = op->instance,
        .network_info = rescue->plan->network->json,
        .block_devices = rescue->plan->bdms,
        .security_groups = groups,
        .admin_pass = json_get_string(op->args, "rescue_password", NULL),
    };

    if (!disk_map_find(rescue->plan->disk_map, "disk.config.rescue"))
        return true;
    return step_make_config_drive(op->host, &input, "disk.config.rescue", err);
}

static bool
boot_rescue(Rescue *rescue, NovaError **err)
{
    Operation *op = rescue->op;
    Host *host = op->host;
    StartGuest start = {.before_start = make_config_drive, .user = rescue};

    if (!step_power_off(host, op->instance, json_get_bool(op->args, "clean_shutdown", true), err))
        return false;
    if (op->is_resumed) /* half a copy would pass for a disk that is there */
        disks_remove_rescue(host->options, op->instance->uuid);
    if (!note_domain(op, err) || !make_plan(rescue, err) || !create_disks(rescue, err) ||
        !step_destroy_guest(host, op->instance, rescue->plan->network, true, err))
        return false;
    start.plan = rescue->plan;
    return step_start_guest(host, op->ctx, op->instance, &start, err);
}

/* ---- the methods ---- */

/* The way back from here is a hard reboot, which needs nothing of what the rescue made. */
static bool
rescue_failed(Operation *op, NovaError *error, NovaError **err)
{
    g_autofree char *reason = g_strdup_printf("Driver Error: %s", nova_error_message(error));

    LOG_ERROR("Error trying to Rescue Instance: %s", nova_error_details(error));
    disks_remove_rescue(op->host->options, op->instance->uuid);
    step_set_error_state(op->host, op->ctx, op->instance);
    nova_error_free(error);
    nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_RESCUABLE, "Instance %s cannot be rescued: %s",
                   op->instance->uuid, reason);
    if (!err)
        return false;
    nova_error_set_kwarg(*err, "instance_id", op->instance->uuid);
    nova_error_set_kwarg(*err, "reason", reason);
    return false;
}

bool
op_rescue_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    g_auto(Rescue) rescue = {.op = op};
    g_autofree char *now = NULL;
    NovaError *error = NULL;

    LOG_INFO("Rescuing");
    if (!read_request(&rescue, err))
        return false;
    notify(&rescue, "start");
    if (!boot_rescue(&rescue, &error))
        return rescue_failed(op, error, err);
    notifier_exists(op->host->notifier, op->ctx, instance, &(ExistsNotice){.is_current_period = true});
    now = step_now();
    step_set_states(instance, VM_STATE_RESCUED, TASK_STATE_NONE);
    step_set_power_state(instance, step_power_state(op->host, instance));
    OBJECT_SET_STRING(instance, launched_at, now);
    if (!conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(RESCUING), err))
        return false;
    notify(&rescue, "end");
    return true;
}

bool
op_unrescue_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    g_autoptr(NetworkInfo) network = NULL;
    NovaError *error = NULL;

    LOG_INFO("Unrescuing");
    if (!step_load_instance(op->host, op->ctx, instance, err) ||
        !(network = step_refresh_network(op->host, op->ctx, instance, err)))
        return false;
    notifier_send(op->host->notifier, op->ctx, instance,
                  &(InstanceNotice){.action = "unrescue", .phase = "start", .network = network});
    if (!step_recreate_guest(op->host, op->ctx, instance, &error)) {
        step_error_out(op, false, VM_STATE_ACTIVE, error);
        return nova_error_propagate(err, error);
    }
    disks_remove_rescue(op->host->options, instance->uuid);
    step_set_states(instance, VM_STATE_ACTIVE, TASK_STATE_NONE);
    step_set_power_state(instance, step_power_state(op->host, instance));
    if (!conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(UNRESCUING), err))
        return false;
    notifier_send(op->host->notifier, op->ctx, instance,
                  &(InstanceNotice){.action = "unrescue", .phase = "end", .network = network});
    return true;
}
