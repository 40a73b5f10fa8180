/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/blank_disk.h"
#include "storage/disk_backend.h"
#include "storage/disk_info.h"
#include "storage/image_errors.h"
#include "storage/instance_folder.h"
#include "storage/qemu_img.h"

#define LOG_NAME "kilonova.storage.disks"

#define DELETE_ATTEMPTS 5
#define DELETE_DELAY_US (500 * 1000)

/* One call of disks_create(). */
typedef struct Creation {
    DiskMaking making;
    bool made_folder;
    GPtrArray *made; /* of PlannedDisk, to be removed if a later step fails */
} Creation;

bool
disks_check_options(const struct Options *options, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);

    if (!backend)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "[libvirt]images_type = %s is not in this build%s",
                              options->libvirt.images_type,
                              g_str_equal(options->libvirt.images_type, "rbd")
                                  ? ": configure did not find librbd's headers (librbd-dev)"
                                  : "");
    if (options->ephemeral_storage_encryption.enabled && backend != &disk_lvm)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "Incompatible settings: ephemeral storage encryption is supported "
                              "only for LVM images.");
    if (options->compute.max_disk_devices_to_attach == 0)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "[compute]max_disk_devices_to_attach has been set to 0, which will prevent "
                              "instances from being able to boot. Set -1 for unlimited or set >= 1 to limit "
                              "the maximum number of disk devices.");
    return !backend->check || backend->check(options, err);
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

bool
disks_fetch_space(const struct Options *options, StoreSpace *ret_space, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);
    const char *path = options->default_group.instances_path;
    struct statvfs fs;

    if (backend && backend->fetch_space)
        return backend->fetch_space(options, ret_space, err);
    if (statvfs(path, &fs) < 0)
        return image_errors_os(err, errno, path);
    *ret_space = (StoreSpace){
        .total = (uint64_t)fs.f_frsize * fs.f_blocks,
        .used = (uint64_t)fs.f_frsize * (fs.f_blocks - fs.f_bfree),
        .free = (uint64_t)fs.f_frsize * fs.f_bavail,
    };
    return true;
}

bool
disks_fetch_monitors(const struct Options *options, char ***ret_hosts, char ***ret_ports, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);

    *ret_hosts = *ret_ports = NULL;
    return !backend->fetch_monitors || backend->fetch_monitors(options, ret_hosts, ret_ports, err);
}

char *
disks_qemu_source(const struct Options *options, const char *path)
{
    const char *user = options->libvirt.rbd_user;
    const char *conf = options->libvirt.images_rbd_ceph_conf;
    GString *source = g_string_new(path);

    if (g_str_has_prefix(path, "rbd:") && user && *user)
        g_string_append_printf(source, ":id=%s", user);
    if (g_str_has_prefix(path, "rbd:") && conf && *conf)
        g_string_append_printf(source, ":conf=%s", conf);
    return g_string_free(source, FALSE);
}

bool
disks_are_files(const struct Options *options)
{
    return disk_backend_of(options)->has_files;
}

bool
disks_are_shared(const struct Options *options)
{
    return disk_backend_of(options)->is_shared;
}

