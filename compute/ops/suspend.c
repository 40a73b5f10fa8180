/* SPDX-License-Identifier: Apache-2.0 */
/* Suspending: the guest's memory goes to disk (libvirt's managed save), its next start goes on from
 * there. */
#define LOG_NAME "kilonova.compute.suspend"
#include "compute/ops/ops.h"

#include "agent/base/log.h"
#include "compute/guest_agent.h"
#include "compute/guest_hostdev.h"
#include "compute/ops/steps.h"
#include "compute/vif_guest.h"
#include "network/vif_plug.h"

/* The vm_state that resuming gives back. */
#define OLD_VM_STATE "old_vm_state"

/* The process before this one did it, and was killed before it could say so. */
static bool
was_done(const Operation *op, Guest *guest, PowerState state)
{
    return op->is_resumed && guest_power_state(guest) == state;
}

static bool
save_guest(Operation *op, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);

    return guest && (was_done(op, guest, POWER_STATE_SHUTDOWN) ||
                     (guest_detach_hostdevs(guest, op->instance, err) && guest_save(guest, err)));
}

bool
op_suspend_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    NovaError *error = NULL;

    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    g_hash_table_replace(instance->system_metadata, g_strdup(OLD_VM_STATE),
                         g_strdup(vm_state_name(instance->vm_state)));
    if (!save_guest(op, &error)) {
        step_error_out(op, false, instance->vm_state, error);
        return nova_error_propagate(err, error);
    }
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_SUSPENDED, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(SUSPENDING), err);
}

/* A domain that libvirt has lost is made anew: its memory is lost with it. */
static bool
wake_guest(Operation *op, NovaError **err)
{
    Host *host = op->host;
    NovaError *error = NULL;
    g_autoptr(NetworkInfo) network = step_refresh_network(host, op->ctx, op->instance, err);
    g_autoptr(Guest) guest = NULL;
    const VifGuest vif_guest = vif_guest_of(host, op->instance);

    if (!network)
        return false;
    guest = guest_find(host->hypervisor, op->instance->uuid, &error);
    if (error)
        return nova_error_propagate(err, error);
    if (!guest)
        return step_recreate_guest(host, op->ctx, op->instance, err);
    if (!vif_plug_all(host->ovsdb, host->options, network->vifs, &vif_guest, err) ||
        (!was_done(op, guest, POWER_STATE_RUNNING) &&
         !(guest_start(guest, false, err) && guest_attach_hostdevs(guest, op->instance, err))))
        return false;
    guest_sync_time(guest);
    return true;
}

static VmState
take_old_vm_state(Instance *instance)
{
    const char *name = g_hash_table_lookup(instance->system_metadata, OLD_VM_STATE);
    VmState state = vm_state_from_name(name, VM_STATE_ACTIVE);

    g_hash_table_remove(instance->system_metadata, OLD_VM_STATE);
    return state;
}

bool
op_resume_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    NovaError *error = NULL;

    LOG_INFO("Resuming");
    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    if (!wake_guest(op, &error)) {
        step_error_out(op, false, instance->vm_state, error);
        return nova_error_propagate(err, error);
    }
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, take_old_vm_state(instance), TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(RESUMING), err);
}
