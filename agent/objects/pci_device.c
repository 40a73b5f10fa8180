/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/pci_device.h"

/* clang-format off */
static const ObjectField pci_device_fields[] = {
    {"id", FIELD_INT, offsetof(PciDevice, id), NULL, NULL},
    {"uuid", FIELD_STRING, offsetof(PciDevice, uuid), NULL, NULL},
    {"compute_node_id", FIELD_NULLABLE_INT, offsetof(PciDevice, compute_node_id), NULL, NULL},
    {"address", FIELD_STRING, offsetof(PciDevice, address), NULL, NULL},
    {"vendor_id", FIELD_STRING, offsetof(PciDevice, vendor_id), NULL, NULL},
    {"product_id", FIELD_STRING, offsetof(PciDevice, product_id), NULL, NULL},
    {"dev_type", FIELD_STRING, offsetof(PciDevice, dev_type), NULL, NULL},
    {"status", FIELD_STRING, offsetof(PciDevice, status), NULL, NULL},
    {"dev_id", FIELD_STRING, offsetof(PciDevice, dev_id), NULL, NULL},
    {"label", FIELD_STRING, offsetof(PciDevice, label), NULL, NULL},
    {"instance_uuid", FIELD_STRING, offsetof(PciDevice, instance_uuid), NULL, NULL},
    {"request_id", FIELD_STRING, offsetof(PciDevice, request_id), NULL, NULL},
    {"extra_info", FIELD_STRING_MAP, offsetof(PciDevice, extra_info), NULL, NULL},
    {"numa_node", FIELD_NULLABLE_INT, offsetof(PciDevice, numa_node), NULL, NULL},
    {"parent_addr", FIELD_STRING, offsetof(PciDevice, parent_addr), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(PciDevice, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(PciDevice, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(PciDevice, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(PciDevice, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType PCI_DEVICE_TYPE = {"PciDevice", "1.7", sizeof(PciDevice), pci_device_fields,
    G_N_ELEMENTS(pci_device_fields)};

PciDevice *
pci_device_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&PCI_DEVICE_TYPE, primitive, err);
}

void
pci_device_free(PciDevice *pci_device)
{
    object_free(pci_device);
}

/* clang-format off */
static const ObjectField instance_pci_request_fields[] = {
    {"count", FIELD_INT, offsetof(InstancePCIRequest, count), NULL, NULL},
    {"spec", FIELD_JSON, offsetof(InstancePCIRequest, spec), NULL, NULL},
    {"alias_name", FIELD_STRING, offsetof(InstancePCIRequest, alias_name), NULL, NULL},
    {"is_new", FIELD_BOOL, offsetof(InstancePCIRequest, is_new), NULL, NULL},
    {"request_id", FIELD_STRING, offsetof(InstancePCIRequest, request_id), NULL, NULL},
    {"requester_id", FIELD_STRING, offsetof(InstancePCIRequest, requester_id), NULL, NULL},
    {"numa_policy", FIELD_STRING, offsetof(InstancePCIRequest, numa_policy), NULL, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_PCI_REQUEST_TYPE = {"InstancePCIRequest", "1.4", sizeof(InstancePCIRequest), instance_pci_request_fields,
    G_N_ELEMENTS(instance_pci_request_fields)};

InstancePCIRequest *
instance_pci_request_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_PCI_REQUEST_TYPE, primitive, err);
}

void
instance_pci_request_free(InstancePCIRequest *instance_pci_request)
{
    object_free(instance_pci_request);
}

/* clang-format off */
static const ObjectField instance_pci_requests_fields[] = {
    {"instance_uuid", FIELD_STRING, offsetof(InstancePCIRequests, instance_uuid), NULL, NULL},
    {"requests", FIELD_LIST, offsetof(InstancePCIRequests, requests), &INSTANCE_PCI_REQUEST_TYPE, NULL},
};
/* clang-format on */

const ObjectType INSTANCE_PCI_REQUESTS_TYPE = {"InstancePCIRequests", "1.1", sizeof(InstancePCIRequests), instance_pci_requests_fields,
    G_N_ELEMENTS(instance_pci_requests_fields)};

InstancePCIRequests *
instance_pci_requests_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&INSTANCE_PCI_REQUESTS_TYPE, primitive, err);
}

void
instance_pci_requests_free(InstancePCIRequests *instance_pci_requests)
{
    object_free(instance_pci_requests);
}
