/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The ports of a server as Nova caches them (nova.network.model.NetworkInfo): typed views of a JSON
 * list that is kept whole, so that keys which we do not know survive and the text stays Nova's.
 *
 * Immutable once made; to change the cache, change a copy of its JSON and make a new one. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct VifIp {
    char *address;
    char *type; /* "fixed" */
    int64_t version;
} VifIp;

typedef struct VifSubnet {
    char *cidr;
    GPtrArray *ips; /* of VifIp */
} VifSubnet;

typedef struct VifNetwork {
    char *id;
    char *bridge;
    char *label;
    json_t *meta;       /* {"mtu": ...}; never NULL */
    GPtrArray *subnets; /* of VifSubnet */
} VifNetwork;

/* Strings are NULL for null. */
typedef struct Vif {
    char *id;
    char *address;
    char *type;
    char *vnic_type;
    char *devname;
    char *ovs_interfaceid;
    json_t *details; /* these: never NULL but qbg_params */
    json_t *profile;
    json_t *qbg_params;
    bool active;
    bool preserve_on_delete;
    bool delegate_create;
    VifNetwork *network; /* never NULL */
} Vif;

typedef struct NetworkInfo {
    GPtrArray *vifs; /* of Vif */
    json_t *json;    /* the list */
} NetworkInfo;

/* ValueError when it is no list of VIFs with ids. */
NetworkInfo *network_info_from_json(const json_t *list, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The text of InstanceInfoCache.network_info; NULL and "" are an empty list. */
NetworkInfo *network_info_from_text(const char *text, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* As Python's json.dumps() writes it; caller frees. */
char *network_info_to_text(const NetworkInfo *info);
void network_info_free(NetworkInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetworkInfo, network_info_free)

/* The cached device name, else "tap" and the start of the id (14 bytes); caller frees. */
char *vif_make_devname(const Vif *vif);
