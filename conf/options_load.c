/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/options_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf_parser.h"
#include "conf/option_value.h"
#include "conf/options_table.h"

struct OptionsStorage {
    GPtrArray *files;   /* of char * */
    GPtrArray *entries; /* of ConfEntry *: every occurrence, in order of precedence */
    GPtrArray *retired; /* of char *: texts that a reload replaced; somebody may still be reading them */
    GHashTable *index;  /* "group.name" (lower case group, '_' for '-') → GPtrArray of ConfEntry *, borrowed */
};

/* $references that are followed for one value; more of them are a cycle. */
#define MAX_REFERENCES 1000

/* ---- names and storage ---- */

static char *
normal_name(const char *name)
{
    return g_strdelimit(g_strdup(name), "-", '_');
}

static char *
index_key(const char *group, const char *name)
{
    g_autofree char *lower = g_ascii_strdown(group, -1);
    g_autofree char *normal = normal_name(name);

    return g_strconcat(lower, ".", normal, NULL);
}

static void
free_array(void *array)
{
    g_ptr_array_unref(array);
}

static struct OptionsStorage *
storage_new(void)
{
    struct OptionsStorage *storage = g_new0(struct OptionsStorage, 1);

    storage->files = g_ptr_array_new_with_free_func(g_free);
    storage->entries = g_ptr_array_new_with_free_func(conf_entry_free);
    storage->retired = g_ptr_array_new_with_free_func(g_free);
    storage->index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_array);
    return storage;
}

static void
storage_free(struct OptionsStorage *storage)
{
    if (!storage)
        return;
    g_hash_table_unref(storage->index);
    g_ptr_array_unref(storage->entries);
    g_ptr_array_unref(storage->files);
    g_ptr_array_unref(storage->retired);
    g_free(storage);
}

static void
index_entry(struct OptionsStorage *storage, ConfEntry *entry)
{
    char *key = index_key(entry->section, entry->name);
    GPtrArray *list = g_hash_table_lookup(storage->index, key);

    if (!list) {
        list = g_ptr_array_new();
        g_hash_table_insert(storage->index, g_strdup(key), list);
    }
    g_ptr_array_add(list, entry);
    g_free(key);
}

static void
add_entry(struct OptionsStorage *storage, const char *group, const char *name, const char *value,
          const char *file)
{
    ConfEntry *entry = g_new0(ConfEntry, 1);

    entry->section = g_strdup(group);
    entry->name = g_strdup(name);
    entry->value = g_strdup(value);
    entry->file = file;
    g_ptr_array_add(storage->entries, entry);
}

/* ---- reading files ---- */

static bool
read_file(struct OptionsStorage *storage, const char *path, char **ret_error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    char *kept;

    if (!g_file_get_contents(path, &text, NULL, &error)) {
        *ret_error = g_strdup_printf("Failed to read configuration file: %s", error->message);
        return false;
    }
    kept = g_strdup(path);
    g_ptr_array_add(storage->files, kept);
    return conf_parse(text, kept, storage->entries, ret_error);
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
read_folder(struct OptionsStorage *storage, const char *path, char **ret_error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
    const char *name;

    if (!dir) {
        *ret_error = g_strdup_printf("Failed to read configuration folder: %s", error->message);
        return false;
    }
    while ((name = g_dir_read_name(dir)))
        if (g_str_has_suffix(name, ".conf") && *name != '.')
            g_ptr_array_add(names, g_build_filename(path, name, NULL));
    g_ptr_array_sort(names, by_name);
    for (guint i = 0; i < names->len; i++)
        if (!read_file(storage, names->pdata[i], ret_error))
            return false;
    return true;
}

/* The first of oslo.config's places that has it. */
static char *
find_default(const char *name, GFileTest test)
{
    const char *snap_common = g_getenv("SNAP_COMMON"), *snap = g_getenv("SNAP");
    g_autofree char *candidates[6] = {0};
    const char *home = g_get_home_dir();
    char *found = NULL;

    candidates[0] = g_build_filename(home, ".nova", name, NULL);
    candidates[1] = g_build_filename(home, name, NULL);
    candidates[2] = g_build_filename("/etc/nova", name, NULL);
    candidates[3] = g_build_filename("/etc", name, NULL);
    candidates[4] = snap_common ? g_build_filename(snap_common, "etc/nova", name, NULL) : NULL;
    candidates[5] = snap ? g_build_filename(snap, "etc/nova", name, NULL) : NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(candidates); i++) {
        if (!found && candidates[i] && g_file_test(candidates[i], test))
            found = g_strdup(candidates[i]);
        if (i > 0)
            g_clear_pointer(&candidates[i], g_free);
    }
    return found;
}

