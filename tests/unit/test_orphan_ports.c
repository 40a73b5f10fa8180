/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/hypervisor.h"
#include "compute/orphan_ports.h"
#include "network/ovsdb.h"

#define HERE "6a6e1a7c-0000-4000-8000-000000000001"
#define GONE "6a6e1a7c-0000-4000-8000-000000000002"
#define BEFORE ORPHAN_PORT_AGE_US

static OvsdbPort of_a_guest = {.name = (char *)"tap1", .bridge = (char *)"br-int", .vm_uuid = (char *)HERE};
static OvsdbPort orphan = {.name = (char *)"tap2", .bridge = (char *)"br-int", .vm_uuid = (char *)GONE};
static OvsdbPort of_the_network = {.name = (char *)"qr-1", .bridge = (char *)"br-int"};

typedef struct Fixture {
    OrphanPorts *seen;
    GPtrArray *ports, *domains;
    DomainSummary here, gone;
} Fixture;

static int
setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->here = (DomainSummary){.uuid = HERE};
    f->gone = (DomainSummary){.uuid = GONE};
    f->seen = orphan_ports_new();
    f->ports = g_ptr_array_new();
    f->domains = g_ptr_array_new();
    g_ptr_array_add(f->ports, &of_a_guest);
    g_ptr_array_add(f->ports, &of_the_network);
    g_ptr_array_add(f->ports, &orphan);
    g_ptr_array_add(f->domains, &f->here);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    Fixture *f = *state;

    g_hash_table_unref(f->seen);
    g_ptr_array_unref(f->ports);
    g_ptr_array_unref(f->domains);
    g_free(f);
    return 0;
}

static void
expect(Fixture *f, gint64 now_us, guint n_fresh, guint n_due)
{
    g_auto(OrphanSight) sight = {0};

    orphan_ports_look(f->seen, f->ports, f->domains, now_us, &sight);
    assert_int_equal(sight.fresh->len, n_fresh);
    assert_int_equal(sight.due->len, n_due);
    if (n_fresh + n_due > 0)
        assert_ptr_equal(n_fresh ? sight.fresh->pdata[0] : sight.due->pdata[0], &orphan);
}

static void
test_told_once_and_due_after_its_age(void **state)
{
    expect(*state, 1, 1, 0);
    expect(*state, BEFORE, 0, 0);
    expect(*state, 1 + ORPHAN_PORT_AGE_US, 0, 1);
    expect(*state, 2 + ORPHAN_PORT_AGE_US, 0, 1);
}

static void
test_whose_guest_came_starts_anew(void **state)
{
    Fixture *f = *state;

    expect(f, 1, 1, 0);
    g_ptr_array_add(f->domains, &f->gone);
    expect(f, 2, 0, 0);
    g_ptr_array_remove(f->domains, &f->gone);
    expect(f, 1 + ORPHAN_PORT_AGE_US, 1, 0);
}

static void
test_that_came_back_starts_anew(void **state)
{
    Fixture *f = *state;

    expect(f, 1, 1, 0);
    g_ptr_array_remove(f->ports, &orphan);
    expect(f, 2, 0, 0);
    assert_int_equal(g_hash_table_size(f->seen), 0);
    g_ptr_array_add(f->ports, &orphan);
    expect(f, 1 + ORPHAN_PORT_AGE_US, 1, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told_once_and_due_after_its_age, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whose_guest_came_starts_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_that_came_back_starts_anew, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
