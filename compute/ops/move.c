/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.move"
#include "compute/ops/move.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_moves.h"
#include "compute/ops/steps.h"
#include "storage/disks.h"

Migration *
move_read_migration(const Operation *op, NovaError **err)
{
    return migration_from_json(json_object_get(op->args, "migration"), err);
}

bool
move_save_status(Operation *op, Migration *migration, const char *status, NovaError **err)
{
    OBJECT_SET_STRING(migration, status, status);
    return conductor_migration_save(op->host->conductor, op->ctx, migration, err);
}

/* ---- a step that is begun again ---- */

bool
move_is_over(const Operation *op, TaskStates tasks, const char *next)
{
    int task = op->instance->task_state; /* -1: one that we do not know */

    return op->is_resumed && (task < 0 || !(tasks & (UINT64_C(1) << task)) ||
                              (next && op->host->has_method(op->host, op->instance->uuid, next)));
}

TaskStates
move_expected(const Operation *op, TaskStates before, TaskStates set)
{
    return op->is_resumed ? before | set : before;
}

bool
move_has_guest(const Operation *op)
{
    return op->is_resumed && step_power_state(op->host, op->instance) == POWER_STATE_RUNNING;
}

/* ---- the record ---- */

bool
move_load_instance(Operation *op, NovaError **err)
{
    static const char *const attributes[] = {
        "old_flavor", "new_flavor", "migration_context", "pci_devices", "resources", NULL,
    };

    return step_load_instance(op->host, op->ctx, op->instance, err) &&
           conductor_instance_load(op->host->conductor, op->ctx, op->instance, attributes, err);
}

Flavor *
move_copy_flavor(const Flavor *flavor)
{
    json_auto_t *primitive = flavor ? object_to_json(flavor) : NULL;

    return primitive ? flavor_from_json(primitive, NULL) : NULL;
}

void
move_set_flavor(Instance *instance, const Flavor *flavor)
{
    Flavor *copy = move_copy_flavor(flavor);

    OBJECT_SET_INT(instance, instance_type_id, flavor->id);
    OBJECT_SET_INT(instance, memory_mb, flavor->memory_mb);
    OBJECT_SET_INT(instance, vcpus, flavor->vcpus);
    OBJECT_SET_INT(instance, root_gb, flavor->root_gb);
    OBJECT_SET_INT(instance, ephemeral_gb, flavor->ephemeral_gb);
    flavor_free(instance->flavor);
    OBJECT_SET(instance, flavor, copy);
}

bool
move_was_stopped(const Instance *instance)
{
    return g_strcmp0(g_hash_table_lookup(instance->system_metadata, "old_vm_state"),
                     vm_state_name(VM_STATE_STOPPED)) == 0;
}

bool
move_forget(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;

    g_clear_pointer(&instance->old_flavor, flavor_free);
    g_clear_pointer(&instance->new_flavor, flavor_free);
    OBJECT_MARK_SET(instance, old_flavor);
    OBJECT_MARK_SET(instance, new_flavor);
    g_hash_table_remove(instance->system_metadata, "old_vm_state");
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT_ANY, err);
}

/* ---- files ---- */

