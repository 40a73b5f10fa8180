/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Architecture and machine type of a guest (nova.virt.libvirt.utils.get_arch, get_machine_type;
 * driver._check_emulation_arch). Borrowed from the arguments or static. */

#include <stdbool.h>

#include "compute/fit/guest_request.h"
#include "conf/options.h"

/* hw_architecture, else the host's. */
const char *machine_image_arch(const GuestRequest *request, const char *host_arch);
/* hw_emulation_architecture, else machine_image_arch(). */
const char *machine_guest_arch(const GuestRequest *request, const char *host_arch);
/* hw_machine_type, else [libvirt]hw_machine_type for the architecture, else QEMU's usual one; NULL
 * when there is none. */
const char *machine_type(const Options *options, const GuestRequest *request,
                         const char *host_arch);
/* The second half of machine_type(): without the image. */
const char *machine_default_type(const Options *options, const char *arch);

bool arch_is_x86(const char *arch);
bool arch_is_aarch64(const char *arch);
bool arch_is_ppc(const char *arch);   /* ppc, ppc64, ppc64le */
bool arch_is_ppc64(const char *arch); /* ppc64, ppc64le */
bool arch_is_s390(const char *arch);
