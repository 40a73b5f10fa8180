/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/blank_disk.h"
#include "storage/disk_info.h"
#include "storage/file_copy.h"
#include "storage/image_errors.h"
#include "storage/instance_folder.h"
#include "storage/qemu_img.h"

#define LOG_NAME "kilonova.storage.disks"

#define DELETE_ATTEMPTS 5
#define DELETE_DELAY_US (500 * 1000)

/* One call of disks_create(). */
typedef struct Creation {
    const Options *options;
    ImageCache *cache;
    const RequestContext *ctx;
    const DiskPlan *plan;
    char *folder;
    bool made_folder;
    GPtrArray *made; /* paths, to be removed if a later step fails */
} Creation;

bool
disks_check_options(const struct Options *options, NovaError **err)
{
    static const char *const known[] = {"default", "qcow2", "raw", "flat", NULL};
    const char *type = options->libvirt.images_type;

    if (!g_strv_contains(known, type))
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "[libvirt]images_type = %s is not supported yet; use default, qcow2, "
                              "raw or flat",
                              type);
    if (options->ephemeral_storage_encryption.enabled)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                              "Incompatible settings: ephemeral storage encryption is supported "
                              "only for LVM images.");
    return true;
}

char *
disks_instance_path(const struct Options *options, const char *uuid)
{
    return g_build_filename(options->default_group.instances_path, uuid, NULL);
}

char *
disks_path(const struct Options *options, const char *uuid, const char *name)
{
    return g_build_filename(options->default_group.instances_path, uuid, name, NULL);
}

static bool
check_uuid(const char *uuid, NovaError **err)
{
    if (instance_folder_is_uuid(uuid))
        return true;
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'%s' is not a UUID",
                          uuid ? uuid : "(null)");
}

static bool
images_are_flat(const Options *options)
{
    const char *type = options->libvirt.images_type;

    if (g_str_equal(type, "default"))
        return !options->default_group.use_cow_images;
    return g_str_equal(type, "raw") || g_str_equal(type, "flat");
}

bool
disks_are_overlays(const struct Options *options)
{
    return !images_are_flat(options);
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void
note_made(Creation *creation, const char *path)
{
    g_ptr_array_add(creation->made, g_strdup(path));
}

/* -- sizes */

/* A file system that lies bare in a raw disk grows with it; failure is not the server's. */
static void
grow_bare_file_system(const char *path)
{
    const char *check[] = {"e2fsck", "-fp", path, NULL};
    const char *grow[] = {"resize2fs", path, NULL};
    g_auto(CommandResult) checked = {0};
    g_auto(CommandResult) grown = {0};
    g_autoptr(NovaError) failure = NULL;
    unsigned char magic[2] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    if (pread(fd, magic, sizeof magic, 1024 + 56) != sizeof magic)
        magic[0] = 0;
    close(fd);
    if (magic[0] != 0x53 || magic[1] != 0xef) /* of ext2 to ext4 */
        return;
    if (!command_run_unchecked(check, NULL, &checked, &failure) || checked.exit_status < 0 ||
        checked.exit_status > 2 || !command_run(grow, NULL, &grown, &failure))
        LOG_DEBUG("Resizing the file system of %s failed: %s", path,
                  failure ? nova_error_message(failure) : checked.errors);
}

static bool
resize(const char *path, const char *format, uint64_t size, NovaError **err)
{
    if (!qemu_img_resize(path, format, size, err))
        return false;
    if (g_str_equal(format, "raw"))
        grow_bare_file_system(path);
    return true;
}

/* Of a disk that was there before, so that its format is what disk.info says. */
static bool
grow_existing(const Creation *creation, const char *path, const char *format, uint64_t size,
              NovaError **err)
{
    g_auto(QemuImgInfo) info = {0};

    if (size == 0)
        return true;
    if (!qemu_img_info(creation->options, path, format, &info, err))
        return false;
    return info.virtual_size >= size || resize(path, format, size, err);
}

static bool
preallocates(const Options *options)
{
    return g_strcmp0(options->default_group.preallocate_images, "space") == 0;
}

/* preallocate_images = space. Where the file system cannot, Nova warns and goes on. */
static void
preallocate(const char *path, uint64_t size)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0)
        LOG_WARNING("Unable to preallocate image at path: %s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
}

static bool
fits(const BaseImage *base, uint64_t size, NovaError **err)
{
    if (size == 0 || base->virtual_size <= size)
        return true;
    LOG_ERROR("%s virtual size %" PRIu64 " larger than flavor root disk size %" PRIu64, base->path,
              base->virtual_size, size);
    return image_errors_flavor_too_small(err, size, base->virtual_size);
}

