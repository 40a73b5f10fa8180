/* SPDX-License-Identifier: Apache-2.0 */
/* Written out here rather than by libisofs: that library writes through a thread and a ring buffer of
 * its own, and costs every agent 240 KiB (PSS) from its start and 620 KiB from its first config drive
 * on (version 1.5.4), for images of some 40 small files that are only ever written.  The functional
 * tests read them with isoinfo and with a guest's kernel. */
#include "storage/iso_image.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define SECTOR 2048
#define FIRST_DESCRIPTOR 16
#define MAX_NAME 64
/* Linux reads ahead beyond the last file; mkisofs puts these behind it for that reason. */
#define PADDING_SECTORS 150

#define FLAG_FOLDER 0x02
#define MODE_FOLDER 0040555
#define MODE_FILE 0100444

/* ISO 9660 keeps every number twice, little-endian and big-endian. */
static void
put_both32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = at[7 - i] = (uint8_t)(value >> (8 * i));
}

static void
put_both16(uint8_t *at, uint16_t value)
{
    at[0] = at[3] = (uint8_t)value;
    at[1] = at[2] = (uint8_t)(value >> 8);
}

static void
put_le32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void
put_be32(uint8_t *at, uint32_t value)
{
    put_le32(at, GUINT32_SWAP_LE_BE(value));
}

/* The same files under two sets of names: 8-bit with Rock Ridge, and Joliet's UCS-2. */
typedef enum Tree { PRIMARY, JOLIET, N_TREES } Tree;

typedef struct Name {
    uint8_t bytes[2 * MAX_NAME];
    size_t length;
} Name;

typedef struct Node {
    char *name;             /* "" for the root */
    struct Node *parent;    /* the root's is itself */
    GPtrArray *children;    /* of Node; NULL: a file */
    GBytes *data;
    Name names[N_TREES];
    uint32_t extent[N_TREES]; /* first sector; a file's is the same in both */
    uint32_t size[N_TREES];   /* bytes */
    uint16_t number[N_TREES]; /* in the path table, from 1 */
} Node;

typedef struct Image {
    Node *root;
    GPtrArray *folders[N_TREES]; /* in the path table's order */
    uint32_t path_table_size[N_TREES];
    uint32_t path_table[N_TREES][2]; /* sectors: little-endian, big-endian */
    uint32_t rock_ridge_sector;      /* what does not fit into the root's record */
    uint32_t n_sectors;
    uint8_t record_time[7];
    char volume_time[18];
    const char *volume_id;
    const char *publisher;
    GByteArray *bytes;
} Image;

DiskFile *
disk_file_new(const char *path, GBytes *data)
{
    DiskFile *file = g_new0(DiskFile, 1);

    file->path = g_strdup(path);
    file->data = data;
    return file;
}

void
disk_file_free(DiskFile *file)
{
    if (!file)
        return;
    g_free(file->path);
    g_bytes_unref(file->data);
    g_free(file);
}

/* -- the tree */

static void
node_free(void *data)
{
    Node *node = data;

    if (node->children)
        g_ptr_array_unref(node->children);
    g_free(node->name);
    g_free(node);
}

/* Characters outside ISO's set become '_'; a file has a dot and a version. */
static Name
primary_name(const char *text, bool is_folder)
{
    g_autofree char *plain = g_strdup(text);
    g_autofree char *whole = NULL;
    Name name;

    for (char *at = plain; *at; at++) {
        if (!g_ascii_isalnum(*at) && *at != '.')
            *at = '_';
    }
    if (is_folder)
        whole = g_steal_pointer(&plain);
    else
        whole = g_strconcat(plain, strchr(plain, '.') ? "" : ".", ";1", NULL);
    name.length = MIN(strlen(whole), (size_t)MAX_NAME);
    memcpy(name.bytes, whole, name.length);
    return name;
}

static Name
joliet_name(const char *text)
{
    size_t n = MIN(strlen(text), (size_t)MAX_NAME);
    Name name = {.length = 2 * n};

    for (size_t i = 0; i < n; i++) {
        name.bytes[2 * i] = 0;
        name.bytes[2 * i + 1] = (uint8_t)text[i];
    }
    return name;
}

