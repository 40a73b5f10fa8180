/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.guest"
#include "compute/guest.h"

#include <libvirt/virterror.h>

#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "compute/guest_private.h"
#include "compute/libvirt_auto.h"

/* libvirt sends TERM, waits 10 s, KILL, waits 5 s; a process in a device wait (D) outlives that.
 * Nova tries a destroy that failed with EBUSY three times. */
#define DESTROY_TRIES 3
#define OFF_WAIT_MS 20000

/* Takes ownership of 'domain'. */
static Guest *
guest_new(Hypervisor *hypervisor, virDomainPtr domain)
{
    Guest *guest = g_new0(Guest, 1);

    guest->hypervisor = hypervisor;
    guest->domain = domain;
    virDomainGetUUIDString(domain, guest->uuid);
    return guest;
}

Guest *
guest_find(Hypervisor *hypervisor, const char *uuid, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    virDomainPtr domain;

    if (!connection)
        return NULL;
    domain = virDomainLookupByUUIDString(connection, uuid);
    if (domain)
        return guest_new(hypervisor, domain);
    if (libvirt_error_code() != VIR_ERR_NO_DOMAIN)
        libvirt_error_set(err, "looking up the domain");
    return NULL;
}

Guest *
guest_lookup(Hypervisor *hypervisor, const char *uuid, NovaError **err)
{
    NovaError *error = NULL;
    Guest *guest = guest_find(hypervisor, uuid, &error);

    if (guest)
        return guest;
    if (!error) {
        nova_error_set(&error, NOVA_ERROR_INSTANCE_NOT_FOUND, "Instance %s could not be found.",
                       uuid);
        nova_error_set_kwarg(error, "instance_id", uuid);
    }
    nova_error_propagate(err, error);
    return NULL;
}

Guest *
guest_define(Hypervisor *hypervisor, const char *xml, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    virDomainPtr domain;

    if (!connection)
        return NULL;
    FAIL_POINT("guest.define:before", NULL);
    domain = virDomainDefineXML(connection, xml);
    FAIL_POINT("guest.define:after", NULL);
    if (!domain) {
        libvirt_error_set(err, "defining the domain");
        return NULL;
    }
    return guest_new(hypervisor, domain);
}

void
guest_free(Guest *guest)
{
    if (!guest)
        return;
    virDomainFree(guest->domain);
    g_free(guest);
}

PowerState
guest_power_state(Guest *guest)
{
    int state;

    if (virDomainGetState(guest->domain, &state, NULL, 0) < 0)
        return POWER_STATE_NOSTATE;
    return power_state_of_libvirt(state);
}

int
guest_id(Guest *guest)
{
    unsigned id = virDomainGetID(guest->domain);

    return id == (unsigned)-1 ? -1 : (int)id;
}

const char *
guest_uuid(const Guest *guest)
{
    return guest->uuid;
}

const char *
guest_name(const Guest *guest)
{
    return virDomainGetName(guest->domain);
}

bool
guest_start(Guest *guest, bool paused, NovaError **err)
{
    FAIL_POINT("guest.start:before", NULL);
    if (virDomainCreateWithFlags(guest->domain, paused ? VIR_DOMAIN_START_PAUSED : 0) < 0)
        return libvirt_error_set(err, "starting the domain");
    FAIL_POINT("guest.start:after", NULL);
    return true;
}

bool
guest_resume(Guest *guest, NovaError **err)
{
    FAIL_POINT("guest.resume:before", NULL);
    if (virDomainResume(guest->domain) < 0)
        return libvirt_error_set(err, "resuming the domain");
    FAIL_POINT("guest.resume:after", NULL);
    return true;
}

bool
guest_pause(Guest *guest, NovaError **err)
{
    FAIL_POINT("guest.pause:before", NULL);
    if (virDomainSuspend(guest->domain) < 0)
        return libvirt_error_set(err, "pausing the domain");
    FAIL_POINT("guest.pause:after", NULL);
    return true;
}

bool
guest_save(Guest *guest, NovaError **err)
{
    FAIL_POINT("guest.save:before", NULL);
    if (virDomainManagedSave(guest->domain, 0) < 0)
        return libvirt_error_set(err, "saving the domain");
    FAIL_POINT("guest.save:after", NULL);
    return true;
}

