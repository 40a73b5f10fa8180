/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/block_devices.h"

BlockDevice *
block_device_new(void)
{
    return g_new0(BlockDevice, 1);
}

void
block_device_free(BlockDevice *device)
{
    if (!device)
        return;
    g_free(device->device_name);
    g_free(device->disk_bus);
    g_free(device->device_type);
    g_free(device->guest_format);
    json_decref(device->connection_info);
    g_free(device);
}

static void
free_device(void *device)
{
    block_device_free(device);
}

BlockDevices *
block_devices_new(void)
{
    BlockDevices *devices = g_new0(BlockDevices, 1);

    devices->image = g_ptr_array_new_with_free_func(free_device);
    devices->ephemerals = g_ptr_array_new_with_free_func(free_device);
    devices->volumes = g_ptr_array_new_with_free_func(free_device);
    return devices;
}

void
block_devices_free(BlockDevices *devices)
{
    if (!devices)
        return;
    g_free(devices->root_device_name);
    g_ptr_array_unref(devices->image);
    g_ptr_array_unref(devices->ephemerals);
    g_ptr_array_unref(devices->volumes);
    block_device_free(devices->swap);
    g_free(devices);
}

BlockDevice *
block_devices_root_volume(const BlockDevices *devices)
{
    for (guint i = 0; i < devices->volumes->len; i++) {
        BlockDevice *volume = devices->volumes->pdata[i];

        if (volume->has_boot_index && volume->boot_index == 0)
            return volume;
    }
    return NULL;
}

const char *
strip_dev(const char *device_name)
{
    return device_name && g_str_has_prefix(device_name, "/dev/") ? device_name + 5 : device_name;
}

char *
prepend_dev(const char *device_name)
{
    if (!device_name || !*device_name)
        return NULL;
    return g_strconcat("/dev/", strip_dev(device_name), NULL);
}
