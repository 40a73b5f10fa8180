/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/pci_alias.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"

static bool invalid(NovaError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool
invalid(NovaError **err, const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    return nova_error_set(err, NOVA_ERROR_PCI_INVALID_ALIAS, "Invalid PCI alias definition: %s",
                          reason);
}

/* ---- what an alias may say, and jsonschema's words for what it may not ---- */

static const char *const capability_types[] = {"pci", NULL};
static const char *const device_types[] = {"type-PCI", "type-PF", "type-VF", NULL};
static const char *const numa_policies[] = {"required", "legacy", "preferred", "socket", NULL};

static const struct {
    const char *name;
    const char *const *values; /* NULL: any text */
    bool is_id;                /* four hexadecimal digits */
    bool is_name;              /* 1 to 256 characters */
} properties[] = {
    {"name", NULL, false, true},
    {"capability_type", capability_types, false, false},
    {"product_id", NULL, true, false},
    {"vendor_id", NULL, true, false},
    {"device_type", device_types, false, false},
    {"numa_policy", numa_policies, false, false},
    {"resource_class", NULL, false, false},
    {"traits", NULL, false, false},
    {"live_migratable", NULL, false, false},
};

static bool
is_known(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++)
        if (!strcmp(properties[i].name, key))
            return true;
    return false;
}

static bool
check_keys(const json_t *alias, NovaError **err)
{
    g_autoptr(GString) unknown = g_string_new(NULL);
    unsigned n = 0;
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)alias, key, value)
        if (!is_known(key))
            g_string_append_printf(unknown, "%s'%s'", n++ ? ", " : "", key);
    if (n > 0)
        return invalid(err, "Additional properties are not allowed (%s %s unexpected)",
                       unknown->str, n > 1 ? "were" : "was");
    return json_object_get(alias, "name") || invalid(err, "'name' is a required property");
}

static bool
is_pci_id(const char *text)
{
    return strlen(text) == 4 && strspn(text, "0123456789abcdefABCDEF") == 4;
}

static bool
check_value(size_t i, const json_t *value, NovaError **err)
{
    g_autofree char *shown = json_to_python_repr(value);
    const char *text = json_string_value(value);

    if (!text)
        return invalid(err, "%s is not of type 'string'", shown);
    if (properties[i].is_name && !*text)
        return invalid(err, "%s should be non-empty", shown);
    if (properties[i].is_name && g_utf8_strlen(text, -1) > 256)
        return invalid(err, "%s is too long", shown);
    if (properties[i].is_id && !is_pci_id(text))
        return invalid(err, "%s does not match '^([\\\\da-fA-F]{4})$'", shown);
    if (properties[i].values && !is_one_of(text, properties[i].values)) {
        g_autofree char *allowed = g_strjoinv("', '", (char **)properties[i].values);

        return invalid(err, "%s is not one of ['%s']", shown, allowed);
    }
    return true;
}

static bool
check_schema(const json_t *alias, NovaError **err)
{
    if (!json_is_object(alias)) {
        g_autofree char *shown = json_to_python_repr(alias);

        return invalid(err, "%s is not of type 'object'", shown);
    }
    if (!check_keys(alias, err))
        return false;
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
        const json_t *value = json_object_get(alias, properties[i].name);

        if (value && !check_value(i, value, err))
            return false;
    }
    return true;
}

/* ---- reading: {name: {"numa_policy": ..., "specs": [...]}} ---- */

/* What a device has to match: the alias without what says how to ask. */
static bool
make_spec(const json_t *alias, json_t **ret_spec, NovaError **err)
{
    json_auto_t *spec = json_copy((json_t *)alias);
    const char *type = json_get_string(alias, "device_type", NULL);
    const char *migratable = json_get_string(alias, "live_migratable", NULL);
    bool is_migratable;

    json_object_del(spec, "name");
    json_object_del(spec, "numa_policy");
    json_object_del(spec, "device_type");
    json_object_del(spec, "live_migratable");
    if (type)
        json_set_string(spec, "dev_type", type);
    if (migratable && !python_strict_bool(migratable, &is_migratable, NULL))
        return invalid(
            err,
            "Unrecognized value '%s', acceptable values are: '0', '1', 'f', 'false', 'n', "
            "'no', 'off', 'on', 't', 'true', 'y', 'yes'",
            migratable);
    if (migratable)
        json_set_string(spec, "live_migratable", is_migratable ? "true" : "false");
    *ret_spec = json_incref(spec);
    return true;
}

static bool
check_same(const char *name, const json_t *known, const char *numa_policy, const json_t *spec,
           NovaError **err)
{
    const json_t *first = json_array_get(json_get_array(known, "specs"), 0);
    const char *type = json_get_string(first, "dev_type", NULL);
    const char *own_type = json_get_string(spec, "dev_type", NULL);

    if (strcmp(json_get_string(known, "numa_policy", ""), numa_policy))
        return invalid(err, "NUMA policy mismatch for alias '%s'", name);
    if (!type || !own_type)
        return invalid(err, "'dev_type'");
    return !strcmp(type, own_type) || invalid(err, "Device type mismatch for alias '%s'", name);
}