/* -- one disk */

static bool
get_base(const Creation *creation, const PlannedDisk *disk, BaseImage *ret_base, NovaError **err)
{
    switch (disk->kind) {
    case DISK_KERNEL:
    case DISK_RAMDISK:
        return image_cache_get_raw_image(creation->cache, creation->ctx, disk->image_id, ret_base,
                                         err);
    case DISK_ROOT:
        return image_cache_get_image(creation->cache, creation->ctx, disk->image_id, ret_base, err);
    case DISK_SWAP:
        return image_cache_get_swap(creation->cache, disk->base_size, ret_base, err);
    default:
        return image_cache_get_ephemeral(creation->cache, disk->base_size, creation->plan->os_type,
                                         disk->guest_format, disk->label, ret_base, err);
    }
}

static bool
make_overlay(Creation *creation, const PlannedDisk *disk, const char *path, NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (!get_base(creation, disk, &base, err) || !fits(&base, disk->size, err))
        return false;
    note_made(creation, path);
    return qemu_img_create_overlay(path, base.path, base.format, disk->size, base.cluster_size,
                                   err) &&
           disk_info_add(creation->folder, path, "qcow2", err);
}

static bool
make_copy(Creation *creation, const PlannedDisk *disk, const char *path, NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (!get_base(creation, disk, &base, err) || !fits(&base, disk->size, err))
        return false;
    note_made(creation, path);
    if (!file_copy(base.path, path, err))
        return false;
    if (disk->size > base.virtual_size && !resize(path, base.format, disk->size, err))
        return false;
    return disk_info_add(creation->folder, path, base.format, err);
}

/* Without overlays an empty disk is made in its place, not copied from the cache. */
static bool
make_blank(Creation *creation, const PlannedDisk *disk, const char *path, NovaError **err)
{
    bool was_made;

    if (disk->kind == DISK_SWAP)
        was_made = blank_disk_make_swap(path, disk->base_size, err);
    else
        was_made = blank_disk_make_ephemeral(creation->options, path, disk->base_size,
                                             creation->plan->os_type, disk->guest_format,
                                             disk->label, err);
    if (!was_made)
        return false;
    note_made(creation, path);
    return disk_info_add(creation->folder, path, "raw", err);
}

static bool
make_disk(Creation *creation, const PlannedDisk *disk, const char *path, NovaError **err)
{
    bool is_blank = !disk->image_id;

    LOG_DEBUG("Creating disk %s", path);
    FAIL_POINT("disks.create:before", disk->name);
    if (!disk->is_flat && !images_are_flat(creation->options))
        return make_overlay(creation, disk, path, err);
    return is_blank ? make_blank(creation, disk, path, err)
                    : make_copy(creation, disk, path, err);
}

static char *
base_name(const Creation *creation, const PlannedDisk *disk)
{
    if (disk->image_id)
        return image_cache_image_name(disk->image_id);
    if (disk->kind == DISK_SWAP)
        return image_cache_swap_name(disk->base_size);
    return image_cache_ephemeral_name(creation->options, disk->base_size, creation->plan->os_type);
}

/* An overlay whose base was lost does not start; as in Nova it is given one again. */
static bool
restore_base(const Creation *creation, const PlannedDisk *disk, const char *format, NovaError **err)
{
    g_autofree char *name = base_name(creation, disk);
    g_auto(BaseImage) base = {0};

    if (!g_str_equal(format, "qcow2") || image_cache_has(creation->cache, name))
        return true;
    return get_base(creation, disk, &base, err);
}

static bool
keep_disk(const Creation *creation, const PlannedDisk *disk, const char *uuid, const char *path,
          NovaError **err)
{
    g_autofree char *format = NULL;

    return disks_get_format(creation->options, uuid, disk->name, disk->is_flat, &format, err) &&
           restore_base(creation, disk, format, err) &&
           grow_existing(creation, path, format, disk->size, err);
}

static bool
create_disk(Creation *creation, const PlannedDisk *disk, const char *uuid, NovaError **err)
{
    g_autofree char *path = g_build_filename(creation->folder, disk->name, NULL);
    bool is_there = exists(path);

    if (disk->guest_format && !blank_disk_knows_format(disk->guest_format))
        return nova_error_set(err, NOVA_ERROR_INVALID_BDM_FORMAT,
                              "Block Device Mapping is Invalid: %s format is not supported",
                              disk->guest_format);
    if (is_there ? !keep_disk(creation, disk, uuid, path, err)
                 : !make_disk(creation, disk, path, err))
        return nova_error_prefix(err, "%s", disk->name);
    if (!is_there && disk->size > 0 && preallocates(creation->options))
        preallocate(path, disk->size);
    FAIL_POINT("disks.create:after", disk->name);
    return true;
}

