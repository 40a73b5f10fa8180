/* SPDX-License-Identifier: Apache-2.0 */
/* Making a shelved server again, on this host: ComputeManager.unshelve_instance(). */
#define LOG_NAME "kilonova.compute.unshelve"
#include "compute/ops/ops.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/block_device_info.h"
#include "compute/ops/shelve.h"
#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/recovery.h"
#include "compute/resource_tracker.h"
#include "storage/disks.h"

typedef struct Unshelve {
    Operation *op;
    json_t *image;          /* borrowed; what it was shelved as; NULL: it boots from a volume */
    char *image_ref;        /* the server's own, put aside; as the next two */
    char *key_data;
    bool auto_disk_config;
    GuestPlan *plan;
    bool is_claimed;
    bool is_spawned; /* by the process before us */
    bool has_guest;  /* or may have, by that one or by us */
} Unshelve;

static void
unshelve_clear(Unshelve *unshelve)
{
    g_free(unshelve->image_ref);
    g_free(unshelve->key_data);
    guest_plan_free(unshelve->plan);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Unshelve, unshelve_clear)

/* The guest is made from the image it was shelved as, and nothing is put into it a second time. */
static void
disguise(Unshelve *unshelve)
{
    Instance *instance = unshelve->op->instance;

    unshelve->image_ref = g_strdup(instance->image_ref);
    unshelve->key_data = g_strdup(instance->key_data);
    unshelve->auto_disk_config = instance->auto_disk_config;
    OBJECT_SET_STRING(instance, key_data, NULL);
    OBJECT_SET(instance, auto_disk_config, false);
    if (unshelve->image)
        OBJECT_SET_STRING(instance, image_ref, json_get_string(unshelve->image, "id", NULL));
}

static void
undisguise(Unshelve *unshelve)
{
    Instance *instance = unshelve->op->instance;

    OBJECT_SET_STRING(instance, image_ref, unshelve->image_ref);
    OBJECT_SET_STRING(instance, key_data, unshelve->key_data);
    OBJECT_SET(instance, auto_disk_config, unshelve->auto_disk_config);
}

static bool
plan_guest(Unshelve *unshelve, NovaError **err)
{
    static const NeutronRefresh all = {.port_id = NULL};
    Operation *op = unshelve->op;
    json_auto_t *providers = step_provider_mapping(op->args);
    json_auto_t *devices = resource_tracker_pci_profiles(op->host->tracker, op->instance, err);
    const NeutronRebinding here = {
        .host = op->host->name, .provider_mapping = providers, .pci_by_port = devices};
    g_autoptr(NetworkInfo) network = NULL;
    ImageMeta *image = NULL;

    if (!devices || !neutron_bind_ports_to_host(op->host->neutron, op->ctx, op->instance, &here, err))
        return false;
    network = neutron_fetch_instance_nw_info(op->host->neutron, op->ctx, op->instance, &all, err);
    if (!network)
        return false;
    if (unshelve->image && !(image = image_meta_from_dict(unshelve->image, err)))
        return false;
    unshelve->plan = step_plan_guest_of(op->host, op->ctx, op->instance, image, VOLUMES_ALL, err);
    return unshelve->plan != NULL;
}

/* The image will be deleted: the disk must not need it. */
static bool
leave_image(void *user, NovaError **err)
{
    Unshelve *unshelve = user;
    Operation *op = unshelve->op;
    const char *base = g_hash_table_lookup(op->instance->system_metadata, "image_base_image_ref");

    return !unshelve->image || disks_rebase(op->host->options, op->host->image_cache, op->ctx,
                                            op->instance->uuid, "disk", base, err);
}

static bool
claim_and_spawn(Unshelve *unshelve, NovaError **err)
{
    Operation *op = unshelve->op;
    Spawn spawn = {.op = op, .after_disks = leave_image, .user = unshelve};

    if (!step_note_pci_providers(op, err) ||
        !resource_tracker_claim(op->host->tracker, op->ctx, op->instance,
                                json_object_get(json_object_get(op->args, "filter_properties"), "limits"),
                                err))
        return false;
    unshelve->is_claimed = true;
    if (!plan_guest(unshelve, err))
        return false;
    spawn.plan = unshelve->plan;
    if (unshelve->is_spawned)
        return true;
    if (!volumes_prepare(op, unshelve->plan->bdms, unshelve->plan->devices, err))
        return false;
    unshelve->has_guest = true;
    return spawn_guest(&spawn, err);
}

