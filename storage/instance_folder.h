/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Folders of servers under instances_path: names, and removing them without following a symbolic
 * link that a guest, or anybody, might have put there. Errors: OSError. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

/* Lower or upper case, with dashes: the only names that become paths. */
bool instance_folder_is_uuid(const char *name);

/* Removes <parent>/<name> whatever it is and contains. True when it is gone or was never there. */
bool instance_folder_remove_tree(const char *parent, const char *name, NovaError **err);
