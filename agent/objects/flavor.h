/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A flavor (nova.objects.Flavor).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct Flavor {
    ObjectBase base;
    int64_t id;
    char *name;
    int64_t memory_mb;
    int64_t vcpus;
    int64_t root_gb;
    int64_t ephemeral_gb;
    char *flavorid;
    int64_t swap;
    double rxtx_factor;
    NullableInt vcpu_weight;
    bool disabled;
    bool is_public;
    GHashTable *extra_specs;
    json_t *projects;
    char *description;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} Flavor;

extern const ObjectType FLAVOR_TYPE;
Flavor *flavor_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void flavor_free(Flavor *flavor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Flavor, flavor_free)
