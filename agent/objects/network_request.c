/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/network_request.h"

/* clang-format off */
static const ObjectField network_request_fields[] = {
    {"network_id", FIELD_STRING, offsetof(NetworkRequest, network_id), NULL, NULL},
    {"address", FIELD_STRING, offsetof(NetworkRequest, address), NULL, NULL},
    {"port_id", FIELD_STRING, offsetof(NetworkRequest, port_id), NULL, NULL},
    {"pci_request_id", FIELD_STRING, offsetof(NetworkRequest, pci_request_id), NULL, NULL},
    {"tag", FIELD_STRING, offsetof(NetworkRequest, tag), NULL, NULL},
    {"arq_uuid", FIELD_STRING, offsetof(NetworkRequest, arq_uuid), NULL, NULL},
    {"device_profile", FIELD_STRING, offsetof(NetworkRequest, device_profile), NULL, NULL},
};
/* clang-format on */

const ObjectType NETWORK_REQUEST_TYPE = {"NetworkRequest", "1.3", sizeof(NetworkRequest), network_request_fields,
    G_N_ELEMENTS(network_request_fields)};

NetworkRequest *
network_request_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&NETWORK_REQUEST_TYPE, primitive, err);
}

void
network_request_free(NetworkRequest *network_request)
{
    object_free(network_request);
}

/* clang-format off */
static const ObjectField network_request_list_fields[] = {
    {"objects", FIELD_LIST, offsetof(NetworkRequestList, objects), &NETWORK_REQUEST_TYPE, NULL},
};
/* clang-format on */

const ObjectType NETWORK_REQUEST_LIST_TYPE = {"NetworkRequestList", "1.1", sizeof(NetworkRequestList), network_request_list_fields,
    G_N_ELEMENTS(network_request_list_fields)};

NetworkRequestList *
network_request_list_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&NETWORK_REQUEST_LIST_TYPE, primitive, err);
}

void
network_request_list_free(NetworkRequestList *network_request_list)
{
    object_free(network_request_list);
}
