/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A move of a server between hosts or sizes (nova.objects.Migration).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct Migration {
    ObjectBase base;
    int64_t id;
    char *uuid;
    char *source_compute;
    char *dest_compute;
    char *source_node;
    char *dest_node;
    NullableInt dest_compute_id;
    char *dest_host;
    NullableInt old_instance_type_id;
    NullableInt new_instance_type_id;
    char *instance_uuid;
    char *status;
    char *migration_type;
    bool hidden;
    NullableInt memory_total;
    NullableInt memory_processed;
    NullableInt memory_remaining;
    NullableInt disk_total;
    NullableInt disk_processed;
    NullableInt disk_remaining;
    bool cross_cell_move;
    char *user_id;
    char *project_id;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} Migration;

extern const ObjectType MIGRATION_TYPE;
Migration *migration_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void migration_free(Migration *migration);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Migration, migration_free)
