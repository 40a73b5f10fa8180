/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/guest_xml.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/xml/xml_builder.h"

void
root_disk_clear(RootDisk *disk)
{
    g_clear_pointer(&disk->path, g_free);
    g_clear_pointer(&disk->format, g_free);
    g_clear_pointer(&disk->target, g_free);
}

static xmlNode *
next_named(xmlNode *node, const char *name)
{
    while (node && !(node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0))
        node = node->next;
    return node;
}

static xmlNode *
next_disk(xmlNode *node)
{
    return next_named(node, "disk");
}

/* "rbd:<pool>/<image>"; NULL: it is none. */
static char *
rbd_path(xmlNode *disk)
{
    g_autofree char *protocol = xml_get_child_attr(disk, "source", "protocol");
    g_autofree char *name = xml_get_child_attr(disk, "source", "name");

    return name && g_strcmp0(protocol, "rbd") == 0 ? g_strconcat("rbd:", name, NULL) : NULL;
}

bool
guest_xml_root_disk(const char *xml, RootDisk *ret_disk, NovaError **err)
{
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *disk = devices ? next_disk(devices->children) : NULL;
    g_auto(RootDisk) found = {0};

    if (disk) {
        found.path = xml_get_child_attr(disk, "source", "file");
        if (!found.path)
            found.path = xml_get_child_attr(disk, "source", "dev");
        if (!found.path)
            found.path = rbd_path(disk);
        found.format = xml_get_child_attr(disk, "driver", "type");
        found.target = xml_get_child_attr(disk, "target", "dev");
    }
    if (!found.path)
        return nova_error_set(err, NOVA_ERROR_RUNTIME_ERROR,
                              "Can't retrieve root device path from instance libvirt configuration");
    *ret_disk = found;
    found = (RootDisk){0};
    return true;
}

static char *
node_text(xmlDoc *document, xmlNode *node)
{
    xmlBuffer *buffer = xmlBufferCreate();
    char *text = NULL;

    if (buffer && xmlNodeDump(buffer, document, node, 0, 0) >= 0)
        text = g_strdup((const char *)xmlBufferContent(buffer));
    if (buffer)
        xmlBufferFree(buffer);
    return text;
}

char *
guest_xml_find_interface(const char *xml, const char *mac, char **ret_alias)
{
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *node = devices ? next_named(devices->children, "interface") : NULL;

    *ret_alias = NULL;
    for (; node; node = next_named(node->next, "interface")) {
        g_autofree char *address = xml_get_child_attr(node, "mac", "address");

        if (!address || g_ascii_strcasecmp(address, mac) != 0)
            continue;
        *ret_alias = xml_get_child_attr(node, "alias", "name");
        return node_text(document, node);
    }
    return NULL;
}

/* "0x0000:0x06:..." of <source><address/>, whatever libvirt writes it like. NULL: no PCI device. */
static char *
host_address(xmlNode *hostdev)
{
    static const char *const names[] = {"domain", "bus", "slot", "function"};
    xmlNode *source = xml_find(hostdev, "source");
    xmlNode *address = source ? xml_find(source, "address") : NULL;
    GString *text = g_string_new(NULL);

    for (size_t i = 0; address && i < G_N_ELEMENTS(names); i++) {
        g_autofree char *value = xml_get_attr(address, names[i]);

        g_string_append_printf(text, "%lx.", value ? strtoul(value, NULL, 16) : 0);
    }
    return g_string_free(text, !address || !xml_attr_is(hostdev, "type", "pci")); /* frees: NULL */
}

/* The same of "0000:06:00.1"; NULL: that is no address. */
static char *
host_address_of_slot(const char *slot)
{
    unsigned long parts[4];

    return sscanf(slot, "%lx:%lx:%lx.%lx", &parts[0], &parts[1], &parts[2], &parts[3]) == 4
               ? g_strdup_printf("%lx.%lx.%lx.%lx.", parts[0], parts[1], parts[2], parts[3]) : NULL;
}

