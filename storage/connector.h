/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a volume becomes a disk of this host: one row for each driver_volume_type of Cinder's
 * connection_info (os-brick, nova.virt.libvirt.volume). Any thread.
 *
 * Errors: VolumeDriverNotFound for a type that is in no row, VolumeDriverNotSupported for one of Nova's
 * that this release does not connect; KeyError for a connection that lacks what it needs; otherwise
 * each driver's own. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "storage/cinder.h"

struct Options;

typedef struct Connectors Connectors;

/* 'root' is where /sys and /etc are: "" but in tests. Borrows the options for its life. */
Connectors *connectors_new(const struct Options *options, const char *root);
void connectors_free(Connectors *connectors);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Connectors, connectors_free)

/* What Cinder has to know of this host ("the connector"); new reference. */
json_t *connectors_host(const Connectors *connectors);

/* A disk of a guest that is defined here uses this file: what is mounted below it stays mounted. Told
 * of all of them before the first volume is disconnected. */
void connectors_note_file(Connectors *connectors, const char *path, const char *instance_uuid);

/* Makes the disk appear; "device_path" of the connection's data is set where there is one. Connecting
 * what is connected is a success. */
bool connectors_connect(Connectors *connectors, json_t *connection_info, const char *instance_uuid,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Nothing of it is left on this host; what is not there is a success. 'force': although what the guest
 * wrote last cannot be flushed. */
bool connectors_disconnect(Connectors *connectors, const json_t *connection_info,
                           const char *instance_uuid, bool force, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The host sees the new size, which is given in bytes, and got in bytes. */
bool connectors_extend(Connectors *connectors, const json_t *connection_info, int64_t requested_size,
                       int64_t *ret_size, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Does the driver itself count who uses a connection, so that each server that has the volume
 * disconnects it? */
bool connectors_counts_users(const json_t *connection_info);

/* Around everything that changes the connection of a volume whose targets others share
 * (os_brick.initiator.utils.guard_connection), or that several servers of this host may have: the last
 * one to let go has to know that it is. */
void connectors_lock(Connectors *connectors, const CinderVolume *volume);
void connectors_unlock(Connectors *connectors, const CinderVolume *volume);
/* The latter part of it, where it is known of a volume that several servers may have it. */
void connectors_lock_volume(Connectors *connectors, const char *volume_id);
void connectors_unlock_volume(Connectors *connectors, const char *volume_id);
