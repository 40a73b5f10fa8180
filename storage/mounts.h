/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* File systems that are mounted for volumes, and who uses them: mounted for the first, unmounted after
 * the last (nova.virt.libvirt.volume.mount._HostMountState). Any thread.
 *
 * Errors: ProcessExecutionError of mount, OSError. */

#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct Mounts Mounts;

Mounts *mounts_new(void);
void mounts_free(Mounts *mounts);

/* A file that a guest uses: an attachment of the file system that is mounted on its folder, if one is. */
void mounts_note_file(Mounts *mounts, const char *path, const char *instance_uuid);

typedef struct MountRequest {
    const char *type;        /* "nfs" */
    const char *export;
    char *const *options;    /* arguments of mount, NULL-terminated; NULL: none */
    const char *point;       /* folder; made when it is missing */
    const char *volume_name; /* with the server what is counted */
    const char *instance_uuid;
} MountRequest;

bool mounts_add(Mounts *mounts, const MountRequest *request, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Of the request only point, volume and server are looked at. What cannot be unmounted is logged: the
 * next one to use it finds it. */
void mounts_remove(Mounts *mounts, const MountRequest *request);

/* Is another file system mounted there than on the folder above? */
bool mounts_is_mounted(const char *point);
