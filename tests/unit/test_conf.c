/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf_parser.h"
#include "conf/options_load.h"
#include "conf/options_table.h"

/* ---- the dialect ---- */

static GPtrArray *
entries_of(const char *text)
{
    GPtrArray *entries = g_ptr_array_new_with_free_func(conf_entry_free);
    char *error = NULL;

    assert_true(conf_parse(text, "nova.conf", entries, &error));
    return entries;
}

static void
assert_entry(const GPtrArray *entries, guint i, const char *section, const char *name, const char *value)
{
    const ConfEntry *entry;

    assert_true(i < entries->len);
    entry = entries->pdata[i];
    assert_string_equal(entry->section, section);
    assert_string_equal(entry->name, name);
    assert_string_equal(entry->value, value);
}

static void
assert_refused(const char *text, const char *message)
{
    g_autoptr(GPtrArray) entries = g_ptr_array_new_with_free_func(conf_entry_free);
    g_autofree char *error = NULL;

    assert_false(conf_parse(text, "nova.conf", entries, &error));
    assert_string_equal(error, message);
}

static void
values_keep_what_follows_the_first_separator(void **state)
{
    g_autoptr(GPtrArray) entries =
        entries_of("[a]\nx = b # c\ny: z = 1\nurl=rabbit://u:p@h/\nempty =\n");

    (void)state;
    assert_entry(entries, 0, "a", "x", "b # c");
    assert_entry(entries, 1, "a", "y", "z = 1");
    assert_entry(entries, 2, "a", "url", "rabbit://u:p@h/");
    assert_entry(entries, 3, "a", "empty", "");
}

static void
one_pair_of_quotes_is_removed(void **state)
{
    g_autoptr(GPtrArray) entries = entries_of("[a]\nx = \"b\"\ny = ''c''\nz = \"d'\n");

    (void)state;
    assert_entry(entries, 0, "a", "x", "b");
    assert_entry(entries, 1, "a", "y", "'c'");
    assert_entry(entries, 2, "a", "z", "\"d'");
}

static void
indented_lines_continue_a_value_even_comments(void **state)
{
    g_autoptr(GPtrArray) entries = entries_of("[a]\nx = 1,\n   2,\n\t# 3\n# a comment\n\ny = 4\n");

    (void)state;
    assert_entry(entries, 0, "a", "x", "1,\n2,\n# 3");
    assert_entry(entries, 1, "a", "y", "4");
    assert_int_equal(entries->len, 2);
}

static void
errors_name_file_and_line(void **state)
{
    (void)state;
    assert_refused("[a]\nx = 1\n[b\n", "nova.conf:3: Invalid section (must end with ]): '[b'");
    assert_refused("x = 1\n", "nova.conf:1: Section must be started before assignment: 'x = 1'");
    assert_refused("[a]\n\nnothing\n", "nova.conf:3: No ':' or '=' found in assignment: 'nothing'");
    assert_refused("[a]\n= 1\n", "nova.conf:2: Key cannot be empty: '= 1'");
}

/* ---- files to options ---- */

typedef struct Loaded {
    char *folder;
    Options *options;
    GPtrArray *warnings;
    char *error;
    OptionsArguments arguments;
} Loaded;

