/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Before the first request is worked on: is this host who the database thinks it is, and what did the
 * process before us leave unfinished (ComputeManager.init_host)? START thread. */

#include <stdbool.h>

#include "agent/objects/service.h"
#include "compute/operation.h"

typedef struct HostIdentity {
    const Host *host;
    const char *const *folders; /* where compute_id may lie, state_path last */
    const Service *service;     /* NULL: this host has no record yet */
} HostIdentity;

/* The node's uuid (caller frees): from the file, from the record of a host that is older than the
 * file, or a new one. InvalidConfiguration and InvalidNodeConfiguration mean that this process must
 * not run here: lost identity, another host's name, guests of another database. */
char *init_host_identify(const HostIdentity *identity, const RequestContext *ctx, NovaError **err);

/* Every instance of the host, by the table in init_host.c. What must be done is queued: it waits for no guest, switch or disk. */
bool init_host_recover(Host *host, RequestContext *ctx, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* _error_out_instances_whose_build_was_interrupted(): those that are allocated to the node, but were
 * not claimed before the process ended. To be called when their requests have had time to come: one that is
 * on its way is nowhere to be seen. Failures are logged. */
void init_host_fail_unclaimed(Host *host, RequestContext *ctx, const char *node_uuid);

/* What must happen to an instance that is found so. Pure. */
typedef enum Recovery {
    RECOVER_PLUG,        /* nothing was under way: see that its ports are plugged */
    RECOVER_RESUME_GUEST, /* ... and it ran when the host went down: not chosen by the states alone */
    RECOVER_LEAVE,       /* not ours to touch */
    RECOVER_FAIL_BUILD,  /* ERROR */
    RECOVER_CLEAR_TASK,
    RECOVER_CLEAR_TASK_ACTIVE, /* ... and it is ACTIVE */
    RECOVER_CLEAR_TASK_PAUSED, /* ... and it is PAUSED */
    RECOVER_UNPAUSE,
    RECOVER_DELETE,
    RECOVER_FINISH_DELETE, /* it is deleted in the database */
    RECOVER_GIVE_UP_MOVE,  /* nothing of it has moved */
    RECOVER_REVERT_RESIZE, /* its disks were being moved: they go back */
    RECOVER_FAIL_MOVE,     /* it was between two sizes: ERROR */
    RECOVER_REBOOT_SOFT,
    RECOVER_REBOOT_HARD,
    RECOVER_STOP,
    RECOVER_START,
} Recovery;
Recovery init_host_choose(VmState vm_state, TaskState task_state, PowerState power_state);
/* [DEFAULT]resume_guests_state_on_host_boot: the guest is to be started again. Pure. */
bool init_host_must_resume(const Instance *instance, PowerState power_state);
