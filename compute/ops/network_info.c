/* SPDX-License-Identifier: Apache-2.0 */
/* The server's network info made anew, and its fixed addresses changed; libvirt's driver puts nothing into
 * the guest. */
#define LOG_NAME "kilonova.compute.network_info"
#include "compute/ops/ops.h"

#include "agent/base/json.h"
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

typedef NetworkInfo *(*AddressChange)(Neutron *neutron, const RequestContext *ctx, Instance *instance,
                                      const char *what, NovaError **err);

static void
notify(Operation *op, const char *action, const char *phase, const NetworkInfo *network)
{
    InstanceNotice notice = {.action = action, .phase = phase, .network = network};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

static bool
change_address(Operation *op, const char *action, AddressChange change, const char *what, NovaError **err)
{
    g_autoptr(NetworkInfo) network = NULL;
    g_autofree char *now = step_now();

    if (!step_load_instance(op->host, op->ctx, op->instance, err))
        return false;
    notify(op, action, "start", NULL);
    network = change(op->host->neutron, op->ctx, op->instance, what, err);
    if (!network)
        return false;
    OBJECT_SET_STRING(op->instance, updated_at, now); /* that it has changed is all that is to be said */
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err))
        return false;
    notify(op, action, "end", network);
    return true;
}

bool
op_add_fixed_ip_to_instance(Operation *op, NovaError **err)
{
    return change_address(op, "create_ip", neutron_add_fixed_ip,
                          json_get_string(op->args, "network_id", ""), err);
}

bool
op_remove_fixed_ip_from_instance(Operation *op, NovaError **err)
{
    return change_address(op, "delete_ip", neutron_remove_fixed_ip,
                          json_get_string(op->args, "address", ""), err);
}
