/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes that come to a server and leave it while it exists. */
#define LOG_NAME "kilonova.compute.volumes"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_volumes.h"
#include "compute/guest_config.h"
#include "compute/ops/steps.h"
#include "compute/volume.h"
#include "compute/volume_guest.h"
#include "compute/volume_stats.h"

#define GIB ((int64_t)1024 * 1024 * 1024)

/* What a killed reserve leaves for its successor: the row may be its own. */
#define NOTE_ADDS_ROW "adds a row"

static void
notify(const Operation *op, const RequestContext *ctx, const char *action, const char *phase,
       const char *volume_id, const NovaError *error)
{
    json_auto_t *fields = json_pack("{s:s}", "volume_id", volume_id);
    const InstanceNotice notice = {
        .action = action, .phase = phase, .error = error, .extra = fields, .fields = fields};

    notifier_send(op->host->notifier, ctx, op->instance, &notice);
}

static const char *
volume_argument(const Operation *op)
{
    return json_get_string(op->args, "volume_id", "");
}

static BlockDeviceMapping *
fetch_mapping(const Operation *op, const char *volume_id, NovaError **err)
{
    return conductor_bdm_of_volume(op->host->conductor, op->ctx, volume_id, op->instance->uuid, err);
}

/* ---- a name for the device ---- */

static bool
is_mapped(const GPtrArray *bdms, const char *volume_id)
{
    for (guint i = 0; i < bdms->len; i++)
        if (g_strcmp0(((const BlockDeviceMapping *)bdms->pdata[i])->volume_id, volume_id) == 0)
            return true;
    return false;
}

static BlockDeviceMapping *
new_mapping(const Operation *op)
{
    BlockDeviceMapping *bdm = object_new(&BLOCK_DEVICE_MAPPING_TYPE);

    OBJECT_SET_STRING(bdm, source_type, "volume");
    OBJECT_SET_STRING(bdm, destination_type, "volume");
    OBJECT_SET_STRING(bdm, instance_uuid, op->instance->uuid);
    OBJECT_SET(bdm, boot_index, ((NullableInt){.is_null = true}));
    OBJECT_SET_STRING(bdm, volume_id, volume_argument(op));
    OBJECT_SET_STRING(bdm, device_name, json_get_string(op->args, "device", NULL));
    OBJECT_SET_STRING(bdm, guest_format, NULL);
    OBJECT_SET_STRING(bdm, disk_bus, json_get_string(op->args, "disk_bus", NULL));
    OBJECT_SET_STRING(bdm, device_type, json_get_string(op->args, "device_type", NULL));
    OBJECT_SET_STRING(bdm, tag, json_get_string(op->args, "tag", NULL));
    return bdm;
}

/* Names that users ask for are not kept: only the guest itself names its disks. */
static bool
name_device(const Operation *op, const GPtrArray *bdms, BlockDeviceMapping *bdm, NovaError **err)
{
    g_autoptr(BlockDevice) device = block_device_new();
    g_autofree char *name = NULL;

    if (bdm->device_name)
        LOG_INFO("Ignoring supplied device name: %s", bdm->device_name);
    device->disk_bus = g_strdup(bdm->disk_bus);
    device->device_type = g_strdup(bdm->device_type);
    name = guest_config_name_volume(op->host->guest_config, op->instance, bdms, device, err);
    if (name)
        OBJECT_SET_STRING(bdm, device_name, name);
    return name != NULL;
}

/* Whoever asked has been told that it failed. A row that somebody works with is not ours. */
static bool
undo_reserve(Operation *op, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(BlockDeviceMapping) bdm =
        operation_has_note(op, NOTE_ADDS_ROW) ? fetch_mapping(op, volume_argument(op), &error) : NULL;

    if (error && !nova_error_is(error, NOVA_ERROR_NOT_FOUND))
        return nova_error_propagate(err, error);
    nova_error_free(error);
    if (bdm && !bdm->attachment_id && !bdm->connection_info &&
        !conductor_bdm_destroy(op->host->conductor, op->ctx, bdm, err))
        return false;
    return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME,
                          "Invalid volume: reserving a device for %s was interrupted", volume_argument(op));
}

bool
op_reserve_block_device_name(Operation *op, NovaError **err)
{
    g_autoptr(GPtrArray) bdms = NULL;
    g_autoptr(BlockDeviceMapping) bdm = NULL;

    if (op->is_resumed)
        return undo_reserve(op, err);
    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    bdms = conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);
    if (!bdms)
        return false;
    if (is_mapped(bdms, volume_argument(op)))
        return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME, "Invalid volume: volume %s already attached",
                              volume_argument(op));
    bdm = new_mapping(op);
    if (!name_device(op, bdms, bdm, err))
        return false;
    operation_note(op, NOTE_ADDS_ROW);
    if (!conductor_bdm_add(op->host->conductor, op->ctx, bdm, err))
        return false;
    op->result = object_to_json(bdm);
    return true;
}