static char *
write_file(const char *folder, const char *name, const char *text)
{
    char *path = g_build_filename(folder, name, NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    return path;
}

static int
setup(void **state)
{
    Loaded *loaded = g_new0(Loaded, 1);

    loaded->folder = g_dir_make_tmp("kilonova-conf-XXXXXX", NULL);
    loaded->warnings = g_ptr_array_new_with_free_func(g_free);
    loaded->arguments.sources = g_ptr_array_new_with_free_func(g_free);
    loaded->arguments.overrides = g_ptr_array_new_with_free_func(g_free);
    *state = loaded;
    return 0;
}

static int
teardown(void **state)
{
    Loaded *loaded = *state;
    g_autofree char *command = g_strdup_printf("rm -r '%s'", loaded->folder);

    assert_int_equal(system(command), 0);
    options_free(loaded->options);
    g_ptr_array_unref(loaded->warnings);
    g_ptr_array_unref(loaded->arguments.sources);
    g_ptr_array_unref(loaded->arguments.overrides);
    g_strfreev(loaded->arguments.environment);
    g_free(loaded->error);
    g_free(loaded->folder);
    g_free(loaded);
    return 0;
}

static void
add_file(Loaded *loaded, const char *name, const char *text)
{
    g_autofree char *path = write_file(loaded->folder, name, text);

    g_ptr_array_add(loaded->arguments.sources, g_strconcat("file:", path, NULL));
}

static bool
load(Loaded *loaded)
{
    g_clear_pointer(&loaded->options, options_free);
    g_clear_pointer(&loaded->error, g_free);
    return options_load(&loaded->arguments, &loaded->options, loaded->warnings, &loaded->error);
}

/* Loads one file of this text. */
static const Options *
load_text(Loaded *loaded, const char *text)
{
    add_file(loaded, "nova.conf", text);
    if (!load(loaded))
        fail_msg("%s", loaded->error);
    return loaded->options;
}

static void
assert_warned(const Loaded *loaded, const char *text)
{
    for (guint i = 0; i < loaded->warnings->len; i++)
        if (strstr(loaded->warnings->pdata[i], text))
            return;
    fail_msg("no warning has '%s'", text);
}

/* 'text' is refused with "FOLDER/nova.conf" and 'rest'. */
static void
assert_load_fails(Loaded *loaded, const char *text, const char *rest)
{
    g_autofree char *expected = g_strdup_printf("%s/nova.conf%s", loaded->folder, rest);

    add_file(loaded, "nova.conf", text);
    assert_false(load(loaded));
    assert_string_equal(loaded->error, expected);
}

static void
the_later_file_and_line_win(void **state)
{
    Loaded *loaded = *state;

    add_file(loaded, "one.conf", "[DEFAULT]\nhost = a\nmy_ip = 192.0.2.1\nhost = b\n");
    add_file(loaded, "two.conf", "[DEFAULT]\nmy_ip = 192.0.2.2\n");
    assert_true(load(loaded));
    assert_string_equal(loaded->options->default_group.host, "b");
    assert_string_equal(loaded->options->default_group.my_ip, "192.0.2.2");
}

static void
a_folder_gives_its_conf_files_sorted(void **state)
{
    Loaded *loaded = *state;
    g_autofree char *folder = g_build_filename(loaded->folder, "conf.d", NULL);

    g_mkdir(folder, 0755);
    g_free(write_file(folder, "20.conf", "[DEFAULT]\nhost = late\n"));
    g_free(write_file(folder, "10.conf", "[DEFAULT]\nhost = early\n"));
    g_free(write_file(folder, "30.conf~", "[DEFAULT]\nhost = backup\n"));
    g_ptr_array_add(loaded->arguments.sources, g_strconcat("dir:", folder, NULL));
    assert_true(load(loaded));
    assert_string_equal(loaded->options->default_group.host, "late");
    assert_int_equal(options_files(loaded->options)->len, 2);
}

static void
environment_beats_files_and_the_command_line_beats_both(void **state)
{
    Loaded *loaded = *state;

    loaded->arguments.environment = g_environ_setenv(NULL, "OS_LIBVIRT__VIRT_TYPE", "kvm", TRUE);
    loaded->arguments.environment = g_environ_setenv(loaded->arguments.environment, "OS_DEFAULT__HOST",
                                                     "of-the-environment", TRUE);
    g_ptr_array_add(loaded->arguments.overrides, g_strdup("DEFAULT.host=of-the-line"));
    load_text(loaded, "[DEFAULT]\nhost = of-the-file\n[libvirt]\nvirt_type = qemu\n");
    assert_string_equal(loaded->options->libvirt.virt_type, "kvm");
    assert_string_equal(loaded->options->default_group.host, "of-the-line");
}

static void
repeatable_options_keep_every_value(void **state)
{
    Loaded *loaded = *state;

    add_file(loaded, "one.conf", "[pci]\nalias = {\"name\": \"a\"}\nalias = {\"name\":\n \"b\"}\n");
    load_text(loaded, "[pci]\nalias = {\"name\": \"c\"}\n");
    assert_int_equal(g_strv_length(loaded->options->pci.alias), 3);
    assert_string_equal(loaded->options->pci.alias[1], "{\"name\":\n\"b\"}");
}

static void
references_are_replaced_and_unknown_ones_stay(void **state)
{
    const Options *options = load_text(*state, "[DEFAULT]\nstate_path = /srv\nmine = deep\n"
                                               "transport_url = rabbit://u:p$4w@h/${nowhere}\n"
                                               "record = $$mine \\$mine $mine ${libvirt.virt_type}\n"
                                               "[libvirt]\nvirt_type = qemu\n");

    assert_string_equal(options->default_group.instances_path, "/srv/instances");
    assert_string_equal(options->default_group.transport_url, "rabbit://u:p$4w@h/${nowhere}");
    assert_string_equal(options->default_group.record, "$mine $mine deep qemu");
}

static void
references_in_a_circle_end(void **state)
{
    const Options *options = load_text(*state, "[DEFAULT]\nrecord = $cert$cert\ncert = $record\n");

    assert_non_null(options->default_group.record);
}

static void
older_names_are_read_with_a_warning(void **state)
{
    const Options *options = load_text(*state, "[DEFAULT]\nrpc_thread_pool_size = 7\n"
                                               "notification_format = both\n");

    assert_int_equal(options->default_group.executor_thread_pool_size, 7);
    assert_string_equal(options->notifications.notification_format, "both");
    assert_warned(*state, "Option \"rpc_thread_pool_size\" from group \"DEFAULT\" is deprecated");
    assert_warned(*state, "Use option \"notification_format\" from group \"notifications\"");
}

static void
unknown_options_are_one_warning(void **state)
{
    Loaded *loaded = *state;

    load_text(loaded, "[DEFAULT]\nmy_own = 1\n[elsewhere]\nx = 2\n");
    assert_int_equal(loaded->warnings->len, 1);
    assert_warned(loaded, "2 options that this agent does not know are ignored");
    assert_warned(loaded, "elsewhere.x");
}

static void
options_of_later_features_are_one_warning(void **state)
{
    Loaded *loaded = *state;
    const OptionRow *later = NULL;
    size_t n;
    const OptionRow *rows = options_table(&n);
    g_autofree char *text = NULL;

    for (size_t i = 0; i < n && !later; i++)
        if (rows[i].flags & OPTION_LATER && rows[i].kind == OPTION_STRING && !rows[i].choices)
            later = &rows[i];
    if (!later)
        skip();
    text = g_strdup_printf("[%s]\n%s = something\n", later->group, later->name);
    load_text(loaded, text);
    assert_int_equal(loaded->warnings->len, 1);
    assert_warned(loaded, "Options of features that are not in this release have no effect: ");
    assert_warned(loaded, later->name);
}

/* Who sets these looks for the log where it is not. */
static void
a_log_that_does_not_go_where_it_should_is_a_warning(void **state)
{
    Loaded *loaded = *state;

    load_text(loaded, "[DEFAULT]\nuse_syslog = true\nlog_config_append = /etc/nova/logging.conf\n"
                      "log_rotation_type = size\n");
    assert_warned(loaded, "no effect: ");
    assert_warned(loaded, "DEFAULT.use-syslog");
    assert_warned(loaded, "DEFAULT.log-config-append");
    assert_warned(loaded, "DEFAULT.log_rotation_type");
    assert_int_equal(loaded->warnings->len, 1);
    load_text(loaded, "[DEFAULT]\nuse_syslog = False\n");
    assert_int_equal(loaded->warnings->len, 1);
}

static void
an_auth_section_is_read_instead_of_the_own_group(void **state)
{
    const Options *options = load_text(*state, "[placement]\nauth_section = shared\nusername = unused\n"
                                               "[shared]\nauth_url = http://k/v3\nusername = nova\n"
                                               "tenant_name = service\n");

    assert_string_equal(options->placement.auth.username, "nova");
    assert_string_equal(options->placement.auth.auth_url, "http://k/v3");
    assert_string_equal(options->placement.auth.project_name, "service");
}

static void
types_are_read_as_python_reads_them(void **state)
{
    const Options *options = load_text(*state, "[DEFAULT]\ndebug = YES\nforce_raw_images = Off\n"
                                               "cpu_allocation_ratio = 1.5\nreport_interval = +7\n"
                                               "[libvirt]\ncpu_models = a , b,\n   c,\n");

    assert_true(options->default_group.debug);
    assert_false(options->default_group.force_raw_images);
    assert_true(options->default_group.cpu_allocation_ratio.is_set);
    assert_float_equal(options->default_group.cpu_allocation_ratio.value, 1.5, 0);
    assert_false(options->default_group.ram_allocation_ratio.is_set);
    assert_int_equal(options->default_group.report_interval, 7);
    assert_int_equal(g_strv_length(options->libvirt.cpu_models), 3);
    assert_string_equal(options->libvirt.cpu_models[2], "c");
}

/* ---- what is wrong ---- */

static void
a_word_is_no_number(void **state)
{
    assert_load_fails(*state, "[DEFAULT]\n\nreport_interval = ten\n",
                      ":3: [DEFAULT] report_interval = ten: allowed: an integer");
}

static void
a_number_out_of_range_is_refused(void **state)
{
    assert_load_fails(*state, "[libvirt]\nnum_pcie_ports = 29\n",
                      ":2: [libvirt] num_pcie_ports = 29: allowed: an integer from 0 to 28");
}

static void
only_the_listed_integers_are_allowed(void **state)
{
    assert_load_fails(*state, "[libvirt]\nrx_queue_size = 300\n",
                      ":2: [libvirt] rx_queue_size = 300: allowed: 256|512|1024");
}

static void
a_word_that_is_no_choice_is_refused(void **state)
{
    assert_load_fails(*state, "[libvirt]\nvirt_type = xen\n",
                      ":2: [libvirt] virt_type = xen: allowed: kvm|lxc|qemu|parallels");
    assert_load_fails(*state, "[libvirt]\nvirt_type = KVM\n",
                      ":2: [libvirt] virt_type = KVM: allowed: kvm|lxc|qemu|parallels");
}

static void
a_host_has_no_spaces(void **state)
{
    assert_load_fails(*state, "[DEFAULT]\nhost = a b\n",
                      ":2: [DEFAULT] host = a b: allowed: a host name or an address");
}

static void
a_boolean_is_yes_or_no(void **state)
{
    assert_load_fails(*state, "[DEFAULT]\ndebug = maybe\n",
                      ":2: [DEFAULT] debug = maybe: allowed: true or false");
}

static void
a_missing_file_is_named(void **state)
{
    Loaded *loaded = *state;

    g_ptr_array_add(loaded->arguments.sources, g_strdup("file:/nonexistent/nova.conf"));
    assert_false(load(loaded));
    assert_non_null(strstr(loaded->error, "/nonexistent/nova.conf"));
}

/* ---- the table ---- */

static void
every_option_takes_its_own_default(void **state)
{
    Loaded *loaded = *state;
    size_t n;
    const OptionRow *rows = options_table(&n);
    g_autoptr(GString) text = g_string_new(NULL);
    unsigned n_given = 0;

    for (size_t i = 0; i < n; i++) {
        if (!rows[i].def || *rows[i].def == '@' || strchr(rows[i].def, '$') || strchr(rows[i].def, '%'))
            continue;
        g_string_append_printf(text, "[%s]\n%s = %s\n", rows[i].group, rows[i].name, rows[i].def);
        n_given++;
    }
    assert_true(n_given > 400);
    load_text(loaded, text->str);
    assert_int_equal(loaded->warnings->len, 0);
}

static void
every_option_has_help_and_a_name_of_its_own(void **state)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    size_t n;
    const OptionRow *rows = options_table(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_non_null(rows[i].help);
        assert_true(*rows[i].help);
        if (!g_hash_table_add(names, g_strconcat(rows[i].group, ".", rows[i].name, NULL)))
            fail_msg("[%s] %s stands there twice", rows[i].group, rows[i].name);
    }
}

