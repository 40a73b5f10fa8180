/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.guest_hostdev"
#include "compute/guest_hostdev.h"

#include <libvirt/virterror.h>

#include "agent/base/log.h"
#include "compute/guest_private.h"
#include "compute/guest_xml.h"
#include "compute/libvirt_auto.h"
#include "compute/xml/domain_xml.h"

/* A guest that is gone meanwhile has no devices, either. */
static bool
detach(Guest *guest, const char *hostdev, NovaError **err)
{
    g_autofree char *xml = NULL;

    if (virDomainDetachDeviceFlags(guest->domain, hostdev, VIR_DOMAIN_AFFECT_LIVE) < 0) {
        if (libvirt_error_code() != VIR_ERR_NO_DOMAIN)
            return libvirt_error_set(err, "detaching a PCI device");
        LOG_WARNING("Instance disappeared while detaching a PCI device from it.");
        return true;
    }
    xml = guest_fetch_xml(guest, false, err);
    if (!xml)
        return false;
    return !guest_xml_has_hostdev(xml, hostdev) ||
           nova_error_set(err, NOVA_ERROR_PCI_DEVICE_DETACH_FAILED,
                          "Failed to detach PCI device %s: timeout", hostdev);
}

static bool
attach(Guest *guest, const char *hostdev, NovaError **err)
{
    return virDomainAttachDeviceFlags(guest->domain, hostdev, VIR_DOMAIN_AFFECT_CURRENT) == 0 ||
           libvirt_error_set(err, "attaching a PCI device");
}

static bool
for_all(Guest *guest, const Instance *instance,
        bool (*change)(Guest *guest, const char *hostdev, NovaError **err), NovaError **err)
{
    g_autoptr(GPtrArray) hostdevs = domain_xml_flavor_devices(instance, err);

    for (guint i = 0; hostdevs && i < hostdevs->len; i++)
        if (!change(guest, hostdevs->pdata[i], err))
            return false;
    return hostdevs != NULL;
}

bool
guest_detach_hostdevs(Guest *guest, const Instance *instance, NovaError **err)
{
    return for_all(guest, instance, detach, err);
}

bool
guest_attach_hostdevs(Guest *guest, const Instance *instance, NovaError **err)
{
    return for_all(guest, instance, attach, err);
}
