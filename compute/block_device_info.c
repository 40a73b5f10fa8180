/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/block_device_info.h"

#include <string.h>

#include "agent/base/json.h"

static bool
is_kind(const BlockDeviceMapping *bdm, const char *source, const char *destination)
{
    return !bdm->no_device && g_strcmp0(bdm->source_type, source) == 0 &&
           g_strcmp0(bdm->destination_type, destination) == 0;
}

static bool
has_boot_index(const BlockDeviceMapping *bdm)
{
    return OBJECT_IS_SET(bdm, boot_index) && !bdm->boot_index.is_null;
}

static BlockDevice *
device_of(BlockDeviceMapping *bdm)
{
    BlockDevice *device = block_device_new();

    device->mapping = bdm;
    device->device_name = g_strdup(bdm->device_name);
    device->disk_bus = g_strdup(bdm->disk_bus);
    device->device_type = g_strdup(bdm->device_type);
    device->guest_format = g_strdup(bdm->guest_format);
    device->has_boot_index = has_boot_index(bdm);
    device->boot_index = bdm->boot_index.value;
    return device;
}

/* ---- local disks ---- */

static void
add_local(BlockDevices *devices, BlockDeviceMapping *bdm)
{
    bool is_blank = is_kind(bdm, "blank", "local");

    if (is_kind(bdm, "image", "local")) {
        BlockDevice *device = device_of(bdm);

        device->has_boot_index = true;
        device->boot_index = 0;
        g_ptr_array_add(devices->image, device);
    } else if (is_blank && g_strcmp0(bdm->guest_format, "swap") == 0) {
        block_device_free(devices->swap);
        devices->swap = device_of(bdm);
        devices->swap->swap_size = bdm->volume_size.is_null ? 0 : bdm->volume_size.value;
    } else if (is_blank) {
        g_ptr_array_add(devices->ephemerals, device_of(bdm));
    }
}

/* ---- volumes ---- */

/* What the row keeps of the connection; NULL: there was none yet. New reference. */
static json_t *
connection_of(const BlockDeviceMapping *bdm)
{
    json_t *info = bdm->connection_info ? json_parse(bdm->connection_info, strlen(bdm->connection_info), NULL)
                                        : NULL;

    if (json_object_size(info) > 0)
        return info;
    json_decref(info);
    return NULL;
}

static void
add_volume(BlockDevices *devices, BlockDeviceMapping *bdm, VolumeChoice choice)
{
    json_t *connection = connection_of(bdm);
    BlockDevice *device;

    if (!connection && choice == VOLUMES_CONNECTED)
        return;
    device = device_of(bdm);
    device->connection_info = connection;
    g_ptr_array_add(devices->volumes, device);
}

/* convert_all_volumes(): all of one source, then all of the next. */
static const char *const volume_sources[] = {"volume", "snapshot", "image", "blank"};

BlockDevices *
block_device_info_make(const Instance *instance, const GPtrArray *bdms, VolumeChoice choice)
{
    BlockDevices *devices = block_devices_new();

    devices->root_device_name = g_strdup(instance->root_device_name);
    for (guint i = 0; i < bdms->len; i++)
        add_local(devices, bdms->pdata[i]);
    for (size_t source = 0; source < G_N_ELEMENTS(volume_sources); source++)
        for (guint i = 0; i < bdms->len; i++)
            if (is_kind(bdms->pdata[i], volume_sources[source], "volume"))
                add_volume(devices, bdms->pdata[i], choice);
    return devices;
}

/* ---- the root and names ---- */

BlockDeviceMapping *
block_device_info_root(const GPtrArray *bdms)
{
    for (guint i = 0; i < bdms->len; i++) {
        BlockDeviceMapping *bdm = bdms->pdata[i];

        if (has_boot_index(bdm) && bdm->boot_index.value == 0)
            return bdm;
    }
    return NULL;
}

bool
block_device_info_is_volume(const BlockDeviceMapping *bdm)
{
    return g_strcmp0(bdm->destination_type, "volume") == 0;
}

bool
block_device_info_boots_from_volume(const GPtrArray *bdms)
{
    const BlockDeviceMapping *root = block_device_info_root(bdms);

    return root && block_device_info_is_volume(root);
}

void
block_device_info_forget_names(Instance *instance, const GPtrArray *bdms)
{
    const BlockDeviceMapping *root = block_device_info_root(bdms);

    if (!root)
        return;
    if (root->device_name && *root->device_name)
        OBJECT_SET_STRING(instance, root_device_name, root->device_name);
    for (guint i = 0; i < bdms->len; i++) {
        BlockDeviceMapping *bdm = bdms->pdata[i];

        if (!bdm->no_device)
            OBJECT_SET_STRING(bdm, device_name, NULL);
    }
}
