/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which files of mounted volumes the guests here use, told to the connectors at the start: what this process
 * has not mounted itself is not unmounted under them. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/operation.h"

bool volume_files_note(Host *host, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