GPtrArray *
move_disk_names(const Options *options, const char *uuid)
{
    g_autofree char *folder = disks_instance_path(options, uuid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        if (strcmp(name, "disk") == 0 ||
            (g_str_has_prefix(name, "disk.") && strcmp(name, "disk.info") != 0 &&
             !g_str_has_suffix(name, ".rescue")))
            g_ptr_array_add(names, g_strdup(name));
    return names;
}

/* ---- allocations ---- */

bool
move_revert_allocation(Operation *op, const Migration *migration, NovaError **err)
{
    json_auto_t *held = placement_fetch_allocations_for_consumer(op->host->placement, op->ctx,
                                                                 migration->uuid, err);

    if (!held)
        return false;
    if (json_object_size(json_get_object(held, "allocations")) == 0) {
        LOG_ERROR("Did not find resource allocations for migration %s on source node %s. Unable to "
                  "revert source node allocations back to the instance.", migration->uuid,
                  migration->source_node);
        return true;
    }
    LOG_INFO("Swapping old allocation held by migration %s for instance", migration->uuid);
    return placement_move_allocations(op->host->placement, op->ctx, migration->uuid, op->instance->uuid,
                                      err);
}

bool
move_delete_allocation(Operation *op, const Migration *migration, NovaError **err)
{
    if (placement_delete_allocations(op->host->placement, op->ctx, migration->uuid, false, NULL, err))
        return true;
    LOG_ERROR("Deleting allocation in placement for migration %s failed. The instance %s will be put to "
              "ERROR state but the allocation held by the migration is leaked.", migration->uuid,
              op->instance->uuid);
    return false;
}

static bool
free_allocation(Placement *placement, const RequestContext *ctx, const char *migration,
                const char *uuid G_GNUC_UNUSED, NovaError **err)
{
    return placement_delete_allocations(placement, ctx, migration, false, NULL, err);
}

/* All that are in progress for the server. */
static bool
fail_migrations(Host *host, const RequestContext *ctx, const char *uuid,
                bool (*end)(Placement *placement, const RequestContext *ctx, const char *migration,
                            const char *uuid, NovaError **err),
                NovaError **err)
{
    g_autoptr(GPtrArray) migrations =
        conductor_migrations_in_progress(host->conductor, ctx, host->name, host->node, err);

    for (guint i = 0; migrations && i < migrations->len; i++) {
        Migration *migration = migrations->pdata[i];

        if (g_strcmp0(migration->instance_uuid, uuid) != 0 || strcmp(migration->status, "error") == 0)
            continue;
        OBJECT_SET_STRING(migration, status, "error");
        if (!end(host->placement, ctx, migration->uuid, uuid, err) ||
            !conductor_migration_save(host->conductor, ctx, migration, err))
            return false;
    }
    return migrations != NULL;
}

bool
move_give_up(Host *host, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    return fail_migrations(host, ctx, uuid, placement_move_allocations, err);
}

bool
move_release(Host *host, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    return fail_migrations(host, ctx, uuid, free_allocation, err);
}

/* ---- swap ---- */

static BlockDeviceMapping *
find_swap(const GPtrArray *bdms)
{
    for (guint i = 0; i < bdms->len; i++) {
        BlockDeviceMapping *bdm = bdms->pdata[i];

        if (g_strcmp0(bdm->guest_format, "swap") == 0 && g_strcmp0(bdm->device_type, "disk") == 0)
            return bdm;
    }
    return NULL;
}

/* nova.block_device.create_blank_bdm() */
static bool
create_swap(Operation *op, int64_t size_mib, NovaError **err)
{
    g_autoptr(BlockDeviceMapping) bdm = object_new(&BLOCK_DEVICE_MAPPING_TYPE);

    OBJECT_SET_STRING(bdm, instance_uuid, op->instance->uuid);
    OBJECT_SET_STRING(bdm, source_type, "blank");
    OBJECT_SET_STRING(bdm, destination_type, "local");
    OBJECT_SET_STRING(bdm, device_type, "disk");
    OBJECT_SET_STRING(bdm, guest_format, "swap");
    OBJECT_SET_STRING(bdm, device_name, NULL); /* chosen with the disk map */
    OBJECT_SET(bdm, no_device, false);
    OBJECT_SET(bdm, delete_on_termination, true);
    OBJECT_SET_INT(bdm, boot_index, -1);
    OBJECT_SET_INT(bdm, volume_size, size_mib);
    return conductor_bdm_create(op->host->conductor, op->ctx, bdm, err);
}

bool
move_update_swap(Operation *op, const Flavor *from, const Flavor *to, NovaError **err)
{
    g_autoptr(GPtrArray) bdms = NULL;
    BlockDeviceMapping *swap;

    if (!from || !to || from->swap == to->swap)
        return true;
    bdms = conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);
    if (!bdms)
        return false;
    swap = find_swap(bdms);
    if (!swap)
        return from->swap > 0 || create_swap(op, to->swap, err);
    if (to->swap == 0)
        return conductor_bdm_destroy(op->host->conductor, op->ctx, swap, err);
    OBJECT_SET_INT(swap, volume_size, to->swap);
    return conductor_bdm_save(op->host->conductor, op->ctx, swap, err);
}
