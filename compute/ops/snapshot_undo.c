/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.snapshot"
#include "compute/ops/snapshot_undo.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/guest.h"
#include "compute/guest_block.h"
#include "compute/guest_hostdev.h"
#include "compute/guest_xml.h"
#include "compute/ops/snapshot.h"
#include "storage/disks.h"
#include "storage/instance_folder.h"

#define FOLDER_PREFIX "snapshot-" /* snapshot_take.c's */

/* A live snapshot makes the domain transient while it copies. */
static bool
end_copy(Host *host, Guest *guest, NovaError **err)
{
    g_autofree char *xml = guest_fetch_xml(guest, false, err);
    g_autofree char *definition = NULL;
    g_auto(RootDisk) disk = {0};
    g_autoptr(Guest) defined = NULL;

    if (!xml || !guest_xml_root_disk(xml, &disk, err))
        return false;
    (void)!guest_block_abort(guest, disk.target, NULL); /* mostly there is none */
    if (guest_is_persistent(guest))
        return true;
    definition = guest_fetch_definition(guest, err);
    defined = definition ? guest_define(host->hypervisor, definition, err) : NULL;
    return defined != NULL;
}

void
snapshot_repair_guest(Host *host, const Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);
    bool ok = true;

    if (guest && guest_id(guest) >= 0)
        ok = end_copy(host, guest, &error);
    else if (guest && instance->power_state.value == POWER_STATE_RUNNING)
        ok = guest_start(guest, false, &error) && /* a cold snapshot had saved it */
             guest_attach_hostdevs(guest, instance, &error);
    if (!ok || error)
        LOG_ERROR("Bringing the guest back after a snapshot: %s", nova_error_details(error));
}

void
snapshot_remove_files(const Options *options)
{
    const char *parent = options->libvirt.snapshots_directory;
    g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autoptr(NovaError) error = NULL;

        if (g_str_has_prefix(name, FOLDER_PREFIX) && !instance_folder_remove_tree(parent, name, &error))
            LOG_WARNING("Cannot remove %s/%s: %s", parent, name, nova_error_details(error));
    }
}

static bool
is_complete(Operation *op, const char *image_id)
{
    json_auto_t *record = glance_show(op->host->glance, op->ctx, image_id, NULL);

    return g_strcmp0(json_get_string(record, "status", NULL), "active") == 0;
}

bool
snapshot_finish_or_undo(Operation *op, const char *image_id, NovaError **err)
{
    bool is_there = is_complete(op, image_id);

    snapshot_repair_guest(op->host, op->instance);
    disks_end_snapshots(op->host->options, op->instance->uuid, is_there ? NULL : image_id);
    if (!is_there) {
        snapshot_discard_image(op->host, op->ctx, image_id);
        return nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION,
                              "The compute agent ended in the middle of the snapshot.");
    }
    OBJECT_SET(op->instance, task_state, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}
