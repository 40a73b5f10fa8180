/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/format_inspector.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* oslo.utils looks at the file in pieces of this size, and what it decides depends on it. */
#define CHUNK_SIZE 4096
#define SECTOR 512

#define ISO_DESCRIPTOR_OFFSET (32 * 1024)
#define ISO_DESCRIPTOR_LENGTH (2 * 1024)
#define LUKS_HEADER_LENGTH 592

#define VHDX_REGION_TABLE_OFFSET (192 * 1024)
#define VHDX_REGION_TABLE_LENGTH (64 * 1024)
#define VHDX_METADATA_LENGTH (64 * 1024)
#define VHDX_ENTRY 32
#define VHDX_MAX_ENTRIES 2048

#define VMDK_HEADER_MIN 64
#define VMDK_HEADER_LENGTH 512
#define VMDK_DESCRIPTOR_MAX ((1 << 20) - 1)
#define VMDK_FOOTER_LENGTH 1536
#define VMDK_DIRECTORY_AT_END UINT64_MAX
#define VMDK_TYPE_MAX 64

static const char *const format_names[N_IMAGE_FORMATS] = {
    "raw", "qcow2", "vhd", "vhdx", "vmdk", "vdi", "qed", "iso", "gpt", "luks",
};

/* A stretch of the file that is kept, possibly not known until part of the file has passed. */
typedef struct Region {
    bool exists;
    uint64_t offset;
    uint64_t length;
    GByteArray *data;
} Region;

typedef struct Vmdk {
    bool has_failed;    /* no longer looked at */
    bool is_text;       /* a descriptor without the sparse header */
    bool has_footer;
    Region descriptor;
    char *text;         /* descriptor, lower case; NULL: none that can be read */
    char *type;         /* createType; NULL until the descriptor was read */
    uint8_t footer[VMDK_FOOTER_LENGTH]; /* the last bytes seen */
    size_t footer_length;
} Vmdk;

typedef struct Vhdx {
    bool has_failed;
    Region table;
    Region metadata;
    Region size;
} Vhdx;

struct FormatInspector {
    uint8_t chunk[CHUNK_SIZE]; /* not yet looked at */
    size_t chunk_length;
    uint64_t fed;
    uint64_t total;            /* looked at */
    bool is_decided;
    bool is_undecidable;
    uint8_t head[CHUNK_SIZE];  /* the first chunk */
    size_t head_length;
    Region iso;
    Vmdk vmdk;
    Vhdx vhdx;
};

const char *
image_format_name(ImageFormat format)
{
    return format_names[format];
}

bool
image_format_from_name(const char *name, ImageFormat *ret_format)
{
    for (size_t i = 0; name && i < G_N_ELEMENTS(format_names); i++) {
        if (g_str_equal(name, format_names[i])) {
            *ret_format = (ImageFormat)i;
            return true;
        }
    }
    return false;
}

static uint16_t
le16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t
le32(const uint8_t *at)
{
    return le16(at) | (uint32_t)le16(at + 2) << 16;
}

static uint64_t
le64(const uint8_t *at)
{
    return le32(at) | (uint64_t)le32(at + 4) << 32;
}

static uint32_t
be32(const uint8_t *at)
{
    return GUINT32_SWAP_LE_BE(le32(at));
}

static uint64_t
be64(const uint8_t *at)
{
    return GUINT64_SWAP_LE_BE(le64(at));
}

static void
region_open(Region *region, uint64_t offset, uint64_t length)
{
    region->exists = true;
    region->offset = offset;
    region->length = length;
    region->data = g_byte_array_new();
}

static void
region_clear(Region *region)
{
    if (region->data)
        g_byte_array_unref(region->data);
    region->data = NULL;
}

static bool
region_is_complete(const Region *region)
{
    return region->data->len == region->length;
}

/* A region opened late, whose start has already passed, takes what comes instead: oslo.utils does
 * so, and whether the region then ever gets complete decides about the file. */
