/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The passphrase of an encrypted volume, kept by libvirt for the guest that has it (Host.find_secret,
 * create_secret, delete_secret with usage "volume"). Any thread. LibvirtError. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/hypervisor.h"

/* *ret_uuid is NULL when there is none; the caller frees it. */
bool volume_secret_find(Hypervisor *hypervisor, const char *volume_id, char **ret_uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool volume_secret_create(Hypervisor *hypervisor, const char *volume_id, const char *passphrase,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* None is a success. */
bool volume_secret_delete(Hypervisor *hypervisor, const char *volume_id, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
