/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The handlers of agent/methods.c's table. Each gets its Operation with the instance decoded and
 * returns false with *err set, or true; what else happens on failure is the row's flags. */

#include "compute/operation.h"

/* build.c, terminate.c */
bool op_build_and_run_instance(Operation *op, NovaError **err);
bool op_terminate_instance(Operation *op, NovaError **err);

/* power.c */
bool op_stop_instance(Operation *op, NovaError **err);
bool op_start_instance(Operation *op, NovaError **err);
bool op_reboot_instance(Operation *op, NovaError **err);

/* snapshot.c; the second does what the first announced */
bool op_snapshot_instance(Operation *op, NovaError **err);
bool op_do_snapshot_instance(Operation *op, NovaError **err);
bool op_backup_instance(Operation *op, NovaError **err);
/* pause.c, suspend.c, soft_delete.c */
bool op_pause_instance(Operation *op, NovaError **err);
bool op_unpause_instance(Operation *op, NovaError **err);
bool op_suspend_instance(Operation *op, NovaError **err);
bool op_resume_instance(Operation *op, NovaError **err);
bool op_soft_delete_instance(Operation *op, NovaError **err);
bool op_restore_instance(Operation *op, NovaError **err);

/* diagnostics.c */
bool op_get_diagnostics(Operation *op, NovaError **err);
bool op_get_instance_diagnostics(Operation *op, NovaError **err);
bool op_trigger_crash_dump(Operation *op, NovaError **err);

/* rebuild.c, shelve.c, unshelve.c */
bool op_rebuild_instance(Operation *op, NovaError **err);
bool op_shelve_instance(Operation *op, NovaError **err);
bool op_shelve_offload_instance(Operation *op, NovaError **err);
bool op_unshelve_instance(Operation *op, NovaError **err);

/* events.c */
bool op_external_instance_event(Operation *op, NovaError **err);

/* console.c */
bool op_get_console_output(Operation *op, NovaError **err);
bool op_get_vnc_console(Operation *op, NovaError **err);
bool op_validate_console_port(Operation *op, NovaError **err);
bool op_get_host_uptime(Operation *op, NovaError **err);
