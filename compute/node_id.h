/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The node's UUID in the file compute_id (nova.virt.node, Nova 27 and later): who this host is,
 * whatever it is called. It is the ComputeNode's and the root provider's uuid, for ever. */

#include <stdbool.h>

#include "agent/base/nova_error.h"

/* Looks into each folder (NULL-terminated: those of the configuration files, then state_path).
 * *ret_uuid is NULL when no folder has the file. InvalidNodeConfiguration when one cannot be read
 * as a UUID, or when two differ. Caller frees. */
bool node_id_read(const char *const *folders, char **ret_uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Writes <folder>/compute_id, which must not exist, whole or not at all.
 * InvalidNodeConfiguration. */
bool node_id_write(const char *folder, const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
