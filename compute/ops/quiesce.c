/* SPDX-License-Identifier: Apache-2.0 */
/* Holding a guest's file systems still while volumes of it are copied. */
#define LOG_NAME "kilonova.compute.quiesce"
#include "compute/ops/ops.h"

#include "agent/base/log.h"
#include "compute/guest_agent.h"
#include "compute/ops/steps.h"

static Guest *
lookup_guest_with_agent(Operation *op, NovaError **err)
{
    g_autoptr(ImageMeta) image = NULL;

    if (!step_load_instance(op->host, op->ctx, op->instance, err) ||
        !(image = image_meta_from_instance(op->instance, err)))
        return NULL;
    if (guest_agent_is_enabled(image))
        return guest_lookup(op->host->hypervisor, op->instance->uuid, err);
    nova_error_set(err, NOVA_ERROR_QEMU_GUEST_AGENT_NOT_ENABLED, "QEMU guest agent is not enabled");
    return NULL;
}

bool
op_quiesce_instance(Operation *op, NovaError **err)
{
    g_autoptr(Guest) guest = lookup_guest_with_agent(op, err);

    return guest && guest_freeze(guest, err);
}

/* 'mapping' names snapshots of volumes to wait for, which no server of this release has. */
bool
op_unquiesce_instance(Operation *op, NovaError **err)
{
    g_autoptr(Guest) guest = lookup_guest_with_agent(op, err);

    return guest && guest_thaw(guest, err);
}