static Node *
node_new(Node *parent, const char *text, bool is_folder)
{
    Node *node = g_new0(Node, 1);

    node->name = g_strdup(text);
    node->parent = parent ? parent : node;
    node->children = is_folder ? g_ptr_array_new_with_free_func(node_free) : NULL;
    node->names[PRIMARY] = primary_name(text, is_folder);
    node->names[JOLIET] = joliet_name(text);
    if (parent)
        g_ptr_array_add(parent->children, node);
    return node;
}

static Node *
child_folder(Node *parent, const char *text)
{
    for (guint i = 0; i < parent->children->len; i++) {
        Node *child = parent->children->pdata[i];

        if (child->children && g_str_equal(child->name, text))
            return child;
    }
    return node_new(parent, text, true);
}

static void
add_file(Node *root, const DiskFile *file)
{
    g_auto(GStrv) parts = g_strsplit(file->path, "/", -1);
    Node *folder = root;
    Node *node;
    char **part = parts;

    for (; part[1]; part++)
        folder = child_folder(folder, *part);
    node = node_new(folder, *part, false);
    node->data = file->data;
    node->size[PRIMARY] = node->size[JOLIET] = (uint32_t)g_bytes_get_size(file->data);
}

static int
compare_names(const Name *a, const Name *b)
{
    int order = memcmp(a->bytes, b->bytes, MIN(a->length, b->length));

    return order ? order : (int)a->length - (int)b->length;
}

static gint
compare_primary(gconstpointer a, gconstpointer b)
{
    const Node *left = *(Node *const *)a, *right = *(Node *const *)b;

    return compare_names(&left->names[PRIMARY], &right->names[PRIMARY]);
}

static gint
compare_joliet(gconstpointer a, gconstpointer b)
{
    const Node *left = *(Node *const *)a, *right = *(Node *const *)b;

    return compare_names(&left->names[JOLIET], &right->names[JOLIET]);
}

static void
sort_children(Node *folder, Tree tree)
{
    g_ptr_array_sort(folder->children, tree == PRIMARY ? compare_primary : compare_joliet);
}

/* The path table's order: by depth, then by parent, then by name. */
static void
number_folders(Image *image, Tree tree)
{
    GPtrArray *folders = g_ptr_array_new();

    g_ptr_array_add(folders, image->root);
    for (guint i = 0; i < folders->len; i++) {
        Node *folder = folders->pdata[i];

        folder->number[tree] = (uint16_t)(i + 1);
        sort_children(folder, tree);
        for (guint j = 0; j < folder->children->len; j++) {
            Node *child = folder->children->pdata[j];

            if (child->children)
                g_ptr_array_add(folders, child);
        }
    }
    image->folders[tree] = folders;
}

/* -- directory records */

static void
append_entry(GByteArray *record, const char *signature, size_t length, const uint8_t *rest)
{
    const uint8_t head[4] = {(uint8_t)signature[0], (uint8_t)signature[1], (uint8_t)length, 1};

    g_byte_array_append(record, head, sizeof head);
    g_byte_array_append(record, rest, (guint)(length - sizeof head));
}

static unsigned
n_links(const Node *node)
{
    unsigned n = 2;

    if (!node->children)
        return 1;
    for (guint i = 0; i < node->children->len; i++)
        n += ((const Node *)node->children->pdata[i])->children != NULL;
    return n;
}

/* PX: mode, links, owner, group; TF: modified, accessed, changed. */
static void
append_attributes(GByteArray *record, const Image *image, const Node *node)
{
    uint8_t attributes[32] = {0};
    uint8_t times[22] = {0x0e};

    put_both32(attributes, node->children ? MODE_FOLDER : MODE_FILE);
    put_both32(attributes + 8, n_links(node));
    append_entry(record, "PX", 36, attributes);
    for (unsigned i = 0; i < 3; i++)
        memcpy(times + 1 + 7 * i, image->record_time, 7);
    append_entry(record, "TF", 26, times);
}

#define ROCK_RIDGE_ID "RRIP_1991A"
#define ROCK_RIDGE_TEXT                                                                     \
    "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
#define ROCK_RIDGE_SOURCE                                                                   \
    "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN " \
    "PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
#define ROCK_RIDGE_LENGTH                                                                   \
    (8 + strlen(ROCK_RIDGE_ID) + strlen(ROCK_RIDGE_TEXT) + strlen(ROCK_RIDGE_SOURCE))