static void
region_capture(Region *region, const uint8_t *chunk, size_t length, uint64_t position)
{
    uint64_t start = position - length;
    uint64_t lead = start < region->offset ? region->offset - start : 0;
    uint64_t missing = region->length - region->data->len;

    if (region_is_complete(region))
        return;
    if (region->offset > position ||
        (start > region->offset && start - region->offset > region->length))
        return;
    if (lead < length)
        g_byte_array_append(region->data, chunk + lead, (guint)MIN(length - lead, missing));
}

FormatInspector *
format_inspector_new(void)
{
    FormatInspector *inspector = g_new0(FormatInspector, 1);

    region_open(&inspector->iso, ISO_DESCRIPTOR_OFFSET, ISO_DESCRIPTOR_LENGTH);
    region_open(&inspector->vhdx.table, VHDX_REGION_TABLE_OFFSET, VHDX_REGION_TABLE_LENGTH);
    return inspector;
}

void
format_inspector_free(FormatInspector *inspector)
{
    if (!inspector)
        return;
    region_clear(&inspector->iso);
    region_clear(&inspector->vhdx.table);
    region_clear(&inspector->vhdx.metadata);
    region_clear(&inspector->vhdx.size);
    region_clear(&inspector->vmdk.descriptor);
    g_free(inspector->vmdk.text);
    g_free(inspector->vmdk.type);
    g_free(inspector);
}

/* -- VHDX: region table → metadata region → entry of the virtual disk size */

static bool
vhdx_find_metadata(Vhdx *vhdx)
{
    static const uint8_t metadata_guid[16] = {0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b,
                                              0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e};
    const uint8_t *table = vhdx->table.data->data;
    uint32_t count = le32(table + 8);

    if (memcmp(table, "regi", 4) != 0 || count >= VHDX_MAX_ENTRIES)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = table + 16 + i * VHDX_ENTRY;

        if (memcmp(entry, metadata_guid, sizeof metadata_guid) == 0) {
            region_open(&vhdx->metadata, le64(entry + 16), VHDX_METADATA_LENGTH);
            return true;
        }
    }
    return true;
}

static void
vhdx_open_size(Vhdx *vhdx, const uint8_t *entry)
{
    uint32_t item_offset = le32(entry + 16);
    uint64_t offset;

    if (__builtin_add_overflow(vhdx->metadata.offset, (uint64_t)item_offset, &offset))
        offset = UINT64_MAX;
    vhdx->metadata.length = vhdx->metadata.data->len;
    region_open(&vhdx->size, offset, MIN(le32(entry + 20), VHDX_METADATA_LENGTH));
}

static bool
vhdx_find_size(Vhdx *vhdx)
{
    static const uint8_t size_guid[16] = {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
                                          0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8};
    const uint8_t *metadata = vhdx->metadata.data->data;
    size_t length = vhdx->metadata.data->len;
    uint32_t count;

    if (length < VHDX_ENTRY)
        return true;
    if (memcmp(metadata, "metadata", 8) != 0)
        return false;
    count = le16(metadata + 10);
    if (length < VHDX_ENTRY * (1 + (size_t)count))
        return true;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *entry = metadata + VHDX_ENTRY * (1 + i);

        if (memcmp(entry, size_guid, sizeof size_guid) == 0) {
            vhdx_open_size(vhdx, entry);
            return true;
        }
    }
    return true;
}

static void
vhdx_feed(Vhdx *vhdx, const uint8_t *chunk, size_t length, uint64_t position)
{
    if (vhdx->has_failed)
        return;
    region_capture(&vhdx->table, chunk, length, position);
    if (vhdx->metadata.exists)
        region_capture(&vhdx->metadata, chunk, length, position);
    if (vhdx->size.exists)
        region_capture(&vhdx->size, chunk, length, position);

    if (region_is_complete(&vhdx->table) && !vhdx->metadata.exists) {
        vhdx->has_failed = !vhdx_find_metadata(vhdx);
        if (vhdx->metadata.exists)
            region_capture(&vhdx->metadata, chunk, length, position);
    } else if (vhdx->metadata.exists && !vhdx->size.exists) {
        vhdx->has_failed = !vhdx_find_size(vhdx);
        if (vhdx->size.exists)
            region_capture(&vhdx->size, chunk, length, position);
    }
}

