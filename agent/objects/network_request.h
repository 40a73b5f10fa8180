/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which networks and ports a server is to get (nova.objects.NetworkRequest).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct NetworkRequest {
    ObjectBase base;
    char *network_id;
    char *address;
    char *port_id;
    char *pci_request_id;
    char *tag;
    char *arq_uuid;
    char *device_profile;
} NetworkRequest;

extern const ObjectType NETWORK_REQUEST_TYPE;
NetworkRequest *network_request_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void network_request_free(NetworkRequest *network_request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetworkRequest, network_request_free)

typedef struct NetworkRequestList {
    ObjectBase base;
    GPtrArray *objects; /* of NetworkRequest */
} NetworkRequestList;

extern const ObjectType NETWORK_REQUEST_LIST_TYPE;
NetworkRequestList *network_request_list_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void network_request_list_free(NetworkRequestList *network_request_list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetworkRequestList, network_request_list_free)
