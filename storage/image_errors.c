/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image_errors.h"

#include <inttypes.h>
#include <stdarg.h>

static void
add_kwarg(NovaError **err, const char *name, const char *value)
{
    if (err && *err)
        nova_error_set_kwarg(*err, name, value);
}

bool
image_errors_unacceptable(NovaError **err, const char *image_id, const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list arguments;

    va_start(arguments, format);
    reason = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    nova_error_set(err, NOVA_ERROR_IMAGE_UNACCEPTABLE, "Image %s is unacceptable: %s", image_id,
                   reason);
    add_kwarg(err, "image_id", image_id);
    add_kwarg(err, "reason", reason);
    return false;
}

bool
image_errors_invalid_disk_info(NovaError **err, const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list arguments;

    va_start(arguments, format);
    reason = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    nova_error_set(err, NOVA_ERROR_INVALID_DISK_INFO, "Disk info file is invalid: %s", reason);
    add_kwarg(err, "reason", reason);
    return false;
}

bool
image_errors_disk_info_failed(NovaError **err, int error, const char *path)
{
    g_autofree char *reason =
        g_strdup_printf("[Errno %d] %s: '%s'", error, g_strerror(error), path);

    nova_error_set(err, NOVA_ERROR_DISK_INFO_READ_WRITE_FAIL,
                   "Failed to read or write disk info file: %s", reason);
    add_kwarg(err, "reason", reason);
    return false;
}

bool
image_errors_not_found(NovaError **err, const char *image_id)
{
    nova_error_set(err, NOVA_ERROR_IMAGE_NOT_FOUND, "Image %s could not be found.", image_id);
    add_kwarg(err, "image_id", image_id);
    return false;
}

bool
image_errors_disk_not_found(NovaError **err, const char *path)
{
    nova_error_set(err, NOVA_ERROR_DISK_NOT_FOUND, "No disk at %s", path);
    add_kwarg(err, "location", path);
    return false;
}

bool
image_errors_flavor_too_small(NovaError **err, uint64_t flavor_size, uint64_t image_size)
{
    nova_error_set(err, NOVA_ERROR_FLAVOR_DISK_SMALLER_THAN_IMAGE,
                   "Flavor's disk is too small for requested image. Flavor disk is %" PRIu64
                   " bytes, image is %" PRIu64 " bytes.",
                   flavor_size, image_size);
    if (err && *err) {
        nova_error_set_kwarg_json(*err, "flavor_size", json_integer((json_int_t)flavor_size));
        nova_error_set_kwarg_json(*err, "image_size", json_integer((json_int_t)image_size));
    }
    return false;
}

bool
image_errors_os(NovaError **err, int error, const char *path)
{
    return nova_error_set(err, NOVA_ERROR_OS_ERROR, "[Errno %d] %s: '%s'", error,
                          g_strerror(error), path);
}
