/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* NVMe over fabrics: subsystems of other hosts, by the program nvme, and their namespaces, as the kernel shows them in
 * /sys (os_brick.initiator.connectors.nvmeof). 'root' stands before every path; a device is named without /dev:
 * "nvme0n1". Any thread; one at a time for each subsystem.
 *
 * Errors: ProcessExecutionError of nvme; KeyError for a connection that names no subsystem, ValueError for a UUID that
 * is none, VolumeDriverNotSupported for a volume of several replicas, which os-brick joins to a RAID. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

/* One way to the subsystem. */
typedef struct NvmePortal {
    char *address;
    char *port;
    const char *transport; /* "tcp", "rdma" */
    char *controller;      /* "nvme1", once nvme_find_controllers() has found it; NULL: not connected */
} NvmePortal;

typedef struct NvmeTarget {
    char *nqn;
    char *host_nqn;       /* NULL: this host's own */
    GPtrArray *portals;   /* of NvmePortal*, in Cinder's order, never empty */
    const char *property; /* by which the namespace is known: "uuid", "nguid", "nsid"; NULL: by none */
    char *value;
    GPtrArray *before;    /* of char *: namespaces that were there when connecting began, for want of a property */
} NvmeTarget;

/* Both forms of Cinder's connection: target_nqn with portals, and the older nqn with one portal. */
NvmeTarget *nvme_target_new(const json_t *data, NovaError **err);
void nvme_target_free(NvmeTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NvmeTarget, nvme_target_free)

/* Which portals are connected just now, in whatever state. */
void nvme_find_controllers(const char *root, NvmeTarget *target);
/* "live", "connecting"...; NULL: not connected. Caller frees. */
char *nvme_state(const char *root, const NvmePortal *portal);
/* All namespaces that the controller has, or all of them have; owning array of char *. */
GPtrArray *nvme_portal_namespaces(const char *root, const NvmePortal *portal);
GPtrArray *nvme_namespaces(const char *root, const NvmeTarget *target);
/* The volume's there, by its property; NULL: none, or it has no property. Caller frees. */
char *nvme_portal_device(const char *root, const NvmeTarget *target, const NvmePortal *portal);
/* The volume's, of a controller that is live; NULL: none (yet). Caller frees. */
char *nvme_find_device(const char *root, const NvmeTarget *target);

/* Has the kernel settled to use all paths to a namespace as one device? */
bool nvme_joins_paths(const char *root);

/* Connected by somebody else meanwhile: a success. */
bool nvme_connect(const NvmeTarget *target, const NvmePortal *portal, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool nvme_disconnect(const NvmePortal *portal, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Looks for namespaces and their sizes anew. */
bool nvme_rescan(const NvmePortal *portal, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
