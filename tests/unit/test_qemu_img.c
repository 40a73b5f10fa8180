/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/command.h"
#include "storage/qemu_img.h"
#include "tests/unit/storage_fixture.h"

static int
set_up(void **state)
{
    *state = storage_fixture_new();
    return 0;
}

static int
tear_down(void **state)
{
    storage_fixture_free(*state);
    return 0;
}

static void
info_is_read_from_json(void **state)
{
    g_auto(QemuImgInfo) info = {0};

    (void)state;
    assert_true(qemu_img_info_from_text(
        "{\"format\": \"vmdk\", \"virtual-size\": 1048576, \"actual-size\": 512, \"cluster-size\": "
        "65536, \"backing-filename\": \"/etc/passwd\", \"format-specific\": {\"type\": \"vmdk\", "
        "\"data\": {\"create-type\": \"monolithicFlat\", \"data-file\": \"/dev/sda\", \"corrupt\": "
        "true, \"payload-offset\": 2068480}}, \"backing-filename-format\": \"raw\"}",
        "x", &info, NULL));
    assert_string_equal(info.format, "vmdk");
    assert_int_equal(info.virtual_size, 1048576);
    assert_int_equal(info.cluster_size, 65536);
    assert_string_equal(info.backing_file, "/etc/passwd");
    assert_string_equal(info.backing_format, "raw");
    assert_int_equal(info.payload_offset, 2068480);
    assert_string_equal(info.data_file, "/dev/sda");
    assert_string_equal(info.create_type, "monolithicFlat");
    assert_true(info.is_corrupt);
}

static void
nonsense_is_invalid_disk_info(void **state)
{
    static const char *const texts[] = {"", "null", "[]", "{}", "{\"format\": 1}", "{\"format\""};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(NovaError) failure = NULL;
        g_auto(QemuImgInfo) info = {0};

        assert_false(qemu_img_info_from_text(texts[i], "x", &info, &failure));
        assert_int_equal(nova_error_kind(failure), NOVA_ERROR_INVALID_DISK_INFO);
    }
}

