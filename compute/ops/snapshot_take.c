/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.snapshot"
#include "compute/ops/snapshot.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/guest.h"
#include "compute/guest_agent.h"
#include "compute/guest_block.h"
#include "compute/guest_hostdev.h"
#include "compute/guest_xml.h"
#include "compute/ops/steps.h"
#include "storage/disks.h"
#include "storage/image_errors.h"
#include "storage/qemu_img.h"

/* One disk on its way into an image. */
typedef struct Snapshot {
    Operation *op;
    Guest *guest;
    RootDisk disk;
    ImageMeta *image_meta;      /* of the instance */
    const char *format;         /* of the image; borrowed */
    bool is_live;
    bool was_paused;
    bool must_resume;           /* a guest that was saved to disk for it */
    char *folder;               /* temporary, with all that is made here */
    char *path;                 /* the extracted disk in it */
} Snapshot;

static void
snapshot_clear(Snapshot *snapshot)
{
    guest_free(snapshot->guest);
    root_disk_clear(&snapshot->disk);
    image_meta_free(snapshot->image_meta);
    g_free(snapshot->folder);
    g_free(snapshot->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Snapshot, snapshot_clear)

static const Options *
options_of(const Snapshot *snapshot)
{
    return snapshot->op->host->options;
}

/* ---- the image record ---- */

/* Nova leaves an unset kernel or ramdisk ("") out, but sends a null. */
static void
add_id(json_t *attributes, const char *name, const char *id)
{
    if (!id || (*id && g_ascii_strcasecmp(id, "none") != 0))
        json_set_string(attributes, name, id);
}

json_t *
snapshot_attributes(const Instance *instance, const char *container_format, const char *disk_format)
{
    json_t *attributes = json_pack("{s:s, s:s, s:s?}", "image_location", "snapshot", "image_state",
                                   "available", "owner_id", instance->project_id);

    add_id(attributes, "kernel_id", instance->kernel_id);
    add_id(attributes, "ramdisk_id", instance->ramdisk_id);
    if (instance->os_type && *instance->os_type)
        json_set_string(attributes, "os_type", instance->os_type);
    json_set_string(attributes, "disk_format", disk_format);
    json_set_string(attributes, "container_format", container_format ? container_format : "bare");
    return attributes;
}

void
snapshot_discard_image(Host *host, const RequestContext *ctx, const char *image_id)
{
    g_autoptr(NovaError) error = NULL;

    LOG_DEBUG("Cleaning up image %s", image_id);
    if (!glance_delete(host->glance, ctx, image_id, &error) &&
        !nova_error_is(error, NOVA_ERROR_IMAGE_NOT_FOUND))
        LOG_WARNING("Error while trying to clean up image %s: %s", image_id, nova_error_details(error));
}

/* ---- what is to be done, and how ---- */

static bool
find_guest(Snapshot *snapshot, NovaError **err)
{
    const Instance *instance = snapshot->op->instance;
    NovaError *error = NULL;

    snapshot->guest = guest_find(snapshot->op->host->hypervisor, instance->uuid, &error);
    if (error)
        return nova_error_propagate(err, error);
    return snapshot->guest || nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_RUNNING,
                                             "Instance %s is not running.", instance->uuid);
}

static bool
choose_how(Snapshot *snapshot, NovaError **err)
{
    const Options *options = options_of(snapshot);
    PowerState state = guest_power_state(snapshot->guest);
    g_autofree char *xml = guest_fetch_xml(snapshot->guest, false, err);

    if (!xml || !guest_xml_root_disk(xml, &snapshot->disk, err))
        return false;
    snapshot->image_meta = image_meta_from_instance(snapshot->op->instance, err);
    if (!snapshot->image_meta)
        return false;
    snapshot->format = options->libvirt.snapshot_image_format ? options->libvirt.snapshot_image_format
                                                              : snapshot->disk.format;
    snapshot->is_live = disks_are_files(options) && !options->ephemeral_storage_encryption.enabled &&
                        !options->workarounds.disable_libvirt_livesnapshot &&
                        state != POWER_STATE_SHUTDOWN;
    snapshot->was_paused = state == POWER_STATE_PAUSED;
    snapshot->must_resume = !snapshot->is_live &&
                            (state == POWER_STATE_RUNNING || state == POWER_STATE_PAUSED);
    return true;
}

