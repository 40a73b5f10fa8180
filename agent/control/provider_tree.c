/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/provider_tree.h"

#include <math.h>
#include <string.h>

static void
provider_free(void *data)
{
    Provider *provider = data;

    g_free(provider->uuid);
    g_free(provider->name);
    g_free(provider->parent_uuid);
    json_decref(provider->inventory);
    g_ptr_array_unref(provider->traits);
    g_ptr_array_unref(provider->aggregates);
    g_free(provider);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted copy without duplicates; 'names' may be NULL. */
static GPtrArray *
copy_names(const GPtrArray *names)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; names && i < names->len; i++)
        if (g_ptr_array_index(names, i))
            g_ptr_array_add(copy, g_strdup(g_ptr_array_index(names, i)));
    g_ptr_array_sort(copy, compare_names);
    for (guint i = copy->len; i > 1; i--)
        if (strcmp(g_ptr_array_index(copy, i - 1), g_ptr_array_index(copy, i - 2)) == 0)
            g_ptr_array_remove_index(copy, i - 1);
    return copy;
}

static Provider *
provider_new(const char *uuid, const char *name, const char *parent_uuid)
{
    Provider *provider = g_new0(Provider, 1);

    provider->uuid = g_strdup(uuid);
    provider->name = g_strdup(name);
    provider->parent_uuid = g_strdup(parent_uuid);
    provider->generation = PROVIDER_GENERATION_UNKNOWN;
    provider->inventory = json_object();
    provider->traits = copy_names(NULL);
    provider->aggregates = copy_names(NULL);
    return provider;
}

ProviderTree *
provider_tree_new(void)
{
    ProviderTree *tree = g_new0(ProviderTree, 1);

    tree->providers = g_ptr_array_new_with_free_func(provider_free);
    return tree;
}

static Provider *
provider_copy(const Provider *from)
{
    Provider *copy = provider_new(from->uuid, from->name, from->parent_uuid);
    json_t *inventory = json_deep_copy(from->inventory);

    copy->generation = from->generation;
    copy->is_shared = from->is_shared;
    provider_set_inventory(copy, inventory);
    json_decref(inventory);
    provider_set_traits(copy, from->traits);
    provider_set_aggregates(copy, from->aggregates);
    return copy;
}

ProviderTree *
provider_tree_copy(const ProviderTree *tree)
{
    ProviderTree *copy = provider_tree_new();

    for (guint i = 0; i < tree->providers->len; i++)
        g_ptr_array_add(copy->providers, provider_copy(g_ptr_array_index(tree->providers, i)));
    return copy;
}

void
provider_tree_free(ProviderTree *tree)
{
    if (!tree)
        return;
    g_ptr_array_unref(tree->providers);
    g_free(tree);
}

Provider *
provider_tree_find(const ProviderTree *tree, const char *uuid)
{
    for (guint i = 0; i < tree->providers->len; i++) {
        Provider *provider = g_ptr_array_index(tree->providers, i);

        if (g_strcmp0(provider->uuid, uuid) == 0)
            return provider;
    }
    return NULL;
}

Provider *
provider_tree_find_by_name(const ProviderTree *tree, const char *name)
{
    for (guint i = 0; i < tree->providers->len; i++) {
        Provider *provider = g_ptr_array_index(tree->providers, i);

        if (g_strcmp0(provider->name, name) == 0)
            return provider;
    }
    return NULL;
}

Provider *
provider_tree_add(ProviderTree *tree, const char *uuid, const char *name, const char *parent_uuid)
{
    Provider *provider = provider_tree_find(tree, uuid);

    if (!provider) {
        provider = provider_new(uuid, name, parent_uuid);
        g_ptr_array_add(tree->providers, provider);
    }
    return provider;
}

/* Children stand behind their parents, so one pass finds all that hangs on 'uuid'. */
void
provider_tree_remove(ProviderTree *tree, const char *uuid)
{
    g_autoptr(GHashTable) gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    g_hash_table_add(gone, g_strdup(uuid));
    for (guint i = 0; i < tree->providers->len;) {
        Provider *provider = g_ptr_array_index(tree->providers, i);
        bool is_below = provider->parent_uuid &&
                        g_hash_table_contains(gone, provider->parent_uuid);

        if (!is_below && !g_hash_table_contains(gone, provider->uuid)) {
            i++;
            continue;
        }
        g_hash_table_add(gone, g_strdup(provider->uuid));
        g_ptr_array_remove_index(tree->providers, i);
    }
}

void
provider_set_inventory(Provider *provider, json_t *inventory)
{
    json_t *old = provider->inventory;

    provider->inventory = json_is_object(inventory) ? json_incref(inventory) : json_object();
    json_decref(old);
}

json_t *
provider_inventory_record(int64_t total, int64_t reserved, double allocation_ratio)
{
    return json_pack("{s:I, s:I, s:i, s:I, s:i, s:f}", "total", (json_int_t)total, "reserved",
                     (json_int_t)reserved, "min_unit", 1, "max_unit", (json_int_t)total,
                     "step_size", 1, "allocation_ratio", allocation_ratio);
}

void
provider_set_traits(Provider *provider, const GPtrArray *traits)
{
    GPtrArray *copy = copy_names(traits);

    g_ptr_array_unref(provider->traits);
    provider->traits = copy;
}

void
provider_set_aggregates(Provider *provider, const GPtrArray *aggregates)
{
    GPtrArray *copy = copy_names(aggregates);

    g_ptr_array_unref(provider->aggregates);
    provider->aggregates = copy;
}

static bool
find_trait(const Provider *provider, const char *trait, guint *ret_index)
{
    return g_ptr_array_find_with_equal_func(provider->traits, trait, g_str_equal, ret_index);
}

bool
provider_has_trait(const Provider *provider, const char *trait)
{
    return find_trait(provider, trait, NULL);
}

void
provider_add_trait(Provider *provider, const char *trait)
{
    if (provider_has_trait(provider, trait))
        return;
    g_ptr_array_add(provider->traits, g_strdup(trait));
    g_ptr_array_sort(provider->traits, compare_names);
}

void
provider_remove_trait(Provider *provider, const char *trait)
{
    guint index;

    if (find_trait(provider, trait, &index))
        g_ptr_array_remove_index(provider->traits, index);
}

/* 4 and 4.0 are the same amount, as in Python. */
static bool
values_differ(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return fabs(json_number_value(a) - json_number_value(b)) > 1e-9;
    return !json_equal(a, b);
}

bool
provider_inventory_differs(const json_t *current, const json_t *wanted)
{
    const char *class;
    json_t *record;

    if (json_object_size(current) != json_object_size(wanted))
        return true;
    json_object_foreach ((json_t *)wanted, class, record) {
        const json_t *old = json_object_get(current, class);
        const char *key;
        json_t *value;

        if (!old)
            return true;
        json_object_foreach (record, key, value)
            if (values_differ(json_object_get(old, key), value))
                return true;
    }
    return false;
}

bool
provider_names_differ(const GPtrArray *a, const GPtrArray *b)
{
    if (a->len != b->len)
        return true;
    for (guint i = 0; i < a->len; i++)
        if (strcmp(g_ptr_array_index(a, i), g_ptr_array_index(b, i)) != 0)
            return true;
    return false;
}
