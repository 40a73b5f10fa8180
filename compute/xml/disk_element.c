/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/disk_element.h"

#include <string.h>

const char *const io_tune_names[N_IO_TUNES] = {
    [READ_BYTES_SEC] = "read_bytes_sec",
    [READ_IOPS_SEC] = "read_iops_sec",
    [WRITE_BYTES_SEC] = "write_bytes_sec",
    [WRITE_IOPS_SEC] = "write_iops_sec",
    [TOTAL_BYTES_SEC] = "total_bytes_sec",
    [TOTAL_IOPS_SEC] = "total_iops_sec",
    [READ_BYTES_SEC_MAX] = "read_bytes_sec_max",
    [WRITE_BYTES_SEC_MAX] = "write_bytes_sec_max",
    [TOTAL_BYTES_SEC_MAX] = "total_bytes_sec_max",
    [READ_IOPS_SEC_MAX] = "read_iops_sec_max",
    [WRITE_IOPS_SEC_MAX] = "write_iops_sec_max",
    [TOTAL_IOPS_SEC_MAX] = "total_iops_sec_max",
    [SIZE_IOPS_SEC] = "size_iops_sec",
};

void
guest_disk_clear(GuestDisk *disk)
{
    g_clear_pointer(&disk->hosts, g_ptr_array_unref);
    g_clear_pointer(&disk->ports, g_ptr_array_unref);
    for (unsigned i = 0; i < N_IO_TUNES; i++)
        g_clear_pointer(&disk->io_tunes[i], g_free);
}

/* The last "TYPE=MODE" with a valid mode. */
static const char *
configured_cache(const Options *options, const char *source_type)
{
    static const char *const modes[] = {"default",    "none",   "writethrough", "writeback",
                                        "directsync", "unsafe", NULL};
    char **entries = options->libvirt.disk_cachemodes;
    const size_t length = strlen(source_type);
    const char *mode = NULL;

    for (unsigned i = 0; entries && entries[i]; i++) {
        if (!strncmp(entries[i], source_type, length) && entries[i][length] == '=' &&
            is_one_of(entries[i] + length + 1, modes))
            mode = entries[i] + length + 1;
    }
    return mode;
}

void
guest_disk_set_cache(const Options *options, GuestDisk *disk)
{
    static const char *const direct[] = {"none", "directsync", NULL};
    const char *configured = configured_cache(options, disk->source_type);

    if (disk->shareable)
        disk->driver_cache = "none";
    else if (configured)
        disk->driver_cache = configured;
    /* QEMU refuses native I/O on what is not opened with O_DIRECT. */
    if (!g_strcmp0(disk->driver_io, "native") && disk->driver_cache &&
        !is_one_of(disk->driver_cache, direct))
        disk->driver_io = "threads";
}

static bool
is_set(const char *text)
{
    return text && *text;
}

static void
add_driver(xmlNode *node, const GuestDisk *disk)
{
    xmlNode *driver;

    if (!is_set(disk->driver_name) && !is_set(disk->driver_format) &&
        !is_set(disk->driver_cache) && !is_set(disk->driver_discard))
        return;
    driver = xml_child(node, "driver");
    xml_attr_if(driver, "name", disk->driver_name);
    xml_attr_if(driver, "type", disk->driver_format);
    xml_attr_if(driver, "cache", disk->driver_cache);
    xml_attr_if(driver, "discard", disk->driver_discard);
    xml_attr_if(driver, "io", disk->driver_io);
}

static void
add_network_source(xmlNode *node, const GuestDisk *disk)
{
    const guint n_hosts = disk->hosts && disk->ports ? MIN(disk->hosts->len, disk->ports->len) : 0;
    xmlNode *source;

    if (!is_set(disk->source_protocol))
        return;
    source = xml_child_attr(node, "source", "protocol", disk->source_protocol);
    xml_attr_if(source, "name", disk->source_name);
    for (guint i = 0; i < n_hosts; i++) {
        xmlNode *host = xml_child_attr(source, "host", "name", disk->hosts->pdata[i]);

        xml_attr_if(host, "port", disk->ports->pdata[i]);
    }
}

static void
add_source(xmlNode *node, const GuestDisk *disk)
{
    if (!strcmp(disk->source_type, "file"))
        xml_child_attr(node, "source", "file", disk->source_path);
    else if (!strcmp(disk->source_type, "block"))
        xml_child_attr(node, "source", "dev", disk->source_path);
    else
        add_network_source(node, disk);
}

static void
add_auth(xmlNode *node, const GuestDisk *disk)
{
    xmlNode *auth, *secret;

    if (!disk->auth_secret_type)
        return;
    auth = xml_child_attr(node, "auth", "username", disk->auth_username);
    secret = xml_child_attr(auth, "secret", "type", disk->auth_secret_type);
    xml_attr(secret, "uuid", disk->auth_secret_uuid);
}

static void
add_io_tune(xmlNode *node, const GuestDisk *disk)
{
    xmlNode *iotune = NULL;

    for (unsigned i = 0; i < N_IO_TUNES; i++) {
        if (!disk->io_tunes[i])
            continue;
        if (!iotune)
            iotune = xml_child(node, "iotune");
        xml_child_text(iotune, io_tune_names[i], disk->io_tunes[i]);
    }
}

/* QEMU's scsi-block, which a LUN is, knows no block sizes. */
static void
add_block_io(xmlNode *node, const GuestDisk *disk, bool is_lun)
{
    xmlNode *blockio;

    if (is_lun || (!disk->has_logical && !disk->has_physical))
        return;
    blockio = xml_child(node, "blockio");
    if (disk->has_logical)
        xml_attr(blockio, "logical_block_size", disk->logical_block_size);
    if (disk->has_physical)
        xml_attr(blockio, "physical_block_size", disk->physical_block_size);
}

static void
add_address(xmlNode *node, int64_t unit)
{
    xmlNode *address;

    if (unit < 0)
        return;
    address = xml_child_attr(node, "address", "type", "drive");
    xml_attr(address, "controller", "0");
    xml_attr_int(address, "unit", unit);
}

static void
add_encryption(xmlNode *node, const char *secret_uuid)
{
    xmlNode *secret;

    if (!secret_uuid)
        return;
    secret = xml_child(xml_child_attr(node, "encryption", "format", "luks"), "secret");
    xml_attr(secret, "type", "passphrase");
    xml_attr(secret, "uuid", secret_uuid);
}

xmlNode *
disk_element(XmlDocument *document, const GuestDisk *disk)
{
    const bool is_lun = !g_strcmp0(disk->source_device, "lun");
    xmlNode *node = xml_node(document, "disk");
    xmlNode *target;

    xml_attr(node, "type", disk->source_type);
    xml_attr(node, "device", disk->source_device);
    add_driver(node, disk);
    if (is_set(disk->alias))
        xml_child_attr(node, "alias", "name", disk->alias);
    add_source(node, disk);
    add_auth(node, disk);
    target = xml_child_attr(node, "target", "dev", disk->target_dev);
    xml_attr(target, "bus", disk->target_bus);
    if (disk->serial && !is_lun)
        xml_child_text(node, "serial", disk->serial);
    add_io_tune(node, disk);
    add_block_io(node, disk, is_lun);
    if (disk->readonly)
        xml_child(node, "readonly");
    if (disk->shareable)
        xml_child(node, "shareable");
    if (is_set(disk->boot_order))
        xml_child_attr(node, "boot", "order", disk->boot_order);
    add_address(node, disk->scsi_unit);
    add_encryption(node, disk->secret_uuid);
    return node;
}
