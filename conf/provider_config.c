/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.provider_config"
#include "conf/provider_config.h"

#include <glob.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/yaml.h"

#define UUID "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
#define CUSTOM "CUSTOM_"
#define MAX_NAME_CHARS 200

static bool
matches(const char *pattern, const char *text)
{
    return g_regex_match_simple(pattern, text, G_REGEX_DOLLAR_ENDONLY, 0);
}

static bool fail(NovaError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool
fail(NovaError **err, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    return nova_error_set(err, NOVA_ERROR_PROVIDER_CONFIG_EXCEPTION,
                          "An error occurred while processing a provider config file: %s", text);
}

/* ---- the schema; *err is a ValueError with the reason ---- */

static bool
refuse(NovaError **err, const json_t *value, const char *what)
{
    g_autofree char *shown = json_to_python_repr(value);

    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s %s", shown, what);
}

static bool
check_names(const json_t *object, const char *const *allowed, NovaError **err)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)object, key, value)
        if (!g_strv_contains(allowed, key))
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                                  "Additional properties are not allowed ('%s' was unexpected)", key);
    return true;
}

static bool
check_identification(const json_t *provider, NovaError **err)
{
    static const char *const names[] = {"uuid", "name", NULL};
    const json_t *id = json_object_get(provider, "identification");
    const json_t *uuid = json_object_get(id, "uuid"), *name = json_object_get(id, "name");
    const json_t *value = uuid ? uuid : name;
    const char *text = json_string_value(value);

    if (!id)
        return refuse(err, provider, "lacks the required property 'identification'");
    if (!json_is_object(id))
        return refuse(err, id, "is not of type 'object'");
    if (!check_names(id, names, err))
        return false;
    if (json_object_size(id) != 1)
        return refuse(err, id, json_object_size(id) > 1 ? "has too many properties" : "does not have enough properties");
    if (!text)
        return refuse(err, value, "is not of type 'string'");
    if (uuid)
        return strcmp(text, "$COMPUTE_NODE") == 0 || matches(UUID, text) ||
               refuse(err, value, "is neither a uuid nor '$COMPUTE_NODE'");
    return (*text && g_utf8_strlen(text, -1) <= MAX_NAME_CHARS) || refuse(err, value, "is too short or too long");
}

static bool
check_record(const char *class, const json_t *record, NovaError **err)
{
    static const char *const names[] = {"total",    "reserved",  "min_unit",
                                        "max_unit", "step_size", "allocation_ratio", NULL};
    const char *key;
    json_t *value;

    if (!matches("^[A-Z0-9_]{1,255}$", class))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "'%s' does not match any of the regexes: '^[A-Z0-9_]{1,255}$'", class);
    if (!json_is_object(record))
        return refuse(err, record, "is not of type 'object'");
    if (!check_names(record, names, err))
        return false;
    if (!json_object_get(record, "total"))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'total' is a required property");
    json_object_foreach ((json_t *)record, key, value)
        if (strcmp(key, "allocation_ratio") == 0 ? !json_is_number(value) : !json_is_integer(value))
            return refuse(err, value, strcmp(key, "allocation_ratio") == 0 ? "is not of type 'number'"
                                                                           : "is not of type 'integer'");
    return true;
}

static bool
check_inventory(const json_t *inventory, NovaError **err)
{
    const char *class;
    json_t *record;

    if (!json_is_object(inventory))
        return refuse(err, inventory, "is not of type 'object'");
    json_object_foreach ((json_t *)inventory, class, record)
        if (!check_record(class, record, err))
            return false;
    return true;
}

static bool
check_trait(const json_t *trait, NovaError **err)
{
    if (!json_is_string(trait))
        return refuse(err, trait, "is not of type 'string'");
    return matches("^[A-Z0-9_]{1,255}$", json_string_value(trait)) ||
           refuse(err, trait, "does not match '^[A-Z0-9_]{1,255}$'");
}

/* provider[kind]["additional"], which may be absent, as its elements. */
static bool
check_additional(const json_t *provider, const char *kind, bool (*check)(const json_t *one, NovaError **err),
                 NovaError **err)
{
    const json_t *holder = json_object_get(provider, kind);
    const json_t *additional = json_object_get(holder, "additional");
    const json_t *one;
    size_t i;

    if (holder && !json_is_object(holder))
        return refuse(err, holder, "is not of type 'object'");
    if (additional && !json_is_array(additional))
        return refuse(err, additional, "is not of type 'array'");
    json_array_foreach (additional, i, one)
        if (!check(one, err))
            return false;
    return true;
}

static bool
check_provider(const json_t *provider, NovaError **err)
{
    if (!json_is_object(provider))
        return refuse(err, provider, "is not of type 'object'");
    return check_identification(provider, err) &&
           check_additional(provider, "inventories", check_inventory, err) &&
           check_additional(provider, "traits", check_trait, err);
}

static bool
check_schema(const json_t *config, NovaError **err)
{
    const json_t *providers = json_object_get(config, "providers"), *provider;
    size_t i;

    if (json_object_get(config, "__source_file"))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "'__source_file' is not allowed");
    if (providers && !json_is_array(providers))
        return refuse(err, providers, "is not of type 'array'");
    json_array_foreach (providers, i, provider)
        if (!check_provider(provider, err))
            return false;
    return true;
}

