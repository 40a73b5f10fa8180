/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Resource providers as Placement has them or shall have them (nova.compute.provider_tree).
 *
 * A plain value without lock: a copy belongs to one thread. Providers stand in an order in which
 * each parent comes before its children. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define PROVIDER_GENERATION_UNKNOWN (-1)

typedef struct Provider {
    char *uuid;
    char *name;
    char *parent_uuid;     /* NULL: a root */
    int64_t generation;
    json_t *inventory;     /* {"VCPU": {"total": 2, "reserved": 0, ...}}; never NULL */
    GPtrArray *traits;     /* of char *, sorted, no duplicates */
    GPtrArray *aggregates; /* of char *, sorted, no duplicates */
    bool is_shared;        /* another root that shares through an aggregate: never written */
} Provider;

typedef struct ProviderTree {
    GPtrArray *providers; /* of Provider */
} ProviderTree;

ProviderTree *provider_tree_new(void);
ProviderTree *provider_tree_copy(const ProviderTree *tree);
void provider_tree_free(ProviderTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ProviderTree, provider_tree_free)

/* Borrowed; NULL when there is none. */
Provider *provider_tree_find(const ProviderTree *tree, const char *uuid);
Provider *provider_tree_find_by_name(const ProviderTree *tree, const char *name);

/* Adds one without inventory, traits or aggregates; the existing one if the uuid is known. */
Provider *provider_tree_add(ProviderTree *tree, const char *uuid, const char *name,
                            const char *parent_uuid);
/* With all that is below it. */
void provider_tree_remove(ProviderTree *tree, const char *uuid);

/* Takes a reference to 'inventory' (NULL: none). */
void provider_set_inventory(Provider *provider, json_t *inventory);
/* One resource class with Nova's usual fields: max_unit = total, min_unit = step_size = 1. */
json_t *provider_inventory_record(int64_t total, int64_t reserved, double allocation_ratio);
void provider_set_traits(Provider *provider, const GPtrArray *traits);
void provider_set_aggregates(Provider *provider, const GPtrArray *aggregates);
void provider_add_trait(Provider *provider, const char *trait);
void provider_remove_trait(Provider *provider, const char *trait);
bool provider_has_trait(const Provider *provider, const char *trait);

/* Would writing 'wanted' change anything? As ProviderTree.has_inventory_changed(): keys that
 * 'wanted' does not name are Placement's own defaults and no change. */
bool provider_inventory_differs(const json_t *current, const json_t *wanted);
bool provider_names_differ(const GPtrArray *a, const GPtrArray *b);
