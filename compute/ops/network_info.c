/* SPDX-License-Identifier: Apache-2.0 */
/* inject_network_info: reads the ports anew; libvirt's driver puts nothing into the guest. */
#define LOG_NAME "kilonova.compute.network_info"
#include "compute/ops/ops.h"

#include "compute/ops/steps.h"

bool
op_inject_network_info(Operation *op, NovaError **err)
{
    g_autoptr(NetworkInfo) network = NULL;

    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    network = step_refresh_network(op->host, op->ctx, op->instance, err);
    return network != NULL;
}
