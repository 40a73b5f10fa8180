/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "storage/format_inspector.h"
#include "storage/iso_image.h"

#define SECTOR 2048
#define NOW 1790000000 /* 2026-09-21 14:13:20 UTC */

static GByteArray *
make(const char *const *paths)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)disk_file_free);

    for (; *paths; paths++)
        g_ptr_array_add(files, disk_file_new(*paths, g_bytes_new(*paths, strlen(*paths))));
    return iso_image_make(files, "config-2", "OpenStack Nova 1", NOW);
}

static uint32_t
le32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* -- a reader of its own, strict about what the standard says */

typedef struct Reader {
    const GByteArray *image;
    bool is_joliet;
    GString *found; /* "path=content\n" */
} Reader;

static uint32_t
both32(const uint8_t *at)
{
    uint32_t value = le32(at);

    assert_int_equal(value, GUINT32_FROM_BE(le32(at + 4)));
    return value;
}

/* Rock Ridge's name, or Joliet's. */
static char *
name_of(const Reader *reader, const uint8_t *record)
{
    uint8_t length = record[32];
    GString *name = g_string_new(NULL);

    if (reader->is_joliet) {
        for (unsigned i = 1; i < length; i += 2)
            g_string_append_c(name, (char)record[33 + i]);
        return g_string_free(name, FALSE);
    }
    for (const uint8_t *at = record + 33 + length + (length % 2 == 0); at + 4 <= record + record[0];
         at += at[2]) {
        assert_true(at[2] >= 4);
        if (memcmp(at, "NM", 2) == 0)
            g_string_append_len(name, (const char *)at + 5, at[2] - 5);
    }
    return g_string_free(name, FALSE);
}

static void read_folder(Reader *reader, uint32_t extent, uint32_t size, const char *path);

static void
read_record(Reader *reader, const uint8_t *record, const char *folder)
{
    uint32_t extent = both32(record + 2);
    uint32_t size = both32(record + 10);
    g_autofree char *name = name_of(reader, record);
    g_autofree char *path = g_strconcat(folder, "/", name, NULL);

    assert_true((uint64_t)extent * SECTOR + size <= reader->image->len);
    if (record[25] & 2)
        read_folder(reader, extent, size, path);
    else
        g_string_append_printf(reader->found, "%s=%.*s\n", path, (int)size,
                               (const char *)reader->image->data + (size_t)extent * SECTOR);
}

static void
read_folder(Reader *reader, uint32_t extent, uint32_t size, const char *path)
{
    const uint8_t *start = reader->image->data + (size_t)extent * SECTOR;
    unsigned n = 0;

    assert_int_equal(size % SECTOR, 0);
    for (uint32_t at = 0; at < size;) {
        const uint8_t *record = start + at;

        if (record[0] == 0) {
            at = (at / SECTOR + 1) * SECTOR;
            continue;
        }
        assert_true(at / SECTOR == (at + record[0] - 1) / SECTOR);
        assert_int_equal(record[0] % 2, 0);
        if (n++ >= 2)
            read_record(reader, record, path);
        at += record[0];
    }
    assert_true(n >= 2);
}

static char *
read_tree(const GByteArray *image, bool is_joliet)
{
    const uint8_t *descriptor = image->data + (16 + is_joliet) * SECTOR;
    Reader reader = {image, is_joliet, g_string_new(NULL)};

    assert_int_equal(descriptor[0], is_joliet ? 2 : 1);
    assert_memory_equal(descriptor + 1, "CD001\1", 6);
    assert_int_equal((uint64_t)both32(descriptor + 80) * SECTOR, image->len);
    read_folder(&reader, both32(descriptor + 158), both32(descriptor + 166), "");
    return g_string_free(reader.found, FALSE);
}

static void
both_trees_hold_all_files(void **state)
{
    const char *const paths[] = {"openstack/latest/meta_data.json", "openstack/latest/user_data",
                                 "ec2/2009-04-04/meta-data.json", "openstack/content/0000", NULL};
    g_autoptr(GByteArray) image = make(paths);
    static const char expected[] =
        "/ec2/2009-04-04/meta-data.json=ec2/2009-04-04/meta-data.json\n"
        "/openstack/content/0000=openstack/content/0000\n"
        "/openstack/latest/meta_data.json=openstack/latest/meta_data.json\n"
        "/openstack/latest/user_data=openstack/latest/user_data\n";

    (void)state;
    for (int joliet = 0; joliet < 2; joliet++) {
        g_autofree char *found = read_tree(image, joliet);

        assert_string_equal(found, expected);
    }
}

static void
label_is_where_guests_look_for_it(void **state)
{
    const char *const paths[] = {"a", NULL};
    g_autoptr(GByteArray) image = make(paths);

    (void)state;
    assert_memory_equal(image->data + 16 * SECTOR + 40, "config-2                        ", 32);
    assert_memory_equal(image->data + 17 * SECTOR + 40, "\0c\0o\0n\0f\0i\0g\0-\0002", 16);
    assert_memory_equal(image->data + 16 * SECTOR + 318, "OpenStack Nova 1 ", 17);
    assert_memory_equal(image->data + 16 * SECTOR + 813, "2026092114132000", 17);
}

/* More entries than one sector holds. */
static void
large_folder_spans_sectors(void **state)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GByteArray) image = NULL;

    (void)state;
    for (unsigned i = 0; i < 300; i++)
        g_ptr_array_add(names, g_strdup_printf("openstack/content/%04u", i));
    g_ptr_array_add(names, NULL);
    image = make((const char *const *)names->pdata);
    for (int joliet = 0; joliet < 2; joliet++) {
        g_autofree char *found = read_tree(image, joliet);
        g_auto(GStrv) lines = g_strsplit(found, "\n", -1);

        assert_int_equal(g_strv_length(lines), 301);
        assert_string_equal(lines[299], "/openstack/content/0299=openstack/content/0299");
    }
}

static void
empty_files_and_an_empty_disk_are_fine(void **state)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func((GDestroyNotify)disk_file_free);
    g_autoptr(GByteArray) empty = iso_image_make(files, "config-2", "", NOW);
    g_autoptr(GByteArray) image = NULL;
    g_autofree char *nothing = read_tree(empty, false);
    g_autofree char *found = NULL;

    (void)state;
    g_ptr_array_add(files, disk_file_new("a", g_bytes_new(NULL, 0)));
    g_ptr_array_add(files, disk_file_new("b", g_bytes_new("x", 1)));
    image = iso_image_make(files, "config-2", "", NOW);
    found = read_tree(image, false);
    assert_string_equal(nothing, "");
    assert_string_equal(found, "/a=\n/b=x\n");
}

static void
our_inspector_calls_it_iso(void **state)
{
    const char *const paths[] = {"a", NULL};
    g_autoptr(GByteArray) image = make(paths);
    g_autoptr(FormatInspector) inspector = format_inspector_new();
    FormatVerdict verdict;

    (void)state;
    format_inspector_feed(inspector, image->data, image->len);
    format_inspector_finish(inspector, &verdict);
    assert_int_equal(verdict.format, IMAGE_FORMAT_ISO);
    assert_true(verdict.is_safe);
    assert_int_equal(verdict.virtual_size, image->len);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_trees_hold_all_files),
        cmocka_unit_test(label_is_where_guests_look_for_it),
        cmocka_unit_test(large_folder_spans_sectors),
        cmocka_unit_test(empty_files_and_an_empty_disk_are_fine),
        cmocka_unit_test(our_inspector_calls_it_iso),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
