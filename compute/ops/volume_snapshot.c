/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of volumes in files: Cinder makes the file that is written from then on and removes those that
 * are merged, the guest that has the volume open goes over to it and merges them. */
#define LOG_NAME "kilonova.compute.volumes"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_volumes.h"
#include "compute/guest_agent.h"
#include "compute/guest_chain.h"
#include "compute/ops/steps.h"
#include "compute/volume.h"
#include "compute/volume_chain.h"
#include "storage/qemu_img.h"

#define POLL_US (500 * 1000)
/* Cinder gives up on us after ten minutes; only one that is gone for good lets us wait so long. */
#define CINDER_PATIENCE_US ((int64_t)3600 * G_USEC_PER_SEC)

static const char *
volume_argument(const Operation *op)
{
    return json_get_string(op->args, "volume_id", "");
}

/* InstanceNotRunning, which whoever asked is not told. */
static Guest *
lookup_guest(const Operation *op, NovaError **err)
{
    NovaError *error = NULL;
    Guest *guest = guest_find(op->host->hypervisor, op->instance->uuid, &error);

    if (error)
        nova_error_propagate(err, error);
    else if (!guest)
        nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_RUNNING, "Instance %s is not running.", op->instance->uuid);
    return guest;
}

static bool
is_over(const Operation *op, NovaError *error, NovaError **err)
{
    if (!nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_RUNNING))
        return nova_error_propagate(err, error);
    LOG_DEBUG("Instance disappeared during %s", op->method);
    nova_error_free(error);
    return true;
}

/* Cinder waits for it, and for nothing else. */
static void
tell_cinder(const Operation *op, const char *snapshot_id, const char *status)
{
    g_autoptr(NovaError) error = NULL;

    if (!cinder_snapshot_update_status(op->host->cinder, op->ctx, snapshot_id, status, &error))
        LOG_ERROR("Failed to send updated snapshot status to volume service: %s", nova_error_details(error));
}

/* The connection names the file that the guest starts from. */
static bool
refresh_connection(const Operation *op, NovaError **err)
{
    g_autoptr(BlockDeviceMapping) bdm = conductor_bdm_of_volume(op->host->conductor, op->ctx, volume_argument(op),
                                                                op->instance->uuid, err);

    return bdm && volume_refresh(op->host, op->ctx, bdm, err);
}

static bool
find_chain(const Operation *op, Guest *guest, VolumeChain *ret_chain, NovaError **err)
{
    g_autofree char *xml = guest_fetch_xml(guest, false, err);

    return xml && volume_chain_find(xml, volume_argument(op), ret_chain, err);
}

/* ---- create ---- */

static bool
check_quiesce(const Operation *op, const ImageMeta *image, NovaError **err)
{
    const char *type = op->host->options->libvirt.virt_type;

    if (strcmp(type, "kvm") != 0 && strcmp(type, "qemu") != 0)
        return nova_error_set(err, NOVA_ERROR_INSTANCE_QUIESCE_NOT_SUPPORTED,
                              "Quiescing is not supported in instance %s", op->instance->uuid);
    return guest_agent_is_enabled(image) ||
           nova_error_set(err, NOVA_ERROR_QEMU_GUEST_AGENT_NOT_ENABLED, "QEMU guest agent is not enabled");
}

/* With the file systems held still, if that can be; without, if the image does not ask for it. */
static bool
grow(const Operation *op, Guest *guest, const char *snapshot, NovaError **err)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(op->instance, err);
    NovaError *error = NULL;

    if (!image)
        return false;
    if (check_quiesce(op, image, &error) && guest_chain_grow(guest, snapshot, true, &error))
        return true;
    if (image_property_bool(image, "os_require_quiesce", false))
        return nova_error_propagate(err, error);
    LOG_INFO("Skipping quiescing instance: %s", nova_error_details(error));
    nova_error_free(error);
    return guest_chain_grow(guest, snapshot, false, err);
}

/* A process before us may have done it. */
static bool
has_grown(const Operation *op, const char *domain_xml, const char *new_file)
{
    g_auto(VolumeChain) chain = {0};

    return op->is_resumed && volume_chain_find(domain_xml, volume_argument(op), &chain, NULL) &&
           volume_chain_is_same(chain.files->pdata[0], new_file);
}

static bool
go_over(const Operation *op, Guest *guest, const char *new_file, NovaError **err)
{
    g_autofree char *domain = guest_fetch_xml(guest, false, err);
    g_autofree char *snapshot = NULL;

    if (!domain)
        return false;
    if (has_grown(op, domain, new_file))
        return true;
    snapshot = volume_chain_make_snapshot(domain, volume_argument(op), new_file, err);
    return snapshot && step_load_instance(op->host, op->ctx, op->instance, err) &&
           grow(op, guest, snapshot, err);
}

/* Only then does it export the new file. */
static bool
wait_for_cinder(const Operation *op, const char *snapshot_id, NovaError **err)
{
    int64_t deadline = g_get_monotonic_time() + CINDER_PATIENCE_US;

    while (g_get_monotonic_time() < deadline) {
        json_auto_t *snapshot = cinder_snapshot_get(op->host->cinder, op->ctx, snapshot_id, err);

        if (!snapshot)
            return false;
        if (strcmp(json_get_string(snapshot, "status", ""), "creating") != 0)
            return true;
        g_usleep(POLL_US);
    }
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Cinder did not finish snapshot %s", snapshot_id);
}

static bool
check_create(const json_t *info, NovaError **err)
{
    const char *type = json_get_string(info, "type", "None");

    if (strcmp(type, "qcow2") != 0)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Unknown type: %s", type);
    if (!json_get_string(info, "snapshot_id", NULL))
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "snapshot_id required in create_info");
    return json_get_string(info, "new_file", NULL) || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'new_file'");
}

