/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For the files that are about one domain: guest.c, guest_block.c, guest_agent.c,
 * guest_hostdev.c, guest_stats.c. */

#include <libvirt/libvirt.h>

#include "compute/guest.h"

/* The end of a block job is told by libvirt's events; so long after the last one it is looked for all the same. */
#define BLOCK_JOB_PATIENCE_US (5 * G_USEC_PER_SEC)

struct Guest {
    Hypervisor *hypervisor;
    virDomainPtr domain;
    char uuid[VIR_UUID_STRING_BUFLEN];
};