static bool
read_defaults(struct OptionsStorage *storage, char **ret_error)
{
    static const char *const names[] = {"nova.conf", "nova-compute.conf"};
    static const char *const folders[] = {"nova.conf.d", "nova-compute.conf.d"};

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *path = find_default(names[i], G_FILE_TEST_IS_REGULAR);

        if (path && !read_file(storage, path, ret_error))
            return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *path = find_default(folders[i], G_FILE_TEST_IS_DIR);

        if (path && !read_folder(storage, path, ret_error))
            return false;
    }
    return true;
}

static bool
read_sources(struct OptionsStorage *storage, const OptionsArguments *arguments, char **ret_error)
{
    if (arguments->sources->len == 0)
        return read_defaults(storage, ret_error);
    for (guint i = 0; i < arguments->sources->len; i++) {
        const char *source = arguments->sources->pdata[i];
        bool ok = g_str_has_prefix(source, "dir:") ? read_folder(storage, source + 4, ret_error)
                                                   : read_file(storage, source + 5, ret_error);

        if (!ok)
            return false;
    }
    return true;
}

/* OS_LIBVIRT__VIRT_TYPE=qemu; names are only known in upper case, so in ours. */
static void
read_environment(struct OptionsStorage *storage, char **environment)
{
    size_t n;
    const OptionRow *rows = options_table(&n);

    for (size_t i = 0; environment && i < n; i++) {
        g_autofree char *name = g_strdup_printf("OS_%s__%s", rows[i].group, rows[i].name);
        g_autofree char *upper = g_ascii_strup(name, -1);
        const char *value = g_environ_getenv(environment, g_strdelimit(upper, "-", '_'));

        if (value)
            add_entry(storage, rows[i].group, rows[i].name, value, "environment");
    }
}

static void
read_overrides(struct OptionsStorage *storage, const GPtrArray *overrides)
{
    for (guint i = 0; overrides && i < overrides->len; i++) {
        g_auto(GStrv) pair = g_strsplit(overrides->pdata[i], "=", 2);
        g_auto(GStrv) path = g_strsplit(pair[0], ".", 2);

        add_entry(storage, path[0], path[1], pair[1], "command line");
    }
}

static struct OptionsStorage *
read_all(const OptionsArguments *arguments, char **ret_error)
{
    struct OptionsStorage *storage = storage_new();

    if (!read_sources(storage, arguments, ret_error)) {
        storage_free(storage);
        return NULL;
    }
    read_environment(storage, arguments->environment);
    read_overrides(storage, arguments->overrides);
    for (guint i = 0; i < storage->entries->len; i++)
        index_entry(storage, storage->entries->pdata[i]);
    return storage;
}

/* ---- looking up and substituting ---- */

static const GPtrArray *
occurrences(const struct OptionsStorage *storage, const char *group, const char *name)
{
    g_autofree char *key = index_key(group, name);

    return g_hash_table_lookup(storage->index, key);
}

static const OptionRow *
find_row(const char *group, const char *name)
{
    g_autofree char *normal = normal_name(name);
    size_t n;
    const OptionRow *rows = options_table(&n);

    for (size_t i = 0; i < n; i++)
        if (g_ascii_strcasecmp(rows[i].group, group) == 0 && strcmp(rows[i].name, normal) == 0)
            return &rows[i];
    return NULL;
}

