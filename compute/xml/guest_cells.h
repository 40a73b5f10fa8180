/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The instance's fitted NUMA topology, out of its object. */

#include "compute/xml/domain_build.h"

/* Fills in cells and emulator threads policy; nothing when the instance has no topology. */
bool read_guest_cells(const Instance *instance, GuestNuma *numa, NovaError **err);
