/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/host_pci.h"

#include <inttypes.h>
#include <libxml/parser.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"
#include "compute/pci_sysfs.h"
#include "compute/xml/xml_builder.h"

typedef struct NodeDevice {
    xmlDoc *document;
    char *name; /* "pci_0000_06_10_7" */
    char *parent;
    const xmlNode *capability; /* borrowed from the document */
    char *address;             /* of a PCI device "0000:06:10.7"; NULL: not understood */
} NodeDevice;

typedef struct NodeDevices {
    const char *sysfs;
    GPtrArray *pci;      /* of NodeDevice; all owned by 'all' */
    GHashTable *by_name; /* PCI devices: name → NodeDevice */
    GHashTable *net;     /* parent's name → NodeDevice */
    GHashTable *vdpa;    /* likewise */
    GPtrArray *all;
} NodeDevices;

static void
node_device_free(void *data)
{
    NodeDevice *device = data;

    xmlFreeDoc(device->document);
    g_free(device->name);
    g_free(device->parent);
    g_free(device->address);
    g_free(device);
}

static void
node_devices_clear(NodeDevices *devices)
{
    g_ptr_array_unref(devices->pci);
    g_hash_table_unref(devices->by_name);
    g_hash_table_unref(devices->net);
    g_hash_table_unref(devices->vdpa);
    g_ptr_array_unref(devices->all);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(NodeDevices, node_devices_clear)

/* ---- reading ---- */

/* The first child <name> with the attribute type=... */
static const xmlNode *
find_typed(const xmlNode *parent, const char *name, const char *type)
{
    for (xmlNode *node = xml_first(parent); node; node = xml_next(node))
        if (xml_is(node, name) && xml_attr_is(node, "type", type))
            return node;
    return NULL;
}

static char *
child_text(const xmlNode *parent, const char *name)
{
    const xmlNode *child = xml_find(parent, name);

    return child ? xml_get_text(child) : NULL;
}

static bool
child_number(const xmlNode *parent, const char *name, int64_t *ret_number)
{
    g_autofree char *text = child_text(parent, name);

    return text && python_int(text, ret_number, NULL);
}

/* An attribute "0x0a". */
static bool
hex_attribute(const xmlNode *node, const char *name, int64_t *ret_number)
{
    g_autofree char *text = node ? xml_get_attr(node, name) : NULL;

    return text && python_int_base16(text, ret_number);
}

static char *
format_address(int64_t domain, int64_t bus, int64_t slot, int64_t function)
{
    return g_strdup_printf("%04" PRIx64 ":%02" PRIx64 ":%02" PRIx64 ".%" PRIx64, domain, bus, slot,
                           function);
}

static char *
own_address(const xmlNode *capability)
{
    int64_t domain, bus, slot, function;

    if (!child_number(capability, "domain", &domain) || !child_number(capability, "bus", &bus) ||
        !child_number(capability, "slot", &slot) ||
        !child_number(capability, "function", &function))
        return NULL;
    return format_address(domain, bus, slot, function);
}

static void
sort_in(NodeDevices *devices, NodeDevice *device, const xmlNode *root)
{
    if ((device->capability = find_typed(root, "capability", "pci"))) {
        device->address = own_address(device->capability);
        g_ptr_array_add(devices->pci, device);
        g_hash_table_replace(devices->by_name, device->name, device);
    } else if ((device->capability = find_typed(root, "capability", "net")) && device->parent) {
        g_hash_table_replace(devices->net, device->parent, device);
    } else if ((device->capability = find_typed(root, "capability", "vdpa")) && device->parent) {
        g_hash_table_replace(devices->vdpa, device->parent, device);
    }
}

static void
read_device(NodeDevices *devices, const char *xml)
{
    xmlDoc *document = xml_parse(xml);
    const xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    NodeDevice *device;

    if (!document)
        return;
    device = g_new0(NodeDevice, 1);
    g_ptr_array_add(devices->all, device);
    device->document = document;
    device->name = root ? child_text(root, "name") : NULL;
    device->parent = root ? child_text(root, "parent") : NULL;
    if (device->name)
        sort_in(devices, device, root);
}

static void
read_devices(NodeDevices *devices, const GPtrArray *texts, const char *sysfs)
{
    devices->sysfs = sysfs;
    devices->pci = g_ptr_array_new();
    devices->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    devices->net = g_hash_table_new(g_str_hash, g_str_equal);
    devices->vdpa = g_hash_table_new(g_str_hash, g_str_equal);
    devices->all = g_ptr_array_new_with_free_func(node_device_free);
    for (guint i = 0; i < texts->len; i++)
        read_device(devices, texts->pdata[i]);
}

/* ---- what kind of device ---- */

static char *
physical_function_of(const NodeDevice *device)
{
    const xmlNode *part = find_typed(device->capability, "capability", "phys_function");
    const xmlNode *address = part ? xml_find(part, "address") : NULL;
    int64_t domain, bus, slot, function;

    if (!hex_attribute(address, "domain", &domain) || !hex_attribute(address, "bus", &bus) ||
        !hex_attribute(address, "slot", &slot) || !hex_attribute(address, "function", &function))
        return NULL;
    return format_address(domain, bus, slot, function);
}

static void
add_virtual_function(const NodeDevices *devices, const NodeDevice *device, const char *parent,
                     json_t *dict)
{
    g_autofree char *interface = g_hash_table_contains(devices->net, device->name)
                                     ? pci_sysfs_interface(devices->sysfs, device->address, true)
                                     : NULL;

    json_set_string(dict, "dev_type",
                    g_hash_table_contains(devices->vdpa, device->name) ? "vdpa" : "type-VF");
    json_set_string(dict, "parent_addr", parent);
    if (interface)
        json_set_string(dict, "parent_ifname", interface);
}

static void
add_type(const NodeDevices *devices, const NodeDevice *device, json_t *dict)
{
    g_autofree char *parent = NULL;

    if (find_typed(device->capability, "capability", "virt_functions"))
        json_set_string(dict, "dev_type", "type-PF");
    else if ((parent = physical_function_of(device)))
        add_virtual_function(devices, device, parent, dict);
    else
        json_set_string(dict, "dev_type", "type-PCI");
}

static bool
is_type(const json_t *dict, const char *type)
{
    return strcmp(json_get_string(dict, "dev_type", ""), type) == 0;
}

/* ---- capabilities ---- */

static json_t *
network_features(const NodeDevices *devices, const NodeDevice *device)
{
    const NodeDevice *net = g_hash_table_lookup(devices->net, device->name);
    json_t *features = json_array();

    for (xmlNode *node = net ? xml_first(net->capability) : NULL; node; node = xml_next(node)) {
        g_autofree char *name = xml_is(node, "feature") ? xml_get_attr(node, "name") : NULL;

        if (name)
            json_array_append_new(features, json_string(name));
    }
    return features;
}

static void
add_sriov(const NodeDevices *devices, const json_t *dict, json_t *capabilities)
{
    g_autofree char *mac = pci_sysfs_mac(devices->sysfs, json_get_string(dict, "parent_addr", ""));
    int64_t number;

    if (mac && pci_sysfs_vf_number(devices->sysfs, json_get_string(dict, "address", ""), &number))
        json_object_set_new(
            capabilities, "sriov",
            json_pack("{s:s, s:I}", "pf_mac_address", mac, "vf_num", (json_int_t)number));
}

/* In the vital product data, where only read-only fields are the maker's. */
static char *
card_serial_number(const NodeDevice *device)
{
    const xmlNode *vpd = find_typed(device->capability, "capability", "vpd");
    char *serial = NULL;

    for (xmlNode *node = vpd ? xml_first(vpd) : NULL; node && !serial; node = xml_next(node))
        if (xml_is(node, "fields") && xml_attr_is(node, "access", "readonly"))
            serial = child_text(node, "serial_number");
    return serial;
}

/* A virtual function may leave it to its physical one to say. */
static void
add_vpd(const NodeDevices *devices, const NodeDevice *device, const json_t *dict,
        json_t *capabilities)
{
    g_autofree char *serial = card_serial_number(device);

    if (!(serial && *serial) && is_type(dict, "type-VF")) {
        g_autofree char *name = g_strconcat("pci_", json_get_string(dict, "parent_addr", ""), NULL);
        const NodeDevice *parent =
            g_hash_table_lookup(devices->by_name, g_strdelimit(name, ":.", '_'));

        g_free(serial);
        serial = parent ? card_serial_number(parent) : NULL;
    }
    if (serial && *serial)
        json_object_set_new(capabilities, "vpd", json_pack("{s:s}", "card_serial_number", serial));
}

static void
add_capabilities(const NodeDevices *devices, const NodeDevice *device, json_t *dict)
{
    json_auto_t *capabilities = json_object();

    if (is_type(dict, "type-VF")) {
        json_auto_t *features = network_features(devices, device);

        if (json_array_size(features) > 0)
            json_object_set(capabilities, "network", features);
        add_sriov(devices, dict, capabilities);
    }
    add_vpd(devices, device, dict, capabilities);
    if (json_object_size(capabilities) > 0)
        json_object_set(dict, "capabilities", capabilities);
}

/* ---- the dicts ---- */

static void
add_numa_node(const NodeDevice *device, json_t *dict)
{
    const xmlNode *numa = xml_find(device->capability, "numa");
    g_autofree char *text = numa ? xml_get_attr(numa, "node") : NULL;
    int64_t node;

    json_object_set_new(dict, "numa_node",
                        text && python_int(text, &node, NULL) ? json_integer(node) : json_null());
}

static json_t *
describe(const NodeDevices *devices, const NodeDevice *device)
{
    g_autofree char *product_id = NULL, *vendor_id = NULL, *label = NULL, *mac = NULL;
    int64_t product, vendor;
    json_t *dict;

    if (!device->address ||
        !hex_attribute(xml_find(device->capability, "product"), "id", &product) ||
        !hex_attribute(xml_find(device->capability, "vendor"), "id", &vendor))
        return NULL;
    product_id = g_strdup_printf("%04" PRIx64, product);
    vendor_id = g_strdup_printf("%04" PRIx64, vendor);
    label = g_strdup_printf("label_%s_%s", vendor_id, product_id);
    dict = json_pack("{s:s, s:s, s:s, s:s}", "dev_id", device->name, "address", device->address,
                     "product_id", product_id, "vendor_id", vendor_id);
    add_numa_node(device, dict);
    json_set_string(dict, "label", label);
    add_type(devices, device, dict);
    add_capabilities(devices, device, dict);
    mac = is_type(dict, "type-PF") ? pci_sysfs_mac(devices->sysfs, device->address) : NULL;
    if (mac)
        json_set_string(dict, "mac_address", mac);
    return dict;
}

json_t *
host_pci_devices(const GPtrArray *node_devices, const char *sysfs)
{
    g_auto(NodeDevices) devices = {0};
    json_t *dicts = json_array();

    read_devices(&devices, node_devices, sysfs);
    for (guint i = 0; i < devices.pci->len; i++) {
        json_t *dict = describe(&devices, devices.pci->pdata[i]);

        if (dict)
            json_array_append_new(dicts, dict);
    }
    return dicts;
}

GHashTable *
host_pci_vdpa_paths(const GPtrArray *node_devices)
{
    g_auto(NodeDevices) devices = {0};
    GHashTable *paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    read_devices(&devices, node_devices, "/sys");
    for (guint i = 0; i < devices.pci->len; i++) {
        const NodeDevice *device = devices.pci->pdata[i];
        const NodeDevice *vdpa = g_hash_table_lookup(devices.vdpa, device->name);
        char *path = vdpa && device->address ? child_text(vdpa->capability, "chardev") : NULL;

        if (path)
            g_hash_table_replace(paths, g_strdup(device->address), path);
    }
    return paths;
}