/* ER: says that this is Rock Ridge; too long for the root's own record. */
static GByteArray *
rock_ridge_notice(void)
{
    static const char text[] = ROCK_RIDGE_ID ROCK_RIDGE_TEXT ROCK_RIDGE_SOURCE;
    GByteArray *notice = g_byte_array_new();
    g_autoptr(GByteArray) rest = g_byte_array_new();
    const uint8_t lengths[4] = {strlen(ROCK_RIDGE_ID), strlen(ROCK_RIDGE_TEXT),
                                strlen(ROCK_RIDGE_SOURCE), 1};

    g_byte_array_append(rest, lengths, sizeof lengths);
    g_byte_array_append(rest, (const uint8_t *)text, sizeof text - 1);
    append_entry(notice, "ER", ROCK_RIDGE_LENGTH, rest->data);
    return notice;
}

/* SP: Rock Ridge starts here; CE: and goes on there. */
static void
append_root_entries(GByteArray *record, const Image *image)
{
    static const uint8_t start[3] = {0xbe, 0xef, 0};
    uint8_t continuation[24] = {0};

    append_entry(record, "SP", 7, start);
    put_both32(continuation, image->rock_ridge_sector);
    put_both32(continuation + 16, (uint32_t)ROCK_RIDGE_LENGTH);
    append_entry(record, "CE", 28, continuation);
}

static void
append_rock_ridge(GByteArray *record, const Image *image, const Node *node, bool is_own_entry,
                  bool is_named)
{
    uint8_t name[1 + MAX_NAME] = {0};

    if (is_own_entry && node == image->root)
        append_root_entries(record, image);
    if (is_named) {
        size_t length = MIN(strlen(node->name), (size_t)MAX_NAME);

        memcpy(name + 1, node->name, length);
        append_entry(record, "NM", 5 + length, name);
    }
    append_attributes(record, image, node);
}

/* A record of 'node' under 'name' (one byte 0 or 1: "." and ".."). */
static GByteArray *
directory_record(const Image *image, Tree tree, const Node *node, const uint8_t *name,
                 size_t length)
{
    static const uint8_t zero;
    uint8_t fixed[33] = {0};
    GByteArray *record = g_byte_array_new();
    bool is_named = length > 1 || name[0] > 1;

    put_both32(fixed + 2, node->extent[tree]);
    put_both32(fixed + 10, node->size[tree]);
    memcpy(fixed + 18, image->record_time, 7);
    fixed[25] = node->children ? FLAG_FOLDER : 0;
    put_both16(fixed + 28, 1);
    fixed[32] = (uint8_t)length;
    g_byte_array_append(record, fixed, sizeof fixed);
    g_byte_array_append(record, name, (guint)length);
    if (length % 2 == 0)
        g_byte_array_append(record, &zero, 1);
    if (tree == PRIMARY)
        append_rock_ridge(record, image, node, length == 1 && name[0] == 0, is_named);
    if (record->len % 2 != 0)
        g_byte_array_append(record, &zero, 1);
    record->data[0] = (uint8_t)record->len;
    return record;
}

/* No record crosses a sector. */
static void
append_record(GByteArray *folder, GByteArray *record)
{
    guint room = SECTOR - folder->len % SECTOR;

    if (record->len > room)
        g_byte_array_set_size(folder, folder->len + room);
    g_byte_array_append(folder, record->data, record->len);
    g_byte_array_unref(record);
}

static GByteArray *
zeroed(GByteArray *bytes, guint from)
{
    memset(bytes->data + from, 0, bytes->len - from);
    return bytes;
}

static GByteArray *
directory_extent(const Image *image, Tree tree, const Node *folder)
{
    static const uint8_t own = 0, parent = 1;
    GByteArray *bytes = g_byte_array_new();
    guint used;

    append_record(bytes, directory_record(image, tree, folder, &own, 1));
    append_record(bytes, directory_record(image, tree, folder->parent, &parent, 1));
    for (guint i = 0; i < folder->children->len; i++) {
        const Node *child = folder->children->pdata[i];
        const Name *name = &child->names[tree];
        guint before = bytes->len;
        GByteArray *record = directory_record(image, tree, child, name->bytes, name->length);
        guint gap = record->len > SECTOR - before % SECTOR ? SECTOR - before % SECTOR : 0;

        append_record(bytes, record);
        memset(bytes->data + before, 0, gap);
    }
    used = bytes->len;
    g_byte_array_set_size(bytes, (used + SECTOR - 1) / SECTOR * SECTOR);
    return zeroed(bytes, used);
}