static void
the_sample_is_read_back_as_the_defaults(void **state)
{
    Loaded *loaded = *state;
    g_autofree char *path = g_build_filename(loaded->folder, "sample.conf", NULL);
    FILE *file = fopen(path, "w");

    options_print_sample(file);
    fclose(file);
    g_ptr_array_add(loaded->arguments.sources, g_strconcat("file:", path, NULL));
    assert_true(load(loaded));
    assert_int_equal(loaded->warnings->len, 0);
    assert_string_equal(loaded->options->default_group.state_path, "/var/lib/nova");
}

/* ---- HUP ---- */

static void
only_mutable_options_change_on_reload(void **state)
{
    Loaded *loaded = *state;
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);

    load_text(loaded, "[DEFAULT]\ndebug = false\nhost = a\n[compute]\n"
                      "resource_provider_association_refresh = 1\n");
    g_free(write_file(loaded->folder, "nova.conf", "[DEFAULT]\ndebug = true\nhost = b\n[compute]\n"
                                                   "resource_provider_association_refresh = 2\n"));
    assert_true(options_reload_mutable(loaded->options, &loaded->arguments, warnings, &loaded->error));
    assert_true(loaded->options->default_group.debug);
    assert_int_equal(loaded->options->compute.resource_provider_association_refresh, 2);
    assert_string_equal(loaded->options->default_group.host, "a");
    assert_int_equal(warnings->len, 1);
    assert_string_equal(warnings->pdata[0], "Ignoring change to immutable option DEFAULT.host");
}

