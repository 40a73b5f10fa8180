/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as logical volumes, raw, <uuid>_<disk> in [libvirt]images_volume_group
 * (nova.virt.libvirt.imagebackend Lvm, LibvirtDriver._cleanup_lvm). */
#define LOG_NAME "kilonova.storage.disk_lvm"

#include <string.h>

#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/blank_disk.h"
#include "storage/disk_backend.h"
#include "storage/lvm.h"
#include "storage/qemu_img.h"

static bool
check(const struct Options *options, NovaError **err)
{
    const char *group = options->libvirt.images_volume_group;

    if (!group || !*group)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "You should specify images_volume_group flag to use LVM images.");
    if (options->ephemeral_storage_encryption.enabled)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "[ephemeral_storage_encryption]enabled is not supported yet");
    return true;
}

/* An underscore separates, so one within a name is written twice. */
static char *
volume_name(const char *uuid, const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "_", -1);
    g_autofree char *escaped = g_strjoinv("__", parts);

    return g_strdup_printf("%s_%s", uuid, escaped);
}

static char *
path_of(const struct Options *options, const char *uuid, const char *name)
{
    g_autofree char *volume = volume_name(uuid, name);

    return lvm_path(options->libvirt.images_volume_group, volume);
}

/* A volume that is not active has no path. */
static bool
find(const struct Options *options, const char *uuid, const char *name, bool *ret_found, NovaError **err)
{
    g_autofree char *volume = volume_name(uuid, name);
    g_autoptr(GPtrArray) names = lvm_list(options->libvirt.images_volume_group, err);

    if (names)
        *ret_found = g_ptr_array_find_with_equal_func(names, volume, g_str_equal, NULL);
    return names != NULL;
}

static bool
create_volume(const DiskMaking *making, const PlannedDisk *disk, uint64_t size, bool *ret_begun, NovaError **err)
{
    const OptionsLibvirt *libvirt = &making->options->libvirt;
    g_autofree char *volume = volume_name(making->uuid, disk->name);

    *ret_begun = lvm_create(libvirt->images_volume_group, volume, size, libvirt->sparse_logical_volumes, err);
    return *ret_begun;
}

static bool
make_copy(const DiskMaking *making, const PlannedDisk *disk, const char *path, bool *ret_begun, NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (!disk_backend_get_base(making, disk, &base, err) ||
        !create_volume(making, disk, MAX(disk->size, base.virtual_size), ret_begun, err) ||
        !qemu_img_convert(base.path, path, base.format, "raw", err))
        return false;
    if (disk->size > base.virtual_size)
        disk_backend_grow_file_system(path);
    return true;
}

/* Nothing is copied for an empty file system; swap comes out of the cache as with Nova. */
static bool
make(const DiskMaking *making, const PlannedDisk *disk, bool *ret_begun, NovaError **err)
{
    g_autofree char *path = path_of(making->options, making->uuid, disk->name);

    if (disk->image_id || disk->kind == DISK_SWAP)
        return make_copy(making, disk, path, ret_begun, err);
    return create_volume(making, disk, disk->size, ret_begun, err) &&
           blank_disk_format(making->options, path, making->plan->os_type, disk->guest_format,
                             disk->label, err);
}

/* Servers on volumes are not resized. */
static bool
keep(const DiskMaking *making, const PlannedDisk *disk, NovaError **err)
{
    g_autofree char *volume = volume_name(making->uuid, disk->name);

    return lvm_activate(making->options->libvirt.images_volume_group, volume, err);
}

static bool
remove_volumes(const struct Options *options, const char *uuid, const char *ending, NovaError **err)
{
    const char *group = options->libvirt.images_volume_group;
    g_autofree char *start = volume_name(uuid, "");
    g_autoptr(GPtrArray) names = lvm_list(group, err);

    if (!names)
        return false;
    for (guint i = names->len; i-- > 0;)
        if (!g_str_has_prefix(names->pdata[i], start) || !g_str_has_suffix(names->pdata[i], ending))
            g_ptr_array_remove_index(names, i);
    return lvm_remove(options, group, names, err);
}

static bool
fetch_space(const struct Options *options, StoreSpace *ret_space, NovaError **err)
{
    StoreSpace space;

    if (!lvm_fetch_space(options->libvirt.images_volume_group, &space.total, &space.free, err))
        return false;
    space.used = space.total - space.free;
    *ret_space = space;
    return true;
}

const DiskBackend disk_lvm = {
    .check = check, .find = find, .make = make, .keep = keep, .remove = remove_volumes,
    .fetch_space = fetch_space};
