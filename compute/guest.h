/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One libvirt domain (nova.virt.libvirt.guest.Guest). A Guest belongs to one operation. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/states.h"
#include "compute/hypervisor.h"

typedef struct Guest Guest;

/* InstanceNotFound when libvirt does not know the uuid. */
Guest *guest_lookup(Hypervisor *hypervisor, const char *uuid, NovaError **err);
/* NULL without an error when there is none. */
Guest *guest_find(Hypervisor *hypervisor, const char *uuid, NovaError **err);
Guest *guest_define(Hypervisor *hypervisor, const char *xml, NovaError **err);
void guest_free(Guest *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Guest, guest_free)

/* NOSTATE when libvirt does not answer for the domain. */
PowerState guest_power_state(Guest *guest);
/* Changes with every start: libvirt's domain id, -1 when off. */
int guest_id(Guest *guest);
const char *guest_uuid(const Guest *guest);
const char *guest_name(const Guest *guest);

bool guest_start(Guest *guest, bool paused, NovaError **err);
bool guest_resume(Guest *guest, NovaError **err);
bool guest_pause(Guest *guest, NovaError **err);
/* Writes the guest's memory to disk and stops it: its next start goes on from there. */
bool guest_save(Guest *guest, NovaError **err);
/* What makes a guest dump its kernel. TriggerCrashDumpNotSupported, InstanceNotRunning. */
bool guest_inject_nmi(Guest *guest, NovaError **err);
/* Asks the guest to switch itself off (ACPI); does not wait. */
bool guest_shutdown(Guest *guest, NovaError **err);
/* Waits for the domain to be off (or gone). True when it is. */
bool guest_wait_off(Guest *guest, int timeout_ms);
/* Pulls the plug and waits until the domain is off; nothing to do is a success.
 * InstancePowerOffFailure when the process does not die. */
bool guest_power_off(Guest *guest, NovaError **err);
/* Forgets the definition; keeps NVRAM and TPM state when 'keep_firmware_state'. */
bool guest_undefine(Guest *guest, bool keep_firmware_state, NovaError **err);

/* The definition (inactive) or the running domain's XML. Caller frees. */
char *guest_fetch_xml(Guest *guest, bool inactive, NovaError **err);
