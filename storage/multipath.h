/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The device that device-mapper makes of several paths to one disk, by multipathd. 'root' and names as in
 * scsi.h. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* Is multipathd there, and does it answer? */
bool multipath_is_running(void);

/* "dm-3", which holds one of these devices; NULL: none does. Caller frees. */
char *multipath_find(const char *root, const GPtrArray *devices);
/* The same, asked for and waited for up to 10 s. */
char *multipath_wait(const char *root, const GPtrArray *devices);
/* The disk's identity by which multipathd knows it; NULL: unknown. Caller frees. */
char *multipath_identity(const char *root, const char *dm);

/* Writes out what it holds and takes it apart. */
bool multipath_flush(const char *root, const char *dm, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Its paths have grown: so does it. In bytes. */
bool multipath_resize(const char *root, const char *dm, int64_t *ret_size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
