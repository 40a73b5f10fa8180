/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Copying a disk of a running guest (nova.virt.libvirt.guest.BlockDevice). 'target' is the device's
 * name in the guest, "vda". */

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "compute/guest.h"

/* Starts to mirror what the disk has above its backing file into 'path', a file that is there.
 * The domain must be transient meanwhile. */
bool guest_block_mirror(Guest *guest, const char *target, const char *path, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The same into the disk that 'disk_xml' describes, all of it; the definition stays what it is meanwhile. */
bool guest_block_copy(Guest *guest, const char *target, const char *disk_xml, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The guest goes over to the mirror, and so does its definition. */
bool guest_block_pivot(Guest *guest, const char *target, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Waits until the mirror is equal to the disk and follows it. */
bool guest_block_wait_mirrored(Guest *guest, const char *target, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Ends the job, whatever it is; the disk stays what it was. */
bool guest_block_abort(Guest *guest, const char *target, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* The running guest sees 'size' bytes. */
bool guest_block_resize(Guest *guest, const char *target, uint64_t size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

bool guest_is_persistent(Guest *guest);
/* The definition with its secrets: what guest_define() takes back. Caller frees. */
char *guest_fetch_definition(Guest *guest, NovaError **err);