/* keystoneauth's auth options, each with its older name: what auth_section reads from elsewhere. */
static const char *const auth_options[][2] = {
    {"auth_type", "auth_plugin"},
    {"auth_url", NULL},
    {"system_scope", NULL},
    {"domain_id", NULL},
    {"domain_name", NULL},
    {"project_id", "tenant_id"},
    {"project_name", "tenant_name"},
    {"project_domain_id", NULL},
    {"project_domain_name", NULL},
    {"trust_id", NULL},
    {"default_domain_id", NULL},
    {"default_domain_name", NULL},
    {"user_id", NULL},
    {"username", "user_name"},
    {"user_domain_id", NULL},
    {"user_domain_name", NULL},
    {"password", NULL},
    {"token", NULL},
    {"application_credential_id", NULL},
    {"application_credential_name", NULL},
    {"application_credential_secret", NULL},
};

/* Is this an auth option of a group whose auth_section names another group, where it is read then,
 * or one that stands here under its older name? */
static bool
find_auth_option(const struct OptionsStorage *storage, const OptionRow *row,
                 const GPtrArray **ret_found)
{
    for (size_t i = 0; i < G_N_ELEMENTS(auth_options); i++) {
        const char *older = auth_options[i][1];
        const GPtrArray *section;
        const char *group = row->group;

        if (strcmp(auth_options[i][0], row->name) != 0 || !find_row(row->group, "auth_section"))
            continue;
        section = occurrences(storage, row->group, "auth_section");
        if (section)
            group = ((ConfEntry *)section->pdata[section->len - 1])->value;
        *ret_found = occurrences(storage, group, row->name);
        if (!*ret_found && older)
            *ret_found = occurrences(storage, group, older);
        return section || *ret_found;
    }
    return false;
}

/* The occurrences of an option under its own or an older name; the latter is worth a warning. */
static const GPtrArray *
row_occurrences(const struct OptionsStorage *storage, const OptionRow *row, GPtrArray *warnings)
{
    const GPtrArray *found = NULL;
    g_auto(GStrv) older = NULL;

    if (g_hash_table_size(storage->index) == 0)
        return NULL;
    found = occurrences(storage, row->group, row->name);
    if (find_auth_option(storage, row, &found))
        return found;
    older = g_strsplit(row->deprecated ? row->deprecated : "", " ", -1);
    for (char **name = older; !found && *name; name++) {
        g_auto(GStrv) path = g_strsplit(*name, ".", 2);

        found = path[0] && path[1] ? occurrences(storage, path[0], path[1]) : NULL;
        if (found && warnings)
            g_ptr_array_add(warnings, g_strdup_printf("Deprecated: Option \"%s\" from group \"%s\" is "
                                                      "deprecated. Use option \"%s\" from group \"%s\".",
                                                      path[1], path[0], row->name, row->group));
    }
    return found;
}

static char *
default_my_ip(void)
{
    /* Connecting a datagram socket sends nothing: it only asks the kernel for the route. */
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)}, own;
    socklen_t length = sizeof(own);
    char text[INET_ADDRSTRLEN] = "127.0.0.1";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    inet_pton(AF_INET, "8.8.8.8", &to.sin_addr);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
        getsockname(fd, (struct sockaddr *)&own, &length) == 0)
        inet_ntop(AF_INET, &own.sin_addr, text, sizeof(text));
    if (fd >= 0)
        close(fd);
    return g_strdup(text);
}

static char *
default_text(const OptionRow *row)
{
    char name[256] = "localhost";

    if (!row->def)
        return NULL;
    if (strcmp(row->def, "@my_ip") == 0)
        return default_my_ip();
    if (strcmp(row->def, "@hostname") != 0)
        return g_strdup(row->def);
    gethostname(name, sizeof(name) - 1);
    return g_strdup(name);
}

static char *substituted(const struct OptionsStorage *storage, const char *group, const char *text,
                         int *left);