/* -- path tables */

static GByteArray *
path_table(const Image *image, Tree tree, bool is_big_endian)
{
    static const uint8_t zero[2];
    GByteArray *table = g_byte_array_new();

    for (guint i = 0; i < image->folders[tree]->len; i++) {
        const Node *folder = image->folders[tree]->pdata[i];
        bool is_root = folder == image->root;
        const Name *name = &folder->names[tree];
        size_t length = is_root ? 1 : name->length;
        uint16_t parent = folder->parent->number[tree];
        uint8_t head[8] = {(uint8_t)length};

        (is_big_endian ? put_be32 : put_le32)(head + 2, folder->extent[tree]);
        head[is_big_endian ? 7 : 6] = (uint8_t)parent;
        head[is_big_endian ? 6 : 7] = (uint8_t)(parent >> 8);
        g_byte_array_append(table, head, sizeof head);
        g_byte_array_append(table, is_root ? zero : name->bytes, (guint)length);
        if (length % 2 != 0)
            g_byte_array_append(table, zero, 1);
    }
    return table;
}

/* -- where everything lies */

static uint32_t
sectors_for(uint64_t bytes)
{
    return (uint32_t)((bytes + SECTOR - 1) / SECTOR);
}

static void
place_tables(Image *image, uint32_t *next)
{
    for (Tree tree = PRIMARY; tree < N_TREES; tree++) {
        g_autoptr(GByteArray) table = path_table(image, tree, false);

        image->path_table_size[tree] = table->len;
        for (unsigned i = 0; i < 2; i++) {
            image->path_table[tree][i] = *next;
            *next += sectors_for(table->len);
        }
    }
}

static void
place_folders(Image *image, Tree tree, uint32_t *next)
{
    for (guint i = 0; i < image->folders[tree]->len; i++) {
        Node *folder = image->folders[tree]->pdata[i];
        g_autoptr(GByteArray) extent = NULL;

        sort_children(folder, tree);
        extent = directory_extent(image, tree, folder);
        folder->extent[tree] = *next;
        folder->size[tree] = extent->len;
        *next += sectors_for(extent->len);
    }
}

static void
place_files(Image *image, uint32_t *next)
{
    for (guint i = 0; i < image->folders[PRIMARY]->len; i++) {
        const Node *folder = image->folders[PRIMARY]->pdata[i];

        for (guint j = 0; j < folder->children->len; j++) {
            Node *child = folder->children->pdata[j];

            if (child->children)
                continue;
            child->extent[PRIMARY] = child->extent[JOLIET] = *next;
            *next += sectors_for(child->size[PRIMARY]);
        }
    }
}

static void
place(Image *image)
{
    uint32_t next = FIRST_DESCRIPTOR + 3;

    place_tables(image, &next);
    place_folders(image, PRIMARY, &next);
    image->rock_ridge_sector = next++;
    place_folders(image, JOLIET, &next);
    place_files(image, &next);
    image->n_sectors = next + PADDING_SECTORS;
}

/* -- writing */

static uint8_t *
sector(Image *image, uint32_t number)
{
    return image->bytes->data + (size_t)number * SECTOR;
}

static void
put_text(uint8_t *at, size_t room, const char *text, Tree tree)
{
    size_t width = tree == JOLIET ? 2 : 1;

    for (size_t i = 0; (i + 1) * width <= room; i++) {
        char character = ' ';

        if (*text)
            character = *text++;
        if (tree == JOLIET)
            at[2 * i] = 0;
        at[i * width + width - 1] = (uint8_t)character;
    }
}

