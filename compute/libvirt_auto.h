/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Owners for libvirt's handles, and its errors as ours. */

#include <glib.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "agent/base/nova_error.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(virDomain, virDomainFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virConnect, virConnectClose)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virSecret, virSecretFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(virNodeDevice, virNodeDeviceFree)

/* The calling thread's last libvirt error as "what: text"; a lost connection becomes
 * HypervisorUnavailable (as Nova's Host.get_connection raises), the rest libvirtError. */
bool libvirt_error_set(NovaError **err, const char *what);

/* virErrorNumber of the calling thread's last error, VIR_ERR_OK if there is none. */
int libvirt_error_code(void);
