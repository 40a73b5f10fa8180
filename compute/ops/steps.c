/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.steps"
#include "compute/ops/steps.h"

#include <string.h>
#include <time.h>

#include "agent/base/log.h"
#include "network/vif_plug.h"
#include "storage/disks.h"

/* What Nova would read one by one when it first looks at it. */
static const char *const guest_attributes[] = {
    "flavor",   "system_metadata", "metadata",      "info_cache",      "numa_topology",
    "keypairs", "pci_requests",    "trusted_certs", "device_metadata", NULL,
};

bool
step_load_instance(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    return conductor_instance_load(host->conductor, ctx, instance, guest_attributes, err);
}

char *
step_now(void)
{
    return object_time_text(time(NULL));
}

void
step_set_power_state(Instance *instance, PowerState state)
{
    OBJECT_SET_INT(instance, power_state, state);
}

void
step_set_states(Instance *instance, VmState vm_state, TaskState task_state)
{
    OBJECT_SET(instance, vm_state, vm_state);
    OBJECT_SET(instance, task_state, task_state);
}

PowerState
step_power_state(Host *host, const Instance *instance)
{
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, NULL);

    return guest ? guest_power_state(guest) : POWER_STATE_NOSTATE;
}

NetworkInfo *
step_cached_network(const Instance *instance, NovaError **err)
{
    return network_info_from_text(instance->info_cache ? instance->info_cache->network_info : NULL,
                                  err);
}

static bool
refuse_volumes(const GPtrArray *bdms, NovaError **err)
{
    for (guint i = 0; i < bdms->len; i++) {
        const BlockDeviceMapping *bdm = bdms->pdata[i];

        if (g_strcmp0(bdm->destination_type, "volume") == 0 && !bdm->no_device)
            return nova_error_set(err, NOVA_ERROR_INVALID_BDM,
                                  "Block Device Mapping is Invalid: this release of the agent "
                                  "attaches no volumes.");
    }
    return true;
}

GuestPlan *
step_plan_guest(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    g_autoptr(NetworkInfo) network = NULL;
    g_autoptr(GPtrArray) bdms = NULL;

    if (!step_load_instance(host, ctx, instance, err))
        return NULL;
    network = step_cached_network(instance, err);
    bdms = network ? conductor_bdms_by_instance(host->conductor, ctx, instance->uuid, err) : NULL;
    if (!bdms || !refuse_volumes(bdms, err))
        return NULL;
    return guest_plan_new(host->guest_config, instance, NULL, g_steal_pointer(&network),
                          g_steal_pointer(&bdms), err);
}

bool
step_create_disks(Host *host, const RequestContext *ctx, const Instance *instance,
                  const GuestPlan *plan, NovaError **err)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(DiskPlan) disks = NULL;

    for (guint i = 0; i < plan->disk_map->entries->len; i++)
        g_ptr_array_add(names, ((DiskEntry *)plan->disk_map->entries->pdata[i])->key);
    g_ptr_array_add(names, NULL);
    disks = disk_plan_for_instance(instance, plan->bdms, (const char *const *)names->pdata);
    return disks_create(host->options, host->image_cache, ctx, instance->uuid, disks, NULL, err) &&
           disks_ensure_console_log(host->options, instance->uuid, err);
}

/* ---- start ---- */

static bool
wait_for_plug(Host *host, EventWaiter *waiter, NovaError **err)
{
    const OptionsDefault *options = &host->options->default_group;
    NovaError *error = NULL;

    if (instance_events_wait(waiter, (int)options->vif_plugging_timeout * 1000, &error))
        return true;
    if (options->vif_plugging_is_fatal)
        return nova_error_propagate(err, error);
    LOG_WARNING("Going on without the ports being reported as plugged: %s",
                nova_error_details(error));
    nova_error_free(error);
    return true;
}

static bool
run_guest(Host *host, Guest *guest, const StartGuest *start, NovaError **err)
{
    if (start->before_start && !start->before_start(start->user, err))
        return false;
    if (!guest_start(guest, start->waiter != NULL, err))
        return false;
    if (!start->waiter)
        return true;
    return wait_for_plug(host, start->waiter, err) && guest_resume(guest, err);
}

bool
step_start_guest(Host *host, Instance *instance, const StartGuest *start, NovaError **err)
{
    g_autofree char *xml = guest_config_make_xml(host->guest_config, start->plan, instance, err);
    g_autoptr(Guest) guest = NULL;
    g_autoptr(NovaError) undo = NULL;

    if (!xml)
        return false;
    if (!vif_plug_all(host->ovsdb, host->options, start->plan->network->vifs, instance->uuid, err))
        return nova_error_prefix(err, "plugging the ports");
    guest = guest_define(host->hypervisor, xml, err);
    if (guest && run_guest(host, guest, start, err))
        return true;
    if (!step_destroy_guest(host, instance, start->plan->network, false, &undo))
        LOG_WARNING("Cleaning up the failed guest: %s", nova_error_details(undo));
    return false;
}

bool
step_destroy_guest(Host *host, const Instance *instance, const NetworkInfo *network,
                   bool keep_firmware_state, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    if (error)
        return nova_error_propagate(err, error);
    if (guest && (!guest_power_off(guest, err) || !guest_undefine(guest, keep_firmware_state, err)))
        return false;
    return vif_unplug_all(host->ovsdb, host->options, network->vifs, instance->uuid, err);
}
