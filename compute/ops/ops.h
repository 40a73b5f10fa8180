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

/* rescue.c */
bool op_rescue_instance(Operation *op, NovaError **err);
bool op_unrescue_instance(Operation *op, NovaError **err);

/* diagnostics.c */
bool op_get_diagnostics(Operation *op, NovaError **err);
bool op_get_instance_diagnostics(Operation *op, NovaError **err);
bool op_trigger_crash_dump(Operation *op, NovaError **err);

/* resize.c, resize_end.c */
bool op_prep_resize(Operation *op, NovaError **err);
bool op_resize_instance(Operation *op, NovaError **err);
bool op_finish_resize(Operation *op, NovaError **err);
bool op_confirm_resize(Operation *op, NovaError **err);
bool op_revert_resize(Operation *op, NovaError **err);
bool op_finish_revert_resize(Operation *op, NovaError **err);
bool op_check_instance_shared_storage(Operation *op, NovaError **err);

/* rebuild.c, shelve.c, unshelve.c */
bool op_rebuild_instance(Operation *op, NovaError **err);
bool op_shelve_instance(Operation *op, NovaError **err);
bool op_shelve_offload_instance(Operation *op, NovaError **err);
bool op_unshelve_instance(Operation *op, NovaError **err);

/* interface.c; the last comes with an event */
bool op_attach_interface(Operation *op, NovaError **err);
bool op_detach_interface(Operation *op, NovaError **err);
bool op_detach_deleted_port(Operation *op, NovaError **err);

/* volume_snapshot.c */
bool op_volume_snapshot_create(Operation *op, NovaError **err);
bool op_volume_snapshot_delete(Operation *op, NovaError **err);

/* volumes.c; extend_volume comes with an event */
bool op_reserve_block_device_name(Operation *op, NovaError **err);
bool op_attach_volume(Operation *op, NovaError **err);
bool op_detach_volume(Operation *op, NovaError **err);
bool op_remove_volume_connection(Operation *op, NovaError **err);
bool op_extend_volume(Operation *op, NovaError **err);
/* volume_swap.c */
bool op_swap_volume(Operation *op, NovaError **err);

/* events.c */
bool op_external_instance_event(Operation *op, NovaError **err);

/* console.c, console_access.c */
bool op_get_console_output(Operation *op, NovaError **err);
bool op_get_vnc_console(Operation *op, NovaError **err);
bool op_get_spice_console(Operation *op, NovaError **err);
bool op_get_serial_console(Operation *op, NovaError **err);
bool op_get_mks_console(Operation *op, NovaError **err);
bool op_get_rdp_console(Operation *op, NovaError **err);
bool op_validate_console_port(Operation *op, NovaError **err);

/* password.c, quiesce.c, network_info.c */
bool op_set_admin_password(Operation *op, NovaError **err);
bool op_quiesce_instance(Operation *op, NovaError **err);
bool op_unquiesce_instance(Operation *op, NovaError **err);
bool op_inject_network_info(Operation *op, NovaError **err);
bool op_add_fixed_ip_to_instance(Operation *op, NovaError **err);
bool op_remove_fixed_ip_from_instance(Operation *op, NovaError **err);

/* shares.c */
bool op_allow_share(Operation *op, NovaError **err);
bool op_deny_share(Operation *op, NovaError **err);

/* host.c */
bool op_get_host_uptime(Operation *op, NovaError **err);
bool op_host_power_action(Operation *op, NovaError **err);
bool op_host_maintenance_mode(Operation *op, NovaError **err);
bool op_set_host_enabled(Operation *op, NovaError **err);
bool op_cache_images(Operation *op, NovaError **err);
