/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a shelved server carries with it. */

#include "compute/operation.h"

/* The server is back: its image is deleted (failures are logged) and system_metadata forgets that it
 * was shelved; not saved. 'image_id' NULL: the one that system_metadata names, if any. */
void shelve_forget(Operation *op, const char *image_id);
