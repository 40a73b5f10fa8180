/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Empty disks: a file with a new file system, a file with a swap area
 * (nova.virt.libvirt.driver._create_ephemeral and _create_swap, nova.privsep.fs).
 *
 * The file must not exist; on failure it does not exist afterwards. Each runs one program
 * (mkfs.*, mkswap, or the operator's [DEFAULT]virt_mkfs).
 * Errors: OSError, ProcessExecutionError. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

struct Options;

/* 'os_type', 'guest_format' and 'label' may be NULL. */
bool blank_disk_make_ephemeral(const struct Options *options, const char *path, int64_t size_gib,
                               const char *os_type, const char *guest_format, const char *label,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The file system alone, on a device that is there. */
bool blank_disk_format(const struct Options *options, const char *path, const char *os_type,
                       const char *guest_format, const char *label, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool blank_disk_make_swap(const char *path, int64_t size_mib, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What names the file system in a cache file's name, "ephemeral_<GiB>_<this>": seven digits of
 * the MD5 of the command or file system. Caller frees. */
char *blank_disk_ephemeral_suffix(const struct Options *options, const char *os_type);

/* ext2 to 4 and xfs: what a block device mapping's guest_format may ask for. */
bool blank_disk_knows_format(const char *guest_format);
