/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/states.h"

#include <glib.h>
#include <stddef.h>

const char *const vm_state_names[N_VM_STATES + 1] = {
    "",        "active",  "building",    "paused",  "suspended", "stopped", "rescued",
    "resized", "soft-delete", "deleted", "error",   "shelved",   "shelved_offloaded", NULL,
};

const char *const task_state_names[N_TASK_STATES + 1] = {
    "",
    "scheduling",
    "block_device_mapping",
    "networking",
    "spawning",
    "image_snapshot",
    "image_snapshot_pending",
    "image_pending_upload",
    "image_uploading",
    "image_backup",
    "updating_password",
    "resize_prep",
    "resize_migrating",
    "resize_migrated",
    "resize_finish",
    "resize_reverting",
    "resize_confirming",
    "rebooting",
    "reboot_pending",
    "reboot_started",
    "rebooting_hard",
    "reboot_pending_hard",
    "reboot_started_hard",
    "pausing",
    "unpausing",
    "suspending",
    "resuming",
    "powering-off",
    "powering-on",
    "rescuing",
    "unrescuing",
    "rebuilding",
    "rebuild_block_device_mapping",
    "rebuild_spawning",
    "migrating",
    "deleting",
    "soft-deleting",
    "restoring",
    "shelving",
    "shelving_image_pending_upload",
    "shelving_image_uploading",
    "shelving_offloading",
    "unshelving",
    NULL,
};

const char *
vm_state_name(VmState state)
{
    return state > VM_STATE_NONE && state < N_VM_STATES ? vm_state_names[state] : NULL;
}

const char *
task_state_name(TaskState state)
{
    return state > TASK_STATE_NONE && state < N_TASK_STATES ? task_state_names[state] : NULL;
}

VmState
vm_state_from_name(const char *name, VmState fallback)
{
    for (int state = VM_STATE_NONE + 1; name && state < N_VM_STATES; state++)
        if (g_str_equal(vm_state_names[state], name))
            return (VmState)state;
    return fallback;
}

const char *
power_state_text(PowerState state)
{
    switch (state) {
    case POWER_STATE_RUNNING:
        return "running";
    case POWER_STATE_PAUSED:
        return "paused";
    case POWER_STATE_SHUTDOWN:
        return "shutdown";
    case POWER_STATE_CRASHED:
        return "crashed";
    case POWER_STATE_SUSPENDED:
        return "suspended";
    default:
        return "pending";
    }
}