static void
a_text_changes_on_reload_and_the_old_one_can_still_be_read(void **state)
{
    Loaded *loaded = *state;
    const char *before;

    load_text(loaded, "[libvirt]\nlive_migration_timeout_action = abort\n");
    before = loaded->options->libvirt.live_migration_timeout_action;
    g_free(write_file(loaded->folder, "nova.conf", "[libvirt]\nlive_migration_timeout_action = force_complete\n"));
    assert_true(options_reload_mutable(loaded->options, &loaded->arguments, loaded->warnings,
                                       &loaded->error));
    assert_string_equal(loaded->options->libvirt.live_migration_timeout_action, "force_complete");
    assert_string_equal(before, "abort");
}

static void
a_reload_with_an_error_changes_nothing(void **state)
{
    Loaded *loaded = *state;

    load_text(loaded, "[DEFAULT]\ndebug = false\n");
    g_free(write_file(loaded->folder, "nova.conf", "[DEFAULT]\ndebug = true\nreport_interval = x\n"));
    assert_false(options_reload_mutable(loaded->options, &loaded->arguments, loaded->warnings,
                                        &loaded->error));
    assert_false(loaded->options->default_group.debug);
}

#define LOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_keep_what_follows_the_first_separator),
        cmocka_unit_test(one_pair_of_quotes_is_removed),
        cmocka_unit_test(indented_lines_continue_a_value_even_comments),
        cmocka_unit_test(errors_name_file_and_line),
        LOAD_TEST(the_later_file_and_line_win),
        LOAD_TEST(a_folder_gives_its_conf_files_sorted),
        LOAD_TEST(environment_beats_files_and_the_command_line_beats_both),
        LOAD_TEST(repeatable_options_keep_every_value),
        LOAD_TEST(references_are_replaced_and_unknown_ones_stay),
        LOAD_TEST(references_in_a_circle_end),
        LOAD_TEST(older_names_are_read_with_a_warning),
        LOAD_TEST(unknown_options_are_one_warning),
        LOAD_TEST(options_of_later_features_are_one_warning),
        LOAD_TEST(a_log_that_does_not_go_where_it_should_is_a_warning),
        LOAD_TEST(an_auth_section_is_read_instead_of_the_own_group),
        LOAD_TEST(types_are_read_as_python_reads_them),
        LOAD_TEST(a_word_is_no_number),
        LOAD_TEST(a_number_out_of_range_is_refused),
        LOAD_TEST(only_the_listed_integers_are_allowed),
        LOAD_TEST(a_word_that_is_no_choice_is_refused),
        LOAD_TEST(a_host_has_no_spaces),
        LOAD_TEST(a_boolean_is_yes_or_no),
        LOAD_TEST(a_missing_file_is_named),
        LOAD_TEST(every_option_takes_its_own_default),
        LOAD_TEST(every_option_has_help_and_a_name_of_its_own),
        LOAD_TEST(the_sample_is_read_back_as_the_defaults),
        LOAD_TEST(only_mutable_options_change_on_reload),
        LOAD_TEST(a_text_changes_on_reload_and_the_old_one_can_still_be_read),
        LOAD_TEST(a_reload_with_an_error_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