static bool
announce(Snapshot *snapshot, TaskState task, TaskStates expected, NovaError **err)
{
    Operation *op = snapshot->op;

    OBJECT_SET(op->instance, task_state, task);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, expected, err);
}

static TaskStates
mask_of(TaskState task)
{
    return UINT64_C(1) << task;
}

static bool
is_in_store(const Snapshot *snapshot)
{
    return g_str_has_prefix(snapshot->disk.path, "rbd:");
}

static bool
announce_attempt(Snapshot *snapshot, const SnapshotTasks *tasks, NovaError **err)
{
    return announce(snapshot, tasks->pending, tasks->expected, err) &&
           announce(snapshot, tasks->uploading, mask_of(tasks->pending), err);
}

/* Nova goes to uploading and back when it has tried whether the store can clone the disk; users of
 * the API see the same with files, which never can. */
static bool
announce_extraction(Snapshot *snapshot, const SnapshotTasks *tasks, NovaError **err)
{
    return announce_attempt(snapshot, tasks, err) &&
           announce(snapshot, tasks->pending, mask_of(tasks->uploading), err);
}

/* ---- in the store ---- */

/* The base image may be gone: then only the disk itself may say where images are. */
static bool
copy_in_store(Snapshot *snapshot, const char *image_id, NovaError **err)
{
    const Operation *op = snapshot->op;
    const char *base_id = op->instance->image_ref;
    json_auto_t *base = base_id && *base_id ? glance_show(op->host->glance, op->ctx, base_id, NULL) : NULL;
    json_auto_t *attributes = snapshot_attributes(op->instance, snapshot->image_meta->container_format,
                                                  snapshot->format);
    g_autofree char *url = NULL;
    bool ok;

    if (!disks_snapshot_in_store(options_of(snapshot), op->instance->uuid, image_id, base, &url, err))
        return false;
    FAIL_POINT("snapshot.store:after", NULL);
    ok = glance_update(op->host->glance, op->ctx, image_id, attributes, err) &&
         glance_add_location(op->host->glance, op->ctx, image_id, url, err);
    FAIL_POINT("snapshot.store:told", NULL);
    disks_end_snapshots(options_of(snapshot), op->instance->uuid, ok ? NULL : image_id);
    return ok;
}

/* Failures after which the disk can still be extracted. */
static bool
can_extract(const NovaError *error)
{
    return nova_error_is(error, NOVA_ERROR_NOT_IMPLEMENTED_ERROR) ||
           nova_error_is(error, NOVA_ERROR_IMAGE_UNACCEPTABLE) || nova_error_is(error, NOVA_ERROR_FORBIDDEN) ||
           nova_error_is(error, NOVA_ERROR_IMAGE_NOT_AUTHORIZED);
}

/* *ret_done false: the task is pending again, the disk is to be extracted. */
static bool
try_in_store(Snapshot *snapshot, const char *image_id, const SnapshotTasks *tasks, bool *ret_done,
             NovaError **err)
{
    NovaError *error = NULL;

    *ret_done = false;
    if (!announce_attempt(snapshot, tasks, err))
        return false;
    *ret_done = copy_in_store(snapshot, image_id, &error);
    if (*ret_done)
        return true;
    if (!can_extract(error))
        return nova_error_propagate(err, error);
    LOG_WARNING("Performing standard snapshot because direct snapshot failed: %s", nova_error_details(error));
    nova_error_free(error);
    return announce(snapshot, tasks->pending, mask_of(tasks->uploading), err);
}

/* ---- extracting ---- */

/* qemu, which is another user, has to reach a file in it but need not see what else is there. */
static bool
make_folder(Snapshot *snapshot, NovaError **err)
{
    const char *parent = options_of(snapshot)->libvirt.snapshots_directory;
    g_autofree char *folder = g_build_filename(parent, "snapshot-XXXXXX", NULL);
    g_autofree char *name = NULL;

    if (g_mkdir_with_parents(parent, 0777) < 0 || !g_mkdtemp(folder) ||
        (snapshot->is_live && chmod(folder, 0701) < 0))
        return image_errors_os(err, errno, parent);
    FAIL_POINT("snapshot.folder:after", NULL);
    snapshot->folder = g_steal_pointer(&folder);
    name = g_uuid_string_random();
    snapshot->path = g_build_filename(snapshot->folder, name, NULL);
    return true;
}

