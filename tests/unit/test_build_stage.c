/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/ops/build_resume.h"

static BuildStage
stage(VmState vm_state, TaskState task_state, const char *host)
{
    BuildRecord record = {vm_state, task_state, host};

    return build_stage(&record, "here");
}

static void
a_build_that_was_claimed_is_under_way(void **state)
{
    (void)state;
    assert_int_equal(stage(VM_STATE_BUILDING, TASK_STATE_NONE, "here"), STAGE_UNDER_WAY);
    assert_int_equal(stage(VM_STATE_BUILDING, TASK_STATE_SPAWNING, "here"), STAGE_UNDER_WAY);
}

static void
one_without_a_host_waits_for_a_place(void **state)
{
    (void)state;
    assert_int_equal(stage(VM_STATE_BUILDING, TASK_STATE_SCHEDULING, NULL), STAGE_UNPLACED);
    assert_int_equal(stage(VM_STATE_BUILDING, TASK_STATE_NONE, NULL), STAGE_UNPLACED);
}

static void
an_active_server_is_built(void **state)
{
    (void)state;
    assert_int_equal(stage(VM_STATE_ACTIVE, TASK_STATE_NONE, "here"), STAGE_BUILT);
    assert_int_equal(stage(VM_STATE_STOPPED, TASK_STATE_POWERING_ON, "here"), STAGE_BUILT);
}

static void
another_host_s_server_is_never_ours(void **state)
{
    (void)state;
    assert_int_equal(stage(VM_STATE_BUILDING, TASK_STATE_SPAWNING, "there"), STAGE_ELSEWHERE);
    assert_int_equal(stage(VM_STATE_ACTIVE, TASK_STATE_NONE, "there"), STAGE_ELSEWHERE);
    assert_int_equal(stage(VM_STATE_ERROR, TASK_STATE_NONE, "there"), STAGE_ELSEWHERE);
}

static void
a_deletion_comes_before_all_else(void **state)
{
    (void)state;
    assert_int_equal(stage(VM_STATE_BUILDING, TASK_STATE_DELETING, "there"), STAGE_DELETING);
    assert_int_equal(stage(VM_STATE_DELETED, TASK_STATE_NONE, NULL), STAGE_DELETING);
}

static void
a_failed_build_stays_failed(void **state)
{
    (void)state;
    assert_int_equal(stage(VM_STATE_ERROR, TASK_STATE_NONE, NULL), STAGE_FAILED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_that_was_claimed_is_under_way),
        cmocka_unit_test(one_without_a_host_waits_for_a_place),
        cmocka_unit_test(an_active_server_is_built),
        cmocka_unit_test(another_host_s_server_is_never_ours),
        cmocka_unit_test(a_deletion_comes_before_all_else),
        cmocka_unit_test(a_failed_build_stays_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
