/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Does the server group that the request names allow this host? The scheduler has asked that, but for
 * several servers at a time it did not know of each other (_validate_instance_group_policy()). */

#include "compute/operation.h"

/* GroupAffinityViolation. No group, and one that is gone, are fine. */
bool group_policy_check(const Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
