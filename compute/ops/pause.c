/* SPDX-License-Identifier: Apache-2.0 */
/* Pausing: the guest keeps its memory, its CPUs stop. */
#define LOG_NAME "kilonova.compute.pause"
#include "compute/ops/ops.h"

#include "agent/base/log.h"
#include "compute/guest_agent.h"
#include "compute/ops/steps.h"

bool
op_pause_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, instance->uuid, err);

    LOG_INFO("Pausing");
    if (!guest || !guest_pause(guest, err))
        return false;
    step_set_power_state(instance, guest_power_state(guest));
    step_set_states(instance, VM_STATE_PAUSED, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(PAUSING), err);
}

/* By the process before this one, which was killed: libvirt would refuse. */
static bool
was_resumed(const Operation *op, Guest *guest)
{
    return op->is_resumed && guest_power_state(guest) == POWER_STATE_RUNNING;
}

bool
op_unpause_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, instance->uuid, err);

    LOG_INFO("Unpausing");
    if (!guest || (!was_resumed(op, guest) && !guest_resume(guest, err)))
        return false;
    guest_sync_time(guest);
    step_set_power_state(instance, guest_power_state(guest));
    step_set_states(instance, VM_STATE_ACTIVE, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(UNPAUSING), err);
}
