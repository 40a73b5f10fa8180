/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Steps that operations share: what becomes of a server's volumes while the server is built, moved, made
 * anew and deleted (nova.virt.block_device.DriverVolumeBlockDevice, and what ComputeManager and
 * LibvirtDriver do with it).
 *
 * A volume is *reserved* for a server by an attachment in Cinder, *opened* when Cinder knows the connector
 * of this host and has said how to reach it, and *connected* when the host has it as a device. A row
 * (BlockDeviceMapping) keeps the attachment's id and the connection; it is saved whenever one changes. */

#include "compute/operation.h"
#include "compute/xml/block_devices.h"

/* ---- the pair: a server's volumes are opened to this host before its guest is made, and closed when its
 *      guest is gone. Either may be begun again by a process after one that was killed in it. ---- */

/* Each is exported to this host, its attachment is complete and its row and device have the connection: from
 * here on another server's last look sees this one. Rows of other devices are passed over. */
bool volumes_open(Operation *op, const GPtrArray *bdms, const BlockDevices *devices, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Each, as far as Cinder exports it, is disconnected, then reserved by a new attachment before the old one
 * goes (_terminate_volume_connections()): the server keeps it. 'force': although it cannot be disconnected, or
 * what the guest wrote last not be flushed. */
bool volumes_close(Operation *op, const GPtrArray *bdms, bool force, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same by force for a server that is gone, or may be built elsewhere: the attachments go, the rows forget
 * how this host reached the volumes. Failures are logged. */
void volumes_release(Operation *op, const GPtrArray *bdms);

/* volumes_open() for a server that has not been here: volumes that its rows ask for and that do not exist are
 * made first (_prep_block_device()). OverQuota; else InvalidBDM with the text of what happened. What a failed
 * call has made of a volume that is its own is gone again; volumes_abandon() undoes the rest. */
bool volumes_prepare(Operation *op, const GPtrArray *bdms, const BlockDevices *devices, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* All of these begin with it: attachments of the server that no row has, because a process before us ended
 * between one and the other, go. */
bool volumes_forget_left_over(Operation *op, const GPtrArray *bdms, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- a server that goes ---- */

/* A server that will not be built: its attachments go, volumes that would be deleted with the server go
 * with their rows (_cleanup_volumes()). Failures are logged. */
void volumes_abandon(Host *host, const RequestContext *ctx, Instance *instance, const GPtrArray *bdms);

/* The server will not be built, or not by us, and a process before us had begun it: volumes that it made
 * and that no row has go as they would with the server. */
void volumes_discard_made(Operation *op, const GPtrArray *bdms);

/* And the volumes that go with a server, when they are released. */
void volumes_delete(Host *host, const RequestContext *ctx, const GPtrArray *bdms);

/* ---- a guest that starts, or starts again, on this host: its volumes stay open ---- */

/* What this host needs for the domain: devices, mounts, secrets. On failure what this call connected is
 * connected no more. */
bool volumes_connect(Host *host, const RequestContext *ctx, const Instance *instance,
                     const BlockDevices *devices, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* And not any more, once no domain uses them, but for the secrets, which only a user's token can get again.
 * Goes on after a failure and returns the first. */
bool volumes_disconnect(Host *host, const RequestContext *ctx, const Instance *instance,
                        const BlockDevices *devices, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same, of a guest that did not come to be: secrets go, too, failures are logged. */
void volumes_let_go(Host *host, const RequestContext *ctx, const Instance *instance,
                    const BlockDevices *devices);

/* The connections as Cinder has them now; where it does not answer, the old ones will do. */
void volumes_try_refresh(Host *host, const RequestContext *ctx, const BlockDevices *devices);

/* The notification "volume_detach" of a volume, in this phase. */
void volume_announce_detach(Host *host, const RequestContext *ctx, Instance *instance,
                            const BlockDeviceMapping *bdm, const char *phase);

/* Of a server that is deleted, the rows of volumes that had been detached from it before leave 'bdms': they may
 * be somebody's. Those stay of which Cinder says nothing. */
void volumes_forget_detached(Host *host, const RequestContext *ctx, GPtrArray *bdms);

/* Attachments that only Cinder knows, or only we, are forgotten (_delete_dangling_bdms()): rows of the
 * latter are destroyed and leave 'bdms'. Nothing happens while Cinder does not answer. */
void volumes_forget_dangling(Host *host, const RequestContext *ctx, const Instance *instance, GPtrArray *bdms);
