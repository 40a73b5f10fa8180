/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "compute/node_id.h"

#define UUID_A "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"
#define UUID_B "11111111-2222-4333-8444-555555555555"

typedef struct Folders {
    char *paths[3];
} Folders;

static int
make_folders(void **state)
{
    Folders *folders = g_new0(Folders, 1);

    folders->paths[0] = g_dir_make_tmp("kilonova-XXXXXX", NULL);
    folders->paths[1] = g_dir_make_tmp("kilonova-XXXXXX", NULL);
    *state = folders;
    return 0;
}

static int
remove_folders(void **state)
{
    Folders *folders = *state;

    for (int i = 0; i < 2; i++) {
        g_autofree char *file = g_build_filename(folders->paths[i], "compute_id", NULL);

        g_unlink(file);
        assert_int_equal(g_rmdir(folders->paths[i]), 0); /* nothing else was left there */
        g_free(folders->paths[i]);
    }
    g_free(folders);
    return 0;
}

static void
put(const char *folder, const char *text)
{
    g_autofree char *file = g_build_filename(folder, "compute_id", NULL);

    assert_true(g_file_set_contents(file, text, -1, NULL));
}

static bool
read_id(Folders *folders, char **ret_uuid, NovaError **err)
{
    return node_id_read((const char *const *)folders->paths, ret_uuid, err);
}

static void
no_file_is_no_error(void **state)
{
    g_autofree char *uuid = NULL;

    assert_true(read_id(*state, &uuid, NULL));
    assert_null(uuid);
}

static void
what_was_written_is_read(void **state)
{
    Folders *folders = *state;
    g_autofree char *uuid = NULL;

    assert_true(node_id_write(folders->paths[1], UUID_A, NULL));
    assert_true(read_id(folders, &uuid, NULL));
    assert_string_equal(uuid, UUID_A);
}

static void
an_identity_is_never_overwritten(void **state)
{
    Folders *folders = *state;
    g_autoptr(NovaError) err = NULL;
    g_autofree char *uuid = NULL;

    put(folders->paths[0], UUID_A "\n");
    assert_false(node_id_write(folders->paths[0], UUID_B, &err));
    assert_int_equal(nova_error_kind(err), NOVA_ERROR_INVALID_NODE_CONFIGURATION);
    assert_true(read_id(folders, &uuid, NULL));
    assert_string_equal(uuid, UUID_A);
}

static void
files_that_differ_or_are_no_uuid_are_refused(void **state)
{
    Folders *folders = *state;
    g_autoptr(NovaError) differ = NULL, garbage = NULL;
    char *uuid = NULL;

    put(folders->paths[0], UUID_A);
    put(folders->paths[1], UUID_B);
    assert_false(read_id(folders, &uuid, &differ));
    put(folders->paths[1], "not a uuid");
    assert_false(read_id(folders, &uuid, &garbage));
    assert_int_equal(nova_error_kind(garbage), NOVA_ERROR_INVALID_NODE_CONFIGURATION);
    assert_null(uuid);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_file_is_no_error, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(what_was_written_is_read, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(an_identity_is_never_overwritten, make_folders, remove_folders),
        cmocka_unit_test_setup_teardown(files_that_differ_or_are_no_uuid_are_refused, make_folders,
                                        remove_folders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
