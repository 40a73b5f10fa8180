/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.host_status"
#include "compute/host_status.h"

#include "agent/base/log.h"
#include "compute/resource_tracker.h"

/* nova.virt.libvirt.driver.DISABLE_PREFIX: by this we know what we have disabled ourselves. */
#define AUTO "AUTO: "

void
host_status_tell_placement(Host *host, const RequestContext *ctx, bool enabled)
{
    const char *node = resource_tracker_node_uuid(host->tracker);
    g_autoptr(NovaError) error = NULL;

    if (!node)
        LOG_WARNING("Unable to add/remove trait COMPUTE_STATUS_DISABLED. No ComputeNode(s) found for host: %s",
                    host->name);
    else if (!placement_set_trait(host->placement, ctx, node, "COMPUTE_STATUS_DISABLED", !enabled, &error))
        LOG_WARNING("An error occurred while updating COMPUTE_STATUS_DISABLED trait on compute node resource "
                    "provider %s. The trait will be synchronized when the update_available_resource periodic "
                    "task runs. Error: %s",
                    node, nova_error_details(error));
}

/* Only what was disabled here is enabled again. */
static bool
is_ours(const Service *service)
{
    return !service->disabled ||
           (service->disabled_reason && g_str_has_prefix(service->disabled_reason, AUTO));
}

static bool
save(Host *host, const RequestContext *ctx, Service *service, const char *lost)
{
    g_autofree char *reason = lost ? g_strconcat(AUTO, lost, NULL) : NULL;
    g_autoptr(NovaError) error = NULL;

    OBJECT_SET(service, disabled, lost != NULL);
    OBJECT_SET_STRING(service, disabled_reason, reason);
    if (conductor_service_save(host->conductor, ctx, service, &error))
        return true;
    LOG_WARNING("Cannot update service status on host \"%s\": %s", host->name, nova_error_details(error));
    return false;
}

void
host_status_set(Host *host, const RequestContext *ctx, const char *lost)
{
    g_autoptr(NovaError) error = NULL;
    Service *service = NULL;

    if (!conductor_service_get(host->conductor, ctx, host->name, &service, &error))
        LOG_WARNING("Cannot update service status on host \"%s\": %s", host->name, nova_error_details(error));
    else if (!service)
        LOG_WARNING("Cannot update service status on host \"%s\" since it is not registered.", host->name);
    else if (service->disabled == (lost != NULL))
        LOG_DEBUG("The compute service is %s already", lost ? "disabled" : "enabled");
    else if (!is_ours(service))
        LOG_DEBUG("Not overriding manual compute service status with: enabled");
    else if (save(host, ctx, service, lost))
        host_status_tell_placement(host, ctx, !lost);
    service_free(service);
}
