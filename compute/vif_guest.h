/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What plugging needs to know of the server whose port it is. */

#include "compute/operation.h"
#include "network/vif_plan.h"

/* Borrows the instance's strings. Of an instance that was read without flavor and image it is not
 * multiqueue: its taps are there. */
VifGuest vif_guest_of(const Host *host, const Instance *instance);
