/* SPDX-License-Identifier: Apache-2.0 */
/* Deleting with a way back ([DEFAULT]reclaim_instance_interval): the guest is only switched off. */
#define LOG_NAME "kilonova.compute.soft_delete"
#include "compute/ops/ops.h"

#include "compute/ops/steps.h"

bool
op_soft_delete_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;

    if (!step_power_off(op->host, instance, false, err))
        return false;
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_SOFT_DELETED, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(SOFT_DELETING),
                                   err);
}

bool
op_restore_instance(Operation *op, NovaError **err)
{
    Instance *instance = op->instance;
    g_autoptr(NetworkInfo) network = NULL;

    if (!step_load_instance(op->host, op->ctx, instance, err) ||
        !(network = step_refresh_network(op->host, op->ctx, instance, err)) ||
        !step_recreate_guest(op->host, op->ctx, instance, err))
        return false;
    step_set_power_state(instance, step_power_state(op->host, instance));
    step_set_states(instance, VM_STATE_ACTIVE, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(RESTORING), err);
}
