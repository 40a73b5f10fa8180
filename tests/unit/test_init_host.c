/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/init_host.h"

#define EXPECT_RECOVERY(vm, task, power, recovery)                                                 \
    assert_int_equal(init_host_choose(VM_STATE_##vm, TASK_STATE_##task, POWER_STATE_##power),      \
                     RECOVER_##recovery)

static void
what_rests_gets_its_ports(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, NONE, RUNNING, PLUG);
    EXPECT_RECOVERY(STOPPED, NONE, SHUTDOWN, PLUG);
    EXPECT_RECOVERY(RESCUED, NONE, RUNNING, PLUG);
}

static void
what_is_not_ours_is_left_alone(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(SOFT_DELETED, NONE, SHUTDOWN, LEAVE);
    EXPECT_RECOVERY(ERROR, NONE, NOSTATE, LEAVE);
    EXPECT_RECOVERY(ERROR, SPAWNING, NOSTATE, LEAVE);
    assert_int_equal(init_host_choose((VmState)-1, TASK_STATE_NONE, POWER_STATE_RUNNING), RECOVER_LEAVE);
    assert_int_equal(init_host_choose(VM_STATE_ACTIVE, (TaskState)-1, POWER_STATE_RUNNING), RECOVER_LEAVE);
}

static void
a_build_that_was_interrupted_has_failed(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(BUILDING, NONE, NOSTATE, FAIL_BUILD);
    EXPECT_RECOVERY(BUILDING, SPAWNING, RUNNING, FAIL_BUILD);
    EXPECT_RECOVERY(SHELVED_OFFLOADED, SPAWNING, NOSTATE, FAIL_BUILD);
    EXPECT_RECOVERY(ACTIVE, REBUILD_SPAWNING, SHUTDOWN, FAIL_BUILD);
}

static void
a_deletion_is_finished(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, DELETING, RUNNING, DELETE);
    EXPECT_RECOVERY(ERROR, DELETING, NOSTATE, DELETE);
    EXPECT_RECOVERY(BUILDING, DELETING, NOSTATE, DELETE);
    EXPECT_RECOVERY(DELETED, NONE, NOSTATE, FINISH_DELETE);
}

static void
a_task_whose_request_was_lost_does_not_stay_for_ever(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, SUSPENDING, RUNNING, CLEAR_TASK);
    EXPECT_RECOVERY(SUSPENDED, RESUMING, SHUTDOWN, CLEAR_TASK);
    EXPECT_RECOVERY(ACTIVE, RESCUING, SHUTDOWN, CLEAR_TASK);
    EXPECT_RECOVERY(RESCUED, UNRESCUING, RUNNING, CLEAR_TASK);
    EXPECT_RECOVERY(ACTIVE, PAUSING, PAUSED, CLEAR_TASK_PAUSED);
    EXPECT_RECOVERY(ACTIVE, SHELVING_IMAGE_UPLOADING, RUNNING, CLEAR_TASK);
    EXPECT_RECOVERY(SOFT_DELETED, RESTORING, SHUTDOWN, CLEAR_TASK);
    EXPECT_RECOVERY(ERROR, REBUILDING, NOSTATE, CLEAR_TASK);
}

static void
disks_on_their_way_go_back(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, RESIZE_MIGRATING, SHUTDOWN, REVERT_RESIZE);
    EXPECT_RECOVERY(ERROR, RESIZE_MIGRATING, NOSTATE, REVERT_RESIZE);
    EXPECT_RECOVERY(ACTIVE, RESIZE_PREP, RUNNING, GIVE_UP_MOVE);
}

static void
a_move_without_its_request_does_not_keep_its_task(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, RESIZE_MIGRATED, SHUTDOWN, FAIL_MOVE);
    EXPECT_RECOVERY(STOPPED, RESIZE_FINISH, NOSTATE, FAIL_MOVE);
    EXPECT_RECOVERY(RESIZED, RESIZE_REVERTING, RUNNING, FAIL_MOVE);
}

static void
power_operations_are_taken_up(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, POWERING_OFF, RUNNING, STOP);
    EXPECT_RECOVERY(STOPPED, POWERING_ON, SHUTDOWN, START);
    EXPECT_RECOVERY(ACTIVE, REBOOT_PENDING, RUNNING, REBOOT_SOFT);
    EXPECT_RECOVERY(ACTIVE, REBOOT_PENDING, SHUTDOWN, REBOOT_HARD);
    EXPECT_RECOVERY(STOPPED, REBOOT_PENDING_HARD, SHUTDOWN, REBOOT_HARD);
    EXPECT_RECOVERY(ACTIVE, REBOOT_STARTED, SHUTDOWN, REBOOT_HARD);
    EXPECT_RECOVERY(ACTIVE, REBOOTING_HARD, NOSTATE, REBOOT_HARD);
    EXPECT_RECOVERY(ACTIVE, REBOOT_STARTED_HARD, RUNNING, CLEAR_TASK_ACTIVE);
    EXPECT_RECOVERY(PAUSED, UNPAUSING, RUNNING, CLEAR_TASK_ACTIVE);
    EXPECT_RECOVERY(PAUSED, UNPAUSING, PAUSED, UNPAUSE);
}

static void
a_snapshot_is_forgotten(void **state G_GNUC_UNUSED)
{
    EXPECT_RECOVERY(ACTIVE, IMAGE_UPLOADING, RUNNING, CLEAR_TASK);
    EXPECT_RECOVERY(STOPPED, IMAGE_SNAPSHOT_PENDING, SHUTDOWN, CLEAR_TASK);
}

static void
guest_that_ran_before_is_resumed(void **state G_GNUC_UNUSED)
{
    Instance ran = {.power_state = {false, POWER_STATE_RUNNING}};
    Instance was_off = {.power_state = {false, POWER_STATE_SHUTDOWN}};
    Instance never = {.power_state = {true, 0}};

    assert_true(init_host_must_resume(&ran, POWER_STATE_SHUTDOWN));
    assert_true(init_host_must_resume(&ran, POWER_STATE_CRASHED));
    assert_true(init_host_must_resume(&ran, POWER_STATE_NOSTATE)); /* libvirt has lost the domain */
    assert_false(init_host_must_resume(&ran, POWER_STATE_RUNNING));
    assert_false(init_host_must_resume(&ran, POWER_STATE_PAUSED));
    assert_false(init_host_must_resume(&ran, POWER_STATE_SUSPENDED));
    assert_false(init_host_must_resume(&was_off, POWER_STATE_SHUTDOWN));
    assert_false(init_host_must_resume(&never, POWER_STATE_SHUTDOWN));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rests_gets_its_ports),
        cmocka_unit_test(what_is_not_ours_is_left_alone),
        cmocka_unit_test(a_build_that_was_interrupted_has_failed),
        cmocka_unit_test(a_deletion_is_finished),
        cmocka_unit_test(a_task_whose_request_was_lost_does_not_stay_for_ever),
        cmocka_unit_test(disks_on_their_way_go_back),
        cmocka_unit_test(a_move_without_its_request_does_not_keep_its_task),
        cmocka_unit_test(power_operations_are_taken_up),
        cmocka_unit_test(a_snapshot_is_forgotten),
        cmocka_unit_test(guest_that_ran_before_is_resumed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