bool
op_volume_snapshot_create(Operation *op, NovaError **err)
{
    const json_t *info = json_object_get(op->args, "create_info");
    const char *snapshot_id = json_get_string(info, "snapshot_id", NULL);
    NovaError *error = NULL;
    g_autoptr(Guest) guest = lookup_guest(op, &error);

    if (!guest)
        return is_over(op, error, err);
    if (!check_create(info, err))
        return false;
    operation_step(op, "taking a snapshot of the volume");
    if (!go_over(op, guest, json_get_string(info, "new_file", ""), err)) {
        tell_cinder(op, snapshot_id, "error");
        return false;
    }
    tell_cinder(op, snapshot_id, "creating");
    operation_step(op, "waiting for Cinder");
    return wait_for_cinder(op, snapshot_id, err) && refresh_connection(op, err);
}

/* ---- delete ---- */

/* A file of the volume's to be merged: into the one that stands on it when that is written to ('target'
 * NULL; then 'file' NULL: all that it stands on), else into 'target' below. */
typedef struct Merge {
    const char *file;
    const char *target;
} Merge;

static bool
is_merged(const VolumeChain *chain, const Merge *merge)
{
    const char *base = volume_chain_base(chain);

    if (merge->target)
        return !volume_chain_has(chain, merge->file);
    return merge->file ? volume_chain_is_same(base, merge->file) : !base;
}

static bool
start_merge(Guest *guest, const VolumeChain *chain, const Merge *merge, NovaError **err)
{
    g_autofree char *file = NULL, *target = NULL;

    if (merge->file && !(file = volume_chain_reference(chain, merge->file, err)))
        return false;
    if (!merge->target)
        return guest_chain_pull(guest, chain->target, file, err);
    target = volume_chain_reference(chain, merge->target, err);
    return target && guest_chain_commit(guest, chain->target, target, file, err);
}

/* libvirt does not tell how a job ended. Cinder removes the file once we say that it is merged. */
static bool
check_merged(const Operation *op, Guest *guest, const Merge *merge, NovaError **err)
{
    g_auto(VolumeChain) chain = {0};

    if (!find_chain(op, guest, &chain, err))
        return false;
    return is_merged(&chain, merge) ||
           nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "The files of volume %s were not merged",
                          volume_argument(op));
}

/* A process before us may have begun it, or done it. */
static bool
merge_running(const Operation *op, Guest *guest, const VolumeChain *chain, const Merge *merge, NovaError **err)
{
    if (op->is_resumed && !guest_chain_wait(guest, chain->target, err))
        return false;
    if (op->is_resumed && check_merged(op, guest, merge, NULL))
        return true;
    return start_merge(guest, chain, merge, err) && guest_chain_wait(guest, chain->target, err) &&
           check_merged(op, guest, merge, err);
}

/* What the file that stands on it says of it: what is in a file of a guest's says nothing. Caller frees. */
static char *
lookup_format(const Options *options, const char *path, const char *base, NovaError **err)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *at = g_strdup(path);
    g_autofree char *format = g_strdup("qcow2");

    while (at && format) {
        g_auto(QemuImgInfo) info = {0};

        if (!qemu_img_info(options, at, format, &info, err))
            return NULL;
        if (volume_chain_is_same(info.backing_file, base) && info.backing_format)
            return g_steal_pointer(&info.backing_format);
        g_free(at);
        at = info.backing_file ? g_canonicalize_filename(info.backing_file, folder) : NULL;
        g_free(format);
        format = g_steal_pointer(&info.backing_format);
    }
    nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "%s does not stand on %s, of a format that is known", path, base);
    return NULL;
}

/* libvirt merges nothing of a guest that does not run. */
static bool
merge_offline(const Operation *op, const VolumeChain *chain, const char *base, NovaError **err)
{
    g_autofree char *format = NULL;

    if (chain->protocol)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                              "Something went wrong when deleting a volume snapshot: rebasing a %s network disk "
                              "using qemu-img has not been fully tested", chain->protocol);
    if (base && !(format = lookup_format(op->host->options, chain->path, base, err)))
        return false;
    return qemu_img_rebase(chain->path, base, format, err);
}

static bool
merge_files(const Operation *op, NovaError **err)
{
    const json_t *info = json_object_get(op->args, "delete_info");
    const Merge merge = {json_get_string(info, "file_to_merge", NULL),
                         json_get_string(info, "merge_target_file", NULL)};
    const char *type = json_get_string(info, "type", "None");
    g_autoptr(Guest) guest = NULL;
    g_auto(VolumeChain) chain = {0};

    if (strcmp(type, "qcow2") != 0)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Unknown delete_info type %s", type);
    guest = lookup_guest(op, err);
    if (!guest || !find_chain(op, guest, &chain, err))
        return false;
    if (merge.target && !merge.file)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "filename cannot be None");
    if (guest_id(guest) < 0 && !merge.target)
        return merge_offline(op, &chain, merge.file, err);
    return merge_running(op, guest, &chain, &merge, err);
}

bool
op_volume_snapshot_delete(Operation *op, NovaError **err)
{
    const char *snapshot_id = json_get_string(op->args, "snapshot_id", "");
    NovaError *error = NULL;

    operation_step(op, "deleting a snapshot of the volume");
    if (!merge_files(op, &error)) {
        tell_cinder(op, snapshot_id, "error_deleting");
        return is_over(op, error, err);
    }
    tell_cinder(op, snapshot_id, "deleting");
    return refresh_connection(op, err);
}
