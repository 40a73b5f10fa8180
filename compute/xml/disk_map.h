/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which disks a guest has, on which bus and under which name (nova.virt.libvirt.blockinfo).
 *
 * Entries carry Nova's keys: "root", "disk", "disk.local", "disk.eph0", "disk.swap",
 * "disk.config", "disk.rescue", "disk.config.rescue", and "/dev/vdb" for a volume. "root" may
 * describe the same disk as "disk" or a volume. Pure; one thread at a time. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/image_meta.h"
#include "agent/objects/instance.h"
#include "compute/xml/block_devices.h"
#include "conf/options.h"

typedef struct DiskEntry {
    char *key;
    char *bus;
    char *dev;         /* "vda" */
    char *type;        /* disk, cdrom, floppy, lun */
    char *boot_index;  /* text, compared as text; NULL: not bootable */
} DiskEntry;

typedef struct DiskMap {
    char *disk_bus;
    char *cdrom_bus;
    GPtrArray *entries; /* of DiskEntry, in the order they were named */
} DiskMap;

typedef struct DiskMapInput {
    const Options *options;
    const Instance *instance;
    const ImageMeta *image;          /* what the guest boots from or was made of */
    const ImageMeta *instance_image; /* kept in the instance's system metadata */
    const char *host_arch;           /* uname -m, canonical */
    BlockDevices *devices;           /* missing names, buses and types are filled in; may be NULL */
    bool rescue;
    const ImageMeta *rescue_image;   /* NULL: rescue the old way, the rescue disk comes first */
} DiskMapInput;

DiskMap *disk_map_new(const DiskMapInput *input, NovaError **err);
void disk_map_free(DiskMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskMap, disk_map_free)

/* NULL when there is no such entry. */
const DiskEntry *disk_map_find(const DiskMap *map, const char *key);
/* The entries' boot devices ("hd", "cdrom", "fd") by boot index, none twice. Elements are static,
 * the array is the caller's. */
GPtrArray *disk_map_boot_order(const DiskMap *map);

/* Whether the instance gets a config drive (nova.virt.configdrive.required_by). */
bool config_drive_is_required(const Options *options, const Instance *instance,
                              const ImageMeta *instance_image);

/* Names one more volume of an existing guest and fills in its bus, type and name; the caller frees
 * the entry with disk_entry_free(). */
DiskEntry *disk_map_name_volume(const DiskMapInput *input, const DiskMap *map, BlockDevice *volume,
                                NovaError **err);
void disk_entry_free(DiskEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskEntry, disk_entry_free)
