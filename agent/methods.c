/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/methods.h"

#include <string.h>

#include "compute/ops/ops.h"

/* clang-format off */
static const Method methods[] = {
    {"build_and_run_instance", op_build_and_run_instance, LANE_BUILD, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE,
     "compute__do_build_and_run_instance", NULL,
     "instance image request_spec filter_properties accel_uuids",
     "admin_password injected_files requested_networks security_groups block_device_mapping node limits host_list"},
    {"terminate_instance", op_terminate_instance, LANE_DEFAULT, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE, NULL, NULL,
     "instance bdms", ""},
    {"stop_instance", op_stop_instance, LANE_DEFAULT, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "power_off",
     "instance clean_shutdown", ""},
    {"start_instance", op_start_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "power_on",
     "instance", ""},
    {"reboot_instance", op_reboot_instance, LANE_DEFAULT, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance block_device_info reboot_type", ""},
    {"snapshot_instance", op_snapshot_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance image_id", ""},
    {"backup_instance", op_backup_instance, LANE_SNAPSHOT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance image_id backup_type rotation", ""},
    {"prep_resize", op_prep_resize, LANE_LONG, EVENT | FAULT | REVERT_TASK | FAIL_MIGRATION | DURABLE, NULL, NULL,
     "instance image flavor request_spec filter_properties node clean_shutdown migration host_list", ""},
    {"resize_instance", op_resize_instance, LANE_LONG, EVENT | FAULT | REVERT_TASK | FAIL_MIGRATION | DURABLE, NULL, NULL,
     "instance image migration flavor clean_shutdown request_spec", ""},
    {"finish_resize", op_finish_resize, LANE_LONG, EVENT | FAULT | REVERT_TASK | FAIL_MIGRATION | DURABLE, NULL, NULL,
     "disk_info image instance migration request_spec", ""},
    {"confirm_resize", op_confirm_resize, LANE_LONG, SERIAL | EVENT | FAULT | FAIL_MIGRATION | DURABLE, NULL, NULL,
     "instance migration", ""},
    {"revert_resize", op_revert_resize, LANE_LONG, EVENT | FAULT | REVERT_TASK | FAIL_MIGRATION | DURABLE, NULL, NULL,
     "instance migration request_spec", ""},
    {"finish_revert_resize", op_finish_revert_resize, LANE_LONG, EVENT | FAULT | REVERT_TASK | FAIL_MIGRATION | DURABLE,
     NULL, NULL, "instance migration request_spec", ""},
    {"check_instance_shared_storage", op_check_instance_shared_storage, LANE_PEER, 0, NULL, NULL, "data", ""},
    {"rebuild_instance", op_rebuild_instance, LANE_LONG, EVENT | FAULT | REVERT_TASK | EXPECTED | DURABLE | WHILE_TASK, NULL, NULL,
     "instance orig_image_ref image_ref injected_files new_pass orig_sys_metadata bdms recreate on_shared_storage "
     "preserve_ephemeral migration scheduled_node limits request_spec accel_uuids",
     "reimage_boot_volume target_state"},
    {"shelve_instance", op_shelve_instance, LANE_LONG, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance image_id clean_shutdown accel_uuids", ""},
    {"shelve_offload_instance", op_shelve_offload_instance, LANE_LONG, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL,
     NULL, "instance clean_shutdown accel_uuids", ""},
    {"unshelve_instance", op_unshelve_instance, LANE_LONG, SERIAL | EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance image filter_properties node request_spec accel_uuids", ""},
    {"pause_instance", op_pause_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "pause",
     "instance", ""},
    {"unpause_instance", op_unpause_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "unpause",
     "instance", ""},
    {"suspend_instance", op_suspend_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "suspend",
     "instance", ""},
    {"resume_instance", op_resume_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "resume",
     "instance", ""},
    {"rescue_instance", op_rescue_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance rescue_password rescue_image_ref clean_shutdown", ""},
    {"unrescue_instance", op_unrescue_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance", ""},
    {"soft_delete_instance", op_soft_delete_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "soft_delete",
     "instance", ""},
    {"restore_instance", op_restore_instance, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, "restore",
     "instance", ""},
    {"trigger_crash_dump", op_trigger_crash_dump, LANE_DEFAULT, EVENT | FAULT | EXPECTED, NULL, "trigger_crash_dump",
     "instance", ""},
    {"get_diagnostics", op_get_diagnostics, LANE_DEFAULT, FAULT, NULL, NULL,
     "instance", ""},
    {"get_instance_diagnostics", op_get_instance_diagnostics, LANE_DEFAULT, FAULT, NULL, NULL,
     "instance", ""},
    {"attach_interface", op_attach_interface, LANE_DEFAULT, SERIAL | EVENT | FAULT | DURABLE | UNDOES | EXPECTED, NULL, NULL,
     "instance network_id port_id requested_ip tag", ""},
    {"detach_interface", op_detach_interface, LANE_LONG, SERIAL | EVENT | FAULT | DURABLE, NULL, NULL,
     "instance port_id", ""},
    {"reserve_block_device_name", op_reserve_block_device_name, LANE_DEFAULT, SERIAL | FAULT | REVERT_TASK | DURABLE | UNDOES, NULL, NULL,
     "instance device volume_id disk_bus device_type tag multiattach", ""},
    {"attach_volume", op_attach_volume, LANE_DEFAULT, SERIAL | EVENT | FAULT | DURABLE | WHILE_HERE, NULL, NULL,
     "instance bdm", ""},
    {"detach_volume", op_detach_volume, LANE_LONG, SERIAL | EVENT | FAULT | DURABLE | WHILE_HERE, NULL, NULL,
     "volume_id instance attachment_id", ""},
    {"swap_volume", op_swap_volume, LANE_LONG, SERIAL | EVENT | FAULT | DURABLE | WHILE_HERE, NULL, NULL,
     "old_volume_id new_volume_id instance new_attachment_id", ""},
    {"volume_snapshot_create", op_volume_snapshot_create, LANE_LONG, EXPECTED | DURABLE | WHILE_HERE, NULL, NULL,
     "instance volume_id create_info", ""},
    {"volume_snapshot_delete", op_volume_snapshot_delete, LANE_LONG, EXPECTED | DURABLE | WHILE_HERE, NULL, NULL,
     "instance volume_id snapshot_id delete_info", ""},
    {"remove_volume_connection", op_remove_volume_connection, LANE_PEER, DURABLE, NULL, NULL,
     "volume_id instance", "delete_attachment"},
    {"external_instance_event", op_external_instance_event, LANE_URGENT, DURABLE, NULL, NULL,
     "instances events", ""},
    {"get_console_output", op_get_console_output, LANE_DEFAULT, FAULT | EXPECTED, NULL, NULL,
     "instance tail_length", ""},
    {"get_vnc_console", op_get_vnc_console, LANE_DEFAULT, FAULT | EXPECTED, NULL, NULL,
     "console_type instance", ""},
    {"get_spice_console", op_get_spice_console, LANE_DEFAULT, FAULT | EXPECTED, NULL, NULL,
     "console_type instance", ""},
    {"get_serial_console", op_get_serial_console, LANE_DEFAULT, FAULT | EXPECTED, NULL, NULL,
     "console_type instance", ""},
    {"get_mks_console", op_get_mks_console, LANE_DEFAULT, FAULT | EXPECTED, NULL, NULL,
     "console_type instance", ""},
    {"get_rdp_console", op_get_rdp_console, LANE_DEFAULT, FAULT | EXPECTED, NULL, NULL,
     "console_type instance", ""},
    {"validate_console_port", op_validate_console_port, LANE_PEER, FAULT | EXPECTED, NULL, NULL,
     "instance port console_type", ""},
    {"set_admin_password", op_set_admin_password, LANE_DEFAULT, EVENT | FAULT | REVERT_TASK, NULL, NULL,
     "instance new_pass", ""},
    {"inject_network_info", op_inject_network_info, LANE_DEFAULT, FAULT | UNTOLD, NULL, NULL,
     "instance", ""},
    {"add_fixed_ip_to_instance", op_add_fixed_ip_to_instance, LANE_DEFAULT, FAULT, NULL, NULL,
     "network_id instance", ""},
    {"remove_fixed_ip_from_instance", op_remove_fixed_ip_from_instance, LANE_DEFAULT, FAULT, NULL, NULL,
     "address instance", ""},
    {"quiesce_instance", op_quiesce_instance, LANE_DEFAULT, EXPECTED, NULL, NULL,
     "instance", ""},
    {"unquiesce_instance", op_unquiesce_instance, LANE_DEFAULT, EXPECTED, NULL, NULL,
     "instance", "mapping"},
    {"allow_share", op_allow_share, LANE_DEFAULT, EVENT | FAULT | EXPECTED, NULL, NULL,
     "instance share_mapping", ""},
    {"deny_share", op_deny_share, LANE_DEFAULT, EVENT | FAULT | EXPECTED, NULL, NULL,
     "instance share_mapping", ""},
    {"cache_images", op_cache_images, LANE_DEFAULT, UNTOLD, NULL, NULL, "image_ids", ""},
    {"set_host_enabled", op_set_host_enabled, LANE_DEFAULT, 0, NULL, NULL, "enabled", ""},
    {"host_power_action", op_host_power_action, LANE_DEFAULT, 0, NULL, NULL, "action", ""},
    {"host_maintenance_mode", op_host_maintenance_mode, LANE_DEFAULT, 0, NULL, NULL, "host mode", ""},
    {"get_host_uptime", op_get_host_uptime, LANE_DEFAULT, 0, NULL, NULL, "", ""},
};

static const Method own_methods[] = {
    {"_snapshot_instance", op_do_snapshot_instance, LANE_SNAPSHOT, FAULT | REVERT_TASK | DURABLE | WHILE_TASK, NULL, NULL,
     "instance image_id", ""},
    {"_detach_deleted_port", op_detach_deleted_port, LANE_LONG, SERIAL | DURABLE, NULL, NULL,
     "instance port_id", ""},
    {"extend_volume", op_extend_volume, LANE_DEFAULT, EVENT | FAULT | DURABLE | WHILE_HERE, NULL, NULL,
     "instance extended_volume_id", ""},
};
/* clang-format on */

const Method *
method_table(size_t *ret_n)
{
    *ret_n = G_N_ELEMENTS(methods);
    return methods;
}

const Method *
method_find(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

const Method *
method_find_own(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(own_methods); i++)
        if (strcmp(own_methods[i].name, name) == 0)
            return &own_methods[i];
    return method_find(name);
}

static bool
names_contain(const char *names, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = names; (at = strstr(at, name)); at += length)
        if ((at == names || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

bool
method_check_args(const Method *method, const json_t *args, NovaError **err)
{
    g_auto(GStrv) required = g_strsplit(method->required, " ", -1);
    const char *key;
    json_t *value;

    for (char **name = required; *name; name++)
        if (**name && !json_object_get(args, *name))
            return nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                                  "ComputeManager.%s() missing 1 required positional argument: '%s'",
                                  method->name, *name);
    json_object_foreach ((json_t *)args, key, value)
        if (!names_contain(method->required, key) && !names_contain(method->optional, key))
            return nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                                  "ComputeManager.%s() got an unexpected keyword argument '%s'",
                                  method->name, key);
    return true;
}
