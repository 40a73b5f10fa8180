/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Copies a file within the host as `cp` does: shares the blocks where the file system can, keeps
 * holes, lets the kernel do the copying. */

#include <stdbool.h>

#include "agent/base/nova_error.h"

/* 'target' must not exist; mode 0644. Nothing is left on failure. Errors: OSError. */
bool file_copy(const char *source, const char *target, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