/* The text that $name stands for: this group first, then DEFAULT; NULL when nobody has it. */
static char *
referenced(const struct OptionsStorage *storage, const char *group, const char *reference, int *left)
{
    g_auto(GStrv) path = g_strsplit(reference, ".", 2);
    const char *groups[] = {path[1] ? path[0] : group, path[1] ? path[0] : "DEFAULT"};
    const char *name = path[1] ? path[1] : path[0];

    for (int i = 0; i < 2; i++) {
        const OptionRow *row = find_row(groups[i], name);
        const GPtrArray *found = row ? row_occurrences(storage, row, NULL)
                                     : occurrences(storage, groups[i], name);
        g_autofree char *raw = NULL;

        if (found)
            raw = g_strdup(((ConfEntry *)found->pdata[found->len - 1])->value);
        else if (row)
            raw = default_text(row);
        if (raw || row)
            return substituted(storage, groups[i], raw ? raw : "", left);
    }
    return NULL;
}

/* Length of what can stand after '$': a name, or a name in braces. */
static size_t
reference_length(const char *text, char **ret_name)
{
    size_t n;

    if (*text == '{') {
        n = strcspn(text, "}");
        if (text[n] != '}')
            return 0;
        *ret_name = g_strndup(text + 1, n - 1);
        return n + 1;
    }
    if (!g_ascii_isalpha(*text) && *text != '_')
        return 0;
    for (n = 0; g_ascii_isalnum(text[n]) || text[n] == '_'; n++)
        continue;
    if (text[n] == '.' && (g_ascii_isalpha(text[n + 1]) || text[n + 1] == '_'))
        for (n++; g_ascii_isalnum(text[n]) || text[n] == '_'; n++)
            continue;
    *ret_name = g_strndup(text, n);
    return n;
}

/* 'left': how many references may still be followed; the rest stays as it is. */
static char *
substituted(const struct OptionsStorage *storage, const char *group, const char *text, int *left)
{
    GString *out;

    if (!strpbrk(text, "$\\"))
        return g_strdup(text);
    out = g_string_new(NULL);
    while (*text) {
        g_autofree char *name = NULL;
        g_autofree char *value = NULL;
        size_t length;

        if ((text[0] == '$' && text[1] == '$') || (text[0] == '\\' && text[1] == '$')) {
            g_string_append_c(out, '$');
            text += 2;
            continue;
        }
        length = *text == '$' && *left > 0 ? reference_length(text + 1, &name) : 0;
        (*left) -= length > 0;
        value = length ? referenced(storage, group, name, left) : NULL;
        if (value) {
            g_string_append(out, value);
            text += length + 1;
        } else {
            g_string_append_c(out, *text++);
        }
    }
    return g_string_free(out, FALSE);
}

/* ---- typed values ---- */

static bool
bad_value(char **ret_error, const OptionRow *row, const ConfEntry *entry, const char *value)
{
    g_autofree char *allowed = option_value_describe(row);
    g_autofree char *where = entry && entry->line
                                 ? g_strdup_printf("%s:%d", entry->file, entry->line)
                                 : g_strdup(entry ? entry->file : "default");

    *ret_error = g_strdup_printf("%s: [%s] %s = %s: allowed: %s", where, row->group, row->name,
                                 value, allowed);
    return false;
}

static void
load_multi(Options *options, const struct OptionsStorage *storage, const OptionRow *row,
           const GPtrArray *found)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new();
    int left = MAX_REFERENCES;

    for (guint i = 0; found && i < found->len; i++) {
        const ConfEntry *entry = found->pdata[i];

        g_ptr_array_add(items, substituted(storage, row->group, entry->value, &left));
    }
    if (!found && row->def && *row->def)
        g_ptr_array_add(items, g_strdup(row->def));
    g_ptr_array_add(items, NULL);
    option_value_store_multi(options, row, (char **)g_ptr_array_steal(items, NULL));
}