static bool
add_alias(json_t *aliases, const char *text, NovaError **err)
{
    json_error_t error;
    json_auto_t *alias = json_loads(text, JSON_DECODE_ANY, &error);
    const char *policy = json_get_string(alias, "numa_policy", "legacy");
    g_autofree char *name = NULL;
    json_auto_t *spec = NULL;
    json_t *known;

    if (!alias)
        return invalid(err, "%s", error.text);
    if (!check_schema(alias, err) || !make_spec(alias, &spec, err))
        return false;
    name = python_strip(json_get_string(alias, "name", ""));
    known = json_object_get(aliases, name);
    if (!known)
        return json_object_set_new(
                   aliases, name,
                   json_pack("{s:s, s:[O]}", "numa_policy", policy, "specs", spec)) == 0;
    if (!check_same(name, known, policy, spec, err))
        return false;
    json_array_append(json_get_array(known, "specs"), spec);
    return true;
}

/* ---- what Placement makes necessary ---- */

typedef bool (*IsWrong)(const json_t *alias, bool in_placement);

static bool
has_many_specs(const json_t *alias, bool in_placement)
{
    return in_placement && json_array_size(json_get_array(alias, "specs")) > 1;
}

static bool
lacks_ids(const json_t *alias, bool in_placement)
{
    size_t i;
    json_t *spec;

    json_array_foreach (json_get_array(alias, "specs"), i, spec) {
        bool has_ids = json_object_get(spec, "vendor_id") && json_object_get(spec, "product_id");

        if (!has_ids && !(in_placement && json_object_get(spec, "resource_class")))
            return true;
    }
    return false;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of the aliases that are wrong, "a,b"; NULL: none. */
static char *
wrong_names(const json_t *aliases, IsWrong is_wrong, bool in_placement)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    const char *name;
    json_t *alias;

    json_object_foreach ((json_t *)aliases, name, alias)
        if (is_wrong(alias, in_placement))
            g_ptr_array_add(names, (void *)name);
    if (names->len == 0)
        return NULL;
    g_ptr_array_sort(names, compare_names);
    g_ptr_array_add(names, NULL);
    return g_strjoinv(",", (char **)names->pdata);
}

static bool
check_aliases(const json_t *aliases, bool in_placement, NovaError **err)
{
    g_autofree char *many = wrong_names(aliases, has_many_specs, in_placement);
    g_autofree char *without = wrong_names(aliases, lacks_ids, in_placement);

    if (many)
        return nova_error_set(
            err, NOVA_ERROR_PCI_INVALID_ALIAS,
            "The PCI alias(es) %s have multiple specs but [filter_scheduler]pci_in_placement "
            "is True. The PCI in Placement feature only supports one spec per alias. You can "
            "assign the same resource_class to multiple [pci]device_spec matchers to allow "
            "using different devices for the same alias.",
            many);
    return !without ||
           nova_error_set(
               err, NOVA_ERROR_PCI_INVALID_ALIAS,
               "The PCI alias(es) %s does not have vendor_id and product_id fields set%s.", without,
               in_placement ? " or resource_class field set" : "");
}

static json_t *
read_aliases(const Options *options, NovaError **err)
{
    json_auto_t *aliases = json_object();

    for (char **text = options->pci.alias; text && *text; text++)
        if (!add_alias(aliases, *text, err))
            return NULL;
    return check_aliases(aliases, options->filter_scheduler.pci_in_placement, err)
               ? json_incref(aliases)
               : NULL;
}

bool
pci_alias_check(const Options *options, NovaError **err)
{
    json_auto_t *aliases = read_aliases(options, err);

    return aliases != NULL;
}

/* ---- requests ---- */

/* "name:2" */
static bool
add_request(const json_t *aliases, const char *text, GPtrArray *requests, NovaError **err)
{
    g_auto(GStrv) parts = g_strsplit(text, ":", -1);
    g_autofree char *name = NULL, *id = g_uuid_string_random();
    const json_t *alias;
    InstancePCIRequest *request;
    int64_t count;

    if (g_strv_length(parts) != 2)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "not enough values to unpack (expected 2, got %u)",
                              g_strv_length(parts));
    name = python_strip(parts[0]);
    alias = json_object_get(aliases, name);
    if (!alias)
        return nova_error_set(err, NOVA_ERROR_PCI_REQUEST_ALIAS_NOT_DEFINED,
                              "PCI alias %s is not defined", name);
    if (!python_int(parts[1], &count, err))
        return false;
    request = object_new(&INSTANCE_PCI_REQUEST_TYPE);
    g_ptr_array_add(requests, request);
    OBJECT_SET(request, count, count);
    OBJECT_SET(request, spec, json_deep_copy(json_object_get(alias, "specs")));
    OBJECT_SET_STRING(request, alias_name, name);
    OBJECT_SET_STRING(request, numa_policy, json_get_string(alias, "numa_policy", NULL));
    OBJECT_SET_STRING(request, request_id, id);
    return true;
}

InstancePCIRequests *
pci_alias_requests(const Options *options, const Flavor *flavor, const char *instance_uuid,
                   NovaError **err)
{
    const char *asked = flavor->extra_specs
                            ? g_hash_table_lookup(flavor->extra_specs, "pci_passthrough:alias")
                            : NULL;
    json_auto_t *aliases = asked ? read_aliases(options, err) : json_object();
    g_auto(GStrv) texts = asked ? g_strsplit(asked, ",", -1) : NULL;
    g_autoptr(InstancePCIRequests) requests = object_new(&INSTANCE_PCI_REQUESTS_TYPE);

    if (!aliases)
        return NULL;
    OBJECT_SET_STRING(requests, instance_uuid, instance_uuid);
    OBJECT_SET(requests, requests, g_ptr_array_new_with_free_func(object_free));
    for (char **text = texts; text && *text; text++)
        if (!add_request(aliases, *text, requests->requests, err))
            return NULL;
    return g_steal_pointer(&requests);
}
