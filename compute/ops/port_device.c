/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.port_device"
#include "compute/ops/port_device.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/python_text.h"
#include "compute/resource_tracker.h"

/* ---- attach ---- */

/* hardware.get_pci_numa_policy_constraint(); *ret NULL: neither flavor nor image says. Borrowed. */
static bool
affinity_policy(const Instance *instance, const char **ret, NovaError **err)
{
    static const char *const policies[] = {"required", "legacy", "preferred", "socket", NULL};
    const char *of_flavor = instance->flavor && instance->flavor->extra_specs
                                ? g_hash_table_lookup(instance->flavor->extra_specs, "hw:pci_numa_affinity_policy") : NULL;
    const char *of_image = instance->system_metadata
                               ? g_hash_table_lookup(instance->system_metadata, "image_hw_pci_numa_affinity_policy") : NULL;

    if (of_flavor && of_image && g_strcmp0(of_flavor, of_image) != 0)
        return nova_error_set(err, NOVA_ERROR_IMAGE_PCINUMA_POLICY_FORBIDDEN,
                              "Image property 'hw_pci_numa_affinity_policy' is not permitted to override the "
                              "'hw:pci_numa_affinity_policy' flavor extra spec.");
    *ret = of_flavor && *of_flavor ? of_flavor : of_image;
    return !*ret || !**ret || is_one_of(*ret, policies) ||
           nova_error_set(err, NOVA_ERROR_INVALID_PCINUMA_AFFINITY,
                          "Invalid PCI NUMA affinity configured: %s", *ret);
}

/* Of an InstancePCIRequest; the port's policy goes before the server's. */
static json_t *
request_of(const char *id, const char *port_id, const PortNeeds *needs, const char *policy)
{
    json_t *data = json_pack("{s:i, s:[O], s:s, s:s}", "count", 1, "spec", needs->device, "request_id", id,
                             "requester_id", port_id);

    if (needs->numa_policy)
        policy = needs->numa_policy;
    if (policy && *policy)
        json_set_string(data, "numa_policy", policy);
    return object_new_primitive("InstancePCIRequest", "1.4", data);
}

bool
port_device_claim(Operation *op, const char *port_id, const PortNeeds *needs, char **ret_request_id,
                  NovaError **err)
{
    g_autofree char *id = g_uuid_string_random();
    json_auto_t *request = NULL;
    const char *policy = NULL;
    NovaError *why = NULL;

    if (!affinity_policy(op->instance, &policy, err))
        return false;
    request = request_of(id, port_id, needs, policy);
    if (resource_tracker_add_device(op->host->tracker, op->ctx, op->instance, request, &why)) {
        *ret_request_id = g_steal_pointer(&id);
        return true;
    }
    if (!nova_error_is(why, NOVA_ERROR_PCI_DEVICE_REQUEST_FAILED))
        return nova_error_propagate(err, why);
    nova_error_free(why);
    LOG_INFO("Failed to claim PCI devices during interface attach of port %s", port_id);
    return nova_error_set(err, NOVA_ERROR_INTERFACE_ATTACH_PCI_CLAIM_FAILED,
                          "Failed to claim PCI device for %s during interface attach", op->instance->uuid);
}

/* ---- detach ---- */

bool
port_device_return(Operation *op, const char *request_id, NovaError **err)
{
    return !request_id ||
           resource_tracker_remove_device(op->host->tracker, op->ctx, op->instance, request_id, err);
}

static const PciDevice *
device_at(const Instance *instance, const char *address)
{
    for (guint i = 0; address && instance->pci_devices && i < instance->pci_devices->len; i++) {
        const PciDevice *device = instance->pci_devices->pdata[i];

        if (g_strcmp0(device->address, address) == 0)
            return device;
    }
    return NULL;
}

bool
port_device_find(const Operation *op, const Vif *vif, char **ret_request_id, NovaError **err)
{
    const char *address = json_get_string(vif->profile, "pci_slot", NULL);
    const PciDevice *device = device_at(op->instance, address);

    *ret_request_id = NULL;
    if (!device)
        return true;
    if (!instance_find_pci_request(op->instance, device->request_id))
        return nova_error_set(err, NOVA_ERROR_PCI_REQUEST_FROM_VIF_NOT_FOUND,
                              "Failed to locate PCI request associated with the given VIF PCI address: %s on "
                              "compute node: %" G_GINT64_FORMAT,
                              address, device->compute_node_id.value);
    *ret_request_id = g_strdup(device->request_id);
    return true;
}

/* ---- after a process that was killed ---- */

static bool
has_device(const NetworkInfo *network, const char *address)
{
    for (guint i = 0; i < network->vifs->len; i++)
        if (g_strcmp0(json_get_string(((const Vif *)network->vifs->pdata[i])->profile, "pci_slot", NULL), address) == 0)
            return true;
    return false;
}

GPtrArray *
port_device_excess(const Instance *instance, const NetworkInfo *network)
{
    GPtrArray *excess = g_ptr_array_new();

    for (guint i = 0; instance->pci_requests && instance->pci_devices && i < instance->pci_devices->len; i++) {
        const PciDevice *device = instance->pci_devices->pdata[i];
        const InstancePCIRequest *request = instance_find_pci_request(instance, device->request_id);

        if (device->request_id && !(request && request->alias_name) && !has_device(network, device->address))
            g_ptr_array_add(excess, device->request_id);
    }
    return excess;
}

bool
port_device_trim(Operation *op, const NetworkInfo *network, NovaError **err)
{
    g_autoptr(GPtrArray) excess = port_device_excess(op->instance, network);

    for (guint i = 0; i < excess->len; i++) {
        g_autofree char *id = g_strdup(excess->pdata[i]); /* which the removal frees */

        LOG_INFO("The PCI device of request %s is no port's of the server: it is free again", id);
        if (!port_device_return(op, id, err))
            return false;
    }
    return excess->len == 0 ||
           conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err);
}
