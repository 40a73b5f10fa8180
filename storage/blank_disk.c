/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/blank_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "conf/options.h"
#include "storage/image_errors.h"

#define GIB ((int64_t)1 << 30)
#define MIB ((int64_t)1 << 20)
#define SUFFIX_LENGTH 7
/* Formatting a very large sparse file takes its time. */
#define MKFS_TIMEOUT_S 3600

/* The command of an entry "os=command" of virt_mkfs; NULL: none for that os. */
static const char *
command_of_os(const Options *options, const char *os_type)
{
    const char *found = NULL;

    for (char **entry = options->default_group.virt_mkfs; os_type && *entry; entry++) {
        const char *equals = strchr(*entry, '=');

        if (equals && strlen(os_type) == (size_t)(equals - *entry) &&
            strncmp(*entry, os_type, strlen(os_type)) == 0)
            found = equals + 1;
    }
    return found;
}

static const char *
mkfs_command(const Options *options, const char *os_type)
{
    const char *command = command_of_os(options, os_type);

    if (!command)
        command = command_of_os(options, "default");
    return command && command[0] ? command : NULL;
}

static const char *
default_format(const Options *options, const char *os_type)
{
    const char *configured = options->default_group.default_ephemeral_format;

    if (configured && configured[0])
        return configured;
    if (g_strcmp0(os_type, "linux") == 0)
        return "ext4";
    if (g_strcmp0(os_type, "windows") == 0)
        return "ntfs";
    return "vfat";
}

/* Nova asks here for the os "default" unless the os has a command, so that the name says vfat
 * where the file system is another; the names must be the same. */
char *
blank_disk_ephemeral_suffix(const struct Options *options, const char *os_type)
{
    const char *command = mkfs_command(options, os_type);
    const char *what = command ? command : default_format(options, "default");
    char *suffix = g_compute_checksum_for_string(G_CHECKSUM_MD5, what, -1);

    suffix[SUFFIX_LENGTH] = '\0';
    return suffix;
}

bool
blank_disk_knows_format(const char *guest_format)
{
    static const char *const known[] = {"ext2", "ext3", "ext4", "xfs", NULL};

    return g_strv_contains(known, guest_format);
}

static bool
make_sparse_file(const char *path, int64_t size, NovaError **err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool made;
    int error;

    if (fd < 0)
        return image_errors_os(err, errno, path);
    made = ftruncate(fd, size) == 0;
    error = errno;
    close(fd);
    if (made)
        return true;
    unlink(path);
    return image_errors_os(err, error, path);
}

/* Replaces "%(name)s". */
static char *
substitute(const char *text, const char *name, const char *value)
{
    g_autofree char *key = g_strdup_printf("%%(%s)s", name);
    g_auto(GStrv) parts = g_strsplit(text, key, -1);

    return g_strjoinv(value, parts);
}

/* The operator's command, split at white space as Nova does. */
static GPtrArray *
configured_argv(const char *command, const char *path, const char *label)
{
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *with_label = substitute(command, "fs_label", label ? label : "None");
    g_autofree char *whole = substitute(with_label, "target", path);
    g_auto(GStrv) words = g_strsplit_set(whole, " \t\r\n", -1);

    for (char **word = words; *word; word++) {
        if (**word)
            g_ptr_array_add(argv, g_strdup(*word));
    }
    return argv;
}

static GPtrArray *
default_argv(const char *format, const char *path, const char *label)
{
    static const char *const forced[] = {"ext3", "ext4", "ntfs", NULL};
    bool is_fat = g_str_equal(format, "vfat") || g_str_equal(format, "msdos");
    GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(argv, g_strdup("mkfs"));
    g_ptr_array_add(argv, g_strdup("-t"));
    g_ptr_array_add(argv, g_strdup(format));
    if (g_strv_contains(forced, format))
        g_ptr_array_add(argv, g_strdup("-F"));
    if (label) {
        g_ptr_array_add(argv, g_strdup(is_fat ? "-n" : "-L"));
        g_ptr_array_add(argv, g_strdup(label));
    }
    g_ptr_array_add(argv, g_strdup(path));
    return argv;
}

static bool
run(const char *const *argv, NovaError **err)
{
    static const CommandLimits limits = {.timeout_s = MKFS_TIMEOUT_S};
    g_auto(CommandResult) result = {0};

    return command_run(argv, &limits, &result, err);
}

bool
blank_disk_format(const struct Options *options, const char *path, const char *os_type,
                  const char *guest_format, const char *label, NovaError **err)
{
    const char *command = mkfs_command(options, os_type);
    const char *format = guest_format && guest_format[0] ? guest_format
                                                         : default_format(options, os_type);
    g_autoptr(GPtrArray) argv = command ? configured_argv(command, path, label)
                                        : default_argv(format, path, label);

    g_ptr_array_add(argv, NULL);
    return run((const char *const *)argv->pdata, err);
}

bool
blank_disk_make_ephemeral(const struct Options *options, const char *path, int64_t size_gib,
                          const char *os_type, const char *guest_format, const char *label,
                          NovaError **err)
{
    if (!make_sparse_file(path, size_gib * GIB, err))
        return false;
    if (blank_disk_format(options, path, os_type, guest_format, label, err))
        return true;
    unlink(path);
    return false;
}

bool
blank_disk_make_swap(const char *path, int64_t size_mib, NovaError **err)
{
    const char *argv[] = {"mkswap", path, NULL};

    if (!make_sparse_file(path, size_mib * MIB, err))
        return false;
    if (run(argv, err))
        return true;
    unlink(path);
    return false;
}
