/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of the host given to the guest: PCI by flavor alias, accelerators, mediated devices,
 * shared folders (LibvirtDriver._guest_add_pci_devices and its neighbours). */

#include <string.h>

#include "compute/xml/domain_build.h"

/* nova.pci.utils.parse_address(): "dddd:bb:ss.f", where any character may stand for the dot. */
static bool
is_pci_address(const char *address)
{
    static const char shape[] = "xxxx:xx:xx.o";

    if (!address || strlen(address) != strlen(shape))
        return false;
    for (unsigned i = 0; shape[i]; i++) {
        const char c = address[i];

        if ((shape[i] == 'x' && !g_ascii_isxdigit(c)) || (shape[i] == ':' && c != ':') ||
            (shape[i] == 'o' && (c < '0' || c > '7')))
            return false;
    }
    return true;
}

static bool
check_address(const char *address, NovaError **err)
{
    return is_pci_address(address) ||
           nova_error_set(err, NOVA_ERROR_PCI_DEVICE_WRONG_ADDRESS_FORMAT,
                          "The PCI address %s has an incorrect format.", address ? address : "None");
}

static void
fill_hostdev(xmlNode *hostdev, const char *address, bool is_managed)
{
    xmlNode *node;

    xml_attr(hostdev, "mode", "subsystem");
    xml_attr(hostdev, "type", "pci");
    xml_attr(hostdev, "managed", xml_yes_no(is_managed));
    node = xml_child(xml_child(hostdev, "source"), "address");
    xml_attr_printf(node, "domain", "0x%.4s", address);
    xml_attr_printf(node, "bus", "0x%.2s", address + 5);
    xml_attr_printf(node, "slot", "0x%.2s", address + 8);
    xml_attr_printf(node, "function", "0x%s", address + 11);
}

static bool
add_hostdev(DomainBuild *build, const char *address, bool is_managed, NovaError **err)
{
    if (!check_address(address, err))
        return false;
    fill_hostdev(xml_child(build->devices, "hostdev"), address, is_managed);
    return true;
}

/* Devices of ports come as <interface>; 'devices' gets those that the flavor asked for by alias,
 * borrowed. */
static bool
find_flavor_devices(const Instance *instance, GPtrArray *devices, NovaError **err)
{
    for (guint i = 0; instance->pci_devices && i < instance->pci_devices->len; i++) {
        PciDevice *device = instance->pci_devices->pdata[i];
        const InstancePCIRequest *request = instance_find_pci_request(instance, device->request_id);

        if (!request)
            return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'",
                                  device->request_id ? device->request_id : "None");
        if (request->alias_name)
            g_ptr_array_add(devices, device);
    }
    return true;
}

static bool
is_managed(const PciDevice *device)
{
    const char *managed = device->extra_info ? g_hash_table_lookup(device->extra_info, "managed") : NULL;

    return !managed || !strcmp(managed, "true");
}

static bool
add_flavor_devices(DomainBuild *build, NovaError **err)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new();

    if (!find_flavor_devices(build->in->instance, devices, err))
        return false;
    for (guint i = 0; i < devices->len; i++) {
        const PciDevice *device = devices->pdata[i];

        if (!add_hostdev(build, device->address, is_managed(device), err))
            return false;
    }
    return true;
}

static char *
hostdev_text(const PciDevice *device, NovaError **err)
{
    g_autoptr(XmlDocument) document = xml_document_new();
    xmlNode *hostdev = xml_node(document, "hostdev");

    if (!check_address(device->address, err))
        return NULL;
    fill_hostdev(hostdev, device->address, is_managed(device));
    return xml_document_text(document, hostdev, err);
}

GPtrArray *
domain_xml_flavor_devices(const Instance *instance, NovaError **err)
{
    g_autoptr(GPtrArray) devices = g_ptr_array_new();
    g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);

    if (!find_flavor_devices(instance, devices, err))
        return NULL;
    for (guint i = 0; i < devices->len; i++) {
        char *text = hostdev_text(devices->pdata[i], err);

        if (!text)
            return NULL;
        g_ptr_array_add(texts, text);
    }
    return g_steal_pointer(&texts);
}

static void
add_share(DomainBuild *build, const GuestShare *share)
{
    xmlNode *node = xml_child_attr(build->devices, "filesystem", "type", "mount");

    xml_child_attr(node, "driver", "type", "virtiofs");
    xml_child_attr(node, "source", "dir", share->mount_path);
    xml_child_attr(node, "target", "dir", share->tag);
}

bool
build_host_devices(DomainBuild *build, NovaError **err)
{
    char **accelerators = build->in->accelerators;

    if (!add_flavor_devices(build, err))
        return false;
    for (unsigned i = 0; accelerators && accelerators[i]; i++) {
        if (!add_hostdev(build, accelerators[i], true, err))
            return false;
    }
    for (unsigned i = 0; i < build->in->n_shares; i++)
        add_share(build, &build->in->shares[i]);
    return true;
}

void
build_mdevs(DomainBuild *build)
{
    char **mdevs = build->in->mdevs;

    for (unsigned i = 0; mdevs && mdevs[i]; i++) {
        xmlNode *hostdev = xml_child_attr(build->devices, "hostdev", "mode", "subsystem");

        xml_attr(hostdev, "type", "mdev");
        xml_attr(hostdev, "managed", "no");
        xml_attr(hostdev, "model", "vfio-pci");
        xml_child_attr(xml_child(hostdev, "source"), "address", "uuid", mdevs[i]);
    }
}
