/* SPDX-License-Identifier: Apache-2.0 */
/* guest*.c on libvirt's own test driver, where one domain runs. (Its managed save locks itself up in
 * libvirt 9.0; the functional tests suspend a real guest.) */
#include "tests/unit/cmocka_all.h"

#include "compute/guest.h"
#include "compute/guest_agent.h"
#include "compute/guest_stats.h"

#define UUID "6695eb01-f6a4-8304-79aa-97f2502e193f"

/* libvirt may keep the driver's state from one connection to the next. */
static int
connect(void **state)
{
    Hypervisor *hypervisor = hypervisor_new("test:///default", NULL);
    g_autoptr(Guest) guest = NULL;

    *state = hypervisor;
    if (!hypervisor_connect(hypervisor, NULL))
        return -1;
    guest = guest_lookup(hypervisor, UUID, NULL);
    if (guest_power_state(guest) != POWER_STATE_RUNNING)
        return guest_start(guest, false, NULL) ? 0 : -1;
    return 0;
}

static int
disconnect(void **state)
{
    hypervisor_free(*state);
    return 0;
}

static void
assert_kind(NovaError *error, NovaErrorKind kind, const char *text)
{
    assert_non_null(error);
    if (nova_error_kind(error) != kind)
        fail_msg("%s: %s", nova_error_class(error), nova_error_details(error));
    assert_non_null(strstr(nova_error_message(error), text));
}

static void
paused_guest_is_paused_until_it_is_resumed(void **state)
{
    g_autoptr(Guest) guest = guest_lookup(*state, UUID, NULL);

    assert_non_null(guest);
    assert_int_equal(guest_power_state(guest), POWER_STATE_RUNNING);
    assert_true(guest_pause(guest, NULL));
    assert_int_equal(guest_power_state(guest), POWER_STATE_PAUSED);
    assert_true(guest_resume(guest, NULL));
    assert_int_equal(guest_power_state(guest), POWER_STATE_RUNNING);
    guest_sync_time(guest); /* the driver cannot: nothing happens */
}

static void
libvirts_errors_become_novas(void **state)
{
    g_autoptr(Guest) guest = guest_lookup(*state, UUID, NULL);
    g_autoptr(NovaError) freeze = NULL, password = NULL, nmi = NULL;

    assert_true(guest_freeze(guest, NULL));
    assert_true(guest_thaw(guest, NULL));
    assert_true(guest_inject_nmi(guest, NULL));
    assert_true(guest_power_off(guest, NULL));
    assert_false(guest_inject_nmi(guest, &nmi));
    assert_kind(nmi, NOVA_ERROR_INSTANCE_NOT_RUNNING, "Instance " UUID " is not running.");
    assert_false(guest_freeze(guest, &freeze));
    assert_kind(freeze, NOVA_ERROR_INTERNAL_ERROR,
                "Error from libvirt while quiescing test: [Error Code 55] Requested operation is not valid");
    assert_false(guest_set_password(guest, "root", "secret", &password));
    assert_kind(password, NOVA_ERROR_INTERNAL_ERROR,
                "Error from libvirt while set password for username \"root\": [Error Code ");
    assert_null(strstr(nova_error_details(password), "secret"));
}

static void
a_driver_without_flags_forgets_a_guest_all_the_same(void **state)
{
    static const char xml[] = "<domain type='test'><name>short</name><uuid>00000000-0000-4000-8000-00000000000f</uuid>"
                              "<memory>65536</memory><os><type>hvm</type></os></domain>";
    g_autoptr(Guest) guest = guest_define(*state, xml, NULL);
    g_autoptr(Guest) gone = NULL;
    g_autoptr(NovaError) error = NULL;

    assert_non_null(guest);
    assert_true(guest_undefine(guest, false, &error));
    gone = guest_find(*state, "00000000-0000-4000-8000-00000000000f", &error);
    assert_null(gone);
    assert_null(error);
}

static void
unknown_guest_is_not_found(void **state)
{
    g_autoptr(NovaError) error = NULL;

    assert_null(guest_lookup(*state, "00000000-0000-4000-8000-000000000000", &error));
    assert_kind(error, NOVA_ERROR_INSTANCE_NOT_FOUND,
                "Instance 00000000-0000-4000-8000-000000000000 could not be found.");
}

static void
counters_are_those_of_the_domain(void **state)
{
    g_autoptr(Guest) guest = guest_lookup(*state, UUID, NULL);
    g_autoptr(GuestStats) stats = guest_fetch_stats(guest, NULL);

    assert_non_null(stats);
    assert_int_equal(stats->power_state, POWER_STATE_RUNNING);
    assert_int_equal(stats->max_memory_kib, 8388608);
    assert_int_equal(stats->cpus->len, 2);
    assert_int_equal(g_array_index(stats->cpus, CpuStats, 1).id, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paused_guest_is_paused_until_it_is_resumed, connect, disconnect),
        cmocka_unit_test_setup_teardown(libvirts_errors_become_novas, connect, disconnect),
        cmocka_unit_test_setup_teardown(a_driver_without_flags_forgets_a_guest_all_the_same, connect, disconnect),
        cmocka_unit_test_setup_teardown(unknown_guest_is_not_found, connect, disconnect),
        cmocka_unit_test_setup_teardown(counters_are_those_of_the_domain, connect, disconnect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
