/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files of a server that is resized or moved: its folder is put aside as <uuid>_resize until the
 * move is confirmed, and comes back when it is reverted (LibvirtDriver.migrate_disk_and_power_off,
 * finish_revert_migration, _cleanup_resize). Errors: OSError, those of qemu_img.h and disk_info.h. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

struct Options;

/* [{"type", "path", "virt_disk_size", "backing_file", "disk_size", "over_committed_disk_size"}] of
 * these disks, as one compute tells the other. New reference. */
json_t *disk_move_describe(const struct Options *options, const char *uuid, const GPtrArray *names,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Puts the folder aside and makes a new one with copies of these disks, but for swap, which is made
 * anew. On failure everything is as before. */
bool disk_move_put_aside(const struct Options *options, const char *uuid, const GPtrArray *names,
                         NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The copies made again, of what was put aside: what became of them is not known. Without anything
 * aside (another host's) they stay as they are. */
bool disk_move_renew(const struct Options *options, const char *uuid, const json_t *description,
                     NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Disks of a host without overlays become qcow2 where this one has them; by the description. */
bool disk_move_convert(const struct Options *options, const char *uuid, const json_t *description,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The folder as it was before the move; one that was never put aside stays. */
bool disk_move_restore(const struct Options *options, const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What was put aside is not needed any more. False, logged: something is left of it. */
bool disk_move_forget(const struct Options *options, const char *uuid);
