/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.guest"
#include "compute/guest_device.h"

#include <libvirt/virterror.h>
#include <string.h>

#include "agent/base/fail_point.h"
#include "agent/base/log.h"
#include "compute/guest_block.h"
#include "compute/guest_private.h"
#include "compute/libvirt_auto.h"

#define METADATA_PREFIX "instance"
#define METADATA_URI "http://openstack.org/xmlns/libvirt/nova/1.1"

static bool
is_live(Guest *guest)
{
    PowerState state = guest_power_state(guest);

    return state == POWER_STATE_RUNNING || state == POWER_STATE_PAUSED;
}

bool
guest_attach_device(Guest *guest, const char *xml, NovaError **err)
{
    unsigned flags = VIR_DOMAIN_AFFECT_CONFIG | (is_live(guest) ? VIR_DOMAIN_AFFECT_LIVE : 0);

    FAIL_POINT("guest.attach_device:before", NULL);
    if (virDomainAttachDeviceFlags(guest->domain, xml, flags) < 0)
        return libvirt_error_set(err, "attaching the device");
    FAIL_POINT("guest.attach_device:after", NULL);
    return true;
}

/* NULL without an error when it is not there. */
static char *
find_device(Guest *guest, const GuestDevice *device, bool inactive, char **ret_alias, NovaError **err)
{
    g_autofree char *xml = guest_fetch_xml(guest, inactive, err);

    *ret_alias = NULL;
    return xml ? device->find(xml, device->user, ret_alias) : NULL;
}

static bool
device_not_found(const GuestDevice *device, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found.", device->name);
}

static bool
message_has(const char *word)
{
    const char *message = virGetLastErrorMessage();

    return message && strstr(message, word);
}

/* Asks libvirt; what it refuses at once is told apart as LibvirtDriver._detach_sync() does: that an
 * earlier attempt is still under way, or that the guest has gone, is no failure. */
static bool
ask_to_detach(Guest *guest, const GuestDevice *device, const char *xml, unsigned flags, NovaError **err)
{
    int code;

    FAIL_POINT("guest.detach_device:before", NULL);
    if (virDomainDetachDeviceFlags(guest->domain, xml, flags) == 0) {
        FAIL_POINT("guest.detach_device:after", NULL);
        return true;
    }
    code = libvirt_error_code();
    if (code == VIR_ERR_DEVICE_MISSING ||
        (code == VIR_ERR_OPERATION_FAILED && message_has("not found")))
        return device_not_found(device, err);
    if (code == VIR_ERR_INTERNAL_ERROR && message_has("already in the process of unplug"))
        return true;
    if (code == VIR_ERR_NO_DOMAIN) {
        LOG_WARNING("During device detach, instance disappeared.");
        return true;
    }
    return libvirt_error_set(err, "detaching the device");
}

static bool
detach_from_definition(Guest *guest, const GuestDevice *device, const char *xml, NovaError **err)
{
    g_autofree char *alias = NULL;
    g_autofree char *left = NULL;

    if (!ask_to_detach(guest, device, xml, VIR_DOMAIN_AFFECT_CONFIG, err))
        return false;
    left = find_device(guest, device, true, &alias, NULL);
    if (left)
        LOG_WARNING("Device %s is still in the definition, although libvirt reported no error",
                    device->name);
    else
        LOG_INFO("Successfully detached device %s from the persistent domain config.", device->name);
    return true;
}

/* The waiter is there before libvirt is asked: its event may be quicker than its answer. */
static bool
detach_once(Guest *guest, const GuestDevice *device, const char *xml, const char *alias, int timeout_ms,
            NovaError **err)
{
    DeviceWait *wait = device_wait_begin(hypervisor_device_waits(guest->hypervisor), guest->uuid, alias);

    if (!ask_to_detach(guest, device, xml, VIR_DOMAIN_AFFECT_LIVE, err)) {
        device_wait_end(wait, 0);
        return false;
    }
    switch (device_wait_end(wait, timeout_ms)) {
    case DEVICE_SAYS_NOTHING:
        LOG_WARNING("Waiting for libvirt event about the detach of device %s with device alias %s is "
                    "timed out.", device->name, alias);
        return true;
    case DEVICE_REMOVAL_FAILED:
        return nova_error_set(err, NOVA_ERROR_DEVICE_DETACH_FAILED,
                              "Device detach failed for %s: DeviceRemovalFailedEvent received from "
                              "libvirt", device->name);
    default:
        return true;
    }
}

static bool
detach_from_running(Guest *guest, const GuestDevice *device, const Options *options, NovaError **err)
{
    int attempts = (int)options->libvirt.device_detach_attempts;
    int timeout_ms = (int)options->libvirt.device_detach_timeout * 1000;

    for (int attempt = 1;; attempt++) {
        NovaError *error = NULL;
        g_autofree char *alias = NULL;
        g_autofree char *xml = is_live(guest) ? find_device(guest, device, false, &alias, &error) : NULL;

        if (error)
            return nova_error_propagate(err, error);
        if (!xml) {
            LOG_INFO("Successfully detached device %s from the live domain config.", device->name);
            return true;
        }
        if (!alias)
            return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                                  "Device %s has no alias. This should not happen.", device->name);
        if (attempt > attempts)
            return nova_error_set(
                err, NOVA_ERROR_DEVICE_DETACH_FAILED,
                "Device detach failed for %s: Run out of retry while detaching device %s with device "
                "alias %s from instance %s from the live domain config. Device is still attached to "
                "the guest.", device->name, device->name, alias, guest->uuid);
        LOG_DEBUG("(%d/%d): Attempting to detach device %s with device alias %s from the live domain "
                  "config.", attempt, attempts, device->name, alias);
        if (!detach_once(guest, device, xml, alias, timeout_ms, err))
            return false;
    }
}

bool
guest_detach_device(Guest *guest, const GuestDevice *device, const Options *options, NovaError **err)
{
    NovaError *error = NULL;
    g_autofree char *alias = NULL;
    g_autofree char *defined =
        guest_is_persistent(guest) ? find_device(guest, device, true, &alias, &error) : NULL;
    g_autofree char *live_alias = NULL;
    g_autofree char *running =
        !error && is_live(guest) ? find_device(guest, device, false, &live_alias, &error) : NULL;

    if (error)
        return nova_error_propagate(err, error);
    if (!defined && !running)
        return device_not_found(device, err);
    if (defined && !detach_from_definition(guest, device, defined, &error)) {
        if (!running || !nova_error_is(error, NOVA_ERROR_DEVICE_NOT_FOUND))
            return nova_error_propagate(err, error);
        LOG_WARNING("Going on with the running guest: %s", nova_error_details(error));
        nova_error_free(error);
    }
    return !running || detach_from_running(guest, device, options, err);
}

bool
guest_set_metadata(Guest *guest, const char *xml, NovaError **err)
{
    unsigned flags = VIR_DOMAIN_AFFECT_CONFIG | (is_live(guest) ? VIR_DOMAIN_AFFECT_LIVE : 0);

    if (virDomainSetMetadata(guest->domain, VIR_DOMAIN_METADATA_ELEMENT, xml, METADATA_PREFIX,
                             METADATA_URI, flags) < 0)
        return libvirt_error_set(err, "updating the domain's metadata");
    return true;
}