/* ---- attach ---- */

static void
destroy_mapping(const Operation *op, BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;

    if (!conductor_bdm_destroy(op->host->conductor, op->ctx, bdm, &error))
        LOG_WARNING("The mapping of volume %s is left: %s", bdm->volume_id, nova_error_details(error));
}

/* A process before us may have got further than the message says. */
static BlockDeviceMapping *
mapping_to_attach(const Operation *op, NovaError **err)
{
    g_autoptr(BlockDeviceMapping) bdm =
        block_device_mapping_from_json(json_object_get(op->args, "bdm"), err);

    if (!bdm || !op->is_resumed)
        return g_steal_pointer(&bdm);
    return fetch_mapping(op, bdm->volume_id, err);
}

static bool
attach(Operation *op, const RequestContext *ctx, BlockDeviceMapping *bdm, NovaError **err)
{
    const VolumeAttach how = {.to_guest = true, .again = op->is_resumed};
    NovaError *error = NULL;

    LOG_INFO("Attaching volume %s to %s", bdm->volume_id, bdm->device_name);
    notify(op, ctx, "volume_attach", "start", bdm->volume_id, NULL);
    operation_step(op, "attaching the volume");
    if (volume_attach(op->host, ctx, op->instance, bdm, &how, &error)) {
        notify(op, ctx, "volume_attach", "end", bdm->volume_id, NULL);
        return true;
    }
    LOG_ERROR("Failed to attach %s at %s", bdm->volume_id, bdm->device_name);
    notify(op, ctx, "volume_attach", "error", bdm->volume_id, error);
    return nova_error_propagate(err, error);
}

/* A process before us may have closed it: then another server here may have it by now. */
static void
forget_closed(const Operation *op, const RequestContext *ctx, BlockDeviceMapping *bdm)
{
    if (op->is_resumed && bdm->connection_info && !volume_is_exported(op->host, ctx, bdm))
        OBJECT_SET_STRING(bdm, connection_info, NULL);
}

/* What a process before us had begun, the guest may have: it is asked, whether or not the mapping says so. */
static bool
take_back(Operation *op, const RequestContext *ctx, BlockDeviceMapping *bdm, NovaError **err)
{
    if (!op->is_resumed)
        return !bdm->attachment_id || volume_release(op->host, ctx, op->instance, bdm, err);
    forget_closed(op, ctx, bdm);
    return volume_detach(op->host, ctx, op->instance, bdm, err);
}

/* The mapping goes with the volume; it stays with one that the server may still have. */
static void
give_up(Operation *op, const RequestContext *ctx, BlockDeviceMapping *bdm)
{
    g_autoptr(NovaError) error = NULL;
    bool is_free = take_back(op, ctx, bdm, &error);

    if (!is_free)
        LOG_WARNING("Volume %s stays attached: %s", bdm->volume_id, nova_error_details(error));
    if (is_free || !op->is_resumed)
        destroy_mapping(op, bdm);
}

bool
op_attach_volume(Operation *op, NovaError **err)
{
    g_autoptr(RequestContext) ctx = request_context_elevated(op->ctx, NULL);
    g_autoptr(BlockDeviceMapping) bdm = mapping_to_attach(op, err);

    if (!bdm)
        return false;
    if (step_load_instance(op->host, op->ctx, op->instance, err) && attach(op, ctx, bdm, err))
        return true;
    give_up(op, ctx, bdm);
    return false;
}

/* ---- detach ---- */

static bool
is_disk_of(const json_t *device, const char *volume_id)
{
    return strcmp(json_get_string(device, "nova_object.name", ""), "DiskMetadata") == 0 &&
           strcmp(json_get_string(json_get_object(device, "nova_object.data"), "serial", ""), volume_id) == 0;
}

/* The guest is no longer told of a tag of the volume's. */
static bool
forget_tag(const Operation *op, const BlockDeviceMapping *bdm, NovaError **err)
{
    Instance *instance = op->instance;
    json_t *metadata;
    json_t *devices;

    if (!bdm->tag || !*bdm->tag || !instance->device_metadata)
        return true;
    metadata = json_deep_copy(instance->device_metadata);
    devices = json_path(metadata, "nova_object.data", "devices", NULL);
    for (size_t i = json_array_size(devices); i-- > 0;)
        if (is_disk_of(json_array_get(devices, i), bdm->volume_id))
            json_array_remove(devices, i);
    json_decref(instance->device_metadata);
    OBJECT_SET(instance, device_metadata, metadata);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT_ANY, err);
}

