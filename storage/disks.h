/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The folder of a server, <instances_path>/<uuid>, and its disks, there or where images_type says:
 * made here and removed here (LibvirtDriver._create_image, delete_instance_files).
 *
 * A folder belongs to the operation that holds the instance; calls for different servers run in
 * parallel. A name that is no UUID never becomes a path. Errors: what image_cache.h says,
 * FlavorDiskSmallerThanImage, InvalidBDMFormat, InvalidDiskInfo, DiskInfoReadWriteFail, OSError,
 * ProcessExecutionError. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "storage/disk_plan.h"
#include "storage/image_cache.h"

struct Options;

/* At start: InvalidConfiguration for an images_type that is not there (ploop), that needs more
 * options than are given or cannot be with others. */
bool disks_check_options(const struct Options *options, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Bytes of the store that images_type says disks are in; 'free' is what servers may take. */
typedef struct StoreSpace {
    uint64_t total, used, free;
} StoreSpace;

bool disks_fetch_space(const struct Options *options, StoreSpace *ret_space, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Hosts and ports of the servers that qemu asks for disks, equally long; NULL: it opens them itself. Callers
 * g_strfreev(). */
bool disks_fetch_monitors(const struct Options *options, char ***ret_hosts, char ***ret_ports, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* How qemu-img is told of a disk that libvirt's definition names 'path': for rbd:<pool>/<image> with who we are.
 * Caller frees. */
char *disks_qemu_source(const struct Options *options, const char *path);

/* Disks are files in the folder; else snapshots of them are cold ones, and moves leave them be. */
bool disks_are_files(const struct Options *options);
/* They lie in a pool that other hosts use, too. */
bool disks_are_shared(const struct Options *options);
/* Disks are qcow2 over a base (images_type), not raw copies. */
bool disks_are_overlays(const struct Options *options);

/* "<instances_path>/<uuid>" and "<instances_path>/<uuid>/<name>"; caller frees. */
char *disks_instance_path(const struct Options *options, const char *uuid);
char *disks_path(const struct Options *options, const char *uuid, const char *name);

typedef struct DisksMade {
    bool made_folder;
    bool made_disks; /* at least one was not there before */
} DisksMade;

/* Makes the folder and every disk of the plan that is missing, fetches a base image that an
 * existing overlay has lost, grows what is smaller than planned.
 * On failure what this call made is gone again. 'ret_made' may be NULL. */
bool disks_create(const struct Options *options, ImageCache *cache, const RequestContext *ctx,
                  const char *uuid, const DiskPlan *plan, DisksMade *ret_made, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* A move may be reverted: a store with snapshots marks the root before the move changes it, returns to the mark or
 * forgets it. Each may be repeated, and is nothing for files, of which disk_move.h makes copies. */
typedef enum DiskMark { DISK_MARK_SET, DISK_MARK_RETURN, DISK_MARK_FORGET } DiskMark;

bool disks_mark(const struct Options *options, const char *uuid, DiskMark mark, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* False with LVM: a server with local disks is not moved or resized. */
bool disks_can_move(const struct Options *options);

/* Copies the root, whether its guest runs or not, to where Glance keeps images in the same store; *ret_url is for
 * Glance, caller frees. 'base' is the record of the image that the server was made from, or NULL.
 * NotImplementedError with files and LVM, ImageUnacceptable or Forbidden when it is not known or not allowed where
 * that is: then the disk must be extracted and uploaded. */
bool disks_snapshot_in_store(const struct Options *options, const char *uuid, const char *image_id,
                             const json_t *base, char **ret_url, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* After each of these, failed, taken by Glance or not, or cut off: what is half a copy goes, and the one that
 * 'unwanted_id' (may be NULL) was to be; then what they were made of. Failures are logged. */
void disks_end_snapshots(const struct Options *options, const char *uuid, const char *unwanted_id);

/* Config drives lie where images_type puts disks if that is rbd, else in the folder: is it there, and the one that
 * was just made as a file goes there. */
bool disks_find_config_drive(const struct Options *options, const char *uuid, const char *name, bool *ret_found,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool disks_store_config_drive(const struct Options *options, const char *uuid, const char *name, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Makes the overlay stand on another image than it was made from, fetched if need be; on nothing when
 * that image is gone or 'image_id' is NULL. A disk that is no overlay stays as it is. */
bool disks_rebase(const struct Options *options, ImageCache *cache, const RequestContext *ctx,
                  const char *uuid, const char *name, const char *image_id, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The <driver type=> of a disk file. disk.info is the authority; a file that is not in it gets
 * what its kind has ("qcow2", "raw"), probed once when Nova would probe (flat disks), and the
 * answer is recorded. 'is_flat' says that it is raw whatever images_type is, as kernel, ramdisk
 * and config drive are anyhow. Caller frees the format. */
bool disks_get_format(const struct Options *options, const char *uuid, const char *name,
                      bool is_flat, char **ret_format, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* console.log exists before libvirt would make it as root; not ours any more (EACCES) is fine. */
bool disks_ensure_console_log(const struct Options *options, const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The disks that lie outside the folder (images_type = lvm or rbd), before disks_delete(); of a server whose
 * disks are on no other host any more. Errors: those of the back end, with which Nova's deletion
 * fails, too. */
bool disks_remove_volumes(const struct Options *options, const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Renames <uuid> to <uuid>_del and removes it, also <uuid>_resize and an older <uuid>_del. No
 * symbolic link is followed. False when something is left: it is logged, and worth another try
 * later (instance.cleaned stays false). */
bool disks_delete(const struct Options *options, const char *uuid);

/* What a rescue made: *.rescue and unrescue.xml, with what disk.info says of them. Failures are
 * logged; what is left goes with the server. */
void disks_remove_rescue(const struct Options *options, const char *uuid);

/* Folders under instances_path that are named as a server's (<uuid>, <uuid>_del, <uuid>_resize);
 * of char *, caller unrefs. Crash recovery compares them with the servers of this host. */
GPtrArray *disks_list_folders(const struct Options *options);
