/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A temporary instances_path, options for it, and images that a fake Glance hands out. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "conf/options.h"
#include "storage/disk_plan.h"
#include "storage/instance_folder.h"

typedef struct StorageFixture {
    char *root; /* the instances_path */
    Options options;
} StorageFixture;

static char *storage_fixture_no_strings[] = {NULL};
static char *storage_fixture_vmdk_types[] = {(char *)"streamOptimized", (char *)"monolithicSparse",
                                             NULL};

/* Defaults as Nova's; the real loader is not needed for these. */
static inline StorageFixture *
storage_fixture_new(void)
{
    StorageFixture *fixture = g_new0(StorageFixture, 1);
    Options *options = &fixture->options;

    fixture->root = g_dir_make_tmp("kilonova-storage-XXXXXX", NULL);
    options->default_group.instances_path = fixture->root;
    options->default_group.use_cow_images = true;
    options->default_group.force_raw_images = true;
    options->default_group.virt_mkfs = storage_fixture_no_strings;
    options->default_group.preallocate_images = (char *)"none";
    options->image_cache.subdirectory_name = (char *)"_base";
    options->libvirt.images_type = (char *)"default";
    options->libvirt.images_cpu_time_limit = 30;
    options->libvirt.images_address_space_limit = 2;
    options->compute.vmdk_allowed_types = storage_fixture_vmdk_types;
    options->glance.api_servers = storage_fixture_no_strings;
    return fixture;
}

static inline void
storage_fixture_free(StorageFixture *fixture)
{
    g_autofree char *parent = g_path_get_dirname(fixture->root);
    g_autofree char *name = g_path_get_basename(fixture->root);

    instance_folder_remove_tree(parent, name, NULL);
    g_free(fixture->root);
    g_free(fixture);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageFixture, storage_fixture_free)

static inline char *
storage_fixture_path(const StorageFixture *fixture, const char *name)
{
    return g_build_filename(fixture->root, name, NULL);
}

/* One more disk of a plan, whose strings are borrowed. */
static inline void
storage_fixture_plan(DiskPlan *plan, PlannedDisk disk)
{
    g_ptr_array_add(plan->disks, g_memdup2(&disk, sizeof disk));
}

static inline void
storage_fixture_plan_root(DiskPlan *plan, uint64_t size, const char *image_id)
{
    storage_fixture_plan(plan, (PlannedDisk){.kind = DISK_ROOT, .name = (char *)"disk", .size = size,
                                             .image_id = (char *)image_id});
}

static inline unsigned
count_files(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    unsigned n = 0;

    while (dir && g_dir_read_name(dir))
        n++;
    return n;
}

/* Runs "qemu-img ..." for a source image. */
static inline void
run_tool(const char *line)
{
    g_autoptr(GError) failure = NULL;
    int status = 0;

    if (!g_spawn_command_line_sync(line, NULL, NULL, &status, &failure) || status != 0)
        g_error("%s: %s", line, failure ? failure->message : "failed");
}
