/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.port_resources"
#include "compute/ops/port_resources.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/port_device.h"
#include "compute/resource_tracker.h"

void
port_resources_clear(PortResources *resources)
{
    json_decref(resources->held);
    json_decref(resources->mapping);
    g_free(resources->pci_request_id);
    *resources = (PortResources){0};
}

/* ---- attach ---- */

static bool
claim_failed(const Operation *op, NovaError *why, NovaError **err)
{
    if (why)
        LOG_WARNING("Resources of the port: %s", nova_error_details(why));
    nova_error_free(why);
    return nova_error_set(err, NOVA_ERROR_INTERFACE_ATTACH_RESOURCE_ALLOCATION_FAILED,
                          "Failed to allocate additional resources to %s during interface attach",
                          op->instance->uuid);
}

static bool
claim_of_placement(Operation *op, const json_t *request, PortResources *ret, NovaError **err)
{
    const Host *host = op->host;
    json_auto_t *candidate = NULL;
    NovaError *why = NULL;
    json_t *wanted;

    if (!placement_find_candidate(host->placement, op->ctx, resource_tracker_node_uuid(host->tracker),
                                  request, &candidate, &why))
        return claim_failed(op, why, err);
    wanted = json_get_object(candidate, "allocations");
    if (!wanted || !placement_add_resources(host->placement, op->ctx, op->instance->uuid, wanted, &why))
        return claim_failed(op, why, err);
    ret->held = json_incref(wanted);
    ret->mapping = json_incref(json_get_object(candidate, "mappings"));
    return true;
}

bool
port_resources_claim(Operation *op, const char *port_id, PortResources *ret, NovaError **err)
{
    g_auto(PortNeeds) needs = {0};

    if (!port_id)
        return true;
    if (!neutron_fetch_port_needs(op->host->neutron, op->ctx, port_id, &needs, err) ||
        (needs.resources && !claim_of_placement(op, needs.resources, ret, err)))
        return false;
    if (!needs.device || port_device_claim(op, port_id, &needs, &ret->pci_request_id, err))
        return true;
    port_resources_return(op, ret);
    return false;
}

void
port_resources_return(Operation *op, const PortResources *resources)
{
    g_autoptr(NovaError) error = NULL, device_error = NULL;

    if (resources->held && !placement_remove_resources(op->host->placement, op->ctx, op->instance->uuid,
                                                       resources->held, &error))
        LOG_WARNING("Failed to remove the port's resources from the allocation: %s",
                    nova_error_details(error));
    if (!port_device_return(op, resources->pci_request_id, &device_error))
        LOG_WARNING("The PCI device of the port: %s", nova_error_details(device_error));
}

/* ---- after a process that was killed ---- */

/* Resource classes that nothing but a port asks for. */
static bool
is_of_ports(const char *class)
{
    return g_str_has_prefix(class, "NET_BW_") || g_str_has_prefix(class, "NET_PACKET_RATE_");
}

static json_t *
excess_of(json_t *has, json_t *held)
{
    json_t *excess = json_object();
    const char *class;
    json_t *amount;

    json_object_foreach (has, class, amount) {
        json_int_t more = json_integer_value(amount) - json_get_int(held, class, 0);

        if (is_of_ports(class) && more > 0)
            json_object_set_new(excess, class, json_integer(more));
    }
    return excess;
}

json_t *
port_resources_excess(json_t *allocations, const json_t *held)
{
    json_t *excess = json_object();
    const char *provider;
    json_t *allocation;

    json_object_foreach (allocations, provider, allocation) {
        json_auto_t *more = excess_of(json_get_object(allocation, "resources"),
                                      json_path(held, provider, "resources", NULL));

        if (json_object_size(more) > 0)
            json_object_set_new(excess, provider, json_pack("{s:O}", "resources", more));
    }
    return excess;
}

bool
port_resources_trim(Operation *op, NovaError **err)
{
    const Host *host = op->host;
    const char *uuid = op->instance->uuid;
    json_auto_t *payload = placement_fetch_allocations_for_consumer(host->placement, op->ctx, uuid, err);
    json_auto_t *held =
        payload ? neutron_fetch_held_resources(host->neutron, op->ctx, op->instance, err) : NULL;
    json_auto_t *excess =
        held ? port_resources_excess(json_get_object(payload, "allocations"), held) : NULL;

    return excess && placement_remove_resources(host->placement, op->ctx, uuid, excess, err);
}