static void
write_descriptor(Image *image, Tree tree, uint32_t number)
{
    static const uint8_t root_name;
    uint8_t *at = sector(image, number);
    g_autoptr(GByteArray) root = directory_record(image, JOLIET, image->root, &root_name, 1);

    at[0] = tree == PRIMARY ? 1 : 2;
    memcpy(at + 1, "CD001\1", 6);
    put_text(at + 8, 32, "LINUX", tree);
    put_text(at + 40, 32, image->volume_id, tree);
    put_both32(at + 80, image->n_sectors);
    if (tree == JOLIET)
        memcpy(at + 88, "%/E", 3); /* UCS-2, level 3 */
    put_both16(at + 120, 1);
    put_both16(at + 124, 1);
    put_both16(at + 128, SECTOR);
    put_both32(at + 132, image->path_table_size[tree]);
    put_le32(at + 140, image->path_table[tree][0]);
    put_be32(at + 148, image->path_table[tree][1]);
    /* The bare 34 bytes, without Rock Ridge, of this tree's root. */
    memcpy(at + 156, root->data, 34);
    at[156] = 34;
    put_both32(at + 158, image->root->extent[tree]);
    put_both32(at + 166, image->root->size[tree]);
    put_text(at + 190, 128, "", tree);
    put_text(at + 318, 128, image->publisher, tree);
    put_text(at + 446, 128, "", tree);
    put_text(at + 574, 128, "KILONOVA", tree);
    put_text(at + 702, 111, "", tree);
    memcpy(at + 813, image->volume_time, 17);
    memcpy(at + 830, image->volume_time, 17);
    memcpy(at + 847, "0000000000000000", 17);
    memcpy(at + 864, "0000000000000000", 17);
    at[881] = 1;
}

static void
write_bytes(Image *image, uint32_t number, GByteArray *bytes)
{
    memcpy(sector(image, number), bytes->data, bytes->len);
    g_byte_array_unref(bytes);
}

static void
write_tree(Image *image, Tree tree)
{
    for (unsigned i = 0; i < 2; i++)
        write_bytes(image, image->path_table[tree][i], path_table(image, tree, i == 1));
    for (guint i = 0; i < image->folders[tree]->len; i++) {
        Node *folder = image->folders[tree]->pdata[i];

        sort_children(folder, tree);
        write_bytes(image, folder->extent[tree], directory_extent(image, tree, folder));
    }
}

static void
write_files(Image *image)
{
    for (guint i = 0; i < image->folders[PRIMARY]->len; i++) {
        const Node *folder = image->folders[PRIMARY]->pdata[i];

        for (guint j = 0; j < folder->children->len; j++) {
            const Node *child = folder->children->pdata[j];
            gsize size;
            gconstpointer data;

            if (child->children)
                continue;
            data = g_bytes_get_data(child->data, &size);
            if (size > 0)
                memcpy(sector(image, child->extent[PRIMARY]), data, size);
        }
    }
}

static void
set_times(Image *image, int64_t now)
{
    time_t seconds = (time_t)now;
    struct tm utc;

    gmtime_r(&seconds, &utc);
    image->record_time[0] = (uint8_t)utc.tm_year;
    image->record_time[1] = (uint8_t)(utc.tm_mon + 1);
    image->record_time[2] = (uint8_t)utc.tm_mday;
    image->record_time[3] = (uint8_t)utc.tm_hour;
    image->record_time[4] = (uint8_t)utc.tm_min;
    image->record_time[5] = (uint8_t)utc.tm_sec;
    strftime(image->volume_time, sizeof image->volume_time, "%Y%m%d%H%M%S00", &utc);
}

static void
write_image(Image *image)
{
    size_t size = (size_t)image->n_sectors * SECTOR;

    image->bytes = g_byte_array_sized_new((guint)size);
    g_byte_array_set_size(image->bytes, (guint)size);
    zeroed(image->bytes, 0);
    write_descriptor(image, PRIMARY, FIRST_DESCRIPTOR);
    write_descriptor(image, JOLIET, FIRST_DESCRIPTOR + 1);
    memcpy(sector(image, FIRST_DESCRIPTOR + 2), "\377CD001\1", 7);
    write_tree(image, JOLIET);
    write_tree(image, PRIMARY);
    write_bytes(image, image->rock_ridge_sector, rock_ridge_notice());
    write_files(image);
}

GByteArray *
iso_image_make(const GPtrArray *files, const char *volume_id, const char *publisher, int64_t now)
{
    Image image = {.root = node_new(NULL, "", true), .volume_id = volume_id,
                   .publisher = publisher};

    set_times(&image, now);
    for (guint i = 0; i < files->len; i++)
        add_file(image.root, files->pdata[i]);
    number_folders(&image, JOLIET);
    number_folders(&image, PRIMARY);
    place(&image);
    write_image(&image);
    for (Tree tree = PRIMARY; tree < N_TREES; tree++)
        g_ptr_array_unref(image.folders[tree]);
    node_free(image.root);
    return image.bytes;
}
