/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server's volume between Cinder, this host and the guest (nova.virt.block_device's
 * DriverVolumeBlockDevice, LibvirtDriver.attach_volume and its like). The caller sees to it that one
 * operation at a time does so to a server. */

#include <jansson.h>
#include <stdbool.h>

#include "agent/objects/block_device.h"
#include "compute/operation.h"

/* ---- what a mapping remembers ---- */

/* Its connection_info, an empty object when there is none; new reference. */
json_t *volume_connection_info(const BlockDeviceMapping *bdm);
/* Assigns it; not saved. */
void volume_set_connection_info(BlockDeviceMapping *bdm, const json_t *connection_info);
/* The volume that it connects; NULL: it does not say. Borrowed from it. */
const char *volume_id_of(const json_t *connection_info);
/* Several servers may have it. */
bool volume_is_multiattach(const json_t *connection_info);

/* ---- this host ---- */

/* The volume's disk appears, and the secret of an encrypted one; connection_info is told the path. What is
 * connected already may be connected again. */
bool volume_connect(Host *host, const RequestContext *ctx, const Instance *instance,
                    json_t *connection_info, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

typedef struct VolumeDisconnect {
    bool keeps_secret; /* the guest starts again, without anybody's token */
    bool force;        /* the server is deleted */
} VolumeDisconnect;

/* 'how' NULL: nothing of it is left, nothing is lost. A volume that another server here has stays: whoever
 * disconnects one that several may have holds its lock (connectors_lock_volume()) until Cinder knows. */
bool volume_disconnect(Host *host, const RequestContext *ctx, const Instance *instance,
                       const json_t *connection_info, const VolumeDisconnect *how, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* ---- Cinder ---- */

typedef struct VolumeAttach {
    bool to_guest; /* else the host is to be connected when the guest is made */
    bool again;    /* a process before us may have begun it, 'bdm' is as the database has it: what was done is kept */
    bool moves;    /* the server has had it elsewhere: nobody asks for its zone */
} VolumeAttach;

/* Cinder exports the volume to this host, the guest gets it when 'to_guest', the mapping is saved and the
 * attachment completed. After a failure the attachment is the caller's to delete; 'again' the guest may have
 * the volume, and 'bdm' says (unsaved) what Cinder exports. */
bool volume_attach(Host *host, const RequestContext *ctx, Instance *instance, BlockDeviceMapping *bdm,
                   const VolumeAttach *how, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Out of the guest and off this host; Cinder is told when the guest keeps it (roll_detaching). */
bool volume_driver_detach(Host *host, const RequestContext *ctx, const Instance *instance,
                          const BlockDeviceMapping *bdm, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The same and the attachment is deleted in Cinder. The mapping stays the caller's. */
bool volume_detach(Host *host, const RequestContext *ctx, const Instance *instance,
                   const BlockDeviceMapping *bdm, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Only what Cinder keeps of it: the attachment, or the connection of a mapping from before attachments. */
bool volume_release(Host *host, const RequestContext *ctx, const Instance *instance,
                    const BlockDeviceMapping *bdm, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Does Cinder still export it by the mapping's attachment? True where that cannot be told. */
bool volume_is_exported(Host *host, const RequestContext *ctx, const BlockDeviceMapping *bdm);

/* The connection as Cinder has it now, into the mapping, which is saved; nothing to do when
 * there never was one, or Cinder has none now. */
bool volume_refresh(Host *host, const RequestContext *ctx, BlockDeviceMapping *bdm, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