bool
disks_are_overlays(const struct Options *options)
{
    return disk_backend_of(options) == &disk_files_qcow2;
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* ---- making ---- */

/* Kernel and ramdisk are files with any images_type. */
static const DiskBackend *
backend_for(const Options *options, const PlannedDisk *disk)
{
    return disk->is_flat ? &disk_files_flat : disk_backend_of(options);
}

static bool
make_disk(Creation *creation, const DiskBackend *backend, const PlannedDisk *disk, NovaError **err)
{
    bool begun = false, ok;

    LOG_DEBUG("Creating disk %s", disk->name);
    FAIL_POINT("disks.create:before", disk->name);
    ok = backend->make(&creation->making, disk, &begun, err);
    if (begun)
        g_ptr_array_add(creation->made, (void *)disk);
    return ok;
}

static bool
create_disk(Creation *creation, const PlannedDisk *disk, NovaError **err)
{
    const DiskMaking *making = &creation->making;
    const DiskBackend *backend = backend_for(making->options, disk);
    bool is_there;

    if (disk->guest_format && !blank_disk_knows_format(disk->guest_format))
        return nova_error_set(err, NOVA_ERROR_INVALID_BDM_FORMAT,
                              "Block Device Mapping is Invalid: %s format is not supported",
                              disk->guest_format);
    if (!backend->find(making->options, making->uuid, disk->name, &is_there, err) ||
        !(is_there ? backend->keep(making, disk, err) : make_disk(creation, backend, disk, err)))
        return nova_error_prefix(err, "%s", disk->name);
    FAIL_POINT("disks.create:after", disk->name);
    return true;
}

static bool
make_folder(Creation *creation, NovaError **err)
{
    const char *folder = creation->making.folder;

    if (exists(folder))
        return true;
    if (g_mkdir_with_parents(folder, 0777) < 0)
        return image_errors_os(err, errno, folder);
    creation->made_folder = true;
    FAIL_POINT("disks.folder:after", NULL);
    return true;
}

static void
undo_disk(const DiskMaking *making, const PlannedDisk *disk)
{
    const DiskBackend *backend = backend_for(making->options, disk);
    g_autofree char *path = g_build_filename(making->folder, disk->name, NULL);
    g_autoptr(NovaError) failure = NULL;

    if (backend->has_files) {
        unlink(path);
        disk_info_remove(making->folder, path, NULL);
    } else if (!backend->remove(making->options, making->uuid, disk->name, &failure)) {
        LOG_WARNING("Cannot remove disk %s: %s", disk->name, nova_error_message(failure));
    }
}

static void
undo(const Creation *creation)
{
    const DiskMaking *making = &creation->making;
    g_autoptr(NovaError) failure = NULL;

    for (guint i = 0; i < creation->made->len; i++)
        undo_disk(making, creation->made->pdata[i]);
    if (creation->made_folder &&
        !instance_folder_remove_tree(making->options->default_group.instances_path, making->uuid,
                                     &failure))
        LOG_WARNING("Cannot remove %s: %s", making->folder, nova_error_message(failure));
}

static bool
create_all(Creation *creation, NovaError **err)
{
    const GPtrArray *disks = creation->making.plan->disks;

    if (!make_folder(creation, err))
        return false;
    LOG_INFO("Creating image(s)");
    for (guint i = 0; i < disks->len; i++) {
        if (!create_disk(creation, disks->pdata[i], err))
            return false;
    }
    return true;
}

bool
disks_create(const struct Options *options, ImageCache *cache, const RequestContext *ctx,
             const char *uuid, const DiskPlan *plan, DisksMade *ret_made, NovaError **err)
{
    g_autoptr(GPtrArray) made = g_ptr_array_new();
    g_autofree char *folder = disks_instance_path(options, uuid);
    Creation creation = {{options, cache, ctx, plan, uuid, folder}, .made = made};

    if (!check_uuid(uuid, err))
        return false;
    /* A certificate that cannot be checked must not be taken for one that was. */
    if (plan->needs_certificates)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Trusted image certificates are not supported");
    if (!create_all(&creation, err)) {
        undo(&creation);
        return false;
    }
    if (ret_made)
        *ret_made = (DisksMade){creation.made_folder, made->len > 0};
    return true;
}

/* ---- another base ---- */

bool
disks_rebase(const struct Options *options, ImageCache *cache, const RequestContext *ctx,
             const char *uuid, const char *name, const char *image_id, NovaError **err)
{
    g_autofree char *path = disks_path(options, uuid, name);
    g_autoptr(NovaError) failure = NULL;
    g_auto(BaseImage) base = {0};

    if (!check_uuid(uuid, err))
        return false;
    if (!disks_are_overlays(options))
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

/* ---- moves ---- */

bool
disks_can_move(const struct Options *options)
{
    const DiskBackend *backend = disk_backend_of(options);

    return backend->has_files || backend->mark;
}

bool
disks_mark(const struct Options *options, const char *uuid, DiskMark mark, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);

    if (!backend->mark)
        return true;
    FAIL_POINT("disks.mark:before", NULL);
    if (!check_uuid(uuid, err) || !backend->mark(options, uuid, mark, err))
        return false;
    FAIL_POINT("disks.mark:after", NULL);
    return true;
}

/* ---- snapshots in the store ---- */

bool
disks_snapshot_in_store(const struct Options *options, const char *uuid, const char *image_id,
                        const json_t *base, char **ret_url, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);

    if (!backend->snapshot)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "direct_snapshot() is not implemented");
    return check_uuid(uuid, err) && backend->snapshot(options, uuid, image_id, base, ret_url, err);
}

void
disks_end_snapshots(const struct Options *options, const char *uuid, const char *unwanted_id)
{
    const DiskBackend *backend = disk_backend_of(options);
    g_autoptr(NovaError) failure = NULL;

    if (backend->end_snapshots && !backend->end_snapshots(options, uuid, unwanted_id, &failure))
        LOG_WARNING("A snapshot of the disk stays: %s", nova_error_details(failure));
}

/* ---- config drive ---- */

bool
disks_find_config_drive(const struct Options *options, const char *uuid, const char *name, bool *ret_found,
                        NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);

    if (!backend->take_file)
        backend = &disk_files_flat;
    return check_uuid(uuid, err) && backend->find(options, uuid, name, ret_found, err);
}

bool
disks_store_config_drive(const struct Options *options, const char *uuid, const char *name, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);
    g_autofree char *path = disks_path(options, uuid, name);
    bool was_taken;

    if (!backend->take_file)
        return true;
    was_taken = check_uuid(uuid, err) && backend->take_file(options, uuid, name, path, err);
    LOG_INFO("Deleting local config drive %s", path);
    if (unlink(path) < 0)
        LOG_WARNING("Cannot remove %s: %s", path, g_strerror(errno));
    return was_taken;
}

/* ---- formats, console log ---- */

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
    const DiskBackend *backend = is_flat ? &disk_files_flat : disk_backend_of(options);
    g_auto(QemuImgInfo) info = {0};
    g_autoptr(NovaError) failure = NULL;

    if (backend == &disk_files_qcow2) {
        *ret_format = g_strdup("qcow2");
    } else if (is_flat || !backend->has_files || !exists(path)) {
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

/* ---- removing ---- */

bool
disks_remove_volumes(const struct Options *options, const char *uuid, NovaError **err)
{
    const DiskBackend *backend = disk_backend_of(options);

    FAIL_POINT("disks.volumes:before", NULL);
    return check_uuid(uuid, err) && (!backend->remove || backend->remove(options, uuid, "", err));
}

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
    const DiskBackend *backend = disk_backend_of(options);
    g_autoptr(NovaError) failure = NULL;
    const char *name;

    FAIL_POINT("disks.remove_rescue:before", NULL);
    while (dir && (name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, ".rescue") || g_str_equal(name, "unrescue.xml"))
            remove_rescue_file(folder, name);
    if (dir && backend->remove && !backend->remove(options, uuid, ".rescue", &failure))
        LOG_WARNING("Cannot remove the rescue disk: %s", nova_error_message(failure));
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