bool
guest_inject_nmi(Guest *guest, NovaError **err)
{
    if (virDomainInjectNMI(guest->domain, 0) == 0)
        return true;
    switch (libvirt_error_code()) {
    case VIR_ERR_NO_SUPPORT:
        return nova_error_set(err, NOVA_ERROR_TRIGGER_CRASH_DUMP_NOT_SUPPORTED,
                              "Triggering crash dump is not supported");
    case VIR_ERR_OPERATION_INVALID:
        nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_RUNNING, "Instance %s is not running.",
                       guest->uuid);
        if (err)
            nova_error_set_kwarg(*err, "instance_id", guest->uuid);
        return false;
    default:
        return libvirt_error_set(err, "injecting an NMI");
    }
}

bool
guest_shutdown(Guest *guest, NovaError **err)
{
    FAIL_POINT("guest.shutdown:before", NULL);
    if (virDomainShutdown(guest->domain) < 0)
        return libvirt_error_set(err, "shutting the domain down");
    FAIL_POINT("guest.shutdown:after", NULL);
    return true;
}

static bool
is_off(Guest *guest)
{
    return virDomainIsActive(guest->domain) <= 0; /* a state of SHUTDOWN still has its process */
}

bool
guest_wait_off(Guest *guest, int timeout_ms)
{
    int64_t deadline = monotonic_after_ms(timeout_ms);

    for (;;) {
        uint64_t serial = hypervisor_event_serial(guest->hypervisor);

        if (is_off(guest))
            return true;
        if (!hypervisor_wait_event(guest->hypervisor, serial, deadline) &&
            g_get_monotonic_time() >= deadline)
            return is_off(guest);
    }
}

bool
guest_power_off(Guest *guest, NovaError **err)
{
    for (int tries = 1;; tries++) {
        int code;

        FAIL_POINT("guest.power_off:before", NULL);
        if (virDomainDestroy(guest->domain) == 0)
            break;
        code = libvirt_error_code();
        if (code == VIR_ERR_NO_DOMAIN || code == VIR_ERR_OPERATION_INVALID || is_off(guest))
            return true;
        if (code == VIR_ERR_SYSTEM_ERROR && tries < DESTROY_TRIES) {
            LOG_WARNING("Error from libvirt during destroy, attempt %d of %d: %s", tries,
                        DESTROY_TRIES, virGetLastErrorMessage());
            continue;
        }
        if (code == VIR_ERR_OPERATION_TIMEOUT || code == VIR_ERR_SYSTEM_ERROR)
            return nova_error_set(err, NOVA_ERROR_INSTANCE_POWER_OFF_FAILURE,
                                  "Failed to power off instance: %s", virGetLastErrorMessage());
        return libvirt_error_set(err, "destroying the domain");
    }
    FAIL_POINT("guest.power_off:after", NULL);
    if (!guest_wait_off(guest, OFF_WAIT_MS))
        return nova_error_set(err, NOVA_ERROR_INSTANCE_POWER_OFF_FAILURE,
                              "Failed to power off instance: it is still running");
    return true;
}

bool
guest_undefine(Guest *guest, bool keep_firmware_state, NovaError **err)
{
    unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                     (keep_firmware_state ? VIR_DOMAIN_UNDEFINE_KEEP_NVRAM
                                          : VIR_DOMAIN_UNDEFINE_NVRAM);

#if LIBVIR_CHECK_VERSION(8, 9, 0)
    flags |= keep_firmware_state ? VIR_DOMAIN_UNDEFINE_KEEP_TPM : 0;
#endif
    FAIL_POINT("guest.undefine:before", NULL);
    if (virDomainUndefineFlags(guest->domain, flags) == 0 ||
        libvirt_error_code() == VIR_ERR_NO_DOMAIN) {
        FAIL_POINT("guest.undefine:after", NULL);
        return true;
    }
    /* Drivers of other hypervisors (LXC's) know neither such files nor these flags. */
    if (virDomainUndefine(guest->domain) == 0)
        return true;
    return libvirt_error_set(err, "undefining the domain");
}

char *
guest_fetch_xml(Guest *guest, bool inactive, NovaError **err)
{
    char *xml = virDomainGetXMLDesc(guest->domain, inactive ? VIR_DOMAIN_XML_INACTIVE : 0);

    if (!xml)
        libvirt_error_set(err, "reading the domain's XML");
    return xml;
}
