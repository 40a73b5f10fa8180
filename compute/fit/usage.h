/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What placed guests take of the host's cells (nova.virt.hardware.numa_usage_from_instance_numa). */

#include "compute/fit/host_numa.h"
#include "compute/fit/instance_numa.h"

/* The host after the instance has come, or with 'free' has gone; a new topology. CPUPinningUnknown,
 * CPUPinningInvalid, CPUUnpinningUnknown, CPUUnpinningInvalid. */
HostNuma *usage_apply(const HostNuma *host, const InstanceNuma *instance, bool free,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