static bool
vhdx_is_complete(const Vhdx *vhdx)
{
    return region_is_complete(&vhdx->table) &&
           (!vhdx->metadata.exists || region_is_complete(&vhdx->metadata)) &&
           (!vhdx->size.exists || region_is_complete(&vhdx->size));
}

/* -- VMDK: sparse header → embedded descriptor text (→ footer), or descriptor text alone */

/* Python's str.isprintable() or str.isspace() for every ASCII character. */
static bool
is_ascii_text(const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool is_space = (data[i] >= 0x09 && data[i] <= 0x0d) ||
                        (data[i] >= 0x1c && data[i] <= 0x1f);

        if (!is_space && (data[i] < 0x20 || data[i] > 0x7e))
            return false;
    }
    return true;
}

/* The text between createtype=" and the next quote; "formatnotfound" when there is none or it is
 * far too long. Without a closing quote everything but the last character (Python's [i:-1]). */
static char *
vmdk_type_of(const char *text)
{
    static const char key[] = "createtype=\"";
    const char *start = strstr(text, key);
    const char *end;

    if (!start)
        return g_strdup("formatnotfound");
    start += strlen(key);
    end = strchr(start, '"');
    if (!end)
        return g_strndup(start, *start ? strlen(start) - 1 : 0);
    if (end - start >= VMDK_TYPE_MAX)
        return g_strdup("formatnotfound");
    return g_strndup(start, (gsize)(end - start));
}

static void
vmdk_parse_descriptor(Vmdk *vmdk, const uint8_t *data, size_t length)
{
    const uint8_t *end = length ? memchr(data, 0, length) : NULL;

    if (end)
        length = (size_t)(end - data);
    for (size_t i = 0; i < length; i++) {
        if (data[i] > 0x7f)
            return;
    }
    vmdk->text = g_ascii_strdown(length ? (const char *)data : "", (gssize)length);
    vmdk->type = vmdk_type_of(vmdk->text);
}

static bool
vmdk_open_sparse(Vmdk *vmdk, const uint8_t *header)
{
    uint32_t version = le32(header + 4);
    uint64_t descriptor_sector = le64(header + 28);
    uint64_t n_sectors = le64(header + 36);

    if (version < 1 || version > 3)
        return false;
    vmdk->has_footer = le64(header + 56) == VMDK_DIRECTORY_AT_END;
    if (descriptor_sector != 1)
        return false;
    if (n_sectors > VMDK_DESCRIPTOR_MAX / SECTOR)
        region_open(&vmdk->descriptor, SECTOR, VMDK_DESCRIPTOR_MAX);
    else
        region_open(&vmdk->descriptor, SECTOR, n_sectors * SECTOR);
    return true;
}

static void
vmdk_open(Vmdk *vmdk, const uint8_t *head, size_t length)
{
    if (length < VMDK_HEADER_MIN)
        return;
    if (memcmp(head, "KDMV", 4) == 0) {
        vmdk->has_failed = !vmdk_open_sparse(vmdk, head);
        return;
    }
    vmdk->is_text = is_ascii_text(head, MIN(length, VMDK_HEADER_LENGTH));
    vmdk->has_failed = !vmdk->is_text;
    if (vmdk->is_text)
        vmdk_parse_descriptor(vmdk, head, length);
}

static void
vmdk_keep_tail(Vmdk *vmdk, const uint8_t *chunk, size_t length)
{
    size_t added = MIN(length, VMDK_FOOTER_LENGTH);
    size_t kept = MIN(vmdk->footer_length, VMDK_FOOTER_LENGTH - added);

    memmove(vmdk->footer, vmdk->footer + vmdk->footer_length - kept, kept);
    memcpy(vmdk->footer + kept, chunk + length - added, added);
    vmdk->footer_length = kept + added;
}

