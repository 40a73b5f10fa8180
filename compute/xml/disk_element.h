/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One <disk>, whatever it is made of (nova.virt.libvirt.config.LibvirtConfigGuestDisk). Texts are
 * borrowed until disk_element() returns; NULL is Python's None. */

#include "compute/xml/domain_build.h"

/* In the order of the children of <iotune>. */
typedef enum IoTune {
    READ_BYTES_SEC, READ_IOPS_SEC, WRITE_BYTES_SEC, WRITE_IOPS_SEC, TOTAL_BYTES_SEC,
    TOTAL_IOPS_SEC, READ_BYTES_SEC_MAX, WRITE_BYTES_SEC_MAX, TOTAL_BYTES_SEC_MAX,
    READ_IOPS_SEC_MAX, WRITE_IOPS_SEC_MAX, TOTAL_IOPS_SEC_MAX, SIZE_IOPS_SEC, N_IO_TUNES,
} IoTune;

extern const char *const io_tune_names[N_IO_TUNES];

typedef struct GuestDisk {
    const char *source_type;   /* file, block, network */
    const char *source_device; /* disk, cdrom, floppy, lun */
    const char *driver_name, *driver_format, *driver_cache, *driver_discard, *driver_io;
    const char *alias;
    const char *source_path;
    const char *source_protocol, *source_name;
    GPtrArray *hosts, *ports;  /* of const char *; a port may be NULL; NULL: none */
    const char *auth_username, *auth_secret_type, *auth_secret_uuid;
    const char *target_dev, *target_bus;
    const char *serial;
    char *io_tunes[N_IO_TUNES]; /* owned */
    const char *logical_block_size, *physical_block_size;
    bool has_logical, has_physical; /* named at all, even as null */
    bool readonly, shareable;
    const char *boot_order;
    int64_t scsi_unit;         /* < 0: no address */
    const char *secret_uuid;   /* of a LUKS volume */
} GuestDisk;

void guest_disk_clear(GuestDisk *disk);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(GuestDisk, guest_disk_clear)

/* [libvirt]disk_cachemodes, none for shareable disks, and threads where native I/O would break. */
void guest_disk_set_cache(const Options *options, GuestDisk *disk);
xmlNode *disk_element(XmlDocument *document, const GuestDisk *disk);
