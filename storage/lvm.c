/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.lvm"
#include "storage/lvm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/command.h"
#include "agent/base/log.h"
#include "conf/options.h"

#define MIB ((uint64_t)1 << 20)
#define SPARSE_SIZE (64 * MIB)
#define ATTEMPTS 3
#define RETRY_DELAY_US (200 * 1000)
/* Overwriting a large volume three times takes hours. */
#define CLEAR_TIMEOUT_S (24 * 3600)

char *
lvm_path(const char *group, const char *volume)
{
    return g_build_filename("/dev", group, volume, NULL);
}

/* LVM's programs fail now and then while others use the same group (Nova's bug 1931710). */
static bool
run(const char *const *argv, CommandResult *ret_result, NovaError **err)
{
    for (int attempt = 1;; attempt++) {
        g_autoptr(NovaError) failure = NULL;

        if (command_run(argv, NULL, ret_result, &failure))
            return true;
        if (attempt == ATTEMPTS)
            return nova_error_propagate(err, g_steal_pointer(&failure));
        LOG_DEBUG("Trying again: %s", nova_error_message(failure));
        g_usleep(RETRY_DELAY_US);
    }
}

bool
lvm_fetch_space(const char *group, uint64_t *ret_total, uint64_t *ret_free, NovaError **err)
{
    const char *argv[] = {"vgs", "--noheadings", "--nosuffix", "--separator", "|", "--units", "b",
                          "-o", "vg_size,vg_free", group, NULL};
    g_auto(CommandResult) result = {0};

    if (!run(argv, &result, err))
        return false;
    if (sscanf(result.out, " %" SCNu64 "|%" SCNu64, ret_total, ret_free) != 2)
        return nova_error_set(err, NOVA_ERROR_RUNTIME_ERROR, "vg %s must be LVM volume group", group);
    return true;
}

static bool
check_room(const char *group, const char *volume, uint64_t size, bool is_sparse, NovaError **err)
{
    uint64_t total, available;
    const uint64_t needed = is_sparse ? SPARSE_SIZE : size;

    if (!lvm_fetch_space(group, &total, &available, err))
        return false;
    if (needed > available)
        return nova_error_set(err, NOVA_ERROR_RUNTIME_ERROR,
                              "Insufficient Space on Volume Group %s. Only %" PRIu64 "b available, "
                              "but %" PRIu64 " bytes required by volume %s.",
                              group, available, needed, volume);
    if (size > available)
        LOG_WARNING("Volume group %s will not be able to hold sparse volume %s. Virtual volume size is "
                    "%" PRIu64 " bytes, but free space on volume group is only %" PRIu64 "b.",
                    group, volume, size, available);
    return true;
}

bool
lvm_create(const char *group, const char *volume, uint64_t size, bool is_sparse, NovaError **err)
{
    g_autofree char *whole = g_strdup_printf("%" PRIu64 "b", size);
    g_autofree char *part = g_strdup_printf("%" PRIu64 "b", SPARSE_SIZE);
    /* -y: a signature of what lay there before is wiped without a question. */
    const char *plain[] = {"lvcreate", "-y", "-L", whole, "-n", volume, group, NULL};
    const char *sparse[] = {"lvcreate", "-y", "-L", part, "--virtualsize", whole, "-n", volume, group,
                            NULL};
    g_auto(CommandResult) result = {0};

    return check_room(group, volume, size, is_sparse, err) &&
           run(is_sparse ? sparse : plain, &result, err);
}

bool
lvm_activate(const char *group, const char *volume, NovaError **err)
{
    g_autofree char *name = g_strdup_printf("%s/%s", group, volume);
    const char *argv[] = {"lvchange", "-ay", name, NULL};
    g_auto(CommandResult) result = {0};

    return run(argv, &result, err);
}

GPtrArray *
lvm_list(const char *group, NovaError **err)
{
    const char *argv[] = {"lvs", "--noheadings", "-o", "lv_name", group, NULL};
    g_auto(CommandResult) result = {0};
    g_auto(GStrv) lines = NULL;
    GPtrArray *names;

    if (!run(argv, &result, err))
        return NULL;
    names = g_ptr_array_new_with_free_func(g_free);
    lines = g_strsplit(result.out, "\n", -1);
    for (char **line = lines; *line; line++)
        if (*g_strstrip(*line))
            g_ptr_array_add(names, g_strdup(*line));
    return names;
}

/* 0: it is not there any more. */
static bool
fetch_size(const char *path, uint64_t *ret_size, NovaError **err)
{
    const char *argv[] = {"blockdev", "--getsize64", path, NULL};
    g_autoptr(NovaError) failure = NULL;
    g_auto(CommandResult) result = {0};

    *ret_size = 0;
    if (command_run(argv, NULL, &result, &failure)) {
        *ret_size = g_ascii_strtoull(result.out, NULL, 10);
        return true;
    }
    if (access(path, F_OK) == 0)
        return nova_error_propagate(err, g_steal_pointer(&failure));
    LOG_WARNING("Ignoring missing logical volume %s", path);
    return true;
}

/* What the next owner of the blocks would read. */
static bool
clear(const Options *options, const char *path, NovaError **err)
{
    static const CommandLimits limits = {.timeout_s = CLEAR_TIMEOUT_S};
    const char *how = options->libvirt.volume_clear;
    const uint64_t most = (uint64_t)MAX(options->libvirt.volume_clear_size, 0) * MIB;
    g_autofree char *length = NULL;
    const char *zero[] = {"shred", "-n0", "-z", NULL, path, NULL};
    const char *shred[] = {"shred", "-n3", NULL, path, NULL};
    g_auto(CommandResult) result = {0};
    uint64_t size;

    if (g_strcmp0(how, "none") == 0)
        return true;
    if (!fetch_size(path, &size, err))
        return false;
    if (size == 0)
        return true;
    length = g_strdup_printf("-s%" PRIu64, most > 0 ? MIN(most, size) : size);
    zero[3] = shred[2] = length;
    return command_run(g_strcmp0(how, "shred") == 0 ? shred : zero, &limits, &result, err);
}

/* Only an active volume can be written to. */
static bool
make_clearable(const Options *options, const char *group, const char *volume, const char *path, NovaError **err)
{
    return g_strcmp0(options->libvirt.volume_clear, "none") == 0 || access(path, F_OK) == 0 ||
           lvm_activate(group, volume, err);
}

static bool
remove_one(const Options *options, const char *group, const char *volume, NovaError **err)
{
    g_autofree char *path = lvm_path(group, volume);
    const char *argv[] = {"lvremove", "-f", path, NULL};
    g_auto(CommandResult) result = {0};

    return make_clearable(options, group, volume, path, err) && clear(options, path, err) &&
           run(argv, &result, err);
}

bool
lvm_remove(const struct Options *options, const char *group, const GPtrArray *volumes, NovaError **err)
{
    g_autoptr(GString) reasons = g_string_new(NULL);

    for (guint i = 0; i < volumes->len; i++) {
        g_autoptr(NovaError) failure = NULL;

        if (!remove_one(options, group, volumes->pdata[i], &failure))
            g_string_append_printf(reasons, "%s%s", reasons->len > 0 ? ", " : "",
                                   nova_error_message(failure));
    }
    return reasons->len == 0 || nova_error_set(err, NOVA_ERROR_VOLUMES_NOT_REMOVED,
                                               "Failed to remove volume(s): (%s)", reasons->str);
}