static void
vmdk_feed(Vmdk *vmdk, const uint8_t *chunk, size_t length, uint64_t position)
{
    if (position == length)
        vmdk_open(vmdk, chunk, length);
    if (vmdk->has_failed)
        return;
    if (vmdk->has_footer)
        vmdk_keep_tail(vmdk, chunk, length);
    if (vmdk->descriptor.exists && !vmdk->type && !vmdk->text) {
        bool was_complete = position != length && region_is_complete(&vmdk->descriptor);

        region_capture(&vmdk->descriptor, chunk, length, position);
        if (!was_complete && region_is_complete(&vmdk->descriptor))
            vmdk_parse_descriptor(vmdk, vmdk->descriptor.data->data, vmdk->descriptor.data->len);
    }
}

/* Everything but the footer, which only the end of the file completes. */
static bool
vmdk_has_all_but_footer(const FormatInspector *inspector)
{
    const Vmdk *vmdk = &inspector->vmdk;

    if (vmdk->descriptor.exists && !region_is_complete(&vmdk->descriptor))
        return false;
    return vmdk->is_text || inspector->head_length >= VMDK_HEADER_MIN;
}

static bool
vmdk_is_complete(const FormatInspector *inspector)
{
    const Vmdk *vmdk = &inspector->vmdk;

    return vmdk_has_all_but_footer(inspector) &&
           (!vmdk->has_footer || vmdk->footer_length == VMDK_FOOTER_LENGTH);
}

static bool
vmdk_line_is_header(const char *line)
{
    const char *equals = strchr(line, '=');
    const char *space = strchr(line, ' ');

    return equals && (!space || space > equals);
}

static bool
vmdk_line_is_extent(const char *line)
{
    size_t word = strcspn(line, " ");

    return (word == 2 && strncmp(line, "rw", word) == 0) ||
           (word == 6 && strncmp(line, "rdonly", word) == 0) ||
           (word == 8 && strncmp(line, "noaccess", word) == 0);
}

/* Python's str.strip() of ASCII text. */
static char *
strip_line(char *line)
{
    static const char spaces[] = "\t\n\v\f\r\x1c\x1d\x1e\x1f ";
    size_t length;

    line += strspn(line, spaces);
    length = strlen(line);
    while (length > 0 && strchr(spaces, line[length - 1]))
        length--;
    line[length] = '\0';
    return line;
}

static const char *
vmdk_descriptor_violation(const Vmdk *vmdk)
{
    g_auto(GStrv) lines = NULL;
    bool has_extent = false;
    bool has_path = false;

    if (!vmdk->text || !vmdk->text[0])
        return "No descriptor found";
    if (!g_str_equal(vmdk->type, "monolithicsparse") && !g_str_equal(vmdk->type, "streamoptimized"))
        return "Unsupported subformat";
    lines = g_strsplit(vmdk->text, "\n", -1);
    for (char **at = lines; *at; at++) {
        const char *line = strip_line(*at);

        if (line[0] == '#' || line[0] == '\0' || g_str_has_prefix(line, "ddb") ||
            vmdk_line_is_header(line))
            continue;
        if (!vmdk_line_is_extent(line))
            return "Invalid VMDK descriptor data";
        has_extent = true;
        has_path = has_path || strchr(line, '/');
    }
    if (has_path)
        return "Invalid extent filenames found";
    return has_extent ? NULL : "No extents found";
}

/* A marker sector: value, size, type, zeroes. */
static bool
vmdk_is_marker(const uint8_t *sector, uint32_t type)
{
    if (le32(sector + 8) != 0 || le32(sector + 12) != type)
        return false;
    for (size_t i = 16; i < SECTOR; i++) {
        if (sector[i] != 0)
            return false;
    }
    return true;
}

static const char *
vmdk_footer_violation(const FormatInspector *inspector)
{
    enum { END_OF_STREAM = 0, FOOTER = 3 };
    const uint8_t *header = inspector->head;
    const uint8_t *marker = inspector->vmdk.footer;
    const uint8_t *footer = marker + SECTOR;
    const uint8_t *end = footer + SECTOR;

    if (memcmp(header, footer, 4) != 0)
        return "Header and footer signature do not match";
    if (memcmp(header + 4, footer + 4, 4) != 0)
        return "Header and footer versions do not match";
    if (memcmp(header + 28, footer + 28, 16) != 0)
        return "Footer specifies a different descriptor than header";
    if (le64(footer + 56) == VMDK_DIRECTORY_AT_END)
        return "Footer indicates another footer";
    if (!vmdk_is_marker(marker, FOOTER))
        return "Footer marker is invalid";
    if (le64(end) != 0 || !vmdk_is_marker(end, END_OF_STREAM))
        return "End-of-stream marker is invalid";
    return NULL;
}

