/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/qemu_img.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "agent/base/json.h"
#include "conf/options.h"
#include "storage/image_errors.h"

#define GIB ((uint64_t)1 << 30)
/* Converting reads and writes the whole image; only a program that hangs should meet this. */
#define CONVERT_TIMEOUT_S (6 * 3600)

void
qemu_img_info_clear(QemuImgInfo *info)
{
    g_free(info->format);
    g_free(info->backing_file);
    g_free(info->backing_format);
    g_free(info->data_file);
    g_free(info->create_type);
    *info = (QemuImgInfo){0};
}

static uint64_t
size_member(const json_t *object, const char *key)
{
    int64_t value = json_get_int(object, key, 0);

    return value > 0 ? (uint64_t)value : 0;
}

bool
qemu_img_info_from_text(const char *text, const char *path, QemuImgInfo *ret_info, NovaError **err)
{
    json_auto_t *details = json_parse(text, strlen(text), NULL);
    const json_t *specific = json_path(details, "format-specific", "data", NULL);
    const char *format = json_get_string(details, "format", NULL);

    if (!format)
        return image_errors_invalid_disk_info(err, "Failed to run qemu-img info on %s : no format",
                                              path);
    *ret_info = (QemuImgInfo){
        .format = g_strdup(format),
        .virtual_size = size_member(details, "virtual-size"),
        .actual_size = size_member(details, "actual-size"),
        .cluster_size = size_member(details, "cluster-size"),
        .backing_file = g_strdup(json_get_string(details, "backing-filename", NULL)),
        .backing_format = g_strdup(json_get_string(details, "backing-filename-format", NULL)),
        .data_file = g_strdup(json_get_string(specific, "data-file", NULL)),
        .payload_offset = size_member(specific, "payload-offset"),
        .create_type = g_strdup(json_get_string(specific, "create-type", NULL)),
        .is_corrupt = json_get_bool(specific, "corrupt", false),
    };
    return true;
}

static bool
info_failed(const CommandResult *result, const char *path, NovaError **err)
{
    if (result->exit_status == 1 && strstr(result->errors, "No such file or directory"))
        return image_errors_disk_not_found(err, path);
    if (result->exit_status < 0)
        return image_errors_invalid_disk_info(
            err, "qemu-img aborted by prlimits when inspecting %s : %s", path, result->errors);
    return image_errors_invalid_disk_info(err, "qemu-img failed to execute on %s : %s", path,
                                          result->errors);
}

bool
qemu_img_info(const struct Options *options, const char *path, const char *format,
              QemuImgInfo *ret_info, NovaError **err)
{
    const char *argv[] = {"qemu-img", "info", path, "--force-share", "--output=json",
                          format ? "-f" : NULL, format, NULL};
    CommandLimits limits = {
        .address_space = (uint64_t)options->libvirt.images_address_space_limit * GIB,
        .cpu_s = (uint64_t)options->libvirt.images_cpu_time_limit,
    };
    g_auto(CommandResult) result = {0};

    if (!g_str_has_prefix(path, "rbd:") && access(path, F_OK) < 0)
        return image_errors_disk_not_found(err, path);
    if (!command_run_unchecked(argv, &limits, &result, err))
        return false;
    if (result.exit_status != 0)
        return info_failed(&result, path, err);
    return qemu_img_info_from_text(result.out, path, ret_info, err);
}

/* In qemu's option lists a comma is written twice. */
static char *
option_value(const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);

    return g_strjoinv(",,", parts);
}

bool
qemu_img_create_overlay(const char *path, const char *base, const char *base_format, uint64_t size,
                        uint64_t cluster_size, NovaError **err)
{
    g_autofree char *base_value = base ? option_value(base) : NULL;
    g_autoptr(GString) list = g_string_new(NULL);
    g_autofree char *bytes = size ? g_strdup_printf("%" PRIu64, size) : NULL;
    const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", "-o", NULL, path, bytes, NULL};
    g_auto(CommandResult) result = {0};

    if (base)
        g_string_printf(list, "backing_file=%s,backing_fmt=%s,", base_value, base_format);
    if (cluster_size)
        g_string_append_printf(list, "cluster_size=%" PRIu64 ",", cluster_size);
    if (list->len == 0)
        g_string_append(list, "compat=1.1,"); /* what qemu does without being told */
    g_string_truncate(list, list->len - 1);
    argv[6] = list->str;
    return command_run(argv, NULL, &result, err);
}

bool
qemu_img_resize(const char *path, const char *format, uint64_t size, NovaError **err)
{
    g_autofree char *bytes = g_strdup_printf("%" PRIu64, size);
    const char *argv[] = {"qemu-img", "resize", "-q", "-f", format, path, bytes, NULL};
    g_auto(CommandResult) result = {0};

    if (!g_str_equal(format, "raw") && !g_str_equal(format, "qcow2"))
        return nova_error_set(err, NOVA_ERROR_INVALID_DISK_FORMAT,
                              "Disk format %s is not acceptable", format);
    return command_run(argv, NULL, &result, err);
}

static bool
folder_has_direct_io(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, ".directio.test.XXXXXX", NULL);
    static const size_t size = 4096;
    void *block = NULL;
    bool works;
    int fd = mkostemp(path, O_DIRECT | O_CLOEXEC);

    if (fd < 0)
        return false;
    works = posix_memalign(&block, size, size) == 0 && memset(block, 'x', size) &&
            write(fd, block, size) == (ssize_t)size;
    free(block);
    close(fd);
    unlink(path);
    return works;
}

/* No page of the host's memory is kept for what is written, where that can be done. */
static const char *
write_cache(const char *target)
{
    g_autofree char *folder = g_path_get_dirname(target);
    struct stat status;

    if (stat(target, &status) == 0 && S_ISBLK(status.st_mode))
        return "none";
    return folder_has_direct_io(folder) ? "none" : "writeback";
}

bool
qemu_img_convert(const char *source, const char *target, const char *source_format,
                 const char *target_format, NovaError **err)
{
    return qemu_img_extract(source, target, source_format, target_format, false, err);
}

bool
qemu_img_extract(const char *source, const char *target, const char *source_format,
                 const char *target_format, bool compressed, NovaError **err)
{
    const char *cache = write_cache(target);
    const char *plain[] = {"qemu-img", "convert",     "-t",   cache,  "-O", target_format,
                           "-f",       source_format, source, target, NULL};
    const char *packed[] = {"qemu-img", "convert",     "-t", cache,  "-O",   target_format,
                            "-f",       source_format, "-c", source, target, NULL};
    const char *const *argv = compressed ? packed : plain;
    static const CommandLimits limits = {.timeout_s = CONVERT_TIMEOUT_S};
    g_autoptr(NovaError) failure = NULL;
    g_auto(CommandResult) result = {0};

    if (command_run(argv, &limits, &result, &failure))
        return true;
    return image_errors_unacceptable(err, source, "Unable to convert image to %s: %s",
                                     target_format, nova_error_message(failure));
}

bool
qemu_img_rebase(const char *path, const char *base, const char *base_format, NovaError **err)
{
    const char *argv[] = {"qemu-img", "rebase", "-q", "-f", "qcow2", "-b", base ? base : "",
                          base ? "-F" : path, base ? base_format : NULL, base ? path : NULL, NULL};
    static const CommandLimits limits = {.timeout_s = CONVERT_TIMEOUT_S};
    g_auto(CommandResult) result = {0};

    return command_run(argv, &limits, &result, err);
}
