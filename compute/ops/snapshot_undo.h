/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a process that was killed in the middle of a snapshot left: a guest without its definition, with
 * a copy of its disk going on, or saved to disk; files; an image that gets no more data. */

#include "compute/operation.h"

/* The guest is as before the snapshot. */
void snapshot_repair_guest(Host *host, const Instance *instance);

/* At start, when nobody makes one. */
void snapshot_remove_files(const Options *options);

/* Guest and image: complete, then the task is over; else the image goes, and *err says why. */
bool snapshot_finish_or_undo(Operation *op, const char *image_id, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
