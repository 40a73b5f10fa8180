/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the steps of a resize or cold migration share. Which host a step runs on is in its name: the
 * target prepares and finishes, the source sends and confirms; both may be this one. */

#include "agent/objects/migration.h"
#include "compute/operation.h"

/* The message's migration. ValueError without one. */
Migration *move_read_migration(const Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool move_save_status(Operation *op, Migration *migration, const char *status, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* A process before us had begun this step, and it is no longer this step's turn: the task is none of
 * 'tasks', or the next step's method has been asked for (NULL: there is none). */
bool move_is_over(const Operation *op, TaskStates tasks, const char *next);
/* What a save expects: that task; of a step that is begun again, also the one that it sets. */
TaskStates move_expected(const Operation *op, TaskStates before, TaskStates set);
/* A step that is begun again: its guest runs already. */
bool move_has_guest(const Operation *op);

/* What the steps read of the instance and the message may not have brought. */
bool move_load_instance(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* _set_instance_info(): the server's size from now on; not saved. */
void move_set_flavor(Instance *instance, const Flavor *flavor);
/* A flavor of its own for another member of the instance. */
Flavor *move_copy_flavor(const Flavor *flavor);
/* It was stopped before the move began. */
bool move_was_stopped(const Instance *instance);
/* _delete_stashed_flavor_info(): nothing of the move is left in the instance, which is saved. */
bool move_forget(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Disk files of the server that are there: of char *, owning. */
GPtrArray *move_disk_names(const Options *options, const char *uuid);

/* _revert_allocation(): what the migration holds is the server's again. AllocationMoveFailed. */
bool move_revert_allocation(Operation *op, const Migration *migration, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* _delete_allocation_after_move(): what the migration holds is free. AllocationDeleteFailed. */
bool move_delete_allocation(Operation *op, const Migration *migration, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* A move that this process, started anew, cannot go on with: its migrations are in error and what they
 * held is the server's again. */
bool move_give_up(Host *host, const RequestContext *ctx, const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What a move that is over holds of the host the server left is free. */
bool move_release(Host *host, const RequestContext *ctx, const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* _update_bdm_for_swap_to_finish_resize(): the mapping of the swap disk follows the flavor. */
bool move_update_swap(Operation *op, const Flavor *from, const Flavor *to, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
