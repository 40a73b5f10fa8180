/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/disk_plan.h"

#include <inttypes.h>
#include <string.h>

#include "agent/objects/block_device.h"
#include "agent/objects/instance.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

static void
planned_disk_free(void *data)
{
    PlannedDisk *disk = data;

    g_free(disk->name);
    g_free(disk->image_id);
    g_free(disk->label);
    g_free(disk->guest_format);
    g_free(disk);
}

void
disk_plan_free(DiskPlan *plan)
{
    if (!plan)
        return;
    g_free(plan->os_type);
    g_ptr_array_unref(plan->disks);
    g_free(plan);
}

static PlannedDisk *
add_disk(DiskPlan *plan, const DiskPlanInput *input, DiskKind kind, const char *name)
{
    PlannedDisk *disk = g_new0(PlannedDisk, 1);

    disk->kind = kind;
    disk->name = g_strconcat(name, input->suffix, NULL);
    g_ptr_array_add(plan->disks, disk);
    return disk;
}

static bool
is_given(const char *text)
{
    return text && text[0];
}

static void
add_boot_files(DiskPlan *plan, const DiskPlanInput *input)
{
    PlannedDisk *disk;

    if (!is_given(input->kernel_id))
        return;
    disk = add_disk(plan, input, DISK_KERNEL, "kernel");
    disk->is_flat = true;
    disk->image_id = g_strdup(input->kernel_id);
    if (!is_given(input->ramdisk_id))
        return;
    disk = add_disk(plan, input, DISK_RAMDISK, "ramdisk");
    disk->is_flat = true;
    disk->image_id = g_strdup(input->ramdisk_id);
}

static void
add_root(DiskPlan *plan, const DiskPlanInput *input)
{
    PlannedDisk *disk;

    if (input->is_volume_backed || !is_given(input->image_id))
        return;
    disk = add_disk(plan, input, DISK_ROOT, "disk");
    disk->image_id = g_strdup(input->image_id);
    /* A rescue disk is as large as its image. */
    if (input->root_gib > 0 && !g_str_equal(input->suffix, ".rescue"))
        disk->size = (uint64_t)input->root_gib * GIB;
}

static PlannedDisk *
add_ephemeral(DiskPlan *plan, const DiskPlanInput *input, DiskKind kind, const char *name,
              unsigned index, int64_t size_gib)
{
    PlannedDisk *disk = add_disk(plan, input, kind, name);

    disk->size = (uint64_t)size_gib * GIB;
    disk->base_size = size_gib;
    disk->label = g_strdup_printf("ephemeral%u", index);
    return disk;
}

static bool
is_mapped(const DiskPlanInput *input, const char *name)
{
    return !input->mapped_names || g_strv_contains(input->mapped_names, name);
}

static bool
is_local_blank(const BlockDeviceMapping *mapping)
{
    return !mapping->no_device && g_strcmp0(mapping->source_type, "blank") == 0 &&
           g_strcmp0(mapping->destination_type, "local") == 0;
}

static bool
is_swap(const BlockDeviceMapping *mapping)
{
    return is_local_blank(mapping) && g_strcmp0(mapping->guest_format, "swap") == 0;
}

/* A size that is not there, or would overflow in bytes, is none. */
static int64_t
size_of(const BlockDeviceMapping *mapping)
{
    int64_t size = mapping->volume_size.is_null ? 0 : mapping->volume_size.value;

    return size > 0 && size < INT64_MAX / (int64_t)GIB ? size : 0;
}

static void
add_mapped_ephemerals(DiskPlan *plan, const DiskPlanInput *input)
{
    unsigned n = 0;

    for (guint i = 0; input->block_devices && i < input->block_devices->len; i++) {
        const BlockDeviceMapping *mapping = input->block_devices->pdata[i];
        g_autofree char *name = g_strdup_printf("disk.eph%u", n);
        PlannedDisk *disk;

        if (!is_local_blank(mapping) || is_swap(mapping))
            continue;
        disk = add_ephemeral(plan, input, DISK_EPHEMERAL, name, n, size_of(mapping));
        if (is_given(mapping->guest_format))
            disk->guest_format = g_strdup(mapping->guest_format);
        n++;
    }
}

