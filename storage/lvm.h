/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Logical volumes of [libvirt]images_volume_group, by LVM's own programs as root
 * (nova.virt.libvirt.storage.lvm).
 *
 * Every call runs children and blocks; any thread. Errors: ProcessExecutionError, RuntimeError for a
 * group that is none or too full, VolumesNotRemoved. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

struct Options;

/* "/dev/<group>/<volume>"; caller frees. */
char *lvm_path(const char *group, const char *volume);

bool lvm_fetch_space(const char *group, uint64_t *ret_total, uint64_t *ret_free, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* 'is_sparse' takes 64 MiB at once and the rest when it is written. */
bool lvm_create(const char *group, const char *volume, uint64_t size, bool is_sparse, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The volume gets its path; one that has it is fine. */
bool lvm_activate(const char *group, const char *volume, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Names of the group's volumes, active or not, of char *; caller unrefs. */
GPtrArray *lvm_list(const char *group, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Overwrites as [libvirt]volume_clear says, then removes; all of them are tried. 'volumes' of char *. */
bool lvm_remove(const struct Options *options, const char *group, const GPtrArray *volumes,
                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
