/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/cache_reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/objects/block_device.h"
#include "agent/objects/instance.h"
#include "conf/options.h"
#include "storage/disk_info.h"
#include "storage/disks.h"
#include "storage/file_lock.h"
#include "storage/image_cache.h"

#define LOG_NAME "kilonova.storage.cache_reaper"

#define SHA1_DIGITS 40
#define MAX_BACKING_NAME 1023 /* qcow2's own limit */

static bool
all_digits(const char *text, size_t length)
{
    return length > 0 && strspn(text, "0123456789") >= length;
}

static CacheFileKind
kind_of_blank(const char *name)
{
    g_auto(GStrv) parts = g_strsplit(name, "_", -1);
    guint n = g_strv_length(parts);

    if (n == 2 && g_str_equal(parts[0], "swap") && all_digits(parts[1], strlen(parts[1])))
        return CACHE_FILE_SWAP;
    if (n == 3 && g_str_equal(parts[0], "ephemeral") && all_digits(parts[1], strlen(parts[1])) &&
        strlen(parts[2]) == 7)
        return CACHE_FILE_EPHEMERAL;
    return CACHE_FILE_OTHER;
}

CacheFileKind
cache_reaper_kind(const char *name)
{
    bool is_hash = strspn(name, "0123456789abcdef") == SHA1_DIGITS;
    const char *rest = is_hash ? name + SHA1_DIGITS : "";

    if (is_hash && rest[0] == '\0')
        return CACHE_FILE_IMAGE;
    if (is_hash && rest[0] == '_' &&
        (g_str_equal(rest, "_sm") || all_digits(rest + 1, strlen(rest + 1))))
        return CACHE_FILE_RESIZED;
    return kind_of_blank(name);
}

CacheDecision
cache_reaper_decide(const struct Options *options, const char *name, bool is_used, int64_t age_s)
{
    CacheFileKind kind = cache_reaper_kind(name);
    int64_t max_age_s = kind == CACHE_FILE_RESIZED
                            ? options->image_cache.remove_unused_resized_minimum_age_seconds
                            : options->image_cache.remove_unused_original_minimum_age_seconds;

    if (kind == CACHE_FILE_OTHER)
        return CACHE_LEAVE;
    if (is_used)
        return CACHE_TOUCH;
    return options->image_cache.remove_unused_base_images && age_s >= max_age_s ? CACHE_REMOVE
                                                                                 : CACHE_LEAVE;
}

/* -- what servers use */

static void
add_image(GHashTable *names, const char *image_id)
{
    if (image_id && image_id[0])
        g_hash_table_add(names, image_cache_image_name(image_id));
}

static void
add_blank(const Options *options, const Instance *instance, const BlockDeviceMapping *device,
          GHashTable *names)
{
    int64_t size = device->volume_size.is_null ? 0 : device->volume_size.value;

    if (g_strcmp0(device->source_type, "blank") != 0 ||
        g_strcmp0(device->destination_type, "local") != 0)
        return;
    if (g_strcmp0(device->guest_format, "swap") == 0)
        g_hash_table_add(names, image_cache_swap_name(size));
    else
        g_hash_table_add(names, image_cache_ephemeral_name(options, size, instance->os_type));
}

void
cache_reaper_add_instance(const struct Options *options, const struct Instance *instance,
                          const GPtrArray *block_devices, GHashTable *names)
{
    add_image(names, instance->image_ref);
    add_image(names, instance->kernel_id);
    add_image(names, instance->ramdisk_id);
    for (guint i = 0; block_devices && i < block_devices->len; i++)
        add_blank(options, instance, block_devices->pdata[i], names);
}

/* -- what disks on this storage use */

static uint64_t
big_endian(const uint8_t *at, unsigned n_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n_bytes; i++)
        value = value << 8 | at[i];
    return value;
}

/* The last part of the backing file's name in a qcow2 header; NULL: there is none. False when the
 * file cannot be read. */
