/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Nova's block_device_info: which disks and volumes a guest has, before they have all got names
 * (nova.virt.driver.get_block_device_info). The disk map fills in names, buses and types that are
 * missing, as Nova does in its driver BDMs; whoever owns the list saves them. */

#include <glib.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>

struct BlockDeviceMapping;

typedef struct BlockDevice {
    struct BlockDeviceMapping *mapping; /* its row, borrowed; NULL: it comes from none */
    char *device_name;  /* "/dev/vda"; a volume's is its mount_device; NULL: to be chosen */
    char *disk_bus;     /* NULL: to be chosen, as device_type */
    char *device_type;
    char *guest_format; /* may be NULL */
    bool has_boot_index;
    int64_t boot_index; /* < 0: not bootable */
    int64_t swap_size;  /* MiB, of a swap disk */
    json_t *connection_info; /* a volume's, after it was connected; NULL otherwise */
} BlockDevice;

typedef struct BlockDevices {
    char *root_device_name; /* may be NULL */
    GPtrArray *image;       /* of BlockDevice: local disks made from an image */
    GPtrArray *ephemerals;  /* of BlockDevice */
    BlockDevice *swap;      /* may be NULL */
    GPtrArray *volumes;     /* of BlockDevice: block_device_mapping */
} BlockDevices;

BlockDevice *block_device_new(void);
void block_device_free(BlockDevice *device);
BlockDevices *block_devices_new(void);
void block_devices_free(BlockDevices *devices);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockDevice, block_device_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockDevices, block_devices_free)

/* The volume with boot index 0, or NULL. */
BlockDevice *block_devices_root_volume(const BlockDevices *devices);
/* "vda" of "/dev/vda"; NULL of NULL. Borrowed from the argument. */
const char *strip_dev(const char *device_name);
/* "/dev/vda" of either; NULL of NULL or ""; g_free(). */
char *prepend_dev(const char *device_name);
