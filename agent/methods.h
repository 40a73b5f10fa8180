/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* THE table of RPC methods (nova.compute.manager.ComputeManager): read this first.
 *
 * One row says everything about a method; dispatch.c carries it out. The flags are Nova's
 * decorators. Arguments are keyword-only: an unknown one is a TypeError as in Python. */

#include "compute/operation.h"

typedef enum MethodLane {
    LANE_URGENT,  /* what other operations wait for; never more than 1 s of work; never held */
    LANE_PEER,    /* what operations of other computes call */
    LANE_DEFAULT,
    LANE_LONG,    /* what copies disks or makes guests anew: never in the way of DEFAULT */
    LANE_BUILD,
    LANE_SNAPSHOT,
    LANE_MIGRATE,
    N_LANES,
} MethodLane;

typedef enum MethodFlags {
    SERIAL = 1 << 0,         /* one at a time for each instance: Nova synchronises on the uuid */
    EVENT = 1 << 1,          /* wrap_instance_event */
    FAULT = 1 << 2,          /* wrap_instance_fault */
    REVERT_TASK = 1 << 3,    /* reverts_task_state */
    FAIL_MIGRATION = 1 << 4, /* errors_out_migration */
    EXPECTED = 1 << 5,       /* expected_exceptions: a caller's mistake is no line of ours at ERROR */
    /* Kept in the journal: when the process is killed in the middle of it, the next one carries it out
     * again, with op->is_resumed. The handler must bear that: at any line, with whatever it had done. */
    DURABLE = 1 << 6,
    /* ... but not when the task of the request is no longer set: then it was over. */
    WHILE_TASK = 1 << 7,
    /* ... nor, as with WHILE_TASK, when another host has the server by now: its volumes are in use there. */
    WHILE_HERE = 1 << 10,
    /* Nobody waits for the answer of a call that was killed, but it has something to undo: the handler is
     * called again, with op->is_resumed. */
    UNDOES = 1 << 9,
    UNTOLD = 1 << 8,         /* no wrap_exception: nobody is notified of a failure */
} MethodFlags;

typedef struct Method {
    const char *name;
    OperationHandler handler;
    MethodLane lane;
    unsigned flags;
    const char *event;    /* name of the action event; NULL: compute_<name> */
    /* Sent as .start before and .end after the handler ("pause": instance.pause.start); NULL: none,
     * or not that simple: the handler sends its own. */
    const char *notification;
    const char *required; /* arguments, separated by blanks */
    const char *optional;
} Method;

/* The highest minor of 6.x whose methods and arguments the table has. */
#define COMPUTE_RPC_MAJOR 6
#define COMPUTE_RPC_MINOR 5

/* NULL when there is no such method. */
const Method *method_find(const char *name);
/* Also rows that nobody may call: the second halves of methods that answer before they are done. */
const Method *method_find_own(const char *name);
const Method *method_table(size_t *ret_n);

/* TypeError with Python's text for a missing or unknown argument. */
bool method_check_args(const Method *method, const json_t *args, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