static bool
load_row(Options *options, const struct OptionsStorage *storage, const OptionRow *row,
         GPtrArray *warnings, char **ret_error)
{
    const GPtrArray *found = row_occurrences(storage, row, warnings);
    const ConfEntry *entry = found ? found->pdata[found->len - 1] : NULL;
    g_autofree char *raw = entry ? g_strdup(entry->value) : default_text(row);
    int left = MAX_REFERENCES;
    g_autofree char *text = raw ? substituted(storage, row->group, raw, &left) : NULL;

    if (row->kind == OPTION_MULTI) {
        load_multi(options, storage, row, found);
        return true;
    }
    if (!text) {
        option_value_store_empty(options, row);
        return true;
    }
    return option_value_store(options, row, text) || bad_value(ret_error, row, entry, text);
}

static void
load_physnets(Options *options, const struct OptionsStorage *storage)
{
    options->neutron_physnets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (char **physnet = options->neutron.physnets; *physnet; physnet++) {
        g_autofree char *group = g_strconcat("neutron_physnet_", *physnet, NULL);
        const GPtrArray *found = occurrences(storage, group, "numa_nodes");

        if (found)
            g_hash_table_replace(options->neutron_physnets, g_strdup(*physnet),
                                 g_strdup(((ConfEntry *)found->pdata[found->len - 1])->value));
    }
}

static GHashTable *
known_names(void)
{
    GHashTable *known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    size_t n;
    const OptionRow *rows = options_table(&n);

    for (size_t i = 0; i < n; i++) {
        g_auto(GStrv) older = g_strsplit(rows[i].deprecated ? rows[i].deprecated : "", " ", -1);

        g_hash_table_add(known, index_key(rows[i].group, rows[i].name));
        for (char **name = older; *name; name++) {
            g_auto(GStrv) path = g_strsplit(*name, ".", 2);

            if (path[0] && path[1])
                g_hash_table_add(known, index_key(path[0], path[1]));
        }
    }
    return known;
}

/* One line for all that nova-compute would ignore silently: other services' sections stand in the
 * same file. */
static void
warn_unknown(const struct OptionsStorage *storage, GPtrArray *warnings)
{
    g_autoptr(GHashTable) known = NULL;
    g_autoptr(GString) names = g_string_new(NULL);
    GHashTableIter iter;
    void *key;
    int n = 0;

    if (g_hash_table_size(storage->index) == 0)
        return;
    known = known_names();
    g_hash_table_iter_init(&iter, storage->index);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        if (g_hash_table_contains(known, key) || g_str_has_prefix(key, "neutron_physnet_"))
            continue;
        if (n++ < 40)
            g_string_append_printf(names, "%s%s", names->len ? ", " : "", (char *)key);
    }
    if (n > 0)
        g_ptr_array_add(warnings, g_strdup_printf("%d options that this agent does not know are ignored: %s%s",
                                                  n, names->str, n > 40 ? ", ..." : ""));
}

/* Somebody who sets these expects something that does not happen. */
static void
warn_later(const struct OptionsStorage *storage, GPtrArray *warnings)
{
    g_autoptr(GString) names = g_string_new(NULL);
    size_t n;
    const OptionRow *rows = options_table(&n);

    for (size_t i = 0; i < n; i++) {
        const GPtrArray *found = rows[i].flags & OPTION_LATER ? row_occurrences(storage, &rows[i], NULL) : NULL;
        const ConfEntry *entry = found ? found->pdata[found->len - 1] : NULL;

        if (entry && !(rows[i].def && g_ascii_strcasecmp(entry->value, rows[i].def) == 0)) /* "False" is "false" */
            g_string_append_printf(names, "%s%s.%s", names->len ? ", " : "", rows[i].group, rows[i].name);
    }
    if (names->len)
        g_ptr_array_add(warnings, g_strdup_printf("Options of features that are not in this release have no "
                                                  "effect: %s", names->str));
}

