/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* nova.compute.vm_states, task_states and power_state. */

#include <stdint.h>

typedef enum VmState {
    VM_STATE_NONE, /* null */
    VM_STATE_ACTIVE,
    VM_STATE_BUILDING,
    VM_STATE_PAUSED,
    VM_STATE_SUSPENDED,
    VM_STATE_STOPPED,
    VM_STATE_RESCUED,
    VM_STATE_RESIZED,
    VM_STATE_SOFT_DELETED,
    VM_STATE_DELETED,
    VM_STATE_ERROR,
    VM_STATE_SHELVED,
    VM_STATE_SHELVED_OFFLOADED,
    N_VM_STATES,
} VmState;

typedef enum TaskState {
    TASK_STATE_NONE, /* null: no task */
    TASK_STATE_SCHEDULING,
    TASK_STATE_BLOCK_DEVICE_MAPPING,
    TASK_STATE_NETWORKING,
    TASK_STATE_SPAWNING,
    TASK_STATE_IMAGE_SNAPSHOT,
    TASK_STATE_IMAGE_SNAPSHOT_PENDING,
    TASK_STATE_IMAGE_PENDING_UPLOAD,
    TASK_STATE_IMAGE_UPLOADING,
    TASK_STATE_IMAGE_BACKUP,
    TASK_STATE_UPDATING_PASSWORD,
    TASK_STATE_RESIZE_PREP,
    TASK_STATE_RESIZE_MIGRATING,
    TASK_STATE_RESIZE_MIGRATED,
    TASK_STATE_RESIZE_FINISH,
    TASK_STATE_RESIZE_REVERTING,
    TASK_STATE_RESIZE_CONFIRMING,
    TASK_STATE_REBOOTING,
    TASK_STATE_REBOOT_PENDING,
    TASK_STATE_REBOOT_STARTED,
    TASK_STATE_REBOOTING_HARD,
    TASK_STATE_REBOOT_PENDING_HARD,
    TASK_STATE_REBOOT_STARTED_HARD,
    TASK_STATE_PAUSING,
    TASK_STATE_UNPAUSING,
    TASK_STATE_SUSPENDING,
    TASK_STATE_RESUMING,
    TASK_STATE_POWERING_OFF,
    TASK_STATE_POWERING_ON,
    TASK_STATE_RESCUING,
    TASK_STATE_UNRESCUING,
    TASK_STATE_REBUILDING,
    TASK_STATE_REBUILD_BLOCK_DEVICE_MAPPING,
    TASK_STATE_REBUILD_SPAWNING,
    TASK_STATE_MIGRATING,
    TASK_STATE_DELETING,
    TASK_STATE_SOFT_DELETING,
    TASK_STATE_RESTORING,
    TASK_STATE_SHELVING,
    TASK_STATE_SHELVING_IMAGE_PENDING_UPLOAD,
    TASK_STATE_SHELVING_IMAGE_UPLOADING,
    TASK_STATE_SHELVING_OFFLOADING,
    TASK_STATE_UNSHELVING,
    N_TASK_STATES,
} TaskState;

typedef enum PowerState {
    POWER_STATE_NOSTATE = 0,
    POWER_STATE_RUNNING = 1,
    POWER_STATE_PAUSED = 3,
    POWER_STATE_SHUTDOWN = 4,
    POWER_STATE_CRASHED = 6,
    POWER_STATE_SUSPENDED = 7,
} PowerState;

/* By value; "" for none; NULL after the last. */
extern const char *const vm_state_names[N_VM_STATES + 1];
extern const char *const task_state_names[N_TASK_STATES + 1];

/* NULL for none or an unknown one. */
const char *vm_state_name(VmState state);
const char *task_state_name(TaskState state);
/* 'fallback' for NULL or an unknown name. */
VmState vm_state_from_name(const char *name, VmState fallback);
/* nova.compute.power_state.STATE_MAP: "running". */
const char *power_state_text(PowerState state);

/* Which task states an Instance.save expects: a bit mask. EXPECT_ANY sends no condition. */
typedef uint64_t TaskStates;
#define EXPECT_ANY      ((TaskStates)0)
#define EXPECT_1(a)     (UINT64_C(1) << TASK_STATE_##a)
#define EXPECT_2(a, b)  (EXPECT_1(a) | EXPECT_1(b))
#define EXPECT_3(a, b, c) (EXPECT_2(a, b) | EXPECT_1(c))
#define EXPECT_PICK(a, b, c, macro, ...) macro
#define EXPECT(...) EXPECT_PICK(__VA_ARGS__, EXPECT_3, EXPECT_2, EXPECT_1, 0)(__VA_ARGS__)
