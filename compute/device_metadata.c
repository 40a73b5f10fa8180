/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/device_metadata.h"

#include <libxml/parser.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/objects/block_device.h"
#include "agent/objects/versioned_object.h"
#include "agent/objects/virtual_interface.h"
#include "compute/xml/xml_builder.h"

static const char *
strip_dev(const char *name)
{
    return name && g_str_has_prefix(name, "/dev/") ? name + strlen("/dev/") : name;
}

/* ---- what is known of a port or a disk ---- */

static const VirtualInterface *
find_row(const DeviceMetadataInput *input, const char *mac)
{
    for (guint i = 0; input->vif_rows && i < input->vif_rows->len; i++) {
        const VirtualInterface *row = input->vif_rows->pdata[i];

        if (g_strcmp0(row->address, mac) == 0)
            return row;
    }
    return NULL;
}

static const Vif *
find_vif(const DeviceMetadataInput *input, const char *mac)
{
    for (guint i = 0; input->network && i < input->network->vifs->len; i++) {
        const Vif *vif = input->network->vifs->pdata[i];

        if (g_strcmp0(vif->address, mac) == 0)
            return vif;
    }
    return NULL;
}

/* int(vif['details']['vlan']): 0 for none. */
static int64_t
vlan_of(const Vif *vif)
{
    const json_t *vlan = vif ? json_object_get(vif->details, "vlan") : NULL;

    return json_is_string(vlan) ? g_ascii_strtoll(json_string_value(vlan), NULL, 10)
                                : json_integer_value(vlan);
}

/* oslo's bool_from_string(vif['profile'].get('trusted')) */
static bool
is_trusted(const Vif *vif)
{
    static const char *const yes[] = {"1", "t", "true", "on", "y", "yes", NULL};
    const json_t *trusted = vif ? json_object_get(vif->profile, "trusted") : NULL;
    g_autofree char *text = NULL;

    if (!json_is_string(trusted))
        return json_is_true(trusted);
    text = g_ascii_strdown(json_string_value(trusted), -1);
    return g_strv_contains(yes, g_strstrip(text));
}

static const BlockDeviceMapping *
find_tagged_bdm(const DeviceMetadataInput *input, const char *target)
{
    for (guint i = 0; input->bdms && i < input->bdms->len; i++) {
        const BlockDeviceMapping *bdm = input->bdms->pdata[i];

        if (bdm->tag && *bdm->tag && g_strcmp0(strip_dev(bdm->device_name), target) == 0)
            return bdm;
    }
    return NULL;
}

/* ---- the devices of the XML ---- */

static const char *
without_0x(const char *text)
{
    return text && g_str_has_prefix(text, "0x") ? text + 2 : text ? text : "0";
}

/* "0000:00:03.0"; NULL: not on a PCI bus. Caller frees. */
static char *
pci_address(const xmlNode *device)
{
    xmlNode *address = xml_find(device, "address");
    g_autofree char *domain = NULL, *bus = NULL, *slot = NULL, *function = NULL;

    if (!address || !xml_attr_is(address, "type", "pci"))
        return NULL;
    domain = xml_get_attr(address, "domain");
    bus = xml_get_attr(address, "bus");
    slot = xml_get_attr(address, "slot");
    function = xml_get_attr(address, "function");
    return g_strdup_printf("%s:%s:%s.%s", without_0x(domain), without_0x(bus), without_0x(slot),
                           without_0x(function));
}

/* Only an address on a PCI bus has a text in Nova. */
static void
set_bus(json_t *data, const xmlNode *device)
{
    static const char *const kinds[][2] = {
        {"scsi", "SCSIDeviceBus"}, {"ide", "IDEDeviceBus"}, {"usb", "USBDeviceBus"}};
    g_autofree char *address = pci_address(device);
    g_autofree char *bus = NULL;

    if (address) {
        json_object_set_new(data, "bus",
                            object_new_primitive("PCIDeviceBus", "1.0",
                                                 json_pack("{s:s}", "address", address)));
        return;
    }
    bus = xml_is(device, "disk") ? xml_get_child_attr(device, "target", "bus") : NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
        if (g_strcmp0(bus, kinds[i][0]) == 0)
            json_object_set_new(data, "bus", object_new_primitive(kinds[i][1], "1.0", json_object()));
}

static json_t *
interface_metadata(const DeviceMetadataInput *input, const xmlNode *device)
{
    g_autofree char *mac = xml_get_child_attr(device, "mac", "address");
    const VirtualInterface *row = mac ? find_row(input, mac) : NULL;
    const Vif *vif = mac ? find_vif(input, mac) : NULL;
    bool is_tagged = row && row->tag && *row->tag;
    int64_t vlan = vlan_of(vif);
    json_t *data;

    if (!row || (!is_tagged && !vlan))
        return NULL;
    data = json_pack("{s:s, s:b}", "mac", mac, "vf_trusted", is_trusted(vif));
    if (is_tagged)
        json_object_set_new(data, "tags", json_pack("[s]", row->tag));
    if (vlan)
        json_object_set_new(data, "vlan", json_integer(vlan));
    set_bus(data, device);
    return object_new_primitive("NetworkInterfaceMetadata", "1.2", data);
}

static json_t *
disk_metadata(const DeviceMetadataInput *input, const xmlNode *device)
{
    g_autofree char *target = xml_get_child_attr(device, "target", "dev");
    const BlockDeviceMapping *bdm = target ? find_tagged_bdm(input, target) : NULL;
    json_t *data;

    if (!bdm)
        return NULL;
    data = json_pack("{s:[s], s:s?}", "tags", bdm->tag, "serial", bdm->volume_id);
    set_bus(data, device);
    return object_new_primitive("DiskMetadata", "1.0", data);
}

static json_t *
metadata_of(const DeviceMetadataInput *input, const xmlNode *device)
{
    if (xml_is(device, "interface"))
        return interface_metadata(input, device);
    return xml_is(device, "disk") ? disk_metadata(input, device) : NULL;
}

bool
device_metadata_is_needed(const DeviceMetadataInput *input)
{
    for (guint i = 0; input->vif_rows && i < input->vif_rows->len; i++) {
        const VirtualInterface *row = input->vif_rows->pdata[i];

        if ((row->tag && *row->tag) || vlan_of(find_vif(input, row->address)))
            return true;
    }
    for (guint i = 0; input->bdms && i < input->bdms->len; i++) {
        const BlockDeviceMapping *bdm = input->bdms->pdata[i];

        if (bdm->tag && *bdm->tag)
            return true;
    }
    return false;
}

json_t *
device_metadata_make(const DeviceMetadataInput *input)
{
    g_autoptr(xmlDoc) document = xml_parse(input->domain_xml);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    xmlNode *devices = root ? xml_find(root, "devices") : NULL;
    json_auto_t *list = json_array();

    for (xmlNode *device = devices ? xml_first(devices) : NULL; device; device = xml_next(device)) {
        json_t *metadata = metadata_of(input, device);

        if (metadata)
            json_array_append_new(list, metadata);
    }
    if (json_array_size(list) == 0)
        return NULL;
    return object_new_primitive("InstanceDeviceMetadata", "1.0", json_pack("{s:O}", "devices", list));
}