static const char *
vmdk_violation(const FormatInspector *inspector)
{
    const char *violation = vmdk_descriptor_violation(&inspector->vmdk);

    if (!violation && inspector->vmdk.has_footer)
        violation = vmdk_footer_violation(inspector);
    return violation;
}

/* -- formats that their first sectors tell */

static const char *
qcow2_violation(const uint8_t *header)
{
    uint32_t version = be32(header + 4);
    uint64_t incompatible = be64(header + 0x48);

    if (be64(header + 8) != 0)
        return "Image has a backing file";
    /* Looked at in version 2 as well, which has no feature bits, only other things there. */
    if (incompatible & 0x4)
        return "Image has data_file set";
    if (version != 2 && version != 3)
        return "Unsupported qcow2 version";
    if (version == 3 && (incompatible & ~(uint64_t)0xf))
        return "Unknown QCOW2 features found";
    return NULL;
}

static bool
gpt_matches(const uint8_t *sector)
{
    bool is_fat = sector[0x10] == 2 && sector[0x15] == 0xf8;

    return le16(sector + 510) == 0xaa55 && !is_fat;
}

static const char *
gpt_violation(const uint8_t *sector)
{
    unsigned used = 0;
    bool has_gpt = false;

    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *entry = sector + 446 + 16 * i;

        if (entry[0] != 0x00 && entry[0] != 0x80)
            return "MBR PTE has invalid boot flag";
        if (entry[4] != 0)
            used |= 1u << i;
        if (entry[4] != 0xee)
            continue;
        has_gpt = true;
        if (entry[1] != 0x00 || entry[2] != 0x02 || entry[3] != 0x00)
            return "GPT MBR has invalid start CHS";
        if (le32(entry + 8) != 1)
            return "GPT MBR has invalid start LBA";
    }
    if (has_gpt && used != 1)
        return "GPT MBR defines invalid extra partitions";
    return used ? NULL : "GPT MBR has no partitions defined";
}

static bool
iso_matches(const Region *descriptor)
{
    const uint8_t *id;

    if (!region_is_complete(descriptor))
        return false;
    id = descriptor->data->data + 1;
    return memcmp(id, "CD001", 5) == 0 || memcmp(id, "NSR02", 5) == 0 ||
           memcmp(id, "NSR03", 5) == 0;
}

static bool
vmdk_matches(const FormatInspector *inspector)
{
    const Vmdk *vmdk = &inspector->vmdk;

    if (vmdk->is_text)
        return vmdk->type && !g_str_equal(vmdk->type, "formatnotfound");
    return inspector->head_length >= 4 && memcmp(inspector->head, "KDMV", 4) == 0;
}

static unsigned
matching_formats(const FormatInspector *inspector)
{
    const uint8_t *head = inspector->head;
    size_t length = inspector->head_length;
    bool has_sector = length >= SECTOR;
    unsigned matches = 0;

    if (has_sector && memcmp(head, "QFI\xfb", 4) == 0)
        matches |= 1u << IMAGE_FORMAT_QCOW2;
    if (has_sector && memcmp(head, "QED", 4) == 0)
        matches |= 1u << IMAGE_FORMAT_QED;
    if (length >= 8 && memcmp(head, "conectix", 8) == 0)
        matches |= 1u << IMAGE_FORMAT_VHD;
    if (length >= 8 && memcmp(head, "vhdxfile", 8) == 0)
        matches |= 1u << IMAGE_FORMAT_VHDX;
    if (vmdk_matches(inspector))
        matches |= 1u << IMAGE_FORMAT_VMDK;
    if (has_sector && le32(head + 0x40) == 0xbeda107f)
        matches |= 1u << IMAGE_FORMAT_VDI;
    if (iso_matches(&inspector->iso))
        matches |= 1u << IMAGE_FORMAT_ISO;
    if (has_sector && gpt_matches(head))
        matches |= 1u << IMAGE_FORMAT_GPT;
    if (length >= 6 && memcmp(head, "LUKS\xba\xbe", 6) == 0)
        matches |= 1u << IMAGE_FORMAT_LUKS;
    return matches ? matches : 1u << IMAGE_FORMAT_RAW;
}

