/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Disks that an iSCSI session or a Fibre Channel fabric brings, as the kernel shows them in /sys
 * (os_brick.initiator.linuxscsi).
 * 'root' stands before every path. A device is named without /dev: "sdb". Errors: OSError. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* A LUN number as the target addresses it; 'mode' is Cinder's "addressing_mode" ("SAM": as it is). */
int64_t scsi_address_lun(int64_t lun, const char *mode);

/* What matches below 'root', sorted: a disk comes before its partitions. Owning array of char * that begin
 * with 'root'. */
GPtrArray *scsi_find_paths(const char *root, const char *pattern);
bool scsi_write(const char *path, const char *text, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* NULL: it is not there (yet). Caller frees. */
char *scsi_find_device(const char *root, const char *session, int64_t lun);
/* Has the session any device but that? */
bool scsi_has_others(const char *root, const char *session, int64_t lun);

/* Asks the session's host to look for that LUN alone. */
bool scsi_scan(const char *root, const char *session, int64_t lun, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What is written to it reaches the target. */
bool scsi_flush(const char *root, const char *device, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Gone is a success. Waits until its node has vanished. */
bool scsi_remove(const char *root, const char *device, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Is the node or link at 'path', which begins with 'root', this device? */
bool scsi_leads_to(const char *path, const char *device);

/* As the kernel knows it, in bytes; of any block device. */
bool scsi_size(const char *root, const char *device, int64_t *ret_size, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same, once its capacity has been read again. */
bool scsi_rescan(const char *root, const char *device, int64_t *ret_size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
