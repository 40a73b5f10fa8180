/* SPDX-License-Identifier: Apache-2.0 */
/* What qemu-img is run with, by every function that runs it: never a file whose format it would guess, never without
 * the limits that Nova sets. command.h is replaced. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/command.h"
#include "storage/qemu_img.h"
#include "tests/unit/storage_fixture.h"

#define GIB ((uint64_t)1 << 30)

static GPtrArray *argv_seen; /* of the last command, of char * */
static CommandLimits limits_seen;

bool
command_run_unchecked(const char *const *argv, const CommandLimits *limits, CommandResult *ret_result,
                      NovaError **err G_GNUC_UNUSED)
{
    g_ptr_array_set_size(argv_seen, 0);
    for (; *argv; argv++)
        g_ptr_array_add(argv_seen, g_strdup(*argv));
    limits_seen = limits ? *limits : (CommandLimits){0};
    *ret_result = (CommandResult){0, g_strdup("{\"format\": \"raw\"}"), g_strdup("")};
    return true;
}

bool
command_run(const char *const *argv, const CommandLimits *limits, CommandResult *ret_result, NovaError **err)
{
    return command_run_unchecked(argv, limits, ret_result, err);
}

void
command_result_clear(CommandResult *result)
{
    g_free(result->out);
    g_free(result->errors);
    *result = (CommandResult){0};
}

static int
set_up(void **state)
{
    argv_seen = g_ptr_array_new_with_free_func(g_free);
    *state = storage_fixture_new();
    return 0;
}

static int
tear_down(void **state)
{
    g_ptr_array_unref(argv_seen);
    storage_fixture_free(*state);
    return 0;
}

/* What follows this flag; NULL: it is not there. */
static const char *
value_of(const char *flag)
{
    for (guint i = 0; i + 1 < argv_seen->len; i++)
        if (strcmp(argv_seen->pdata[i], flag) == 0)
            return argv_seen->pdata[i + 1];
    return NULL;
}

static void
assert_value(const char *flag, const char *expected)
{
    const char *value = value_of(flag);

    assert_non_null(value);
    assert_string_equal(value, expected);
}

static void
an_inspection_is_limited_and_shares_the_file(void **state)
{
    StorageFixture *fixture = *state;
    g_auto(QemuImgInfo) info = {0};

    fixture->options.libvirt.images_cpu_time_limit = 30;
    fixture->options.libvirt.images_address_space_limit = 2;
    assert_true(qemu_img_info(&fixture->options, fixture->root, "qcow2", &info, NULL));
    assert_value("-f", "qcow2");
    assert_int_equal(limits_seen.cpu_s, 30);
    assert_int_equal(limits_seen.address_space, 2 * GIB);
    assert_true(g_ptr_array_find_with_equal_func(argv_seen, "--force-share", g_str_equal, NULL));
}

static void
an_overlay_says_its_format_and_its_base_s(void **state G_GNUC_UNUSED)
{
    assert_true(qemu_img_create_overlay("/a", "/b", "raw", 0, 0, NULL));
    assert_value("-f", "qcow2");
    assert_value("-o", "backing_file=/b,backing_fmt=raw");
}

static void
a_resize_says_the_format(void **state G_GNUC_UNUSED)
{
    g_autoptr(NovaError) failure = NULL;

    assert_true(qemu_img_resize("/a", "raw", GIB, NULL));
    assert_value("-f", "raw");
    g_ptr_array_set_size(argv_seen, 0);
    assert_false(qemu_img_resize("/a", "vmdk", GIB, &failure));
    assert_int_equal(argv_seen->len, 0);
}

static void
a_conversion_says_both_formats(void **state G_GNUC_UNUSED)
{
    assert_true(qemu_img_convert("/a", "/nowhere/b", "qcow2", "raw", NULL));
    assert_value("-f", "qcow2");
    assert_value("-O", "raw");
    assert_true(qemu_img_extract("/a", "/nowhere/b", "raw", "qcow2", true, NULL));
    assert_value("-f", "raw");
    assert_value("-O", "qcow2");
}

static void
a_rebase_says_both_formats(void **state G_GNUC_UNUSED)
{
    assert_true(qemu_img_rebase("/a", "/b", "raw", NULL));
    assert_value("-f", "qcow2");
    assert_value("-F", "raw");
    assert_true(qemu_img_rebase("/a", NULL, NULL, NULL));
    assert_value("-f", "qcow2");
    assert_value("-b", "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_inspection_is_limited_and_shares_the_file),
        TEST(an_overlay_says_its_format_and_its_base_s),
        TEST(a_resize_says_the_format),
        TEST(a_conversion_says_both_formats),
        TEST(a_rebase_says_both_formats),
    };

    return cmocka_run_group_tests_name("qemu_img_commands", tests, NULL, NULL);
}