/* ---- one file ---- */

static bool
check_version(const json_t *config, const char *path, NovaError **err)
{
    const char *version = json_string_value(json_path(config, "meta", "schema_version", NULL));
    g_auto(GStrv) numbers = version && matches("^[1-9][0-9]*\\.([1-9][0-9]*|0)$", version)
                            ? g_strsplit(version, ".", 2) : NULL;
    g_autofree char *shown = json_to_python_repr(config);

    if (!numbers)
        return fail(err, "Unable to detect schema version: %s", shown);
    if (strcmp(numbers[0], "1") != 0)
        return fail(err, "Unsupported schema major version: %s", numbers[0]);
    if (strcmp(numbers[1], "0") != 0)
        LOG_WARNING("Provider config file [%s] is at schema version %s. The major version is supported, but not the "
                    "minor. Some fields may be ignored.", path, version);
    return true;
}

static json_t *
read_file(const char *path, NovaError **err)
{
    NovaError *error = NULL;
    json_t *config = yaml_parse_file(path, &error);

    if (!config && nova_error_is(error, NOVA_ERROR_OS_ERROR))
        fail(err, "Unable to read yaml config file: %s", path);
    else if (!config)
        fail(err, "Unable to load yaml file: %s File: %s", nova_error_message(error), path);
    else if (check_version(config, path, err)) {
        if (check_schema(config, &error))
            return config;
        fail(err, "The provider config file %s did not pass validation for schema version %s: %s", path,
             json_string_value(json_path(config, "meta", "schema_version", NULL)), nova_error_message(error));
    }
    nova_error_free(error);
    json_decref(config);
    return NULL;
}

/* ---- its providers ---- */

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
add_foreign(GPtrArray *foreign, const char *name)
{
    if (!g_str_has_prefix(name, CUSTOM))
        g_ptr_array_add(foreign, (char *)name);
}

/* All names in it must be the operator's own. Borrowed names; sorted. */
static GPtrArray *
find_foreign(const json_t *additional)
{
    GPtrArray *foreign = g_ptr_array_new();
    const json_t *one;
    const char *class;
    json_t *record;
    size_t i;

    json_array_foreach (additional, i, one) {
        if (json_is_string(one))
            add_foreign(foreign, json_string_value(one));
        json_object_foreach ((json_t *)one, class, record)
            add_foreign(foreign, class);
    }
    g_ptr_array_sort(foreign, compare_names);
    g_ptr_array_add(foreign, NULL);
    return foreign;
}

static bool
check_custom(const json_t *provider, NovaError **err)
{
    g_autoptr(GPtrArray) traits = find_foreign(json_path(provider, "traits", "additional", NULL));
    g_autoptr(GPtrArray) classes = find_foreign(json_path(provider, "inventories", "additional", NULL));

    if (traits->len > 1) {
        g_autofree char *names = g_strjoinv("', '", (char **)traits->pdata);

        return fail(err, "Invalid traits, only custom traits are allowed: ['%s']", names);
    }
    if (classes->len > 1) {
        g_autofree char *names = g_strjoinv(", ", (char **)classes->pdata);

        return fail(err, "Invalid resource class, only custom resource classes are allowed: %s", names);
    }
    return true;
}

static bool
adds_nothing(const json_t *provider)
{
    return json_array_size(json_path(provider, "traits", "additional", NULL)) == 0 &&
           json_array_size(json_path(provider, "inventories", "additional", NULL)) == 0;
}

static bool
add_provider(json_t *configs, json_t *provider, const char *path, NovaError **err)
{
    const json_t *id = json_object_get(provider, "identification");
    const char *key = json_get_string(id, "uuid", json_get_string(id, "name", ""));
    const json_t *other = json_object_get(configs, key);
    g_autofree char *file = g_path_get_basename(path);

    if (!check_custom(provider, err))
        return false;
    if (adds_nothing(provider)) {
        LOG_WARNING("Provider %s defined in %s has no additional inventories or traits and will be ignored.", key, path);
        return true;
    }
    if (other)
        return fail(err, "Provider %s has multiple definitions in source file(s): ['%s', '%s'].", key,
                    json_get_string(other, "__source_file", ""), file);
    json_set_string(provider, "__source_file", file);
    json_object_set(configs, key, provider);
    return true;
}

static bool
add_file(json_t *configs, const char *path, NovaError **err)
{
    json_auto_t *config = read_file(path, err);
    json_t *provider;
    size_t i;

    if (!config)
        return false;
    json_array_foreach (json_object_get(config, "providers"), i, provider)
        if (!add_provider(configs, provider, path, err))
            return false;
    return true;
}

json_t *
provider_configs_load(const char *folder, NovaError **err)
{
    json_t *configs = json_object();
    g_autofree char *pattern = g_build_filename(folder, "*.yaml", NULL);
    glob_t found = {0};
    bool ok = true;

    if (glob(pattern, 0, NULL, &found) != 0)
        LOG_INFO("No provider configs found in %s. If files are present, ensure the Nova process has access.", folder);
    for (size_t i = 0; ok && i < found.gl_pathc; i++)
        ok = add_file(configs, found.gl_pathv[i], err);
    globfree(&found);
    if (ok)
        return configs;
    json_decref(configs);
    return NULL;
}
