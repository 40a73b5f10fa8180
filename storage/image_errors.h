/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The errors of images and disks with nova.exception's texts and parameters. All return false. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* "Image %(image_id)s is unacceptable: %(reason)s" */
bool image_errors_unacceptable(NovaError **err, const char *image_id, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* "Disk info file is invalid: %(reason)s" */
bool image_errors_invalid_disk_info(NovaError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* "Failed to read or write disk info file: %(reason)s" */
bool image_errors_disk_info_failed(NovaError **err, int error, const char *path);
bool image_errors_not_found(NovaError **err, const char *image_id);
bool image_errors_disk_not_found(NovaError **err, const char *path);
bool image_errors_flavor_too_small(NovaError **err, uint64_t flavor_size, uint64_t image_size);
/* Python's str(OSError): "[Errno 2] No such file or directory: 'path'". */
bool image_errors_os(NovaError **err, int error, const char *path);
