/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/power_sync.h"
#include "compute/stop_delay.h"

static PowerVerdict
judge(VmState vm_state, PowerState actual)
{
    const char *why;

    return power_sync_judge(vm_state, actual, &why);
}

static void
a_server_that_went_off_by_itself_is_stopped(void **state)
{
    (void)state;
    assert_int_equal(judge(VM_STATE_ACTIVE, POWER_STATE_SHUTDOWN), POWER_STOP);
    assert_int_equal(judge(VM_STATE_ACTIVE, POWER_STATE_CRASHED), POWER_STOP);
    assert_int_equal(judge(VM_STATE_ACTIVE, POWER_STATE_SUSPENDED), POWER_STOP);
    assert_int_equal(judge(VM_STATE_PAUSED, POWER_STATE_SHUTDOWN), POWER_STOP);
}

static void
a_stopped_server_that_runs_is_stopped_again(void **state)
{
    (void)state;
    assert_int_equal(judge(VM_STATE_STOPPED, POWER_STATE_RUNNING), POWER_STOP);
    assert_int_equal(judge(VM_STATE_STOPPED, POWER_STATE_PAUSED), POWER_STOP);
    assert_int_equal(judge(VM_STATE_STOPPED, POWER_STATE_SHUTDOWN), POWER_FINE);
    assert_int_equal(judge(VM_STATE_STOPPED, POWER_STATE_NOSTATE), POWER_FINE);
}

static void
what_somebody_may_have_done_on_purpose_is_only_told(void **state)
{
    (void)state;
    assert_int_equal(judge(VM_STATE_ACTIVE, POWER_STATE_PAUSED), POWER_STRANGE);
    assert_int_equal(judge(VM_STATE_ACTIVE, POWER_STATE_NOSTATE), POWER_STRANGE);
    assert_int_equal(judge(VM_STATE_SOFT_DELETED, POWER_STATE_RUNNING), POWER_STRANGE);
}

static void
states_in_between_are_left_alone(void **state)
{
    static const VmState left_alone[] = {
        VM_STATE_BUILDING, VM_STATE_RESCUED, VM_STATE_RESIZED, VM_STATE_SUSPENDED, VM_STATE_ERROR,
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(left_alone); i++)
        assert_int_equal(judge(left_alone[i], POWER_STATE_SHUTDOWN), POWER_FINE);
}

static Instance *
server(VmState vm_state, TaskState task, PowerState recorded)
{
    Instance *instance = object_new(&INSTANCE_TYPE);

    OBJECT_SET(instance, vm_state, vm_state);
    OBJECT_SET(instance, task_state, task);
    OBJECT_SET_INT(instance, power_state, recorded);
    return instance;
}

static void
only_what_differs_is_due(void **state)
{
    g_autoptr(Instance) fine = server(VM_STATE_ACTIVE, TASK_STATE_NONE, POWER_STATE_RUNNING);
    g_autoptr(Instance) busy = server(VM_STATE_ACTIVE, TASK_STATE_REBOOTING, POWER_STATE_RUNNING);
    g_autoptr(Instance) known = server(VM_STATE_ACTIVE, TASK_STATE_NONE, POWER_STATE_SHUTDOWN);

    (void)state;
    assert_false(power_sync_is_due(fine, POWER_STATE_RUNNING));
    assert_true(power_sync_is_due(fine, POWER_STATE_SHUTDOWN));
    assert_false(power_sync_is_due(busy, POWER_STATE_SHUTDOWN));
    assert_true(power_sync_is_due(known, POWER_STATE_SHUTDOWN)); /* a stop that failed is tried again */
}

/* ---- stop_delay ---- */

static void
count(const char *uuid, void *user)
{
    (void)uuid;
    ++*(int *)user;
}

static void
a_stop_is_told_after_fifteen_seconds(void **state)
{
    g_autoptr(StopDelay) delay = stop_delay_new();
    int told = 0;

    (void)state;
    stop_delay_add(delay, "a", 0);
    stop_delay_run(delay, STOP_DELAY_US - 1, count, &told);
    assert_int_equal(told, 0);
    stop_delay_run(delay, STOP_DELAY_US, count, &told);
    stop_delay_run(delay, 2 * STOP_DELAY_US, count, &told);
    assert_int_equal(told, 1);
}

static void
a_reboot_is_no_stop(void **state)
{
    g_autoptr(StopDelay) delay = stop_delay_new();
    int told = 0;

    (void)state;
    stop_delay_add(delay, "a", 0);
    stop_delay_add(delay, "b", 0);
    stop_delay_cancel(delay, "a"); /* it has started again */
    stop_delay_run(delay, STOP_DELAY_US, count, &told);
    assert_int_equal(told, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_went_off_by_itself_is_stopped),
        cmocka_unit_test(a_stopped_server_that_runs_is_stopped_again),
        cmocka_unit_test(what_somebody_may_have_done_on_purpose_is_only_told),
        cmocka_unit_test(states_in_between_are_left_alone),
        cmocka_unit_test(only_what_differs_is_due),
        cmocka_unit_test(a_stop_is_told_after_fifteen_seconds),
        cmocka_unit_test(a_reboot_is_no_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
