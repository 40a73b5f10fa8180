/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule once, by name; tests/differential/format_inspector.py compares thousands of images with
 * oslo.utils. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "storage/format_inspector.h"

#define SIZE (300 * 1024)

static uint8_t image[SIZE];

static int
set_up(void **state)
{
    (void)state;
    memset(image, 0, sizeof image);
    return 0;
}

static FormatVerdict
inspect(size_t size)
{
    g_autoptr(FormatInspector) inspector = format_inspector_new();
    FormatVerdict verdict;

    format_inspector_feed(inspector, image, size);
    format_inspector_finish(inspector, &verdict);
    return verdict;
}

static void
put(size_t at, const void *bytes, size_t length)
{
    memcpy(image + at, bytes, length);
}
#define PUT(at, text) put((at), (text), sizeof(text) - 1)

static void
assert_violation(FormatVerdict verdict, ImageFormat format, const char *violation)
{
    assert_int_equal(verdict.format, format);
    assert_false(verdict.is_safe);
    assert_string_equal(verdict.violation, violation);
}

static void
put_qcow2(void)
{
    PUT(0, "QFI\xfb\0\0\0\3");
    image[23] = 16; /* cluster bits */
    image[29] = 0x10; /* 1 MiB */
}

static void
anything_else_is_raw(void **state)
{
    FormatVerdict verdict = inspect(1000);

    (void)state;
    assert_true(verdict.is_safe);
    assert_int_equal(verdict.format, IMAGE_FORMAT_RAW);
    assert_int_equal(verdict.virtual_size, 1000);
    verdict = inspect(0);
    assert_true(verdict.is_safe);
}

static void
plain_qcow2_is_safe(void **state)
{
    FormatVerdict verdict;

    (void)state;
    put_qcow2();
    verdict = inspect(SIZE);
    assert_true(verdict.is_safe);
    assert_int_equal(verdict.format, IMAGE_FORMAT_QCOW2);
    assert_int_equal(verdict.virtual_size, 1 << 20);
    assert_int_equal(verdict.cluster_size, 1 << 16);
}

static void
qcow2_that_refers_to_files_is_not(void **state)
{
    (void)state;
    put_qcow2();
    image[15] = 1;
    assert_violation(inspect(SIZE), IMAGE_FORMAT_QCOW2, "Image has a backing file");
    image[15] = 0;
    image[0x4f] = 4;
    assert_violation(inspect(SIZE), IMAGE_FORMAT_QCOW2, "Image has data_file set");
    image[0x4f] = 0x10;
    assert_violation(inspect(SIZE), IMAGE_FORMAT_QCOW2, "Unknown QCOW2 features found");
    image[0x4f] = 0;
    image[7] = 1;
    assert_violation(inspect(SIZE), IMAGE_FORMAT_QCOW2, "Unsupported qcow2 version");
}

static void
qed_is_never_allowed(void **state)
{
    (void)state;
    PUT(0, "QED");
    assert_violation(inspect(SIZE), IMAGE_FORMAT_QED, "This file format is not allowed");
}

static void
two_formats_at_once_are_ambiguous(void **state)
{
    (void)state;
    put_qcow2();
    PUT(510, "\x55\xaa");
    assert_true(inspect(SIZE).is_ambiguous);
    assert_false(inspect(SIZE).is_safe);
}

static void
bootable_cd_is_an_iso(void **state)
{
    FormatVerdict verdict;

    (void)state;
    PUT(32 * 1024, "\1CD001\1");
    PUT(510, "\x55\xaa");
    verdict = inspect(SIZE);
    assert_true(verdict.is_safe);
    assert_int_equal(verdict.format, IMAGE_FORMAT_ISO);
}

static void
put_partition(unsigned index, uint8_t type, uint8_t sector, uint8_t lba)
{
    image[446 + 16 * index + 2] = sector;
    image[446 + 16 * index + 4] = type;
    image[446 + 16 * index + 8] = lba;
    PUT(510, "\x55\xaa");
}

