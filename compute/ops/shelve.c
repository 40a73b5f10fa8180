/* SPDX-License-Identifier: Apache-2.0 */
/* Shelving a server: ComputeManager.shelve_instance(), shelve_offload_instance(). */
#define LOG_NAME "kilonova.compute.shelve"
#include "compute/ops/shelve.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/ops.h"
#include "compute/ops/snapshot.h"
#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/resource_tracker.h"
#include "storage/disks.h"

static const char *const shelved_keys[] = {"shelved_at", "shelved_image_id", "shelved_host"};

static void
note(Instance *instance, const char *key, char *value)
{
    g_hash_table_replace(instance->system_metadata, g_strdup(key), value);
}

/* datetime.isoformat() with microseconds, which Python leaves out when there are none. */
static char *
iso_now(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autofree char *seconds = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
    int microseconds = g_date_time_get_microsecond(now);

    return microseconds ? g_strdup_printf("%s.%06d", seconds, microseconds) : g_steal_pointer(&seconds);
}

void
shelve_forget(Operation *op, const char *image_id)
{
    GHashTable *metadata = op->instance->system_metadata;
    g_autoptr(NovaError) error = NULL;

    if (!image_id)
        image_id = g_hash_table_lookup(metadata, "shelved_image_id");
    if (image_id && !glance_delete(op->host->glance, op->ctx, image_id, &error))
        LOG_WARNING("Failed to delete snapshot from shelved instance (%s).", nova_error_details(error));
    for (size_t i = 0; i < G_N_ELEMENTS(shelved_keys); i++)
        g_hash_table_remove(metadata, shelved_keys[i]);
}

/* ---- offloading: the server leaves the host ---- */

static bool
remove_from_host(Operation *op, NovaError **err)
{
    static const NeutronRefresh all = {.port_id = NULL};
    g_autoptr(NetworkInfo) network =
        neutron_fetch_instance_nw_info(op->host->neutron, op->ctx, op->instance, &all, err);
    g_autoptr(GPtrArray) ports = g_ptr_array_new();
    g_autoptr(GPtrArray) bdms =
        network ? conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err) : NULL;

    if (!bdms)
        return false;
    for (guint i = 0; i < network->vifs->len; i++)
        g_ptr_array_add(ports, ((Vif *)network->vifs->pdata[i])->id);
    if (!step_destroy_guest(op->host, op->instance, network, false, err) ||
        !disks_remove_volumes(op->host->options, op->instance->uuid, err))
        return false;
    neutron_unbind_ports(op->host->neutron, op->ctx, ports, false); /* nobody knows how to unplug them then */
    if (!disks_delete(op->host->options, op->instance->uuid))
        LOG_WARNING("Some files of the instance could not be removed");
    return volumes_close(op, bdms, true, err);
}

/* Before the state says so: who polls it may want the room at once. */
static bool
remove_allocation(Operation *op, NovaError **err)
{
    return placement_delete_allocations(op->host->placement, op->ctx, op->instance->uuid, true, NULL, err);
}

static bool
offload(Operation *op, bool clean, NovaError **err)
{
    Host *host = op->host;
    Instance *instance = op->instance;
    PowerState power_state;

    LOG_INFO("Shelve offloading");
    notifier_instance(host->notifier, op->ctx, instance, "shelve_offload", "start", NULL);
    if (!step_power_off(host, instance, clean, err))
        return false;
    power_state = step_power_state(host, instance);
    if (!remove_from_host(op, err) || !remove_allocation(op, err))
        return false;
    step_set_power_state(instance, power_state);
    step_set_states(instance, VM_STATE_SHELVED_OFFLOADED, TASK_STATE_NONE);
    if (!conductor_save_instance(host->conductor, op->ctx, instance, EXPECT(SHELVING, SHELVING_OFFLOADING),
                                 err))
        return false;
    resource_tracker_note(host->tracker, op->ctx, instance);
    spawn_leave_host(instance);
    if (!conductor_save_instance(host->conductor, op->ctx, instance, EXPECT_ANY, err))
        return false;
    conductor_scheduler_delete(host->conductor, op->ctx, host->name, instance->uuid);
    notifier_instance(host->notifier, op->ctx, instance, "shelve_offload", "end", NULL);
    return true;
}

bool
op_shelve_offload_instance(Operation *op, NovaError **err)
{
    return step_load_instance(op->host, op->ctx, op->instance, err) &&
           offload(op, json_get_bool(op->args, "clean_shutdown", true), err);
}

/* ---- shelving: the server becomes an image ---- */

static bool
make_image(Operation *op, NovaError **err)
{
    static const SnapshotTasks tasks = {EXPECT(SHELVING), TASK_STATE_SHELVING_IMAGE_PENDING_UPLOAD,
                                        TASK_STATE_SHELVING_IMAGE_UPLOADING};
    bool is_paused = op->instance->power_state.value == POWER_STATE_PAUSED; /* cannot shut down */
    bool clean = json_get_bool(op->args, "clean_shutdown", true) && !is_paused;

    return step_power_off(op->host, op->instance, clean, err) &&
           snapshot_take(op, json_get_string(op->args, "image_id", ""), &tasks, err);
}

static bool
announce_shelved(Operation *op, bool offloads, NovaError **err)
{
    Instance *instance = op->instance;

    note(instance, "shelved_at", iso_now());
    note(instance, "shelved_image_id", g_strdup(json_get_string(op->args, "image_id", NULL)));
    note(instance, "shelved_host", g_strdup(op->host->name));
    step_set_states(instance, VM_STATE_SHELVED,
                    offloads ? TASK_STATE_SHELVING_OFFLOADING : TASK_STATE_NONE);
    step_set_power_state(instance, step_power_state(op->host, instance));
    return conductor_save_instance(op->host->conductor, op->ctx, instance,
                                   EXPECT(SHELVING, SHELVING_IMAGE_UPLOADING), err);
}

/* A process before us had begun it: the image is made anew, unless the server is shelved already. */
static bool
begin_again(Operation *op, NovaError **err)
{
    OBJECT_SET(op->instance, task_state, TASK_STATE_SHELVING);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}

/* Nova has read the block devices only where it offloads the server, too. */
static void
notify_shelve(Operation *op, const char *phase, bool offloads)
{
    const InstanceNotice notice = {.action = "shelve", .phase = phase, .hides_bdms = !offloads};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

/* The process before us may have ended when all of the image was there: Glance takes no data again. */
static bool
has_image(const Operation *op)
{
    json_auto_t *record = op->is_resumed ? glance_show(op->host->glance, op->ctx,
                                                       json_get_string(op->args, "image_id", ""), NULL)
                                         : NULL;

    return strcmp(json_get_string(record, "status", ""), "active") == 0;
}

bool
op_shelve_instance(Operation *op, NovaError **err)
{
    const ExistsNotice exists = {.is_current_period = true};
    bool offloads = op->host->options->default_group.shelved_offload_time == 0;

    LOG_INFO("Shelving");
    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    if (op->is_resumed && op->instance->vm_state == VM_STATE_SHELVED)
        return offload(op, false, err);
    if (op->is_resumed && !begin_again(op, err))
        return false;
    notifier_exists(op->host->notifier, op->ctx, op->instance, &exists);
    notify_shelve(op, "start", offloads);
    if ((!has_image(op) && !make_image(op, err)) || !announce_shelved(op, offloads, err))
        return false;
    notify_shelve(op, "end", offloads);
    return !offloads || offload(op, false, err);
}
