/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* disk.info: the format of each disk file of a server, recorded when we made the file, because
 * what the guest has written since may look like any format (nova.virt.libvirt.imagebackend,
 * resolve_driver_format).
 *
 * One line of JSON, {absolute path: format}, replaced by rename. The operation that holds the
 * instance is the only one to write it. Errors: InvalidDiskInfo, DiskInfoReadWriteFail. */

#include <stdbool.h>

#include "agent/base/nova_error.h"

/* *ret_format is NULL when there is no entry; caller frees it. */
bool disk_info_read(const char *folder, const char *path, char **ret_format, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* An entry that is there with another format is an error. */
bool disk_info_add(const char *folder, const char *path, const char *format, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool disk_info_remove(const char *folder, const char *path, NovaError **err);