static bool
is_complete(const FormatInspector *inspector, ImageFormat format)
{
    switch (format) {
    case IMAGE_FORMAT_RAW:
        return true;
    case IMAGE_FORMAT_VMDK:
        return vmdk_is_complete(inspector);
    case IMAGE_FORMAT_VHDX:
        return vhdx_is_complete(&inspector->vhdx);
    case IMAGE_FORMAT_ISO:
        return region_is_complete(&inspector->iso);
    case IMAGE_FORMAT_LUKS:
        return inspector->head_length >= LUKS_HEADER_LENGTH;
    default:
        return inspector->head_length >= SECTOR;
    }
}

static bool
all_complete_but_footer(const FormatInspector *inspector)
{
    return inspector->head_length >= LUKS_HEADER_LENGTH && region_is_complete(&inspector->iso) &&
           vhdx_is_complete(&inspector->vhdx) && vmdk_has_all_but_footer(inspector);
}

static void
look_at_chunk(FormatInspector *inspector)
{
    const uint8_t *chunk = inspector->chunk;
    size_t length = inspector->chunk_length;

    inspector->chunk_length = 0;
    if (length == 0)
        return;
    if (inspector->total == 0) {
        memcpy(inspector->head, chunk, length);
        inspector->head_length = length;
    }
    inspector->total += length;
    region_capture(&inspector->iso, chunk, length, inspector->total);
    vhdx_feed(&inspector->vhdx, chunk, length, inspector->total);
    vmdk_feed(&inspector->vmdk, chunk, length, inspector->total);
    /* A text whose later part is no ASCII: oslo.utils fails here, and the image is refused. */
    inspector->is_undecidable = inspector->vmdk.is_text && !inspector->vmdk.type;
    inspector->is_decided =
        inspector->is_undecidable ||
        (all_complete_but_footer(inspector) && !inspector->vmdk.has_footer);
}

void
format_inspector_feed(FormatInspector *inspector, const void *data, size_t length)
{
    const uint8_t *at = data;

    inspector->fed += length;
    while (length > 0 && !inspector->is_decided) {
        size_t part = MIN(length, CHUNK_SIZE - inspector->chunk_length);

        memcpy(inspector->chunk + inspector->chunk_length, at, part);
        inspector->chunk_length += part;
        at += part;
        length -= part;
        if (inspector->chunk_length == CHUNK_SIZE)
            look_at_chunk(inspector);
    }
}

bool
format_inspector_is_decided(const FormatInspector *inspector)
{
    return inspector->is_decided;
}

static const char *
violation_of(const FormatInspector *inspector, ImageFormat format)
{
    switch (format) {
    case IMAGE_FORMAT_QCOW2:
        return qcow2_violation(inspector->head);
    case IMAGE_FORMAT_VMDK:
        return vmdk_violation(inspector);
    case IMAGE_FORMAT_QED:
        return "This file format is not allowed";
    case IMAGE_FORMAT_GPT:
        return gpt_violation(inspector->head);
    case IMAGE_FORMAT_LUKS:
        return inspector->head[6] == 0 && inspector->head[7] == 1 ? NULL
                                                                  : "LUKS version is not supported";
    default:
        return NULL;
    }
}

