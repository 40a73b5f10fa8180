/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "agent/base/journal.h"
#include "agent/base/journal_record.h"

typedef struct Fixture {
    char *folder;
    char *path;
    Journal *journal;
    GPtrArray *open;
} Fixture;

static int
setup(void **state)
{
    Fixture *fixture = g_new0(Fixture, 1);

    fixture->folder = g_dir_make_tmp("kilonova-journal-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->folder, "journal", NULL);
    *state = fixture;
    return 0;
}

static void
close_journal(Fixture *fixture)
{
    g_clear_pointer(&fixture->journal, journal_free);
    g_clear_pointer(&fixture->open, g_ptr_array_unref);
}

static int
teardown(void **state)
{
    Fixture *fixture = *state;

    close_journal(fixture);
    g_remove(fixture->path);
    g_rmdir(fixture->folder);
    g_free(fixture->path);
    g_free(fixture->folder);
    g_free(fixture);
    return 0;
}

/* What the next process finds. */
static void
open_again(Fixture *fixture)
{
    NovaError *error = NULL;

    close_journal(fixture);
    fixture->journal = journal_open(fixture->path, &fixture->open, &error);
    assert_null(error);
    assert_non_null(fixture->journal);
}

static uint64_t
append(Fixture *fixture, const char *text)
{
    return journal_append(fixture->journal, text, strlen(text));
}

static const JournalEntry *
found(const Fixture *fixture, guint i)
{
    assert_true(i < fixture->open->len);
    return fixture->open->pdata[i];
}

static void
what_is_not_ended_is_found_in_its_order(void **state)
{
    Fixture *fixture = *state;
    uint64_t first, second, third;

    open_again(fixture);
    first = append(fixture, "one");
    second = append(fixture, "two");
    third = append(fixture, "three");
    journal_begin(fixture->journal, second);
    journal_note(fixture->journal, second, "half way");
    journal_end(fixture->journal, first);
    open_again(fixture);

    assert_int_equal(fixture->open->len, 2);
    assert_true(found(fixture, 0)->id == second);
    assert_string_equal(found(fixture, 0)->text, "two");
    assert_int_equal(found(fixture, 0)->n_begun, 1);
    assert_string_equal(found(fixture, 0)->notes->pdata[0], "half way");
    assert_true(found(fixture, 1)->id == third);
    assert_int_equal(found(fixture, 1)->n_begun, 0);
}

static void
attempts_add_up_over_processes(void **state)
{
    Fixture *fixture = *state;
    uint64_t id;

    open_again(fixture);
    id = append(fixture, "poison");
    for (int i = 0; i < 3; i++) {
        journal_begin(fixture->journal, id);
        open_again(fixture);
    }
    assert_int_equal(found(fixture, 0)->n_begun, 3);
    journal_end(fixture->journal, id);
    open_again(fixture);
    assert_int_equal(fixture->open->len, 0);
}

static void
ids_are_not_used_again_while_they_are_open(void **state)
{
    Fixture *fixture = *state;
    uint64_t first;

    open_again(fixture);
    first = append(fixture, "one");
    open_again(fixture);
    assert_true(append(fixture, "two") > first);
}

static char *
file_text(const Fixture *fixture, gsize *ret_length)
{
    char *text = NULL;

    assert_true(g_file_get_contents(fixture->path, &text, ret_length, NULL));
    return text;
}

static bool
file_contains(const Fixture *fixture, const char *needle)
{
    gsize length;
    g_autofree char *text = file_text(fixture, &length);

    return memmem(text, length, needle, strlen(needle)) != NULL;
}

static void
a_password_is_gone_when_its_request_has_ended(void **state)
{
    Fixture *fixture = *state;
    uint64_t id;

    open_again(fixture);
    id = append(fixture, "admin_password: sesame");
    assert_true(file_contains(fixture, "sesame"));
    journal_end(fixture->journal, id);
    assert_false(file_contains(fixture, "sesame"));
}

static void
a_password_is_gone_at_the_next_start_though_other_work_is_open(void **state)
{
    Fixture *fixture = *state;
    uint64_t id;

    open_again(fixture);
    id = append(fixture, "admin_password: sesame");
    append(fixture, "other work");
    journal_end(fixture->journal, id);
    open_again(fixture);
    assert_false(file_contains(fixture, "sesame"));
    assert_true(file_contains(fixture, "other work"));
}

static void
the_file_stays_small_though_one_request_never_ends(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *large = g_strnfill(100 * 1024, 'x');

    open_again(fixture);
    append(fixture, "never ends");
    for (int i = 0; i < 200; i++)
        journal_end(fixture->journal, append(fixture, large));
    assert_true(journal_bytes(fixture->journal) < 3 * 1024 * 1024);
    open_again(fixture);
    assert_int_equal(fixture->open->len, 1);
    assert_string_equal(found(fixture, 0)->text, "never ends");
}

static void
nobody_else_may_read_the_file(void **state)
{
    Fixture *fixture = *state;
    struct stat status;

    open_again(fixture);
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* The file as it is, then cut off or damaged at every byte. */
static void
what_stands_before_a_damaged_byte_is_kept(void **state)
{
    Fixture *fixture = *state;
    g_autofree char *text = NULL;
    gsize length, first = JOURNAL_HEADER_BYTES + strlen("one");

    open_again(fixture);
    append(fixture, "one");
    append(fixture, "two");
    text = file_text(fixture, &length);
    for (gsize i = first; i < length; i++) {
        close_journal(fixture);
        text[i] ^= 0x20;
        assert_true(g_file_set_contents(fixture->path, text, (gssize)length, NULL));
        text[i] ^= 0x20;
        open_again(fixture);
        assert_int_equal(fixture->open->len, 1);
        assert_string_equal(found(fixture, 0)->text, "one");
        close_journal(fixture);
        assert_true(g_file_set_contents(fixture->path, text, (gssize)i, NULL));
        open_again(fixture);
        assert_int_equal(fixture->open->len, 1);
    }
}

static void
after_a_damaged_tail_new_requests_are_kept(void **state)
{
    Fixture *fixture = *state;

    assert_true(g_file_set_contents(fixture->path, "KJ\1\1 no journal at all", -1, NULL));
    open_again(fixture);
    append(fixture, "new");
    open_again(fixture);
    assert_string_equal(found(fixture, 0)->text, "new");
}

static void
a_link_is_no_journal(void **state)
{
    Fixture *fixture = *state;
    NovaError *error = NULL;

    assert_int_equal(symlink("/etc/passwd", fixture->path), 0);
    assert_null(journal_open(fixture->path, &fixture->open, &error));
    assert_int_equal(nova_error_kind(error), NOVA_ERROR_INVALID_CONFIGURATION);
    nova_error_free(error);
}

static void
a_frozen_journal_leaves_the_rest_to_the_next_process(void **state)
{
    Fixture *fixture = *state;
    uint64_t id;

    open_again(fixture);
    id = append(fixture, "parked");
    journal_begin(fixture->journal, id);
    journal_freeze(fixture->journal);
    journal_end(fixture->journal, id);
    open_again(fixture);
    assert_int_equal(fixture->open->len, 1);
}

static void
a_length_beyond_all_bounds_is_no_record(void **state)
{
    uint8_t bytes[JOURNAL_HEADER_BYTES] = {'K', 'J', JOURNAL_REQUEST, 1, 0xff, 0xff, 0xff, 0xff, 1};
    JournalRecord record;

    (void)state;
    assert_int_equal(journal_record_read(bytes, sizeof bytes, &record), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_ended_is_found_in_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(attempts_add_up_over_processes, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_are_not_used_again_while_they_are_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_password_is_gone_when_its_request_has_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(a_password_is_gone_at_the_next_start_though_other_work_is_open,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_stays_small_though_one_request_never_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_else_may_read_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stands_before_a_damaged_byte_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(after_a_damaged_tail_new_requests_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_is_no_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(a_frozen_journal_leaves_the_rest_to_the_next_process, setup, teardown),
        cmocka_unit_test(a_length_beyond_all_bounds_is_no_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
