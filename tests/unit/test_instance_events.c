/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <pthread.h>

#include "compute/instance_events.h"

#define INSTANCE "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"
static const char *const ports[] = {"port-a", "port-b"};

static void
an_event_that_comes_early_counts(void **state G_GNUC_UNUSED)
{
    InstanceEvents *events = instance_events_new();
    EventWaiter *waiter = instance_events_prepare(events, INSTANCE, "network-vif-plugged", ports, 2);
    NovaError *error = NULL;

    assert_true(instance_events_deliver(events, INSTANCE, "network-vif-plugged", "port-a", "completed"));
    assert_true(instance_events_deliver(events, INSTANCE, "network-vif-plugged", "port-b", "completed"));
    assert_true(instance_events_wait(waiter, 0, &error));
    event_waiter_free(waiter);
    instance_events_free(events);
}

static void
nobody_waits_for_other_events(void **state G_GNUC_UNUSED)
{
    InstanceEvents *events = instance_events_new();
    EventWaiter *waiter = instance_events_prepare(events, INSTANCE, "network-vif-plugged", ports, 1);

    assert_false(instance_events_deliver(events, INSTANCE, "network-vif-plugged", "port-b", "completed"));
    assert_false(instance_events_deliver(events, INSTANCE, "network-vif-unplugged", "port-a", "completed"));
    assert_false(instance_events_deliver(events, "other", "network-vif-plugged", "port-a", "completed"));
    event_waiter_free(waiter);
    assert_false(instance_events_deliver(events, INSTANCE, "network-vif-plugged", "port-a", "completed"));
    instance_events_free(events);
}

static void
assert_fails(EventWaiter *waiter, int timeout_ms)
{
    g_autoptr(NovaError) error = NULL;

    assert_false(instance_events_wait(waiter, timeout_ms, &error));
    assert_string_equal(nova_error_class(error), "VirtualInterfaceCreateException");
    event_waiter_free(waiter);
}

static void
failures_time_outs_and_deletions_fail_the_wait(void **state G_GNUC_UNUSED)
{
    InstanceEvents *events = instance_events_new();
    EventWaiter *waiter = instance_events_prepare(events, INSTANCE, "network-vif-plugged", ports, 2);

    instance_events_deliver(events, INSTANCE, "network-vif-plugged", "port-a", "failed");
    assert_fails(waiter, 60000);
    assert_fails(instance_events_prepare(events, INSTANCE, "network-vif-plugged", ports, 2), 10);
    waiter = instance_events_prepare(events, INSTANCE, "network-vif-plugged", ports, 2);
    instance_events_cancel(events, INSTANCE);
    assert_fails(waiter, 60000);
    instance_events_free(events);
}

static void *
deliver_later(void *events)
{
    g_usleep(20000);
    instance_events_deliver(events, INSTANCE, "network-vif-plugged", "port-a", "completed");
    return NULL;
}

static void
a_waiter_wakes_when_the_event_comes(void **state G_GNUC_UNUSED)
{
    InstanceEvents *events = instance_events_new();
    EventWaiter *waiter = instance_events_prepare(events, INSTANCE, "network-vif-plugged", ports, 1);
    NovaError *error = NULL;
    pthread_t thread;

    pthread_create(&thread, NULL, deliver_later, events);
    assert_true(instance_events_wait(waiter, 60000, &error));
    pthread_join(thread, NULL);
    event_waiter_free(waiter);
    instance_events_free(events);
}

static void
nothing_to_wait_for_is_there_at_once(void **state G_GNUC_UNUSED)
{
    InstanceEvents *events = instance_events_new();
    EventWaiter *waiter = instance_events_prepare(events, INSTANCE, "network-vif-plugged", NULL, 0);
    NovaError *error = NULL;

    assert_true(instance_events_wait(waiter, 0, &error));
    event_waiter_free(waiter);
    instance_events_free(events);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_that_comes_early_counts),
        cmocka_unit_test(nobody_waits_for_other_events),
        cmocka_unit_test(failures_time_outs_and_deletions_fail_the_wait),
        cmocka_unit_test(a_waiter_wakes_when_the_event_comes),
        cmocka_unit_test(nothing_to_wait_for_is_there_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
