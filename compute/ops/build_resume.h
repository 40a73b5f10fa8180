/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A build that a process before us had begun: how far it came, as database, Placement and libvirt
 * show it. */

#include "compute/ops/build_undo.h"

typedef enum BuildFound {
    BUILD_UNDONE, /* all that it had made is gone again: it can be run from the start */
    BUILD_RUNS,   /* the guest runs: only the record does not say so yet */
    BUILD_ENDED,  /* nothing is to be done any more */
} BuildFound;

/* Pure: what the record says. UNDONE here means "undo it and run it again". */
typedef struct BuildRecord {
    VmState vm_state;
    TaskState task_state;
    const char *host; /* NULL: none */
} BuildRecord;
typedef enum BuildStage {
    STAGE_BUILT,     /* ACTIVE */
    STAGE_FAILED,    /* ERROR */
    STAGE_DELETING,
    STAGE_ELSEWHERE, /* another host has it */
    STAGE_UNPLACED,  /* not claimed yet, or given back for another host */
    STAGE_UNDER_WAY,
} BuildStage;
BuildStage build_stage(const BuildRecord *record, const char *our_host);

/* False: it has failed for good, and *err is why. */
bool build_find(Build *build, BuildFound *ret_found, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