static void
missing_file_is_disk_not_found(void **state)
{
    StorageFixture *fixture = *state;
    g_autoptr(NovaError) failure = NULL;
    g_auto(QemuImgInfo) info = {0};

    assert_false(qemu_img_info(&fixture->options, "/nowhere", "raw", &info, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_DISK_NOT_FOUND);
    assert_string_equal(nova_error_message(failure), "No disk at /nowhere");
}

static void
format_given_is_the_format_used(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = storage_fixture_path(fixture, "image");
    g_autofree char *line = g_strdup_printf("qemu-img create -q -f qcow2 %s 5M", path);
    g_auto(QemuImgInfo) as_qcow2 = {0};
    g_auto(QemuImgInfo) as_raw = {0};

    run_tool(line);
    assert_true(qemu_img_info(&fixture->options, path, NULL, &as_qcow2, NULL));
    assert_true(qemu_img_info(&fixture->options, path, "raw", &as_raw, NULL));
    assert_string_equal(as_qcow2.format, "qcow2");
    assert_string_equal(as_raw.format, "raw");
    assert_true(as_raw.virtual_size < as_qcow2.virtual_size);
}

static void
memory_limit_ends_the_program(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = storage_fixture_path(fixture, "image");
    g_autoptr(NovaError) failure = NULL;
    g_auto(QemuImgInfo) info = {0};
    const char *argv[] = {"qemu-img", "info", path, NULL};
    const CommandLimits limits = {.address_space = 1 << 20};
    g_auto(CommandResult) result = {0};

    g_file_set_contents(path, "x", 1, NULL);
    assert_true(qemu_img_info(&fixture->options, path, "raw", &info, &failure));
    assert_true(command_run_unchecked(argv, &limits, &result, NULL));
    assert_int_not_equal(result.exit_status, 0);
}

static void
overlay_names_its_base_and_format_even_with_commas(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *base = storage_fixture_path(fixture, "base,backing_fmt=qcow2");
    g_autofree char *path = storage_fixture_path(fixture, "disk");
    g_auto(QemuImgInfo) info = {0};

    g_file_set_contents(base, "x", 1, NULL);
    assert_int_equal(truncate(base, 1 << 20), 0);
    assert_true(qemu_img_create_overlay(path, base, "raw", 8 << 20, 32768, NULL));
    assert_true(qemu_img_info(&fixture->options, path, "qcow2", &info, NULL));
    assert_string_equal(info.backing_file, base);
    assert_int_equal(info.virtual_size, 8 << 20);
    assert_int_equal(info.cluster_size, 32768);
}

static void
only_raw_and_qcow2_are_resized(void **state)
{
    g_autoptr(NovaError) failure = NULL;

    (void)state;
    assert_false(qemu_img_resize("/nowhere", "vmdk", 1 << 20, &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_INVALID_DISK_FORMAT);
    assert_string_equal(nova_error_message(failure), "Disk format vmdk is not acceptable");
}

/* Where a guest wrote a qcow2 header into its raw disk, qemu-img told "raw" only sees bytes. */
static void
resize_of_a_raw_disk_ignores_what_the_guest_wrote(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = storage_fixture_path(fixture, "disk");
    g_autofree char *line = g_strdup_printf("qemu-img create -q -f qcow2 %s 64M", path);
    struct stat status;

    run_tool(line);
    assert_true(qemu_img_resize(path, "raw", 8 << 20, NULL));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 8 << 20);
}

static void
convert_of_a_lie_is_unacceptable(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = storage_fixture_path(fixture, "image");
    g_autofree char *target = storage_fixture_path(fixture, "out");
    g_autoptr(NovaError) failure = NULL;

    g_file_set_contents(path, "no qcow2", -1, NULL);
    assert_false(qemu_img_convert(path, target, "qcow2", "raw", &failure));
    assert_int_equal(nova_error_kind(failure), NOVA_ERROR_IMAGE_UNACCEPTABLE);
    assert_non_null(strstr(nova_error_message(failure), "Unable to convert image to raw"));
}

static void
an_overlay_without_base_is_an_empty_disk(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *path = storage_fixture_path(fixture, "empty");
    g_auto(QemuImgInfo) info = {0};

    assert_true(qemu_img_create_overlay(path, NULL, NULL, 1 << 20, 0, NULL));
    assert_true(qemu_img_info(&fixture->options, path, "qcow2", &info, NULL));
    assert_null(info.backing_file);
    assert_int_equal(info.virtual_size, 1 << 20);
}

static void
an_extracted_disk_needs_no_base_and_may_be_compressed(void **state)
{
    StorageFixture *fixture = *state;
    g_autofree char *disk = storage_fixture_path(fixture, "disk");
    g_autofree char *image = storage_fixture_path(fixture, "image");
    g_auto(QemuImgInfo) info = {0};

    assert_true(qemu_img_create_overlay(disk, NULL, NULL, 1 << 20, 0, NULL));
    assert_true(qemu_img_extract(disk, image, "qcow2", "qcow2", true, NULL));
    assert_true(qemu_img_info(&fixture->options, image, "qcow2", &info, NULL));
    assert_null(info.backing_file);
    assert_int_equal(info.virtual_size, 1 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(info_is_read_from_json),
        TEST(nonsense_is_invalid_disk_info),
        TEST(missing_file_is_disk_not_found),
        TEST(format_given_is_the_format_used),
        TEST(memory_limit_ends_the_program),
        TEST(overlay_names_its_base_and_format_even_with_commas),
        TEST(only_raw_and_qcow2_are_resized),
        TEST(resize_of_a_raw_disk_ignores_what_the_guest_wrote),
        TEST(convert_of_a_lie_is_unacceptable),
        TEST(an_overlay_without_base_is_an_empty_disk),
        TEST(an_extracted_disk_needs_no_base_and_may_be_compressed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
