/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a domain's XML, as libvirt gives it, says about the guest. Pure. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct RootDisk {
    char *path;   /* of its file or device, or rbd:<pool>/<image> */
    char *format; /* "qcow2"; NULL: libvirt does not say */
    char *target; /* "vda" */
} RootDisk;

void root_disk_clear(RootDisk *disk);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RootDisk, root_disk_clear)

/* The first disk, which is the root (nova.virt.libvirt.utils.find_disk). RuntimeError when it has
 * no path. */
bool guest_xml_root_disk(const char *xml, RootDisk *ret_disk, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The <interface> with that MAC address, whatever its letters' case: its own text; NULL: there is none.
 * *ret_alias is NULL in a definition. Caller frees both. */
char *guest_xml_find_interface(const char *xml, const char *mac, char **ret_alias);

/* The same of the <hostdev> of the PCI device at that address of the host ("0000:06:00.1"). */
char *guest_xml_find_hostdev(const char *xml, const char *address, char **ret_alias);

/* Has the domain that PCI device of the host, a <hostdev> or its text? */
bool guest_xml_has_hostdev(const char *xml, const char *hostdev);

/* The mirror of a block copy has caught up: <mirror ready='yes'/> of that disk. */
bool guest_xml_is_mirror_ready(const char *xml, const char *target);

/* The <disk> with this target ("vdb") or alias, whichever is not NULL, likewise. */
char *guest_xml_find_disk(const char *xml, const char *target, const char *alias, char **ret_alias);
/* File, device or name of the source of a <disk>'s text; NULL: it has none. Caller frees. */
char *guest_xml_disk_source(const char *disk_xml);
/* The target of the disk with this serial number; NULL: there is none. Caller frees. */
char *guest_xml_target_of_serial(const char *xml, const char *serial);
/* The first unit of the SCSI controller after those that its disks have. */
int64_t guest_xml_next_scsi_unit(const char *xml);
/* The files of its disks: owning array of char *. */
GPtrArray *guest_xml_disk_files(const char *xml);
