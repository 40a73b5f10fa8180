/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/config_drive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "agent/base/command.h"
#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/image_errors.h"
#include "storage/instance_folder.h"
#include "storage/instance_metadata.h"
#include "storage/vendor_data.h"

#define LOG_NAME "kilonova.storage.config_drive"

#define LABEL "config-2"
#define PUBLISHER "OpenStack Nova " PACKAGE_VERSION
#define VFAT_SIZE ((off_t)64 << 20)

static bool
write_whole(int fd, const char *data, gsize size)
{
    while (size > 0) {
        ssize_t written = write(fd, data, size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        data += written;
        size -= (gsize)written;
    }
    return true;
}

static bool
write_file(const char *path, const void *data, gsize size, NovaError **err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool is_written;
    int error;

    if (fd < 0)
        return image_errors_os(err, errno, path);
    is_written = write_whole(fd, data, size);
    error = errno;
    close(fd);
    return is_written || image_errors_os(err, error, path);
}

static bool
write_iso(const GPtrArray *files, const char *path, NovaError **err)
{
    g_autoptr(GByteArray) image =
        iso_image_make(files, LABEL, PUBLISHER, g_get_real_time() / G_USEC_PER_SEC);

    return write_file(path, image->data, image->len, err);
}

/* -- vfat */

static bool
write_below(const char *folder, const DiskFile *file, NovaError **err)
{
    g_autofree char *path = g_build_filename(folder, file->path, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    gsize size;
    gconstpointer data = g_bytes_get_data(file->data, &size);

    if (g_mkdir_with_parents(parent, 0755) < 0)
        return image_errors_os(err, errno, parent);
    return write_file(path, data, size, err);
}

static bool
make_empty_vfat(const char *path, NovaError **err)
{
    const char *argv[] = {"mkfs.vfat", "-n", LABEL, path, NULL};
    g_auto(CommandResult) result = {0};
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool is_sized;
    int error;

    if (fd < 0)
        return image_errors_os(err, errno, path);
    is_sized = ftruncate(fd, VFAT_SIZE) == 0;
    error = errno;
    close(fd);
    if (!is_sized)
        return image_errors_os(err, error, path);
    return command_run(argv, NULL, &result, err);
}

static bool
copy_into_vfat(const char *folder, const char *path, NovaError **err)
{
    g_autofree char *ec2 = g_build_filename(folder, "ec2", NULL);
    g_autofree char *openstack = g_build_filename(folder, "openstack", NULL);
    bool has_ec2 = g_file_test(ec2, G_FILE_TEST_IS_DIR);
    const char *argv[] = {"mcopy",   "-s", "-Q", "-i", path, openstack, has_ec2 ? ec2 : "::/",
                          has_ec2 ? "::/" : NULL, NULL};
    g_auto(CommandResult) result = {0};

    return command_run(argv, NULL, &result, err);
}

/* The files may hold a password: the folder is ours alone (0700), and goes in any case. */
static bool
write_vfat(const GPtrArray *files, const char *path, NovaError **err)
{
    g_autofree char *folder = g_dir_make_tmp("kilonova-config-drive-XXXXXX", NULL);
    g_autofree char *parent = NULL;
    g_autofree char *name = NULL;
    bool is_written = true;

    if (!folder)
        return image_errors_os(err, errno, g_get_tmp_dir());
    parent = g_path_get_dirname(folder);
    name = g_path_get_basename(folder);
    for (guint i = 0; is_written && i < files->len; i++)
        is_written = write_below(folder, files->pdata[i], err);
    is_written = is_written && make_empty_vfat(path, err) && copy_into_vfat(folder, path, err);
    if (!instance_folder_remove_tree(parent, name, NULL))
        LOG_WARNING("Cannot remove %s", folder);
    return is_written;
}

bool
config_drive_write(const struct Options *options, const GPtrArray *files, const char *path,
                   NovaError **err)
{
    const char *format = options->default_group.config_drive_format;
    g_autofree char *part = g_strconcat(path, ".part", NULL);
    bool is_written;

    if (g_str_equal(format, "iso9660"))
        is_written = write_iso(files, part, err);
    else if (g_str_equal(format, "vfat"))
        is_written = write_vfat(files, part, err);
    else
        return nova_error_set(err, NOVA_ERROR_CONFIG_DRIVE_UNKNOWN_FORMAT,
                              "Unknown config drive format %s. Select one of iso9660 or vfat.",
                              format);
    FAIL_POINT("config_drive.rename:before", NULL);
    if (is_written && rename(part, path) < 0)
        is_written = image_errors_os(err, errno, path);
    if (!is_written)
        unlink(part);
    return is_written;
}

GPtrArray *
config_drive_make_files(const struct Options *options, struct Keystone *keystone,
                        const ConfigDriveInput *input, NovaError **err)
{
    g_auto(VendorData) vendor_data = {0};
    g_autoptr(InstanceMetadata) metadata = NULL;

    if (!vendor_data_fetch(options, keystone, input->instance, &vendor_data, err))
        return NULL;
    metadata = instance_metadata_new(options, input, err);
    if (!metadata)
        return NULL;
    metadata->input.vendor_data = vendor_data.fixed;
    metadata->input.vendor_data2 = vendor_data.all;
    return metadata_make_files(&metadata->input);
}

bool
config_drive_create(const struct Options *options, struct Keystone *keystone,
                    const ConfigDriveInput *input, const char *path, NovaError **err)
{
    g_autoptr(GPtrArray) files = NULL;

    if (access(path, F_OK) == 0)
        return true;
    files = config_drive_make_files(options, keystone, input, err);
    if (!files)
        return false;
    LOG_INFO("Creating config drive at %s", path);
    FAIL_POINT("config_drive.write:before", NULL);
    if (!config_drive_write(options, files, path, err))
        return false;
    FAIL_POINT("config_drive.write:after", NULL);
    return true;
}
