/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* [libvirt]images_type: where the disks of servers lie, a row for each (nova.virt.libvirt.imagebackend).
 *
 * A row knows how one disk of its kind is found, made, kept and removed; disks.c carries plans out.
 * Its functions are called by the operation that holds the server. Kernel, ramdisk and config drive
 * are files in the server's folder with any of them. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "storage/disk_plan.h"
#include "storage/disks.h"
#include "storage/image_cache.h"

struct Options;

/* The server that disks are made for. */
typedef struct DiskMaking {
    const struct Options *options;
    ImageCache *cache;
    const RequestContext *ctx;
    const DiskPlan *plan;
    const char *uuid;
    char *folder; /* of the server */
} DiskMaking;

typedef struct DiskBackend {
    bool has_files; /* in the server's folder, formats in disk.info; else raw */
    bool is_shared; /* a pool that other hosts use, too: a server's disks may be another host's by now */
    /* At start: what must be configured. NULL: nothing. */
    bool (*check)(const struct Options *options, NovaError **err);
    bool (*find)(const struct Options *options, const char *uuid, const char *name, bool *ret_found,
                 NovaError **err);
    /* One that is not there. '*ret_begun', of a failure too: the caller removes it if need be. */
    bool (*make)(const DiskMaking *making, const PlannedDisk *disk, bool *ret_begun, NovaError **err);
    /* One that is: as large as planned, and fit to be started. */
    bool (*keep)(const DiskMaking *making, const PlannedDisk *disk, NovaError **err);
    /* The server's disks whose names end so, with "" all. NULL: they go with the folder. */
    bool (*remove)(const struct Options *options, const char *uuid, const char *ending, NovaError **err);
    /* Snapshots that disks_mark() works with; NULL: files are copied, volumes stay where they are. */
    bool (*mark)(const struct Options *options, const char *uuid, DiskMark mark, NovaError **err);
    /* A copy of the root among Glance's images, without a download, and its end; see disks_snapshot_in_store().
     * NULL: never. */
    bool (*snapshot)(const struct Options *options, const char *uuid, const char *image_id,
                     const json_t *base, char **ret_url, NovaError **err);
    bool (*end_snapshots)(const struct Options *options, const char *uuid, const char *unwanted_id,
                          NovaError **err);
    /* A config drive that was made as a file moves into the store. NULL: it stays a file. */
    bool (*take_file)(const struct Options *options, const char *uuid, const char *name, const char *path,
                      NovaError **err);
    /* Who qemu asks for the disk; NULL: nobody. */
    bool (*fetch_monitors)(const struct Options *options, char ***ret_hosts, char ***ret_ports, NovaError **err);
    /* NULL: the file system of instances_path. */
    bool (*fetch_space)(const struct Options *options, StoreSpace *ret_space, NovaError **err);
} DiskBackend;

extern const DiskBackend disk_files_qcow2;
extern const DiskBackend disk_files_flat;
extern const DiskBackend disk_lvm;
extern const DiskBackend disk_rbd; /* only where librbd's headers were found */

/* What options choose; NULL for a type that is none of ours. */
const DiskBackend *disk_backend_of(const struct Options *options);

/* ---- what rows have in common ---- */

/* What the disk starts from, out of the image cache. FlavorDiskSmallerThanImage when it is larger
 * than the disk. */
bool disk_backend_get_base(const DiskMaking *making, const PlannedDisk *disk, BaseImage *ret_base,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* A file system that lies bare in a raw disk grows with it; failure is not the server's. */
void disk_backend_grow_file_system(const char *path);
