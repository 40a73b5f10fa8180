/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A build's state, and what happens when it fails: everything undone, then another host or ERROR
 * (ComputeManager._do_build_and_run_instance's except clauses; compute-rpc.md 4). */

#include "agent/objects/image_meta.h"
#include "agent/objects/network_request.h"
#include "compute/guest_config.h"
#include "compute/operation.h"

typedef struct Build {
    Operation *op;
    ImageMeta *image;             /* until it goes into the plan, as network and bdms */
    NetworkRequestList *networks; /* NULL: none were named */
    NetworkInfo *network;
    GPtrArray *bdms;
    GuestPlan *plan;
    bool is_claimed;
    bool has_ports; /* created or bound by this build */
    bool has_files;
    bool has_volumes; /* opened by this build, all of them */
    bool always_aborts; /* the step under way */
    bool guest_stays;   /* it could not be undone */
} Build;

/* In the journal before the message that gives the server back for another host. */
#define BUILD_NOTE_HANDED_OVER "handed over"

/* Guest, files, ports and claim are gone; the record and the allocation stay. False: the guest stays, too,
 * with its files and volumes. */
bool build_undo(Build *build) G_GNUC_WARN_UNUSED_RESULT;
/* And volumes that only a process before us knew. */
void build_discard_volumes(Build *build);

/* The build was never ours to begin: what the scheduler has allocated for it is given back. */
void build_refused(Build *build);

/* Undoes the build, tells and records its failure, or gives it to another host. Takes ownership of
 * 'error'. The method itself has not failed: it ends as Nova's does, with what it found out. */
void build_failed(Build *build, NovaError *error);
