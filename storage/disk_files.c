/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as files in the server's folder: qcow2 overlays over an image of the cache, or flat copies of
 * it (nova.virt.libvirt.imagebackend Qcow2 and Flat). */
#define LOG_NAME "kilonova.storage.disk_files"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/blank_disk.h"
#include "storage/disk_backend.h"
#include "storage/disk_info.h"
#include "storage/disks.h"
#include "storage/file_copy.h"
#include "storage/image_errors.h"
#include "storage/qemu_img.h"

static bool
find(const struct Options *options, const char *uuid, const char *name, bool *ret_found,
     NovaError **err G_GNUC_UNUSED)
{
    g_autofree char *path = disks_path(options, uuid, name);

    *ret_found = access(path, F_OK) == 0;
    return true;
}

static bool
resize(const char *path, const char *format, uint64_t size, NovaError **err)
{
    if (!qemu_img_resize(path, format, size, err))
        return false;
    if (g_str_equal(format, "raw"))
        disk_backend_grow_file_system(path);
    return true;
}

/* preallocate_images = space. Where the file system cannot, Nova warns and goes on; one that is full
 * is a failure. */
static bool
preallocate(const DiskMaking *making, const PlannedDisk *disk, const char *path, NovaError **err)
{
    const char *how = making->options->default_group.preallocate_images;
    int fd, error = 0;

    if (disk->size == 0 || !how || g_ascii_strcasecmp(how, "space") != 0)
        return true;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)disk->size) < 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    if (error == ENOSPC || error == EDQUOT)
        return image_errors_os(err, error, path);
    if (error)
        LOG_WARNING("Unable to preallocate image at path: %s: %s", path, g_strerror(error));
    return true;
}

/* ---- making one ---- */

static bool
make_overlay(const DiskMaking *making, const PlannedDisk *disk, bool *ret_begun, NovaError **err)
{
    g_autofree char *path = g_build_filename(making->folder, disk->name, NULL);
    g_auto(BaseImage) base = {0};

    *ret_begun = true;
    return disk_backend_get_base(making, disk, &base, err) &&
           qemu_img_create_overlay(path, base.path, base.format, disk->size, base.cluster_size, err) &&
           disk_info_add(making->folder, path, "qcow2", err) && preallocate(making, disk, path, err);
}

static bool
make_copy(const DiskMaking *making, const PlannedDisk *disk, const char *path, NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (!disk_backend_get_base(making, disk, &base, err) || !file_copy(base.path, path, err))
        return false;
    if (disk->size > base.virtual_size && !resize(path, base.format, disk->size, err))
        return false;
    return disk_info_add(making->folder, path, base.format, err);
}

/* Without overlays an empty disk is made in its place, not copied from the cache. */
static bool
make_blank(const DiskMaking *making, const PlannedDisk *disk, const char *path, NovaError **err)
{
    bool was_made;

    if (disk->kind == DISK_SWAP)
        was_made = blank_disk_make_swap(path, disk->base_size, err);
    else
        was_made = blank_disk_make_ephemeral(making->options, path, disk->base_size,
                                             making->plan->os_type, disk->guest_format, disk->label,
                                             err);
    return was_made && disk_info_add(making->folder, path, "raw", err);
}

static bool
make_flat(const DiskMaking *making, const PlannedDisk *disk, bool *ret_begun, NovaError **err)
{
    g_autofree char *path = g_build_filename(making->folder, disk->name, NULL);

    *ret_begun = true;
    return (disk->image_id ? make_copy(making, disk, path, err) : make_blank(making, disk, path, err)) &&
           preallocate(making, disk, path, err);
}

/* ---- keeping one ---- */

static char *
base_name(const DiskMaking *making, const PlannedDisk *disk)
{
    if (disk->image_id)
        return image_cache_image_name(disk->image_id);
    if (disk->kind == DISK_SWAP)
        return image_cache_swap_name(disk->base_size);
    return image_cache_ephemeral_name(making->options, disk->base_size, making->plan->os_type);
}

/* An overlay whose base was lost does not start; as in Nova it is given one again. */
static bool
restore_base(const DiskMaking *making, const PlannedDisk *disk, const char *format, NovaError **err)
{
    g_autofree char *name = base_name(making, disk);
    g_auto(BaseImage) base = {0};

    if (!g_str_equal(format, "qcow2") || image_cache_has(making->cache, name))
        return true;
    return disk_backend_get_base(making, disk, &base, err);
}

/* Its format is what disk.info says: the guest has written to it since. */
static bool
grow(const DiskMaking *making, const char *path, const char *format, uint64_t size, NovaError **err)
{
    g_auto(QemuImgInfo) info = {0};

    if (size == 0)
        return true;
    if (!qemu_img_info(making->options, path, format, &info, err))
        return false;
    return info.virtual_size >= size || resize(path, format, size, err);
}

static bool
keep(const DiskMaking *making, const PlannedDisk *disk, NovaError **err)
{
    g_autofree char *path = g_build_filename(making->folder, disk->name, NULL);
    g_autofree char *format = NULL;

    return disks_get_format(making->options, making->uuid, disk->name, disk->is_flat, &format, err) &&
           restore_base(making, disk, format, err) && grow(making, path, format, disk->size, err);
}

const DiskBackend disk_files_qcow2 = {
    .has_files = true, .find = find, .make = make_overlay, .keep = keep};
const DiskBackend disk_files_flat = {
    .has_files = true, .find = find, .make = make_flat, .keep = keep};
