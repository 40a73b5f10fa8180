/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.disk_move"
#include "storage/disk_move.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/disk_info.h"
#include "storage/disks.h"
#include "storage/file_copy.h"
#include "storage/image_errors.h"
#include "storage/instance_folder.h"
#include "storage/qemu_img.h"

#define FORGET_ATTEMPTS 5
#define FORGET_DELAY_US (500 * 1000)

static char *
aside_name(const char *uuid)
{
    return g_strconcat(uuid, "_resize", NULL);
}

static char *
path_under(const Options *options, const char *folder, const char *name)
{
    return g_build_filename(options->default_group.instances_path, folder, name, NULL);
}

/* The other host says what disks there are: nothing but a disk's name becomes part of a path. */
static bool
name_of(const json_t *disk, char **ret_name, NovaError **err)
{
    const char *path = json_get_string(disk, "path", "");
    g_autofree char *name = g_path_get_basename(path);

    if (strcmp(name, "disk") != 0 && (!g_str_has_prefix(name, "disk.") || strcmp(name, "disk.info") == 0))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'%s' is not the path of a disk", path);
    *ret_name = g_steal_pointer(&name);
    return true;
}

/* ---- what there is ---- */

static json_t *
describe(const Options *options, const char *uuid, const char *name, NovaError **err)
{
    g_autofree char *path = disks_path(options, uuid, name);
    g_autofree char *format = NULL;
    g_autofree char *base = NULL;
    g_auto(QemuImgInfo) info = {0};
    int64_t over;

    if (!disks_get_format(options, uuid, name, false, &format, err) ||
        !qemu_img_info(options, path, format, &info, err))
        return NULL;
    base = info.backing_file ? g_path_get_basename(info.backing_file) : g_strdup("");
    over = strcmp(format, "qcow2") == 0 ? (int64_t)info.virtual_size - (int64_t)info.actual_size : 0;
    return json_pack("{s:s, s:s, s:I, s:s, s:I, s:I}", "type", format, "path", path, "virt_disk_size",
                     (json_int_t)info.virtual_size, "backing_file", base, "disk_size",
                     (json_int_t)info.actual_size, "over_committed_disk_size", (json_int_t)over);
}

json_t *
disk_move_describe(const struct Options *options, const char *uuid, const GPtrArray *names,
                   NovaError **err)
{
    json_auto_t *list = json_array();

    for (guint i = 0; i < names->len; i++) {
        json_t *disk = describe(options, uuid, names->pdata[i], err);

        if (!disk)
            return NULL;
        json_array_append_new(list, disk);
    }
    return json_incref(list);
}

/* ---- aside and back ---- */

static bool
move_folder(const Options *options, const char *from, const char *to, NovaError **err)
{
    g_autofree char *source = path_under(options, from, NULL);
    g_autofree char *target = path_under(options, to, NULL);

    return rename(source, target) == 0 || image_errors_os(err, errno, source);
}

static bool
copy_one(const Options *options, const char *uuid, const char *name, NovaError **err)
{
    g_autofree char *aside = aside_name(uuid);
    g_autofree char *source = path_under(options, aside, name);
    g_autofree char *target = disks_path(options, uuid, name);

    return file_copy(source, target, err);
}

/* Formats go along, so that no disk is ever probed again. */
static bool
copy_all(const Options *options, const char *uuid, const GPtrArray *names, NovaError **err)
{
    g_autofree char *aside = aside_name(uuid);
    g_autofree char *formats = path_under(options, aside, "disk.info");

    for (guint i = 0; i < names->len; i++)
        if (strcmp(names->pdata[i], "disk.swap") != 0 &&
            !copy_one(options, uuid, names->pdata[i], err))
            return nova_error_prefix(err, "copying %s", (char *)names->pdata[i]);
    return access(formats, F_OK) < 0 || copy_one(options, uuid, "disk.info", err);
}

static bool
make_folder(const Options *options, const char *uuid, NovaError **err)
{
    g_autofree char *folder = disks_instance_path(options, uuid);

    return mkdir(folder, 0777) == 0 || image_errors_os(err, errno, folder);
}