static bool
read_backing_name(const char *path, char **ret_name)
{
    uint8_t header[20];
    char name[MAX_BACKING_NAME + 1] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool was_read = true;

    *ret_name = NULL;
    if (fd < 0)
        return errno == ENOENT;
    if (pread(fd, header, sizeof header, 0) == sizeof header &&
        memcmp(header, "QFI\xfb", 4) == 0 && big_endian(header + 8, 8) != 0) {
        size_t length = (size_t)MIN(big_endian(header + 16, 4), MAX_BACKING_NAME);

        was_read = pread(fd, name, length, (off_t)big_endian(header + 8, 8)) == (ssize_t)length;
        if (was_read)
            *ret_name = g_path_get_basename(name);
    }
    close(fd);
    return was_read;
}

static bool
is_raw(const char *folder, const char *path)
{
    g_autofree char *format = NULL;

    return disk_info_read(folder, path, &format, NULL) && g_strcmp0(format, "raw") == 0;
}

/* False when a disk could not be read: then nothing may be taken for unused. */
static bool
add_backing_files(const Options *options, GHashTable *names)
{
    g_autoptr(GPtrArray) folders = disks_list_folders(options);
    bool knows_all = true;

    for (guint i = 0; i < folders->len; i++) {
        g_autofree char *folder = disks_instance_path(options, folders->pdata[i]);
        g_autofree char *path = g_build_filename(folder, "disk", NULL);
        char *name;

        if (is_raw(folder, path))
            continue;
        if (!read_backing_name(path, &name)) {
            LOG_WARNING("Cannot read %s: %s; no unused image is removed", path, g_strerror(errno));
            knows_all = false;
        } else if (name) {
            g_hash_table_add(names, name);
        }
    }
    return knows_all;
}

/* -- acting */

static bool
is_used(GHashTable *names, const char *name)
{
    g_autofree char *hash = NULL;

    if (g_hash_table_contains(names, name))
        return true;
    if (cache_reaper_kind(name) != CACHE_FILE_RESIZED)
        return false;
    hash = g_strndup(name, SHA1_DIGITS);
    return g_hash_table_contains(names, hash);
}

/* -1: it is gone, or no plain file. */
static int64_t
age_of(const char *path)
{
    struct stat status;

    if (lstat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return -1;
    return MAX((int64_t)(time(NULL) - status.st_mtime), 0);
}

static bool
remove_file(const Options *options, FileLocks *locks, const char *name, const char *path)
{
    CacheFileKind kind = cache_reaper_kind(name);
    FileLock *lock = file_locks_try(locks, name);
    bool was_removed = false;
    int64_t age_s;

    if (!lock)
        return false; /* somebody is fetching it */
    age_s = age_of(path);
    if (age_s >= 0 && cache_reaper_decide(options, name, false, age_s) == CACHE_REMOVE) {
        LOG_INFO("Removing base, swap or ephemeral file: %s", path);
        was_removed = unlink(path) == 0;
        if (!was_removed)
            LOG_ERROR("Failed to remove %s, error was %s", path, g_strerror(errno));
    }
    if (was_removed && (kind == CACHE_FILE_IMAGE || kind == CACHE_FILE_RESIZED))
        file_lock_release_and_remove(lock);
    else
        file_lock_release(lock);
    return was_removed;
}

static bool
treat_file(const Options *options, FileLocks *locks, GHashTable *names, const char *name,
           const char *path)
{
    int64_t age_s = age_of(path);

    if (age_s < 0)
        return false;
    switch (cache_reaper_decide(options, name, is_used(names, name), age_s)) {
    case CACHE_TOUCH:
        if (utimensat(AT_FDCWD, path, NULL, 0) < 0)
            LOG_DEBUG("Ignoring failure to update utime of %s: %s", path, g_strerror(errno));
        return false;
    case CACHE_REMOVE:
        return remove_file(options, locks, name, path);
    default:
        return false;
    }
}

unsigned
cache_reaper_run(const struct Options *options, GHashTable *used)
{
    const char *instances = options->default_group.instances_path;
    g_autofree char *folder =
        g_build_filename(instances, options->image_cache.subdirectory_name, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    FileLocks *locks;
    const char *name;
    unsigned n_removed = 0;

    if (!dir || !add_backing_files(options, used))
        return 0;
    locks = file_locks_new(instances);
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);

        n_removed += treat_file(options, locks, used, name, path);
    }
    file_locks_free(locks);
    return n_removed;
}
