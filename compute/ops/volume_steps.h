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

/* Volumes that the rows ask for and that do not exist are made, and all are opened: after it every one of
 * 'devices' has its connection_info (_prep_block_device()). OverQuota; else InvalidBDM with the text of
 * what happened. What a failed call has made of a volume that is its own is gone again; volumes_abandon()
 * undoes the rest. */
bool volumes_prepare(Operation *op, const BlockDevices *devices, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* A server that will not be built: its attachments go, volumes that would be deleted with the server go
 * with their rows (_cleanup_volumes()). Failures are logged. */
void volumes_abandon(Host *host, const RequestContext *ctx, Instance *instance, const GPtrArray *bdms);

/* The server will not be built, or not by us, and a process before us had begun it: volumes that it made
 * and that no row has go as they would with the server. */
void volumes_discard_made(Operation *op, const GPtrArray *bdms);

/* What this host needs for the domain: devices, mounts, secrets. On failure what this call connected is
 * connected no more. */
bool volumes_connect(Host *host, const RequestContext *ctx, const Instance *instance,
                     const BlockDevices *devices, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* And not any more, once no domain uses them. Goes on after a failure and returns the first. */
bool volumes_disconnect(Host *host, const RequestContext *ctx, const Instance *instance,
                        const BlockDevices *devices, bool keeps_secrets, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The same for a server that is deleted: failures are logged. */
void volumes_let_go(Host *host, const RequestContext *ctx, const Instance *instance,
                    const BlockDevices *devices);

/* Before one of these in an operation that a process before us may have taken further: what Cinder does not
 * export any more was disconnected, and may be another server's here by now. */
void volumes_forget_closed(Operation *op, const BlockDevices *devices);

/* The connections as Cinder has them now; where it does not answer, the old ones will do. */
void volumes_try_refresh(Host *host, const RequestContext *ctx, const BlockDevices *devices);

/* ---- all rows of a server; those of other devices are passed over ---- */

/* The server leaves this host, or its volumes are closed and opened again: each is reserved by a new
 * attachment before the old one goes (_terminate_volume_connections()). */
bool volumes_reserve_anew(Operation *op, const GPtrArray *bdms, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The server has come to this host: its attachments are opened to it, 'devices' has the connections. */
bool volumes_arrive(Operation *op, const GPtrArray *bdms, const BlockDevices *devices, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* And its guest is here, too: all attachments of the server are complete. */
bool volumes_complete(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The server is gone: the attachments go. Failures are logged. */
void volumes_release(Host *host, const RequestContext *ctx, const Instance *instance, const GPtrArray *bdms);
/* The same for a server that may be built elsewhere: the rows forget how this host reached the volumes. */
void volumes_close(Host *host, const RequestContext *ctx, const Instance *instance, const GPtrArray *bdms);
/* And the volumes that go with it. */
void volumes_delete(Host *host, const RequestContext *ctx, const GPtrArray *bdms);

/* The notification "volume_detach" of a volume, in this phase. */
void volume_announce_detach(Host *host, const RequestContext *ctx, Instance *instance,
                            const BlockDeviceMapping *bdm, const char *phase);

/* Attachments that only Cinder knows, or only we, are forgotten (_delete_dangling_bdms()): rows of the
 * latter are destroyed and leave 'bdms'. Nothing happens while Cinder does not answer. */
void volumes_forget_dangling(Host *host, const RequestContext *ctx, const Instance *instance, GPtrArray *bdms);
