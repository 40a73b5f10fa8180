/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an agent must not start with: nova.conf against the host, and against the servers that are here
 * (LibvirtDriver.init_host() and process_instances_at_startup(); for CPU sets see numa_claim.h, for disks disks.h).
 * InvalidConfiguration or InvalidCPUInfo mean that this process must not run here. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/hypervisor.h"
#include "compute/node_facts.h"
#include "conf/options.h"

/* Asks libvirt, the host's users, and multipathd when several paths are enforced. */
bool host_check_options(const Options *options, Hypervisor *hypervisor, const NodeFacts *facts, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* 'instances' of Instance, with flavor and system_metadata. Pure. */
bool host_check_instances(const Options *options, const GPtrArray *instances, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