static void
remove_folder(Snapshot *snapshot)
{
    g_autofree char *delta = g_strconcat(snapshot->path, ".delta", NULL);

    unlink(delta);
    unlink(snapshot->path);
    if (g_rmdir(snapshot->folder) < 0)
        LOG_WARNING("Cannot remove %s: %s", snapshot->folder, g_strerror(errno));
}

static bool
extract(Snapshot *snapshot, const char *path, const char *format, NovaError **err)
{
    g_autofree char *source = disks_qemu_source(options_of(snapshot), path);
    bool compressed = options_of(snapshot)->libvirt.snapshot_compression &&
                      strcmp(snapshot->format, "qcow2") == 0;

    FAIL_POINT("snapshot.extract:before", NULL);
    if (!qemu_img_extract(source, snapshot->path, format, snapshot->format, compressed, err))
        return false;
    FAIL_POINT("snapshot.extract:after", NULL);
    return true;
}

/* An empty overlay on the disk's own backing file, for what the guest has written. */
static bool
make_delta(Snapshot *snapshot, const char *delta, NovaError **err)
{
    g_auto(QemuImgInfo) disk = {0}, base = {0};

    if (!qemu_img_info(options_of(snapshot), snapshot->disk.path, snapshot->disk.format, &disk, err))
        return false;
    if (disk.backing_file &&
        !qemu_img_info(options_of(snapshot), disk.backing_file, NULL, &base, err))
        return false;
    return qemu_img_create_overlay(delta, disk.backing_file, base.format, disk.virtual_size,
                                   base.cluster_size, err);
}

static bool
check_quiesce(Snapshot *snapshot, bool *ret_can, NovaError **err)
{
    *ret_can = guest_agent_is_enabled(snapshot->image_meta);
    if (*ret_can)
        return true;
    if (!image_property_bool(snapshot->image_meta, "os_require_quiesce", false)) {
        LOG_INFO("Quiescing instance not available: QEMU guest agent is not enabled.");
        return true;
    }
    LOG_ERROR("Quiescing instance failed but image property \"os_require_quiesce\" is set.");
    return nova_error_set(err, NOVA_ERROR_QEMU_GUEST_AGENT_NOT_ENABLED,
                          "QEMU guest agent is not enabled");
}

/* Only while the mirror is cut off: the guest's file systems stand still for a moment. */
static bool
freeze(Snapshot *snapshot, bool can)
{
    g_autoptr(NovaError) error = NULL;

    if (!can)
        return false;
    if (guest_freeze(snapshot->guest, &error))
        return true;
    LOG_INFO("Skipping quiescing instance: %s.", nova_error_details(error));
    return false;
}

static void
thaw(Snapshot *snapshot)
{
    g_autoptr(NovaError) error = NULL;

    if (!guest_thaw(snapshot->guest, &error))
        LOG_ERROR("The instance's file systems stay frozen: %s", nova_error_details(error));
}

/* libvirt gave it to qemu's user. */
static void
take_over(const char *path)
{
    if (chown(path, geteuid(), (gid_t)-1) < 0 && errno != ENOENT)
        LOG_WARNING("Cannot take %s over: %s", path, g_strerror(errno));
}

static bool
mirror(Snapshot *snapshot, const char *delta, NovaError **err)
{
    /* libvirt mirrors no disk of a domain that would outlive the job. */
    if (guest_is_persistent(snapshot->guest) && !guest_undefine(snapshot->guest, true, err))
        return false;
    return guest_block_mirror(snapshot->guest, snapshot->disk.target, delta, err) &&
           guest_block_wait_mirrored(snapshot->guest, snapshot->disk.target, err);
}

/* Whatever became of the mirror: the job ends and the domain is defined again, unless the guest
 * is gone. */
static bool
end_mirror(Snapshot *snapshot, const char *xml, bool can_quiesce, NovaError **err)
{
    bool is_frozen = freeze(snapshot, can_quiesce);
    g_autoptr(Guest) defined = NULL;
    bool ok = guest_block_abort(snapshot->guest, snapshot->disk.target, err);

    if (ok || guest_id(snapshot->guest) >= 0)
        defined = guest_define(snapshot->op->host->hypervisor, xml, ok ? err : NULL);
    if (is_frozen)
        thaw(snapshot);
    return ok && defined;
}

