/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* PCI devices of the host and what guests ask for (nova.objects.PciDevice, InstancePCIRequests).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct PciDevice {
    ObjectBase base;
    int64_t id;
    char *uuid;
    NullableInt compute_node_id;
    char *address;
    char *vendor_id;
    char *product_id;
    char *dev_type;
    char *status;
    char *dev_id;
    char *label;
    char *instance_uuid;
    char *request_id;
    GHashTable *extra_info;
    NullableInt numa_node;
    char *parent_addr;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} PciDevice;

extern const ObjectType PCI_DEVICE_TYPE;
PciDevice *pci_device_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void pci_device_free(PciDevice *pci_device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PciDevice, pci_device_free)

typedef struct InstancePCIRequest {
    ObjectBase base;
    int64_t count;
    json_t *spec;
    char *alias_name;
    bool is_new;
    char *request_id;
    char *requester_id;
    char *numa_policy;
} InstancePCIRequest;

extern const ObjectType INSTANCE_PCI_REQUEST_TYPE;
InstancePCIRequest *instance_pci_request_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_pci_request_free(InstancePCIRequest *instance_pci_request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstancePCIRequest, instance_pci_request_free)

typedef struct InstancePCIRequests {
    ObjectBase base;
    char *instance_uuid;
    GPtrArray *requests; /* of InstancePCIRequest */
} InstancePCIRequests;

extern const ObjectType INSTANCE_PCI_REQUESTS_TYPE;
InstancePCIRequests *instance_pci_requests_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void instance_pci_requests_free(InstancePCIRequests *instance_pci_requests);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InstancePCIRequests, instance_pci_requests_free)
