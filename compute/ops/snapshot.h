/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An image made of a server's root disk, shared by snapshots, backups and shelves. */

#include "compute/operation.h"

/* The task states on the way; 'expected' is the one at its beginning. */
typedef struct SnapshotTasks {
    TaskStates expected;
    TaskState pending;
    TaskState uploading;
} SnapshotTasks;

/* LibvirtDriver.snapshot(): extracts the root disk, live if it can, and uploads it into the image,
 * which is there already. A guest that was stopped for it runs on. InstanceNotRunning without a
 * domain, InstanceNotFound when it vanishes, ImageNotFound, Glance's errors. */
bool snapshot_take(Operation *op, const char *image_id, const SnapshotTasks *tasks, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What the image record gets (_create_snapshot_metadata), as Glance's attributes. New reference. */
json_t *snapshot_attributes(const Instance *instance, const char *container_format,
                            const char *disk_format);

/* Deletes an image that is of no use; failures are logged. */
void snapshot_discard_image(Host *host, const RequestContext *ctx, const char *image_id);
