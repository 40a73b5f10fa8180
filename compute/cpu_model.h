/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What libvirt knows of a CPU model. Any thread. */

#include <glib.h>

#include "compute/hypervisor.h"

/* Names of the features of the model (virConnectBaselineCPU() of it alone); NULL: libvirt has none
 * to tell. New, owning set. */
GHashTable *cpu_model_fetch_features(Hypervisor *hypervisor, const char *arch, const char *model);
