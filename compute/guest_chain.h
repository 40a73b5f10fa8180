/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The chain of files under a disk of a running guest, made longer and shorter (nova.virt.libvirt.guest's
 * snapshot, BlockDevice.rebase, BlockDevice.commit). 'target' is "vdb". LibvirtError. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/guest.h"

/* The guest writes to the files that 'snapshot_xml' names, which are there. 'quiesce': its agent holds the
 * file systems still meanwhile. */
bool guest_chain_grow(Guest *guest, const char *snapshot_xml, bool quiesce, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Starts to copy what is between the file that the guest writes to and 'base' into the former; NULL: all
 * that it stands on. */
bool guest_chain_pull(Guest *guest, const char *target, const char *base, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Starts to write what is in 'top' and above 'base' into the latter. */
bool guest_chain_commit(Guest *guest, const char *target, const char *base, const char *top,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Until the disk has no job, whether it succeeded or not. */
bool guest_chain_wait(Guest *guest, const char *target, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
