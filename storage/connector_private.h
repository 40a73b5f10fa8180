/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the drivers of the connectors share. */

#include "agent/base/key_lock.h"
#include "conf/options.h"
#include "storage/connector.h"
#include "storage/mounts.h"

struct Connectors {
    const Options *options; /* immutable, as the rest */
    char *root;
    Mounts *mounts;
    KeyLock *guards;        /* by the service that exports the volume */
    KeyLock *volumes;       /* those that several servers may have, by id */
    KeyLock *targets;       /* of iSCSI, by IQN */
};

/* "data" of a connection on its way. */
typedef struct Connection {
    Connectors *connectors;
    json_t *data;
    const char *instance_uuid;
    bool force;
} Connection;

/* Absent or no string: KeyError. */
bool connection_need(const Connection *connection, const char *key, const char **ret_text, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

bool connector_nfs_connect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_nfs_disconnect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_iscsi_connect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_iscsi_disconnect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_iscsi_extend(Connection *connection, int64_t *size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
