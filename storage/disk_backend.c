/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#define LOG_NAME "kilonova.storage.disk_backend"
#include "storage/disk_backend.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/image_errors.h"

static const struct {
    const char *type;
    const DiskBackend *backend;
} backends[] = {
    {"qcow2", &disk_files_qcow2},
    {"raw", &disk_files_flat},
    {"flat", &disk_files_flat},
    {"lvm", &disk_lvm},
#ifdef HAVE_RBD
    {"rbd", &disk_rbd},
#endif
};

const DiskBackend *
disk_backend_of(const struct Options *options)
{
    const char *type = options->libvirt.images_type;

    if (g_str_equal(type, "default"))
        return options->default_group.use_cow_images ? &disk_files_qcow2 : &disk_files_flat;
    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++)
        if (g_str_equal(type, backends[i].type))
            return backends[i].backend;
    return NULL;
}

static bool
fetch_base(const DiskMaking *making, const PlannedDisk *disk, BaseImage *ret_base, NovaError **err)
{
    switch (disk->kind) {
    case DISK_KERNEL:
    case DISK_RAMDISK:
        return image_cache_get_raw_image(making->cache, making->ctx, disk->image_id, ret_base, err);
    case DISK_ROOT:
        return image_cache_get_image(making->cache, making->ctx, disk->image_id, ret_base, err);
    case DISK_SWAP:
        return image_cache_get_swap(making->cache, disk->base_size, ret_base, err);
    default:
        return image_cache_get_ephemeral(making->cache, disk->base_size, making->plan->os_type,
                                         disk->guest_format, disk->label, ret_base, err);
    }
}

bool
disk_backend_get_base(const DiskMaking *making, const PlannedDisk *disk, BaseImage *ret_base,
                      NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (!fetch_base(making, disk, &base, err))
        return false;
    if (disk->size > 0 && base.virtual_size > disk->size) {
        LOG_ERROR("%s virtual size %" PRIu64 " larger than flavor root disk size %" PRIu64, base.path,
                  base.virtual_size, disk->size);
        return image_errors_flavor_too_small(err, disk->size, base.virtual_size);
    }
    *ret_base = base;
    base = (BaseImage){0};
    return true;
}

static bool
has_bare_ext(const char *path)
{
    unsigned char magic[2] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    if (pread(fd, magic, sizeof magic, 1024 + 56) != sizeof magic)
        magic[0] = 0;
    close(fd);
    return magic[0] == 0x53 && magic[1] == 0xef; /* of ext2 to ext4 */
}

void
disk_backend_grow_file_system(const char *path)
{
    const char *check[] = {"e2fsck", "-fp", path, NULL};
    const char *grow[] = {"resize2fs", path, NULL};
    g_auto(CommandResult) checked = {0};
    g_auto(CommandResult) grown = {0};
    g_autoptr(NovaError) failure = NULL;

    if (!has_bare_ext(path))
        return;
    if (!command_run_unchecked(check, NULL, &checked, &failure) || checked.exit_status < 0 ||
        checked.exit_status > 2 || !command_run(grow, NULL, &grown, &failure))
        LOG_DEBUG("Resizing the file system of %s failed: %s", path,
                  failure ? nova_error_message(failure) : checked.errors);
}