/* Without downtime: the disk is mirrored, the mirror is cut off and made an image of. */
static bool
extract_live(Snapshot *snapshot, NovaError **err)
{
    g_autofree char *delta = g_strconcat(snapshot->path, ".delta", NULL);
    g_autofree char *xml = guest_fetch_definition(snapshot->guest, err);
    g_autoptr(NovaError) failure = NULL;
    bool can_quiesce, ok;

    if (!xml)
        return false;
    (void)!guest_block_abort(snapshot->guest, snapshot->disk.target, NULL); /* a failed one's leftover */
    if (!make_delta(snapshot, delta, err) || !check_quiesce(snapshot, &can_quiesce, err))
        return false;
    ok = mirror(snapshot, delta, &failure);
    if (!end_mirror(snapshot, xml, can_quiesce, ok ? err : NULL))
        return ok ? false : nova_error_propagate(err, g_steal_pointer(&failure));
    if (!ok)
        return nova_error_propagate(err, g_steal_pointer(&failure));
    take_over(delta);
    if (!extract(snapshot, delta, "qcow2", err))
        return false;
    unlink(delta); /* not needed while the upload lasts */
    return true;
}

static bool
save_guest(Snapshot *snapshot, NovaError **err)
{
    Operation *op = snapshot->op;

    return !snapshot->must_resume || (step_load_instance(op->host, op->ctx, op->instance, err) &&
                                      guest_detach_hostdevs(snapshot->guest, op->instance, err) &&
                                      guest_save(snapshot->guest, err));
}

/* A guest that was saved goes on where it was, whether its disk was extracted or not. */
static bool
resume(Snapshot *snapshot, NovaError **err)
{
    return !snapshot->must_resume || (guest_start(snapshot->guest, snapshot->was_paused, err) &&
                                      guest_attach_hostdevs(snapshot->guest, snapshot->op->instance, err));
}

static bool
extract_disk(Snapshot *snapshot, NovaError **err)
{
    NovaError *failure = NULL;
    bool ok = snapshot->is_live
                  ? extract_live(snapshot, &failure)
                  : extract(snapshot, snapshot->disk.path, snapshot->disk.format, &failure);

    if (ok)
        LOG_INFO("Snapshot extracted, beginning image upload");
    if (!resume(snapshot, ok ? err : NULL))
        return ok ? false : nova_error_propagate(err, failure);
    return ok || nova_error_propagate(err, failure);
}

/* ---- all of it ---- */

static bool
upload(Snapshot *snapshot, const char *image_id, NovaError **err)
{
    Operation *op = snapshot->op;
    json_auto_t *attributes = snapshot_attributes(op->instance, snapshot->image_meta->container_format,
                                                  snapshot->format);

    return glance_update(op->host->glance, op->ctx, image_id, attributes, err) &&
           glance_upload(op->host->glance, op->ctx, image_id, snapshot->path, err);
}

static bool
make_image(Snapshot *snapshot, const char *image_id, const SnapshotTasks *tasks, NovaError **err)
{
    bool ok;

    if (!make_folder(snapshot, err))
        return false;
    ok = extract_disk(snapshot, err) &&
         announce(snapshot, tasks->uploading, mask_of(tasks->pending), err) &&
         upload(snapshot, image_id, err);
    remove_folder(snapshot);
    return ok;
}

bool
snapshot_take(Operation *op, const char *image_id, const SnapshotTasks *tasks, NovaError **err)
{
    g_auto(Snapshot) snapshot = {.op = op};
    json_auto_t *record = NULL;
    bool is_done = false;

    if (!find_guest(&snapshot, err))
        return false;
    record = glance_show(op->host->glance, op->ctx, image_id, err); /* not worth the work without */
    if (!record || !choose_how(&snapshot, err))
        return false;
    if (is_in_store(&snapshot)) {
        if (!try_in_store(&snapshot, image_id, tasks, &is_done, err) || is_done)
            return is_done;
    }
    if (!save_guest(&snapshot, err))
        return false;
    LOG_INFO("Beginning %s snapshot process", snapshot.is_live ? "live" : "cold");
    if (!is_in_store(&snapshot) && !announce_extraction(&snapshot, tasks, err)) {
        (void)!resume(&snapshot, NULL);
        return false;
    }
    if (!make_image(&snapshot, image_id, tasks, err))
        return nova_error_prefix(err, "making the snapshot");
    LOG_INFO("Snapshot image upload complete");
    return true;
}