/* -- all of them */

static bool
make_folder(Creation *creation, NovaError **err)
{
    if (exists(creation->folder))
        return true;
    if (g_mkdir_with_parents(creation->folder, 0777) < 0)
        return image_errors_os(err, errno, creation->folder);
    creation->made_folder = true;
    FAIL_POINT("disks.folder:after", NULL);
    return true;
}

static void
undo(const Creation *creation, const char *uuid)
{
    if (creation->made_folder) {
        g_autoptr(NovaError) failure = NULL;

        if (!instance_folder_remove_tree(creation->options->default_group.instances_path, uuid,
                                         &failure))
            LOG_WARNING("Cannot remove %s: %s", creation->folder, nova_error_message(failure));
        return;
    }
    for (guint i = 0; i < creation->made->len; i++) {
        const char *path = creation->made->pdata[i];

        unlink(path);
        disk_info_remove(creation->folder, path, NULL);
    }
}

static bool
create_all(Creation *creation, const char *uuid, NovaError **err)
{
    if (!make_folder(creation, err))
        return false;
    LOG_INFO("Creating image(s)");
    for (guint i = 0; i < creation->plan->disks->len; i++) {
        if (!create_disk(creation, creation->plan->disks->pdata[i], uuid, err))
            return false;
    }
    return true;
}

bool
disks_create(const struct Options *options, ImageCache *cache, const RequestContext *ctx,
             const char *uuid, const DiskPlan *plan, DisksMade *ret_made, NovaError **err)
{
    g_autoptr(GPtrArray) made = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *folder = disks_instance_path(options, uuid);
    Creation creation = {.options = options, .cache = cache, .ctx = ctx, .plan = plan,
                         .folder = folder, .made = made};

    if (!check_uuid(uuid, err))
        return false;
    /* A certificate that cannot be checked must not be taken for one that was. */
    if (plan->needs_certificates)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Trusted image certificates are not supported");
    if (!create_all(&creation, uuid, err)) {
        undo(&creation, uuid);
        return false;
    }
    if (ret_made)
        *ret_made = (DisksMade){creation.made_folder, made->len > 0};
    return true;
}

/* -- another base */

bool
disks_rebase(const struct Options *options, ImageCache *cache, const RequestContext *ctx,
             const char *uuid, const char *name, const char *image_id, NovaError **err)
{
    g_autofree char *path = disks_path(options, uuid, name);
    g_autoptr(NovaError) failure = NULL;
    g_auto(BaseImage) base = {0};

    if (!check_uuid(uuid, err))
        return false;
    if (images_are_flat(options))
        return true;
    if (image_id && !image_cache_get_image(cache, ctx, image_id, &base, &failure)) {
        if (!nova_error_is(failure, NOVA_ERROR_IMAGE_NOT_FOUND))
            return nova_error_propagate(err, g_steal_pointer(&failure));
        LOG_WARNING("The image %s is no longer available: the disk is flattened", image_id);
    }
    LOG_INFO("Rebasing disk image.");
    FAIL_POINT("disks.rebase:before", NULL);
    if (!qemu_img_rebase(path, base.path, base.format, err))
        return false;
    FAIL_POINT("disks.rebase:after", NULL);
    return true;
}

/* -- formats, console log */

static bool
is_always_flat(const char *name)
{
    return g_str_has_prefix(name, "disk.config") || g_str_has_prefix(name, "kernel") ||
           g_str_has_prefix(name, "ramdisk");
}

/* Nova probes a flat disk that is not in disk.info; never one that may be an overlay. */
static bool
probe_format(const Options *options, const char *path, bool is_flat, char **ret_format,
             NovaError **err)
{
    g_auto(QemuImgInfo) info = {0};
    g_autoptr(NovaError) failure = NULL;

    if (!is_flat && !images_are_flat(options)) {
        *ret_format = g_strdup("qcow2");
    } else if (is_flat || !exists(path)) {
        *ret_format = g_strdup("raw");
    } else if (qemu_img_info(options, path, NULL, &info, &failure)) {
        *ret_format = g_steal_pointer(&info.format);
    } else if (nova_error_kind(failure) == NOVA_ERROR_INVALID_DISK_INFO) {
        LOG_INFO("Failed to get image info from path %s; error: %s", path,
                 nova_error_message(failure));
        *ret_format = g_strdup("raw");
    } else {
        return nova_error_propagate(err, g_steal_pointer(&failure));
    }
    return true;
}