bool
options_load(const OptionsArguments *arguments, Options **ret_options, GPtrArray *warnings,
             char **ret_error)
{
    g_autoptr(Options) options = NULL;
    struct OptionsStorage *storage = read_all(arguments, ret_error);
    size_t n;
    const OptionRow *rows = options_table(&n);

    if (!storage)
        return false;
    options = g_new0(Options, 1);
    options->storage = storage;
    for (size_t i = 0; i < n; i++)
        if (!load_row(options, storage, &rows[i], warnings, ret_error))
            return false;
    load_physnets(options, storage);
    warn_unknown(storage, warnings);
    warn_later(storage, warnings);
    *ret_options = g_steal_pointer(&options);
    return true;
}

const GPtrArray *
options_files(const Options *options)
{
    return options->storage->files;
}

void
options_free(Options *options)
{
    size_t n;
    const OptionRow *rows = options_table(&n);

    if (!options)
        return;
    for (size_t i = 0; i < n; i++)
        option_value_clear(options, &rows[i]);
    if (options->neutron_physnets)
        g_hash_table_unref(options->neutron_physnets);
    storage_free(options->storage);
    g_free(options);
}

static void
take_over(Options *options, Options *fresh, const OptionRow *row)
{
    void *slot = (char *)options + row->offset, *new = (char *)fresh + row->offset;

    if (row->kind == OPTION_BOOL) {
        *(bool *)slot = *(bool *)new;
    } else if (row->kind == OPTION_INT) {
        *(int64_t *)slot = *(int64_t *)new;
    } else if (row->kind == OPTION_STRING) {
        g_ptr_array_add(options->storage->retired, *(char **)slot);
        *(char **)slot = g_steal_pointer((char **)new);
    }
}

bool
options_reload_mutable(Options *options, const OptionsArguments *arguments, GPtrArray *warnings,
                       char **ret_error)
{
    g_autoptr(Options) fresh = NULL;
    size_t n;
    const OptionRow *rows = options_table(&n);

    if (!options_load(arguments, &fresh, warnings, ret_error))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (option_value_is_same(options, fresh, &rows[i]))
            continue;
        if (!(rows[i].flags & OPTION_MUTABLE))
            g_ptr_array_add(warnings, g_strdup_printf("Ignoring change to immutable option %s.%s",
                                                      rows[i].group, rows[i].name));
        else
            take_over(options, fresh, &rows[i]);
    }
    return true;
}

bool
options_set(Options *options, const char *group, const char *name, const char *text,
            char **ret_error)
{
    const OptionRow *row = find_row(group, name);
    ConfEntry entry = {.file = "given"};

    if (!row) {
        *ret_error = g_strdup_printf("no such option: [%s] %s", group, name);
        return false;
    }
    if (!text) {
        option_value_store_empty(options, row);
        return true;
    }
    if (row->kind == OPTION_MULTI) {
        option_value_store_multi(options, row, g_strsplit(text, "\n", -1));
        return true;
    }
    return option_value_store(options, row, text) || bad_value(ret_error, row, &entry, text);
}

void
options_print_sample(FILE *out)
{
    size_t n;
    const OptionRow *rows = options_table(&n);
    const char *group = "";

    fprintf(out, "# Every option that kilonovad reads, with its default. Made by kilonovad --print-sample-config.\n");
    for (size_t i = 0; i < n; i++) {
        const OptionRow *row = &rows[i];
        g_autofree char *allowed = option_value_describe(row);

        if (strcmp(group, row->group) != 0)
            fprintf(out, "\n[%s]\n", row->group);
        group = row->group;
        fprintf(out, "\n# %s\n# %s%s%s%s\n", row->help, allowed,
                row->flags & OPTION_MUTABLE ? "; HUP changes it" : "",
                row->flags & OPTION_REMOVAL ? "; deprecated" : "",
                row->flags & OPTION_LATER ? "; no effect in this release" : "");
        fprintf(out, "#%s = %s\n", row->name,
                !row->def ? "<unset>" : *row->def == '@' ? "<asked of the host>" : row->def);
    }
}
