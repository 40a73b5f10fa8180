/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.build"
#include "compute/ops/build_resume.h"

#include <string.h>

#include "agent/base/log.h"
#include "compute/ops/steps.h"
#include "compute/recovery.h"

/* What a build that was given back may take to be in somebody's hands. */
#define HANDOVER_TRIES 15
#define HANDOVER_PAUSE_US (2 * G_USEC_PER_SEC)

BuildStage
build_stage(const BuildRecord *record, const char *our_host)
{
    if (record->task_state == TASK_STATE_DELETING || record->vm_state == VM_STATE_DELETED)
        return STAGE_DELETING;
    if (record->host && strcmp(record->host, our_host) != 0)
        return STAGE_ELSEWHERE;
    if (record->vm_state == VM_STATE_ERROR)
        return STAGE_FAILED;
    if (record->vm_state != VM_STATE_BUILDING)
        return STAGE_BUILT;
    return record->host ? STAGE_UNDER_WAY : STAGE_UNPLACED;
}

static BuildRecord
record_of(const Instance *instance)
{
    return (BuildRecord){instance->vm_state, instance->task_state, instance->host};
}

static bool
interrupted(NovaError **err, const Build *build)
{
    const char *uuid = build->op->instance->uuid;

    nova_error_set(err, NOVA_ERROR_BUILD_ABORT_EXCEPTION,
                   "Build of instance %s aborted: the compute agent ended in the middle of it", uuid);
    return false;
}

/* Has somebody this server? Placement knows before the record does. */
static bool
has_allocation(Build *build, bool *ret_has, NovaError **err)
{
    Operation *op = build->op;
    json_auto_t *payload = placement_fetch_allocations_for_consumer(op->host->placement, op->ctx,
                                                                    op->instance->uuid, err);

    if (!payload)
        return false;
    *ret_has = json_object_size(json_object_get(payload, "allocations")) > 0;
    return true;
}

/* The message that gave the server back may or may not have left: sending it again could make two
 * hosts build it. */
static bool
await_handover(Build *build, BuildFound *ret_found, NovaError **err)
{
    Operation *op = build->op;

    *ret_found = BUILD_ENDED;
    for (int tries = 0; tries < HANDOVER_TRIES; tries++) {
        bool has = false;
        g_autoptr(Instance) now =
            conductor_instance_get(op->host->conductor, op->ctx, op->instance->uuid, NULL, NULL);
        BuildRecord record = now ? record_of(now) : (BuildRecord){.vm_state = VM_STATE_DELETED};

        if (build_stage(&record, op->host->name) != STAGE_UNPLACED ||
            record.task_state != TASK_STATE_SCHEDULING)
            return true;
        if (!has_allocation(build, &has, err))
            return false;
        if (has)
            return true;
        g_usleep(HANDOVER_PAUSE_US);
    }
    return interrupted(err, build);
}

/* False: the guest stays, and what it uses. */
static bool
undo(Build *build)
{
    build->is_claimed = true;
    if (!build_undo(build))
        return false;
    build->guest_stays = !recovery_remove_local(build->op->host, build->op->instance->uuid);
    return !build->guest_stays;
}

/* Its allocation tells a build that waited here from one that was being given back. */
static bool
find_unplaced(Build *build, BuildFound *ret_found, NovaError **err)
{
    bool has = false;

    if (operation_has_note(build->op, BUILD_NOTE_HANDED_OVER))
        return await_handover(build, ret_found, err);
    if (!undo(build))
        return interrupted(err, build);
    if (!has_allocation(build, &has, err))
        return false;
    *ret_found = BUILD_UNDONE;
    return has || interrupted(err, build);
}

static bool
is_guest_running(Build *build)
{
    return step_power_state(build->op->host, build->op->instance) == POWER_STATE_RUNNING;
}

static bool
find_under_way(Build *build, BuildFound *ret_found, NovaError **err)
{
    bool gives_up = build->op->n_begun >= OPERATION_MAX_ATTEMPTS;

    if (!gives_up && build->op->instance->task_state == TASK_STATE_SPAWNING && is_guest_running(build)) {
        *ret_found = BUILD_RUNS;
        return true;
    }
    if (!undo(build) || gives_up)
        return interrupted(err, build);
    *ret_found = BUILD_UNDONE;
    return true;
}

bool
build_find(Build *build, BuildFound *ret_found, NovaError **err)
{
    Operation *op = build->op;
    BuildRecord record = record_of(op->instance);

    *ret_found = BUILD_ENDED;
    switch (build_stage(&record, op->host->name)) {
    case STAGE_BUILT:
        return true;
    case STAGE_DELETING: /* whoever deletes it finds the rest */
        if (undo(build))
            build_discard_volumes(build);
        return true;
    case STAGE_ELSEWHERE:
        recovery_leave_to_other(op->host, op->ctx, op->instance->uuid, op->instance->host);
        return true;
    case STAGE_FAILED:
        undo(build);
        return interrupted(err, build);
    case STAGE_UNPLACED:
        return find_unplaced(build, ret_found, err);
    default:
        return find_under_way(build, ret_found, err);
    }
}