static bool
announce_active(Unshelve *unshelve, NovaError **err)
{
    Operation *op = unshelve->op;

    undisguise(unshelve);
    shelve_forget(op, unshelve->image ? json_get_string(unshelve->image, "id", NULL) : NULL);
    spawn_note(op, unshelve->plan);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT(SPAWNING), err);
}

static GPtrArray *
read_rows(Unshelve *unshelve, NovaError **err)
{
    Operation *op = unshelve->op;

    return unshelve->plan ? g_ptr_array_ref(unshelve->plan->bdms)
                          : conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);
}

/* Whatever of them was opened. They stay the server's, reserved. */
static void
close_volumes(Unshelve *unshelve)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) bdms = NULL;

    if (!unshelve->plan && !unshelve->is_spawned)
        return;
    bdms = read_rows(unshelve, &error);
    if (!bdms || !volumes_close(unshelve->op, bdms, true, &error))
        LOG_ERROR("Reserving the volumes of the shelved instance: %s", nova_error_details(error));
}

static bool
undo_guest(Unshelve *unshelve)
{
    Operation *op = unshelve->op;
    g_autoptr(NetworkInfo) network = step_cached_network(op->instance, NULL);

    return !unshelve->has_guest || step_undo_guest(op->host, op->instance, network);
}

/* It stays shelved, on no host; who asked may ask again. But a guest that may still run stays where it is. */
static bool
unshelve_failed(Unshelve *unshelve, NovaError *error, NovaError **err)
{
    Operation *op = unshelve->op;
    g_autoptr(NovaError) failure = NULL, volumes = NULL;

    LOG_ERROR("Instance failed to spawn: %s", nova_error_details(error));
    if (!undo_guest(unshelve)) {
        undisguise(unshelve);
        return nova_error_propagate(err, error);
    }
    if (!disks_remove_volumes(op->host->options, op->instance->uuid, &volumes))
        LOG_WARNING("Removing the disks: %s", nova_error_details(volumes));
    disks_delete(op->host->options, op->instance->uuid);
    close_volumes(unshelve);
    if (unshelve->is_claimed)
        resource_tracker_drop_claim(op->host->tracker, op->ctx, op->instance);
    undisguise(unshelve);
    if (!placement_delete_allocations(op->host->placement, op->ctx, op->instance->uuid, true, NULL,
                                      &failure))
        LOG_ERROR("Failed to delete the allocations: %s", nova_error_details(failure));
    spawn_leave_host(op->instance); /* saved with the task, which is reverted */
    return nova_error_propagate(err, error);
}

/* A process before us had begun it: what it had put aside is in the request, what it had made goes,
 * unless the guest runs already. */
static bool
begin_again(Unshelve *unshelve, NovaError **err)
{
    Operation *op = unshelve->op;
    Instance *instance = op->instance;
    g_autoptr(Instance) asked = instance_from_json(json_object_get(op->args, "instance"), err);

    if (!asked)
        return false;
    OBJECT_SET_STRING(instance, image_ref, asked->image_ref);
    OBJECT_SET_STRING(instance, key_data, asked->key_data);
    OBJECT_SET(instance, auto_disk_config, asked->auto_disk_config);
    unshelve->is_spawned = unshelve->has_guest =
        step_power_state(op->host, instance) == POWER_STATE_RUNNING;
    return unshelve->is_spawned || recovery_remove_local(op->host, instance->uuid) ||
           nova_error_set(err, NOVA_ERROR_NOVA_EXCEPTION, "The guest of an interrupted unshelve cannot be removed");
}

bool
op_unshelve_instance(Operation *op, NovaError **err)
{
    g_auto(Unshelve) unshelve = {.op = op, .image = json_get_object(op->args, "image")};
    Instance *instance = op->instance;
    NovaError *error = NULL;

    LOG_INFO("Unshelving");
    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    if (op->is_resumed && !begin_again(&unshelve, err))
        return false;
    notifier_instance(op->host->notifier, op->ctx, instance, "unshelve", "start", NULL);
    OBJECT_SET(instance, task_state, TASK_STATE_SPAWNING);
    if (!conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT_ANY, err))
        return false;
    disguise(&unshelve);
    if (!claim_and_spawn(&unshelve, &error))
        return unshelve_failed(&unshelve, error, err);
    if (!announce_active(&unshelve, err))
        return false;
    resource_tracker_note(op->host->tracker, op->ctx, instance);
    conductor_scheduler_update(op->host->conductor, op->ctx, op->host->name, instance);
    notifier_instance(op->host->notifier, op->ctx, instance, "unshelve", "end", NULL);
    return true;
}