static xmlNode *
find_hostdev_at(xmlNode *node, const char *wanted)
{
    for (node = next_named(node, "hostdev"); wanted && node; node = next_named(node->next, "hostdev")) {
        g_autofree char *found = host_address(node);

        if (g_strcmp0(found, wanted) == 0)
            return node;
    }
    return NULL;
}

char *
guest_xml_find_hostdev(const char *xml, const char *address, char **ret_alias)
{
    g_autofree char *wanted = host_address_of_slot(address);
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *node = devices ? find_hostdev_at(devices->children, wanted) : NULL;

    *ret_alias = node ? xml_get_child_attr(node, "alias", "name") : NULL;
    return node ? node_text(document, node) : NULL;
}

static char *
host_address_of_text(const char *hostdev)
{
    g_autoptr(xmlDoc) document = xml_parse(hostdev);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;

    return root ? host_address(root) : NULL;
}

bool
guest_xml_has_hostdev(const char *xml, const char *hostdev)
{
    g_autofree char *wanted = host_address_of_text(hostdev);
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);

    return devices && find_hostdev_at(devices->children, wanted);
}

bool
guest_xml_is_mirror_ready(const char *xml, const char *target)
{
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *disk = devices ? next_disk(devices->children) : NULL;

    for (; disk; disk = next_disk(disk->next)) {
        g_autofree char *dev = xml_get_child_attr(disk, "target", "dev");
        g_autofree char *ready = xml_get_child_attr(disk, "mirror", "ready");

        if (g_strcmp0(dev, target) == 0)
            return g_strcmp0(ready, "yes") == 0;
    }
    return false;
}

static bool
child_has(xmlNode *node, const char *child, const char *attribute, const char *wanted)
{
    g_autofree char *value = wanted ? xml_get_child_attr(node, child, attribute) : NULL;

    return value && strcmp(value, wanted) == 0;
}

char *
guest_xml_find_disk(const char *xml, const char *target, const char *alias, char **ret_alias)
{
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *disk = devices ? next_disk(devices->children) : NULL;

    *ret_alias = NULL;
    for (; disk; disk = next_disk(disk->next)) {
        if (!child_has(disk, "target", "dev", target) && !child_has(disk, "alias", "name", alias))
            continue;
        *ret_alias = xml_get_child_attr(disk, "alias", "name");
        return node_text(document, disk);
    }
    return NULL;
}

char *
guest_xml_disk_source(const char *disk_xml)
{
    static const char *const names[] = {"file", "dev", "name"};
    g_autoptr(xmlDoc) document = xml_parse(disk_xml);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    char *source = NULL;

    for (size_t i = 0; root && !source && i < G_N_ELEMENTS(names); i++)
        source = xml_get_child_attr(root, "source", names[i]);
    return source;
}

char *
guest_xml_target_of_serial(const char *xml, const char *serial)
{
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *disk = devices ? next_disk(devices->children) : NULL;

    for (; disk; disk = next_disk(disk->next)) {
        xmlNode *node = xml_find(disk, "serial");
        xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
        bool found = text && strcmp((const char *)text, serial) == 0;

        xmlFree(text);
        if (found)
            return xml_get_child_attr(disk, "target", "dev");
    }
    return NULL;
}

int64_t
guest_xml_next_scsi_unit(const char *xml)
{
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *disk = devices ? next_disk(devices->children) : NULL;
    int64_t next = 0;

    for (; disk; disk = next_disk(disk->next)) {
        g_autofree char *unit = xml_get_child_attr(disk, "address", "unit");

        if (child_has(disk, "target", "bus", "scsi") && child_has(disk, "address", "type", "drive"))
            next = MAX(next, (unit ? g_ascii_strtoll(unit, NULL, 10) : 0) + 1);
    }
    return next;
}

GPtrArray *
guest_xml_disk_files(const char *xml)
{
    GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(xmlDoc) document = NULL;
    xmlNode *devices = xml_parse_devices(xml, &document);
    xmlNode *disk = devices ? next_disk(devices->children) : NULL;

    for (; disk; disk = next_disk(disk->next)) {
        char *file = xml_get_child_attr(disk, "source", "file");

        if (file)
            g_ptr_array_add(files, file);
    }
    return files;
}
