/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the QEMU guest agent does inside of a guest. Whether the guest has one is the caller's
 * to know (guest_agent_is_enabled()). */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/image_meta.h"
#include "compute/guest.h"

/* The image asks for the agent's channel. */
bool guest_agent_is_enabled(const ImageMeta *image);

/* Sets the guest's clock after its CPUs stood still. Failure is only logged: not every guest has
 * an agent. */
void guest_sync_time(Guest *guest);

/* NotImplementedError when the agent does not answer, InternalError with libvirt's text else. */
bool guest_set_password(Guest *guest, const char *user, const char *password, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* All file systems. InstanceQuiesceFailed when the agent does not answer, else InternalError. */
bool guest_freeze(Guest *guest, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool guest_thaw(Guest *guest, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