static uint64_t
virtual_size_of(const FormatInspector *inspector, ImageFormat format)
{
    const uint8_t *head = inspector->head;
    const uint8_t *iso = inspector->iso.data->data;

    switch (format) {
    case IMAGE_FORMAT_QCOW2:
        return be64(head + 24);
    case IMAGE_FORMAT_VHD:
        return be64(head + 40);
    case IMAGE_FORMAT_VHDX:
        return inspector->vhdx.size.exists && inspector->vhdx.size.data->len == 8
                   ? le64(inspector->vhdx.size.data->data)
                   : 0;
    case IMAGE_FORMAT_VMDK:
        return inspector->vmdk.is_text ? 0 : le64(head + 12) * SECTOR;
    case IMAGE_FORMAT_VDI:
        return le64(head + 0x170);
    case IMAGE_FORMAT_ISO:
        return iso[0] == 1 ? (uint64_t)le32(iso + 80) * le16(iso + 128) : 0;
    default:
        return inspector->fed;
    }
}

static uint32_t
cluster_size_of(const FormatInspector *inspector, ImageFormat format)
{
    uint32_t bits = be32(inspector->head + 20);

    return format == IMAGE_FORMAT_QCOW2 && bits >= 9 && bits <= 21 ? 1u << bits : 0;
}

/* iso beside gpt is a bootable CD that can also be written to a stick. */
static bool
choose_format(unsigned matches, ImageFormat *ret_format)
{
    if (matches == (1u << IMAGE_FORMAT_ISO | 1u << IMAGE_FORMAT_GPT)) {
        *ret_format = IMAGE_FORMAT_ISO;
        return true;
    }
    *ret_format = (ImageFormat)__builtin_ctz(matches);
    return (matches & (matches - 1)) == 0;
}

void
format_inspector_finish(FormatInspector *inspector, FormatVerdict *ret_verdict)
{
    FormatVerdict verdict = {.is_safe = false};

    if (!inspector->is_decided)
        look_at_chunk(inspector);
    verdict.is_undecidable = inspector->is_undecidable;
    verdict.matches = matching_formats(inspector);
    verdict.is_ambiguous = !choose_format(verdict.matches, &verdict.format);
    verdict.is_incomplete = !is_complete(inspector, verdict.format);
    if (verdict.is_undecidable)
        verdict.violation = "The content is neither text nor a disk image";
    else if (verdict.is_ambiguous)
        verdict.violation = "Multiple formats detected";
    else if (verdict.is_incomplete)
        verdict.violation = "Incomplete file cannot be safety checked";
    else
        verdict.violation = violation_of(inspector, verdict.format);
    verdict.is_safe = !verdict.violation;
    if (!verdict.is_incomplete) {
        verdict.virtual_size = virtual_size_of(inspector, verdict.format);
        verdict.cluster_size = cluster_size_of(inspector, verdict.format);
    }
    *ret_verdict = verdict;
}

/* Only a VMDK's footer is missing, so what lies before it need not be read. */
static bool
needs_only_tail(const FormatInspector *inspector)
{
    return inspector->vmdk.has_footer && all_complete_but_footer(inspector);
}

static bool
feed_file(FormatInspector *inspector, int fd, uint64_t size)
{
    uint8_t buffer[8 * CHUNK_SIZE];
    uint64_t position = 0;
    ssize_t got;

    while (!inspector->is_decided) {
        if (needs_only_tail(inspector) && size > position + sizeof buffer)
            position = size - VMDK_FOOTER_LENGTH;
        got = pread(fd, buffer, sizeof buffer, (off_t)position);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        format_inspector_feed(inspector, buffer, (size_t)got);
        position += (uint64_t)got;
    }
    return true;
}

bool
format_inspector_inspect_file(const char *path, FormatVerdict *ret_verdict, NovaError **err)
{
    g_autoptr(FormatInspector) inspector = format_inspector_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    bool was_read;
    int error;

    if (fd < 0)
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "[Errno %d] %s: '%s'", errno,
                              g_strerror(errno), path);
    was_read = fstat(fd, &status) == 0 && feed_file(inspector, fd, (uint64_t)status.st_size);
    error = errno;
    close(fd);
    if (!was_read)
        return nova_error_set(err, NOVA_ERROR_OS_ERROR, "[Errno %d] %s: '%s'", error,
                              g_strerror(error), path);
    inspector->fed = (uint64_t)status.st_size;
    format_inspector_finish(inspector, ret_verdict);
    return true;
}