static void
protective_partition_must_stand_alone(void **state)
{
    (void)state;
    put_partition(0, 0xee, 2, 1);
    assert_true(inspect(SIZE).is_safe);
    put_partition(1, 0x83, 0, 9);
    assert_violation(inspect(SIZE), IMAGE_FORMAT_GPT, "GPT MBR defines invalid extra partitions");
    put_partition(1, 0, 0, 0);
    image[446] = 0x81;
    assert_violation(inspect(SIZE), IMAGE_FORMAT_GPT, "MBR PTE has invalid boot flag");
    image[446] = 0;
    put_partition(0, 0, 0, 0);
    assert_violation(inspect(SIZE), IMAGE_FORMAT_GPT, "GPT MBR has no partitions defined");
}

static void
luks_is_version_one_only(void **state)
{
    (void)state;
    PUT(0, "LUKS\xba\xbe\0\1");
    assert_true(inspect(SIZE).is_safe);
    image[7] = 2;
    assert_violation(inspect(SIZE), IMAGE_FORMAT_LUKS, "LUKS version is not supported");
}

static void
cut_off_file_cannot_be_checked(void **state)
{
    (void)state;
    PUT(0, "LUKS\xba\xbe\0\1");
    assert_true(inspect(591).is_incomplete);
    assert_false(inspect(591).is_safe);
}

static void
put_vmdk(const char *descriptor)
{
    PUT(0, "KDMV\1");
    image[28] = 1;  /* descriptor's sector */
    image[36] = 20; /* and its length in sectors */
    memset(image + 512, 0, 20 * 512);
    put(512, descriptor, strlen(descriptor));
}

static void
vmdk_descriptor_is_read_line_by_line(void **state)
{
    static const struct {
        const char *descriptor;
        const char *violation; /* NULL: none */
    } rows[] = {
        {"# x\ncreateType=\"monolithicSparse\"\nRW 1 SPARSE \"x\"\nddb.a = \"b\"\n", NULL},
        {"createType=\"streamOptimized\"\nRDONLY 1 SPARSE \"x\"\n", NULL},
        {"createType=\"monolithicFlat\"\nRW 1 FLAT \"x\" 0\n", "Unsupported subformat"},
        {"createType=\"monolithicSparse\"\nRW 1 SPARSE \"/etc/passwd\"\n",
         "Invalid extent filenames found"},
        {"createType=\"monolithicSparse\"\n", "No extents found"},
        {"createType=\"monolithicSparse\"\nRW 1\nwhatever this is\n",
         "Invalid VMDK descriptor data"},
        {"", "No descriptor found"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        FormatVerdict verdict;

        put_vmdk(rows[i].descriptor);
        verdict = inspect(SIZE);
        assert_int_equal(verdict.format, IMAGE_FORMAT_VMDK);
        assert_int_equal(verdict.is_safe, rows[i].violation == NULL);
        if (rows[i].violation)
            assert_string_equal(verdict.violation, rows[i].violation);
    }
}

static void
undecidable_text_is_refused(void **state)
{
    FormatVerdict verdict;

    (void)state;
    memset(image, ' ', 1000);
    image[900] = 0xff;
    verdict = inspect(1000);
    assert_true(verdict.is_undecidable);
    assert_false(verdict.is_safe);
}

static void
small_images_are_decided_at_256_kib(void **state)
{
    g_autoptr(FormatInspector) inspector = format_inspector_new();

    (void)state;
    format_inspector_feed(inspector, image, 256 * 1024 - 1);
    assert_false(format_inspector_is_decided(inspector));
    format_inspector_feed(inspector, image, 1);
    assert_true(format_inspector_is_decided(inspector));
}

static void
names_are_oslo_s(void **state)
{
    ImageFormat format;

    (void)state;
    assert_true(image_format_from_name("vhdx", &format));
    assert_string_equal(image_format_name(format), "vhdx");
    assert_false(image_format_from_name("ami", &format));
    assert_false(image_format_from_name(NULL, &format));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(anything_else_is_raw),
        TEST(plain_qcow2_is_safe),
        TEST(qcow2_that_refers_to_files_is_not),
        TEST(qed_is_never_allowed),
        TEST(two_formats_at_once_are_ambiguous),
        TEST(bootable_cd_is_an_iso),
        TEST(protective_partition_must_stand_alone),
        TEST(luks_is_version_one_only),
        TEST(cut_off_file_cannot_be_checked),
        TEST(vmdk_descriptor_is_read_line_by_line),
        TEST(undecidable_text_is_refused),
        TEST(small_images_are_decided_at_256_kib),
        TEST(names_are_oslo_s),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
