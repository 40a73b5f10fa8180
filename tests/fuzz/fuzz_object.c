/* SPDX-License-Identifier: Apache-2.0 */
/* Any JSON is an object of its type or a ValueError; what was read can be written, and reads as the
 * same again. */

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/objects/block_device.h"
#include "agent/objects/compute_node.h"
#include "agent/objects/external_event.h"
#include "agent/objects/instance.h"
#include "agent/objects/migration.h"
#include "agent/objects/network_request.h"
#include "agent/objects/service.h"
#include "agent/objects/virtual_interface.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ObjectType *const types[] = {
    &BLOCK_DEVICE_MAPPING_TYPE, &COMPUTE_NODE_TYPE,    &INSTANCE_EXTERNAL_EVENT_TYPE,
    &FLAVOR_TYPE,               &INSTANCE_TYPE,        &MIGRATION_TYPE,
    &NETWORK_REQUEST_LIST_TYPE, &PCI_DEVICE_TYPE,      &INSTANCE_PCI_REQUESTS_TYPE,
    &SERVICE_TYPE,              &VIRTUAL_INTERFACE_TYPE, &INSTANCE_NUMA_TOPOLOGY_TYPE,
};

static void
read_and_write(const ObjectType *type, const json_t *primitive)
{
    g_autoptr(NovaError) err = NULL;
    void *object = object_from_json(type, primitive, &err);
    json_auto_t *again = NULL;

    if (!object != !!err)
        abort();
    if (!object)
        return;
    if (object_has_changes(object) && !json_object_get(primitive, "nova_object.changes"))
        abort();
    again = object_to_json(object);
    object_free(object);
    object = object_from_json(type, again, &err);
    if (!object)
        abort();
    object_free(object);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *primitive = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

    for (size_t i = 0; primitive && i < G_N_ELEMENTS(types); i++)
        read_and_write(types[i], primitive);
    return 0;
}
