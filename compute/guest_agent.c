/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.guest_agent"
#include "compute/guest_agent.h"

#include <time.h>

#include "agent/base/log.h"
#include "compute/guest_private.h"
#include "compute/libvirt_auto.h"

bool
guest_agent_is_enabled(const ImageMeta *image)
{
    return image_property_bool(image, "hw_qemu_guest_agent", false);
}

void
guest_sync_time(Guest *guest)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (virDomainSetTime(guest->domain, now.tv_sec, (unsigned)now.tv_nsec, 0) == 0) {
        LOG_DEBUG("Time updated to: %lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
        return;
    }
    switch (libvirt_error_code()) {
    case VIR_ERR_AGENT_UNRESPONSIVE:
        LOG_DEBUG("Failed to set time: QEMU agent unresponsive");
        break;
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_NO_SUPPORT:
        LOG_DEBUG("Failed to set time: not supported");
        break;
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
        LOG_DEBUG("Failed to set time: agent not configured");
        break;
    default:
        LOG_WARNING("Failed to set time: %s", virGetLastErrorMessage());
    }
}

bool
guest_set_password(Guest *guest, const char *user, const char *password, NovaError **err)
{
    if (virDomainSetUserPassword(guest->domain, user, password, 0) == 0)
        return true;
    if (libvirt_error_code() == VIR_ERR_AGENT_UNRESPONSIVE) {
        LOG_DEBUG("Failed to set password: QEMU agent unresponsive");
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
    }
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                          "Error from libvirt while set password for username \"%s\": "
                          "[Error Code %d] %s",
                          user, libvirt_error_code(), virGetLastErrorMessage());
}

static bool
quiesce_failed(Guest *guest, NovaError **err)
{
    int code = libvirt_error_code();
    g_autofree char *reason = g_strdup(virGetLastErrorMessage()); /* the next call forgets it */
    g_autofree char *text =
        g_strdup_printf("Error from libvirt while quiescing %s: [Error Code %d] %s",
                        guest_name(guest), code, reason);
    g_autofree char *silent = NULL;
    NovaError *error = NULL;

    if (code != VIR_ERR_AGENT_UNRESPONSIVE)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "%s", text);
    silent = g_strconcat(text, ", libvirt cannot connect to the qemu-guest-agent inside the instance.", NULL);
    nova_error_set(&error, NOVA_ERROR_INSTANCE_QUIESCE_FAILED, "Failed to quiesce instance: %s", silent);
    nova_error_set_kwarg(error, "reason", silent);
    return nova_error_propagate(err, error);
}

bool
guest_freeze(Guest *guest, NovaError **err)
{
    return virDomainFSFreeze(guest->domain, NULL, 0, 0) >= 0 || quiesce_failed(guest, err);
}

bool
guest_thaw(Guest *guest, NovaError **err)
{
    return virDomainFSThaw(guest->domain, NULL, 0, 0) >= 0 || quiesce_failed(guest, err);
}
