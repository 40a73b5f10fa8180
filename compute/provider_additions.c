/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.resource_tracker"
#include "compute/provider_additions.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"

#define ANY_NODE "$COMPUTE_NODE"

typedef struct Merge {
    ProviderTree *tree;
    const json_t *configs;
    GHashTable *files; /* provider uuid → file that it was changed by; both borrowed */
} Merge;

static const char *
file_of(const json_t *config)
{
    return json_get_string(config, "__source_file", "");
}

static void
add_traits(Provider *provider, const json_t *config)
{
    const json_t *trait;
    size_t i;

    json_array_foreach (json_path(config, "traits", "additional", NULL), i, trait)
        provider_add_trait(provider, json_string_value(trait));
    provider_add_trait(provider, "OWNER_NOVA");
}

/* What an earlier update has put there is no conflict. */
static bool
add_class(json_t *inventory, const char *class, json_t *record, const json_t *config, NovaError **err)
{
    const json_t *present = json_object_get(inventory, class);
    json_auto_t *before = present ? json_pack("{s:O}", class, present) : NULL;
    json_auto_t *after = json_pack("{s:O}", class, record);

    if (present && provider_inventory_differs(before, after))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "Provider config '%s' attempts to define an inventory that is owned by the virt driver. "
                              "Invalid inventories '%s' must be removed from '%s'.", file_of(config), class, file_of(config));
    json_object_set(inventory, class, record);
    return true;
}

static bool
add_inventories(Provider *provider, const json_t *config, NovaError **err)
{
    json_auto_t *inventory = json_copy(provider->inventory);
    json_auto_t *additions = json_object(); /* of one class twice, the last counts */
    const json_t *one;
    const char *class;
    json_t *record;
    size_t i;

    json_array_foreach (json_path(config, "inventories", "additional", NULL), i, one)
        json_object_update(additions, (json_t *)one);
    json_object_foreach (additions, class, record)
        if (!add_class(inventory, class, record, config, err))
            return false;
    provider_set_inventory(provider, inventory);
    return true;
}

static bool
add(Merge *merge, Provider *provider, const char *key, const json_t *config, NovaError **err)
{
    const char *other = g_hash_table_lookup(merge->files, provider->uuid);

    if (other)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "Provider config '%s' conflicts with provider config '%s'. The same provider is "
                              "specified using both name '%s' and uuid '%s'.", file_of(config), other, key, provider->uuid);
    if (!add_inventories(provider, config, err))
        return false;
    add_traits(provider, config);
    g_hash_table_insert(merge->files, provider->uuid, (char *)file_of(config));
    return true;
}

static bool
is_any_node(const Merge *merge, const Provider *provider)
{
    return !provider->parent_uuid && provider_has_trait(provider, "COMPUTE_NODE") &&
           !json_object_get(merge->configs, provider->uuid) && !json_object_get(merge->configs, provider->name);
}

static bool
add_to_nodes(Merge *merge, const json_t *config, NovaError **err)
{
    for (guint i = 0; i < merge->tree->providers->len; i++) {
        Provider *provider = merge->tree->providers->pdata[i];

        if (is_any_node(merge, provider) && !add(merge, provider, ANY_NODE, config, err))
            return false;
    }
    return true;
}

static Provider *
find(const ProviderTree *tree, const char *key)
{
    Provider *provider = provider_tree_find(tree, key);

    return provider ? provider : provider_tree_find_by_name(tree, key);
}

/* Told once for each time that it is missing. */
static Provider *
find_or_warn(const ProviderTree *tree, const char *key, const json_t *config, GHashTable *absent)
{
    Provider *provider = find(tree, key);

    if (provider)
        g_hash_table_remove(absent, key);
    else if (g_hash_table_add(absent, g_strdup(key)))
        LOG_WARNING("Provider '%s' specified in provider config file '%s' does not exist in the ProviderTree and "
                    "will be ignored.", key, file_of(config));
    return provider;
}

static bool
add_to_named(Merge *merge, const char *key, const json_t *config, GHashTable *absent, NovaError **err)
{
    Provider *provider = find_or_warn(merge->tree, key, config, absent);

    return !provider || add(merge, provider, key, config, err);
}

bool
provider_additions_merge(ProviderTree *tree, const json_t *configs, GHashTable *absent, NovaError **err)
{
    g_autoptr(GHashTable) files = g_hash_table_new(g_str_hash, g_str_equal);
    Merge merge = {tree, configs, files};
    const char *key;
    json_t *config;

    json_object_foreach ((json_t *)configs, key, config)
        if (strcmp(key, ANY_NODE) == 0 ? !add_to_nodes(&merge, config, err)
                                       : !add_to_named(&merge, key, config, absent, err))
            return false;
    return true;
}