static bool
has_mapped_ephemeral(const DiskPlanInput *input)
{
    for (guint i = 0; input->block_devices && i < input->block_devices->len; i++) {
        const BlockDeviceMapping *mapping = input->block_devices->pdata[i];

        if (is_local_blank(mapping) && !is_swap(mapping))
            return true;
    }
    return false;
}

static void
add_ephemerals(DiskPlan *plan, const DiskPlanInput *input)
{
    if (!has_mapped_ephemeral(input) && input->ephemeral_gib > 0 && is_mapped(input, "disk.local"))
        add_ephemeral(plan, input, DISK_DEFAULT_EPHEMERAL, "disk.local", 0, input->ephemeral_gib);
    add_mapped_ephemerals(plan, input);
}

/* The mapping's swap when it has a device name and a size, else the flavor's. */
static int64_t
swap_size(const DiskPlanInput *input)
{
    for (guint i = 0; input->block_devices && i < input->block_devices->len; i++) {
        const BlockDeviceMapping *mapping = input->block_devices->pdata[i];

        if (is_swap(mapping) && is_given(mapping->device_name) && size_of(mapping) > 0)
            return size_of(mapping);
    }
    return input->swap_mib;
}

static void
add_swap(DiskPlan *plan, const DiskPlanInput *input)
{
    int64_t size_mib = swap_size(input);
    PlannedDisk *disk;

    if (size_mib <= 0 || !is_mapped(input, "disk.swap"))
        return;
    disk = add_disk(plan, input, DISK_SWAP, "disk.swap");
    disk->size = (uint64_t)size_mib * MIB;
    disk->base_size = size_mib;
}

DiskPlan *
disk_plan_make(const DiskPlanInput *input)
{
    DiskPlan *plan = g_new0(DiskPlan, 1);

    plan->os_type = g_strdup(input->os_type);
    plan->needs_certificates = input->needs_certificates;
    plan->disks = g_ptr_array_new_with_free_func(planned_disk_free);
    add_boot_files(plan, input);
    add_root(plan, input);
    add_ephemerals(plan, input);
    add_swap(plan, input);
    return plan;
}

static bool
is_volume_backed(const GPtrArray *block_devices)
{
    for (guint i = 0; block_devices && i < block_devices->len; i++) {
        const BlockDeviceMapping *mapping = block_devices->pdata[i];

        if (!mapping->no_device && g_strcmp0(mapping->destination_type, "volume") == 0 &&
            !mapping->boot_index.is_null && mapping->boot_index.value == 0)
            return true;
    }
    return false;
}

DiskPlan *
disk_plan_for_instance(const struct Instance *instance, const GPtrArray *block_devices,
                       const char *const *mapped_names)
{
    const Flavor *flavor = instance->flavor;
    const DiskPlanInput input = {
        .image_id = instance->image_ref,
        .kernel_id = instance->kernel_id,
        .ramdisk_id = instance->ramdisk_id,
        .os_type = instance->os_type,
        .needs_certificates = instance->trusted_certs != NULL,
        .is_volume_backed = is_volume_backed(block_devices),
        .root_gib = flavor ? flavor->root_gb : 0,
        .ephemeral_gib = flavor ? flavor->ephemeral_gb : 0,
        .swap_mib = flavor ? flavor->swap : 0,
        .suffix = "",
        .block_devices = block_devices,
        .mapped_names = mapped_names,
    };

    return disk_plan_make(&input);
}

const PlannedDisk *
disk_plan_find(const DiskPlan *plan, const char *name)
{
    for (guint i = 0; i < plan->disks->len; i++) {
        const PlannedDisk *disk = plan->disks->pdata[i];

        if (g_str_equal(disk->name, name))
            return disk;
    }
    return NULL;
}
