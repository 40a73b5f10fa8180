/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/migration.h"

/* clang-format off */
static const ObjectField migration_fields[] = {
    {"id", FIELD_INT, offsetof(Migration, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(Migration, uuid), NULL, NULL},
    {"source_compute", FIELD_STRING, offsetof(Migration, source_compute), NULL, NULL},
    {"dest_compute", FIELD_STRING, offsetof(Migration, dest_compute), NULL, NULL},
    {"source_node", FIELD_STRING, offsetof(Migration, source_node), NULL, NULL},
    {"dest_node", FIELD_STRING, offsetof(Migration, dest_node), NULL, NULL},
    {"dest_compute_id", FIELD_NULLABLE_INT, offsetof(Migration, dest_compute_id), NULL, NULL},
    {"dest_host", FIELD_STRING, offsetof(Migration, dest_host), NULL, NULL},
    {"old_instance_type_id", FIELD_NULLABLE_INT, offsetof(Migration, old_instance_type_id), NULL, NULL},
    {"new_instance_type_id", FIELD_NULLABLE_INT, offsetof(Migration, new_instance_type_id), NULL, NULL},
    {"instance_uuid", FIELD_STRING, offsetof(Migration, instance_uuid), NULL, NULL},
    {"status", FIELD_STRING, offsetof(Migration, status), NULL, NULL},
    {"migration_type", FIELD_STRING, offsetof(Migration, migration_type), NULL, NULL},
    {"hidden", FIELD_BOOL, offsetof(Migration, hidden), NULL, NULL},
    {"memory_total", FIELD_NULLABLE_INT, offsetof(Migration, memory_total), NULL, NULL},
    {"memory_processed", FIELD_NULLABLE_INT, offsetof(Migration, memory_processed), NULL, NULL},
    {"memory_remaining", FIELD_NULLABLE_INT, offsetof(Migration, memory_remaining), NULL, NULL},
    {"disk_total", FIELD_NULLABLE_INT, offsetof(Migration, disk_total), NULL, NULL},
    {"disk_processed", FIELD_NULLABLE_INT, offsetof(Migration, disk_processed), NULL, NULL},
    {"disk_remaining", FIELD_NULLABLE_INT, offsetof(Migration, disk_remaining), NULL, NULL},
    {"cross_cell_move", FIELD_BOOL, offsetof(Migration, cross_cell_move), NULL, NULL},
    {"user_id", FIELD_STRING, offsetof(Migration, user_id), NULL, NULL},
    {"project_id", FIELD_STRING, offsetof(Migration, project_id), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(Migration, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(Migration, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(Migration, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(Migration, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType MIGRATION_TYPE = {"Migration", "1.8", sizeof(Migration), migration_fields,
    G_N_ELEMENTS(migration_fields)};

Migration *
migration_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&MIGRATION_TYPE, primitive, err);
}

void
migration_free(Migration *migration)
{
    object_free(migration);
}