/* A process before us may have got as far as that, and the volume may be deleted since. */
static bool
detach(Operation *op, BlockDeviceMapping *bdm, NovaError **err)
{
    NovaError *error = NULL;
    json_auto_t *info = NULL;

    operation_step(op, "detaching the volume");
    forget_closed(op, op->ctx, bdm);
    if (volume_detach(op->host, op->ctx, op->instance, bdm, &error))
        return true;
    if (!op->is_resumed || !nova_error_is(error, NOVA_ERROR_VOLUME_NOT_FOUND))
        return nova_error_propagate(err, error);
    nova_error_free(error);
    info = volume_connection_info(bdm);
    return volume_guest_detach(op->host, op->ctx, op->instance, bdm, info, err);
}

bool
op_detach_volume(Operation *op, NovaError **err)
{
    const char *volume_id = volume_argument(op);
    NovaError *error = NULL;
    g_autoptr(BlockDeviceMapping) bdm = fetch_mapping(op, volume_id, &error);

    if (!bdm && op->is_resumed && nova_error_is(error, NOVA_ERROR_NOT_FOUND)) {
        nova_error_free(error);
        return true; /* the process before us had got to its end */
    }
    if (!bdm)
        return nova_error_propagate(err, error);
    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    notify(op, op->ctx, "volume_detach", "start", volume_id, NULL);
    if (op->host->options->default_group.volume_usage_poll_interval > 0)
        volume_stats_tell(op->host, op->ctx, op->instance, bdm, true);
    LOG_INFO("Detaching volume %s", volume_id);
    if (!detach(op, bdm, err))
        return false;
    notify(op, op->ctx, "volume_detach", "end", volume_id, NULL);
    return forget_tag(op, bdm, err) && conductor_bdm_destroy(op->host->conductor, op->ctx, bdm, err);
}

/* Only what Cinder exports to this host: the server has the volume elsewhere. */
static bool
end_export(const Operation *op, const BlockDeviceMapping *bdm, NovaError **err)
{
    Host *host = op->host;
    json_auto_t *connector = NULL;

    if (bdm->attachment_id)
        return !json_get_bool(op->args, "delete_attachment", false) ||
               cinder_attachment_delete(host->cinder, op->ctx, bdm->attachment_id, err);
    connector = connectors_host(host->connectors);
    return cinder_terminate_connection(host->cinder, op->ctx, bdm->volume_id, connector, err);
}

/* Another compute asks when its live migration to here has failed. */
bool
op_remove_volume_connection(Operation *op, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(BlockDeviceMapping) bdm = fetch_mapping(op, volume_argument(op), &error);

    if (bdm && volume_driver_detach(op->host, op->ctx, op->instance, bdm, &error) &&
        end_export(op, bdm, &error))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_NOT_FOUND))
        return nova_error_propagate(err, error);
    nova_error_free(error);
    return true;
}

/* ---- extend ---- */

/* Cinder has made the volume larger and says so in an event. */
bool
op_extend_volume(Operation *op, NovaError **err)
{
    const char *volume_id = json_get_string(op->args, "extended_volume_id", "");
    NovaError *error = NULL;
    g_autoptr(BlockDeviceMapping) bdm = fetch_mapping(op, volume_id, &error);
    g_autoptr(CinderVolume) volume = NULL;
    json_auto_t *info = NULL;

    if (!bdm && nova_error_is(error, NOVA_ERROR_NOT_FOUND)) {
        LOG_WARNING("Extend volume failed, volume %s is not attached to instance.", volume_id);
        nova_error_free(error);
        return true;
    }
    if (!bdm)
        return nova_error_propagate(err, error);
    volume = cinder_volume_get(op->host->cinder, op->ctx, volume_id, err);
    if (!volume)
        return false;
    if (!bdm->connection_info) {
        LOG_WARNING("Extend volume failed, attached volume %s has no connection_info", volume_id);
        return true;
    }
    OBJECT_SET_INT(bdm, volume_size, volume->size_gib);
    info = volume_connection_info(bdm);
    return conductor_bdm_save(op->host->conductor, op->ctx, bdm, err) &&
           volume_guest_extend(op->host, op->instance, info, volume->size_gib * GIB, err);
}
