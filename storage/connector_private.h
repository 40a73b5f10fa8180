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
    KeyLock *targets;       /* of iSCSI by IQN, of NVMe by NQN */
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

/* Of disks that the kernel has by now, however they came; 'devices' are their names (const char *, "sdb"). */

/* [libvirt]volume_use_multipath */
bool connector_uses_multipath(const Connection *connection);
/* Several paths are wanted, and what makes one device of them is not there: BrickException if Cinder's connection
 * enforces it, otherwise a warning (os-brick's BaseLinuxConnector.check_multipath()). */
bool connector_check_multipath(const Connection *connection, bool (*is_supported)(const Connection *connection),
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same for disks, of which multipathd makes one. */
bool connector_check_multipathd(const Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* udev makes the node somewhat later than the kernel the device. */
bool connector_wait_for_node(const Connection *connection, const char *device, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Sets "device_path", and "multipath_id" where there is one: that of the device that multipathd makes of
 * them, otherwise 'path', or /dev/ and the first one's name when that is NULL. */
void connector_set_disk(Connection *connection, const GPtrArray *devices, const char *path);
/* Flushes and removes all of them. */
bool connector_remove_disks(const Connection *connection, const GPtrArray *devices, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Their size anew; none of them: VolumePathsNotFound. */
bool connector_rescan_disks(const Connection *connection, const GPtrArray *devices, int64_t *size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* 'force' goes on after an error, which is then only told. */
bool connector_goes_on(const Connection *connection, bool ok, NovaError **error, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

bool connector_fibre_channel_connect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_fibre_channel_disconnect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_fibre_channel_extend(Connection *connection, int64_t *size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool connector_nfs_connect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_nfs_disconnect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_iscsi_connect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_iscsi_disconnect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_iscsi_extend(Connection *connection, int64_t *size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool connector_nvmeof_connect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_nvmeof_disconnect(Connection *connection, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool connector_nvmeof_extend(Connection *connection, int64_t *size, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
