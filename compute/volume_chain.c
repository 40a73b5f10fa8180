/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/volume_chain.h"

#include <libxml/parser.h>
#include <string.h>

#include "compute/xml/xml_builder.h"

void
volume_chain_clear(VolumeChain *chain)
{
    g_clear_pointer(&chain->target, g_free);
    g_clear_pointer(&chain->path, g_free);
    g_clear_pointer(&chain->protocol, g_free);
    g_clear_pointer(&chain->files, g_ptr_array_unref);
    g_clear_pointer(&chain->indexes, g_ptr_array_unref);
}

/* ---- reading ---- */

static bool
is_volume(const xmlNode *disk, const char *volume_id)
{
    const xmlNode *serial = xml_find(disk, "serial");
    g_autofree char *text = serial ? xml_get_text(serial) : NULL;

    return g_strcmp0(text, volume_id) == 0;
}

static char *
path_of(const xmlNode *disk)
{
    char *path = xml_get_child_attr(disk, "source", "file");

    return path ? path : xml_get_child_attr(disk, "source", "dev");
}

static char *
target_of(const xmlNode *disk)
{
    return xml_get_child_attr(disk, "target", "dev");
}

static void
add_file(VolumeChain *chain, const xmlNode *node, char *index)
{
    char *file = path_of(node);

    g_ptr_array_add(chain->files, file ? file : xml_get_child_attr(node, "source", "name"));
    g_ptr_array_add(chain->indexes, index ? index : g_strdup("0"));
}

/* The end of a chain that libvirt knows is a <backingStore/> without a source. */
static void
add_files(VolumeChain *chain, const xmlNode *disk)
{
    add_file(chain, disk, NULL);
    for (const xmlNode *node = xml_find(disk, "backingStore"); node && xml_find(node, "source");
         node = xml_find(node, "backingStore"))
        add_file(chain, node, xml_get_attr(node, "index"));
}

static bool
read_disk(const xmlNode *disk, VolumeChain *ret_chain)
{
    g_auto(VolumeChain) chain = {.target = target_of(disk), .path = path_of(disk),
                                 .protocol = xml_get_child_attr(disk, "source", "protocol"),
                                 .files = g_ptr_array_new_with_free_func(g_free),
                                 .indexes = g_ptr_array_new_with_free_func(g_free)};

    if (!chain.target || (!chain.path && !chain.protocol))
        return false;
    add_files(&chain, disk);
    *ret_chain = chain;
    chain = (VolumeChain){0};
    return true;
}

bool
volume_chain_find(const char *domain_xml, const char *volume_id, VolumeChain *ret_chain, NovaError **err)
{
    g_autoptr(xmlDoc) document = NULL;
    const xmlNode *devices = xml_parse_devices(domain_xml, &document);

    for (const xmlNode *disk = devices ? xml_first(devices) : NULL; disk; disk = xml_next(disk))
        if (xml_is(disk, "disk") && is_volume(disk, volume_id) && read_disk(disk, ret_chain))
            return true;
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                          "Disk with id '%s' not found attached to instance.", volume_id);
}

static const char *
base_name(const char *file)
{
    const char *slash = strrchr(file, '/');

    return slash ? slash + 1 : file;
}

bool
volume_chain_is_same(const char *file, const char *other)
{
    return file && other && strcmp(base_name(file), base_name(other)) == 0;
}

static bool
find_index(const VolumeChain *chain, const char *file, guint *ret_index)
{
    for (guint i = 0; i < chain->files->len; i++)
        if (volume_chain_is_same(chain->files->pdata[i], file)) {
            *ret_index = i;
            return true;
        }
    return false;
}

bool
volume_chain_has(const VolumeChain *chain, const char *file)
{
    guint ignored;

    return find_index(chain, file, &ignored);
}

const char *
volume_chain_base(const VolumeChain *chain)
{
    return chain->files->len > 1 ? chain->files->pdata[1] : NULL;
}

char *
volume_chain_reference(const VolumeChain *chain, const char *file, NovaError **err)
{
    guint at;

    if (!chain->protocol)
        return g_strdup(file);
    if (find_index(chain, file, &at))
        return g_strdup_printf("%s[%s]", chain->target, (const char *)chain->indexes->pdata[at]);
    nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "no match found for %s", file);
    return NULL;
}

/* ---- a snapshot ---- */

static void
add_snapshot(xmlNode *disks, const char *path, const char *new_file)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *new_path = g_build_filename(folder, new_file, NULL);
    xmlNode *disk = xml_child_attr(disks, "disk", "name", path);

    xml_attr(disk, "snapshot", "external");
    xml_attr(disk, "type", "file");
    xml_child_attr(disk, "source", "file", new_path);
}

/* True: it is the volume, and a file. */
static bool
add_disk(xmlNode *disks, const xmlNode *disk, const char *volume_id, const char *new_file)
{
    g_autofree char *target = target_of(disk);
    g_autofree char *path = path_of(disk);

    if (target && !is_volume(disk, volume_id))
        xml_attr(xml_child_attr(disks, "disk", "name", target), "snapshot", "no");
    else if (target && path)
        add_snapshot(disks, path, new_file);
    return target && path && is_volume(disk, volume_id);
}

char *
volume_chain_make_snapshot(const char *domain_xml, const char *volume_id, const char *new_file,
                           NovaError **err)
{
    g_autoptr(XmlDocument) snapshot = xml_document_new();
    xmlNode *root = xml_node(snapshot, "domainsnapshot");
    xmlNode *disks = xml_child(root, "disks");
    g_autoptr(xmlDoc) document = NULL;
    const xmlNode *devices = xml_parse_devices(domain_xml, &document);
    bool found = false;

    if (strchr(new_file, '/')) {
        nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Not a file's name: %s", new_file);
        return NULL;
    }
    for (const xmlNode *disk = devices ? xml_first(devices) : NULL; disk; disk = xml_next(disk))
        if (xml_is(disk, "disk") && add_disk(disks, disk, volume_id, new_file))
            found = true;
    if (found)
        return xml_document_text(snapshot, root, err);
    nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Found no disk to snapshot.");
    return NULL;
}
