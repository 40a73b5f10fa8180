/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.spawn"
#include "compute/ops/spawn.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/steps.h"
#include "storage/config_drive.h"
#include "storage/disks.h"

static bool
make_config_drive(const Spawn *spawn, NovaError **err)
{
    Operation *op = spawn->op;
    const char *groups[] = {"default", NULL};
    ConfigDriveInput input = {
        .instance = op->instance,
        .network_info = spawn->plan->network->json,
        .block_devices = spawn->plan->bdms,
        .security_groups = groups,
        .admin_pass = spawn->admin_pass,
        .injected_files = spawn->injected_files,
    };

    if (!disk_map_find(spawn->plan->disk_map, "disk.config"))
        return true;
    LOG_INFO("Using config drive");
    return step_make_config_drive(op->host, &input, "disk.config", err);
}

/* Between definition and start: libvirt has given the devices their addresses, and the config drive
 * tells the guest which of them has which tag. */
static bool
prepare_metadata(void *user, NovaError **err)
{
    const Spawn *spawn = user;
    Operation *op = spawn->op;

    return step_note_devices(op->host, op->ctx, op->instance, spawn->plan->network, spawn->plan->bdms,
                             err) &&
           make_config_drive(spawn, err);
}

bool
spawn_guest(const Spawn *spawn, NovaError **err)
{
    Operation *op = spawn->op;
    g_autoptr(EventWaiter) waiter = NULL;
    gint64 started = g_get_monotonic_time();
    StartGuest start = {
        .plan = spawn->plan, .before_start = prepare_metadata, .user = (void *)spawn};

    if (!step_create_disks(op->host, op->ctx, op->instance, spawn->plan, err))
        return nova_error_prefix(err, "creating the disks");
    if (spawn->after_disks && !spawn->after_disks(spawn->user, err))
        return false;
    waiter = step_expect_plugs(op->host, op->instance, spawn->plan->network, NULL);
    start.waiter = waiter;
    if (!step_start_guest(op->host, op->ctx, op->instance, &start, err))
        return nova_error_prefix(err, "starting the guest");
    LOG_INFO("Took %.2f seconds to spawn the instance on the hypervisor.",
             (double)(g_get_monotonic_time() - started) / 1e6);
    return true;
}

void
spawn_note(Operation *op, const GuestPlan *plan)
{
    Instance *instance = op->instance;
    g_autofree char *now = step_now();

    guest_config_note_defaults(op->host->guest_config, plan, instance);
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_ACTIVE, TASK_STATE_NONE);
    OBJECT_SET_STRING(instance, launched_at, now);
    if (disk_map_find(plan->disk_map, "disk.config"))
        OBJECT_SET_STRING(instance, config_drive, "True");
}

/* The first of each version. */
static void
note_access_ips_of(Instance *instance, const VifNetwork *network)
{
    for (guint i = 0; i < network->subnets->len; i++) {
        const VifSubnet *subnet = network->subnets->pdata[i];

        for (guint j = 0; j < subnet->ips->len; j++) {
            const VifIp *ip = subnet->ips->pdata[j];

            if (ip->version == 4 && !instance->access_ip_v4)
                OBJECT_SET_STRING(instance, access_ip_v4, ip->address);
            else if (ip->version == 6 && !instance->access_ip_v6)
                OBJECT_SET_STRING(instance, access_ip_v6, ip->address);
        }
    }
}

void
spawn_note_access_ips(Instance *instance, const NetworkInfo *network, const char *label)
{
    if (!label || !*label || instance->access_ip_v4 || instance->access_ip_v6)
        return;
    for (guint i = 0; i < network->vifs->len; i++) {
        const Vif *vif = network->vifs->pdata[i];

        if (g_strcmp0(vif->network->label, label) == 0) {
            note_access_ips_of(instance, vif->network);
            return;
        }
    }
}

void
spawn_leave_host(Instance *instance)
{
    OBJECT_SET_STRING(instance, host, NULL);
    OBJECT_SET_STRING(instance, node, NULL);
    OBJECT_SET_STRING(instance, launched_on, NULL);
    OBJECT_SET_STRING(instance, availability_zone, NULL);
    OBJECT_SET(instance, compute_id, ((NullableInt){true, 0}));
}
