/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Images of RADOS block devices (nova.storage.rbd_utils), by librados and librbd. The libraries are opened
 * when they are first used: a host whose disks are files has nothing of them in its memory.
 *
 * A CephPool is a connection to one pool, for one thread and one operation: the libraries run a dozen threads
 * while it is open. Who connects, and how, is [libvirt]rbd_user, images_rbd_ceph_conf and rbd_connect_timeout.
 * Errors: StorageError with what Ceph said; others where a function says so. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

struct Options;

typedef struct CephPool CephPool;

/* What Nova calls the snapshot that a resize can go back to. */
#define CEPH_RESIZE_SNAPSHOT "nova-resize"

/* InvalidConfiguration: built without the libraries' headers, or the libraries are not installed. */
bool ceph_check(NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Connects; 'pool' NULL: [libvirt]images_rbd_pool. Borrows the options. */
CephPool *ceph_open(const struct Options *options, const char *pool, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void ceph_close(CephPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CephPool, ceph_close)

/* ---- the cluster ---- */

/* Its id, as in rbd:// addresses; caller frees. */
char *ceph_fetch_fsid(CephPool *pool, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Addresses and ports of the monitors, without the brackets of IPv6; equally long, callers g_strfreev(). */
bool ceph_fetch_monitors(CephPool *pool, char ***ret_hosts, char ***ret_ports, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Bytes of the cluster; free ones are what the pool could take, with its copies counted. */
bool ceph_fetch_space(CephPool *pool, uint64_t *ret_total, uint64_t *ret_used, uint64_t *ret_free,
                      NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- images ---- */

/* Names, of char *; caller unrefs. */
GPtrArray *ceph_list(CephPool *pool, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* 'snapshot' may be NULL. */
bool ceph_find(CephPool *pool, const char *image, const char *snapshot, bool *ret_found, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool ceph_fetch_size(CephPool *pool, const char *image, uint64_t *ret_size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool ceph_resize(CephPool *pool, const char *image, uint64_t size, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* A new image with the content of a raw file; holes and zeroes are not written. */
bool ceph_import(CephPool *pool, const char *path, const char *image, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Copy-on-write of a protected snapshot. Forbidden: no permission on the pool of the new image. */
bool ceph_clone(CephPool *from, const char *parent, const char *snapshot, CephPool *to, const char *image,
                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The pool of the image that this is a clone of; *ret_parent_pool NULL: it is none. Caller frees. */
bool ceph_fetch_parent_pool(CephPool *pool, const char *image, char **ret_parent_pool, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The clone gets blocks of its own. */
bool ceph_flatten(CephPool *pool, const char *image, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* With its snapshot 'nova-resize'. One that somebody has open is tried rbd_destroy_volume_retries times; one that
 * is gone is fine. */
bool ceph_remove(CephPool *pool, const char *image, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- snapshots of an image ---- */

/* Names, of char *; none of an image that is not there. Caller unrefs. */
GPtrArray *ceph_snapshot_list(CephPool *pool, const char *image, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* One that is there stays. */
bool ceph_snapshot_create(CephPool *pool, const char *image, const char *snapshot, bool is_protected,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Protected or not; one that is gone is fine. */
bool ceph_snapshot_remove(CephPool *pool, const char *image, const char *snapshot, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool ceph_snapshot_roll_back(CephPool *pool, const char *image, const char *snapshot, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
