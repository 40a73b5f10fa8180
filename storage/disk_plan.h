/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which local disk files a server has, what each starts from, and how large it is (pure).
 *
 * Decides for files what nova.virt.libvirt.driver._create_image() and
 * _create_and_inject_local_root() decide; device names and buses are compute/xml's. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct Instance;

typedef enum DiskKind {
    DISK_KERNEL,
    DISK_RAMDISK,
    DISK_ROOT,
    DISK_DEFAULT_EPHEMERAL, /* disk.local: flavor's ephemeral without a block device mapping */
    DISK_EPHEMERAL,         /* disk.ephN */
    DISK_SWAP,
} DiskKind;

typedef struct PlannedDisk {
    DiskKind kind;
    char *name;           /* "disk", "disk.eph0", ... with the suffix */
    bool is_flat;         /* raw file whatever images_type says (kernel, ramdisk) */
    char *image_id;       /* kernel, ramdisk, root; else NULL */
    uint64_t size;        /* bytes; 0: as large as its base */
    int64_t base_size;    /* GiB of an ephemeral, MiB of swap; else 0 */
    char *label;          /* "ephemeral0"; else NULL */
    char *guest_format;   /* file system asked for by the mapping; NULL: the default */
} PlannedDisk;

typedef struct DiskPlan {
    char *os_type;    /* may be NULL */
    bool needs_certificates; /* the user named trusted image certificates */
    GPtrArray *disks; /* of PlannedDisk, in the order Nova creates them */
} DiskPlan;

typedef struct DiskPlanInput {
    const char *image_id;   /* NULL or "": none */
    const char *kernel_id;  /* the same */
    const char *ramdisk_id; /* used only with a kernel */
    const char *os_type;
    bool needs_certificates;
    bool is_volume_backed;  /* no local root */
    int64_t root_gib;       /* 0: the image's size */
    int64_t ephemeral_gib;  /* the flavor's */
    int64_t swap_mib;       /* the flavor's, used when no mapping asks for swap */
    const char *suffix;     /* "" or ".rescue" */
    const GPtrArray *block_devices; /* of BlockDeviceMapping; NULL: none */
    /* Names that have a place on a bus ("disk", "disk.local", "disk.swap", ...), as computed for
     * the domain XML; a flavor's ephemeral or swap without one is left out. NULL: all have. */
    const char *const *mapped_names;
} DiskPlanInput;

DiskPlan *disk_plan_make(const DiskPlanInput *input);
/* For a server that is built, from what its record says; see mapped_names above. */
DiskPlan *disk_plan_for_instance(const struct Instance *instance, const GPtrArray *block_devices,
                                 const char *const *mapped_names);
void disk_plan_free(DiskPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiskPlan, disk_plan_free)

/* NULL when the plan has no such disk. */
const PlannedDisk *disk_plan_find(const DiskPlan *plan, const char *name);