bool
disk_move_put_aside(const struct Options *options, const char *uuid, const GPtrArray *names,
                    NovaError **err)
{
    const char *parent = options->default_group.instances_path;
    g_autofree char *aside = aside_name(uuid);
    g_autoptr(NovaError) failure = NULL;

    if (!instance_folder_is_uuid(uuid))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'%s' is not a UUID", uuid);
    FAIL_POINT("disk_move.aside:before", NULL);
    /* One that an earlier attempt has left. */
    if (!instance_folder_remove_tree(parent, aside, err) || !move_folder(options, uuid, aside, err))
        return false;
    FAIL_POINT("disk_move.aside:moved", NULL);
    if (make_folder(options, uuid, err) && copy_all(options, uuid, names, err)) {
        FAIL_POINT("disk_move.aside:after", NULL);
        return true;
    }
    if (!disk_move_restore(options, uuid, &failure))
        LOG_ERROR("The folder of the instance stays aside: %s", nova_error_details(failure));
    return false;
}

bool
disk_move_restore(const struct Options *options, const char *uuid, NovaError **err)
{
    g_autofree char *aside = aside_name(uuid);
    g_autofree char *path = path_under(options, aside, NULL);

    if (!instance_folder_is_uuid(uuid))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'%s' is not a UUID", uuid);
    if (access(path, F_OK) < 0)
        return true;
    FAIL_POINT("disk_move.restore:before", NULL);
    if (!instance_folder_remove_tree(options->default_group.instances_path, uuid, err))
        return false;
    FAIL_POINT("disk_move.restore:removed", NULL);
    if (!move_folder(options, aside, uuid, err))
        return false;
    FAIL_POINT("disk_move.restore:after", NULL);
    return true;
}

bool
disk_move_renew(const struct Options *options, const char *uuid, const json_t *description, NovaError **err)
{
    g_autofree char *aside = aside_name(uuid);
    g_autofree char *path = path_under(options, aside, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    size_t i;
    json_t *disk;

    if (!instance_folder_is_uuid(uuid))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'%s' is not a UUID", uuid);
    if (access(path, F_OK) < 0)
        return true;
    json_array_foreach (description, i, disk) {
        char *name;

        if (!name_of(disk, &name, err))
            return false;
        g_ptr_array_add(names, name);
    }
    return instance_folder_remove_tree(options->default_group.instances_path, uuid, err) &&
           make_folder(options, uuid, err) && copy_all(options, uuid, names, err);
}

bool
disk_move_forget(const struct Options *options, const char *uuid)
{
    g_autofree char *aside = aside_name(uuid);

    FAIL_POINT("disk_move.forget:before", NULL);
    for (int attempt = 1; instance_folder_is_uuid(uuid); attempt++) {
        g_autoptr(NovaError) failure = NULL;

        if (instance_folder_remove_tree(options->default_group.instances_path, aside, &failure)) {
            FAIL_POINT("disk_move.forget:after", NULL);
            return true;
        }
        if (attempt == FORGET_ATTEMPTS) {
            LOG_ERROR("Failed to remove %s: %s", aside, nova_error_message(failure));
            break;
        }
        g_usleep(FORGET_DELAY_US);
    }
    return false;
}

/* ---- formats ---- */

/* The folder's overlays are taken for qcow2: a raw disk among them would let its guest choose what
 * it is. */
static bool
raw_to_qcow2(const Options *options, const char *uuid, const char *name, NovaError **err)
{
    g_autofree char *folder = disks_instance_path(options, uuid);
    g_autofree char *path = disks_path(options, uuid, name);
    g_autofree char *converted = g_strconcat(path, "_qcow", NULL);

    if (!qemu_img_convert(path, converted, "raw", "qcow2", err))
        return false;
    if (rename(converted, path) < 0)
        return image_errors_os(err, errno, converted);
    return disk_info_remove(folder, path, err) && disk_info_add(folder, path, "qcow2", err);
}

bool
disk_move_convert(const struct Options *options, const char *uuid, const json_t *description,
                  NovaError **err)
{
    size_t i;
    json_t *disk;

    if (!disks_are_overlays(options))
        return true;
    json_array_foreach (description, i, disk) {
        g_autofree char *name = NULL;

        if (!name_of(disk, &name, err))
            return false;
        if (strcmp(json_get_string(disk, "type", ""), "raw") == 0 && strcmp(name, "disk.config") != 0 &&
            !raw_to_qcow2(options, uuid, name, err))
            return false;
    }
    return true;
}
