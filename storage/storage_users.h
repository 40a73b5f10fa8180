/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which hosts share instances_path: <instances_path>/compute_nodes, {"host": time of last notice},
 * under the lock "storage-registry-lock" (nova.virt.storage_users). Any thread. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* Gives notice for 'host', and returns who did so within 24 hours, us included (of char *, caller
 * unrefs). 'now' in seconds since 1970. OSError. */
GPtrArray *storage_users_register(const char *instances_path, const char *host, int64_t now,
                                  NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
