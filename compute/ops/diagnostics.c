/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into a running guest, and making it dump its kernel. */
#define LOG_NAME "kilonova.compute.diagnostics"
#include "compute/ops/ops.h"

#include <time.h>

#include "agent/base/log.h"
#include "compute/diagnostics.h"
#include "compute/ops/steps.h"

/* The state in the message is the record's: it is what Nova says. */
static bool
not_running(const Instance *instance, NovaError **err)
{
    const char *state = power_state_text((PowerState)instance->power_state.value);

    nova_error_set(err, NOVA_ERROR_INSTANCE_INVALID_STATE,
                   "Instance %s in power state %s. Cannot get_diagnostics while the instance is in "
                   "this state.",
                   instance->uuid, state);
    if (!err)
        return false;
    nova_error_set_kwarg(*err, "attr", "power state");
    nova_error_set_kwarg(*err, "instance_uuid", instance->uuid);
    nova_error_set_kwarg(*err, "state", state);
    nova_error_set_kwarg(*err, "method", "get_diagnostics");
    return false;
}

static GuestStats *
fetch_stats(Operation *op, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(op->host->hypervisor, op->instance->uuid, &error);

    if (error) {
        nova_error_propagate(err, error);
        return NULL;
    }
    if (!guest || guest_power_state(guest) != POWER_STATE_RUNNING) {
        not_running(op->instance, err);
        return NULL;
    }
    LOG_INFO("Retrieving diagnostics");
    return guest_fetch_stats(guest, err);
}

bool
op_get_diagnostics(Operation *op, NovaError **err)
{
    g_autoptr(GuestStats) stats = fetch_stats(op, err);

    if (!stats)
        return false;
    op->result = diagnostics_legacy_json(stats);
    return true;
}

bool
op_get_instance_diagnostics(Operation *op, NovaError **err)
{
    const Options *options = op->host->options;
    g_autoptr(GuestStats) stats = fetch_stats(op, err);
    g_autoptr(ImageMeta) image = NULL;
    DiagnosticsFacts facts = {.virt_type = options->libvirt.virt_type,
                              .launched_at = op->instance->launched_at,
                              .now = time(NULL)};

    if (!stats || !step_load_instance(op->host, op->ctx, op->instance, err) ||
        !(image = image_meta_from_instance(op->instance, err)))
        return false;
    facts.has_config_drive = config_drive_is_required(options, op->instance, image);
    op->result = diagnostics_json(stats, &facts);
    return true;
}

/* No state changes: what an NMI does is the guest's to decide. */
bool
op_trigger_crash_dump(Operation *op, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);

    return guest && guest_inject_nmi(guest, err);
}