bool
disks_get_format(const struct Options *options, const char *uuid, const char *name, bool is_flat,
                 char **ret_format, NovaError **err)
{
    g_autofree char *folder = disks_instance_path(options, uuid);
    g_autofree char *path = disks_path(options, uuid, name);
    g_autofree char *format = NULL;

    if (!check_uuid(uuid, err) || !disk_info_read(folder, path, &format, err))
        return false;
    if (!format) {
        if (!probe_format(options, path, is_flat || is_always_flat(name), &format, err))
            return false;
        if (exists(path) && !disk_info_add(folder, path, format, err))
            return false;
    }
    *ret_format = g_steal_pointer(&format);
    return true;
}

bool
disks_ensure_console_log(const struct Options *options, const char *uuid, NovaError **err)
{
    g_autofree char *path = disks_path(options, uuid, "console.log");
    int fd;

    if (!check_uuid(uuid, err))
        return false;
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return errno == EACCES || image_errors_os(err, errno, path);
    close(fd);
    return true;
}

/* -- removing */

/* A file server or a dying qemu may hold a file for a moment. */
static bool
remove_folder(const char *parent, const char *name)
{
    for (int attempt = 1;; attempt++) {
        g_autoptr(NovaError) failure = NULL;

        if (instance_folder_remove_tree(parent, name, &failure))
            return true;
        if (attempt == DELETE_ATTEMPTS) {
            LOG_ERROR("Failed to cleanup directory %s/%s: %s", parent, name,
                      nova_error_message(failure));
            return false;
        }
        g_usleep(DELETE_DELAY_US);
    }
}

/* Puts the folder aside under the name that marks it as being deleted, so that no half-removed
 * folder ever looks like a server's. */
static bool
set_aside(const char *parent, const char *uuid, const char *aside)
{
    g_autofree char *from = g_build_filename(parent, uuid, NULL);
    g_autofree char *to = g_build_filename(parent, aside, NULL);

    if (rename(from, to) == 0 || errno == ENOENT)
        return true;
    LOG_ERROR("Cannot rename %s: %s", from, g_strerror(errno));
    return false;
}

bool
disks_delete(const struct Options *options, const char *uuid)
{
    const char *parent = options->default_group.instances_path;
    g_autofree char *aside = NULL;
    g_autofree char *resized = NULL;

    if (!instance_folder_is_uuid(uuid)) {
        LOG_ERROR("Not deleting files of '%s': it is not a UUID", uuid ? uuid : "(null)");
        return false;
    }
    aside = g_strconcat(uuid, "_del", NULL);
    resized = g_strconcat(uuid, "_resize", NULL);
    /* An older one, of an attempt that was interrupted. */
    FAIL_POINT("disks.delete:before", NULL);
    if (!remove_folder(parent, aside) || !set_aside(parent, uuid, aside))
        return false;
    FAIL_POINT("disks.delete:aside", NULL);
    LOG_INFO("Deleting instance files %s/%s", parent, aside);
    return remove_folder(parent, aside) && remove_folder(parent, resized);
}

static void
remove_rescue_file(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(NovaError) failure = NULL;

    if (unlink(path) < 0 && errno != ENOENT)
        LOG_WARNING("Cannot remove %s: %s", path, g_strerror(errno));
    else if (!disk_info_remove(folder, path, &failure))
        LOG_WARNING("Cannot forget %s: %s", path, nova_error_message(failure));
}

void
disks_remove_rescue(const struct Options *options, const char *uuid)
{
    g_autofree char *folder = disks_instance_path(options, uuid);
    g_autoptr(GDir) dir = instance_folder_is_uuid(uuid) ? g_dir_open(folder, 0, NULL) : NULL;
    const char *name;

    FAIL_POINT("disks.remove_rescue:before", NULL);
    while (dir && (name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, ".rescue") || g_str_equal(name, "unrescue.xml"))
            remove_rescue_file(folder, name);
    FAIL_POINT("disks.remove_rescue:after", NULL);
}

static bool
is_server_folder(const char *name)
{
    g_autofree char *uuid = g_strndup(name, 36);
    const char *rest = name + strlen(uuid);

    return instance_folder_is_uuid(uuid) &&
           (rest[0] == '\0' || g_str_equal(rest, "_del") || g_str_equal(rest, "_resize"));
}

GPtrArray *
disks_list_folders(const struct Options *options)
{
    g_autoptr(GDir) dir = g_dir_open(options->default_group.instances_path, 0, NULL);
    GPtrArray *folders = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        if (is_server_folder(name))
            g_ptr_array_add(folders, g_strdup(name));
    }
    return folders;
}
