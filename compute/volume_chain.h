/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The files that a volume's disk in a domain's XML stands on, one on the next. Pure. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct VolumeChain {
    char *target;     /* "vdb" */
    char *path;       /* of the file or device that is written; NULL: on the network */
    char *protocol;   /* "rbd"; NULL: not on the network */
    GPtrArray *files; /* owning char *: paths or names, the one that is written first */
    GPtrArray *indexes; /* likewise: libvirt's numbers of them, "0" for the first */
} VolumeChain;

void volume_chain_clear(VolumeChain *chain);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VolumeChain, volume_chain_clear)

/* InternalError when the domain does not have the volume. */
bool volume_chain_find(const char *domain_xml, const char *volume_id, VolumeChain *ret_chain,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Is a file of that name part of it, in whatever folder? */
bool volume_chain_has(const VolumeChain *chain, const char *file);
/* Which one the file that is written stands on: NULL: none. Borrowed. */
const char *volume_chain_base(const VolumeChain *chain);
/* How libvirt's block jobs call a file: by its name; on the network by its place, "vdb[2]". Caller frees.
 * InternalError when the chain has no such file. */
char *volume_chain_reference(const VolumeChain *chain, const char *file, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Do both name the same file, in whatever folder? */
bool volume_chain_is_same(const char *file, const char *other);

/* The <domainsnapshot> after which the volume's guest writes to 'new_file' beside the one before; all
 * other disks stay. Caller frees. InternalError when the volume is no file. */
char *volume_chain_make_snapshot(const char *domain_xml, const char *volume_id, const char *new_file,
                                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
