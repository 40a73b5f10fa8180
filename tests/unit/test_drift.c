/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "compute/drift.h"
#include "compute/hypervisor.h"
#include "network/ovsdb.h"

#define HERE "6a6e1a7c-0000-4000-8000-000000000001"
#define GONE "6a6e1a7c-0000-4000-8000-000000000002"
#define PORT "7b7e1a7c-0000-4000-8000-000000000003"

/* A host with one running server, all of it in order. */
typedef struct Fixture {
    InstanceInfoCache cache;
    Instance instance;
    DomainSummary domain, other_domain;
    OvsdbPort port, other_port;
    GPtrArray *instances, *domains, *ports, *folders;
    DriftFacts facts;
    GPtrArray *found;
} Fixture;

static GHashTable *
set_of(const char *uuid)
{
    GHashTable *set = g_hash_table_new(g_str_hash, g_str_equal);

    if (uuid)
        g_hash_table_add(set, (gpointer)uuid);
    return set;
}

static int
setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->cache.network_info = (char *)"[{\"id\": \"" PORT "\", \"type\": \"ovs\", \"network\": {}}]";
    f->instance = (Instance){.uuid = (char *)HERE, .vm_state = VM_STATE_ACTIVE, .info_cache = &f->cache};
    f->instance.power_state.value = POWER_STATE_RUNNING;
    f->domain = (DomainSummary){.uuid = HERE, .name = (char *)"instance-1", .power_state = POWER_STATE_RUNNING};
    f->other_domain = (DomainSummary){.uuid = GONE, .name = (char *)"instance-2"};
    f->port = (OvsdbPort){.name = (char *)"tap1", .iface_id = (char *)PORT, .vm_uuid = (char *)HERE};
    f->other_port = (OvsdbPort){.name = (char *)"tap2", .iface_id = (char *)"x", .vm_uuid = (char *)GONE};
    f->instances = g_ptr_array_new();
    f->domains = g_ptr_array_new();
    f->ports = g_ptr_array_new();
    f->folders = g_ptr_array_new();
    g_ptr_array_add(f->instances, &f->instance);
    g_ptr_array_add(f->domains, &f->domain);
    g_ptr_array_add(f->ports, &f->port);
    g_ptr_array_add(f->folders, (gpointer)HERE);
    f->facts = (DriftFacts){.instances = f->instances, .busy = set_of(NULL), .deleted = set_of(NULL),
                            .domains = f->domains, .ports = f->ports, .folders = f->folders,
                            .consumers = set_of(HERE), .moves = set_of(NULL)};
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    Fixture *f = *state;

    if (f->found)
        g_ptr_array_unref(f->found);
    g_ptr_array_unref(f->instances);
    g_ptr_array_unref(f->domains);
    g_ptr_array_unref(f->ports);
    g_ptr_array_unref(f->folders);
    g_hash_table_unref(f->facts.busy);
    g_hash_table_unref(f->facts.deleted);
    g_hash_table_unref(f->facts.consumers);
    g_hash_table_unref(f->facts.moves);
    g_free(f);
    return 0;
}

static void
expect_one(Fixture *f, DriftKind kind, const char *uuid, bool is_ours)
{
    const Drift *drift;

    f->found = drift_find(&f->facts);
    assert_int_equal(f->found->len, 1);
    drift = f->found->pdata[0];
    assert_string_equal(drift_name(drift->kind), drift_name(kind));
    assert_string_equal(drift->uuid, uuid);
    assert_int_equal(drift->is_ours, is_ours);
}

static void
expect_nothing(Fixture *f)
{
    f->found = drift_find(&f->facts);
    assert_int_equal(f->found->len, 0);
}

static void
a_host_in_order_has_no_drift(void **state)
{
    expect_nothing(*state);
}

static void
a_domain_of_nobody_is_reported_but_is_not_ours(void **state)
{
    Fixture *f = *state;

    g_ptr_array_add(f->domains, &f->other_domain);
    expect_one(f, DRIFT_DOMAIN_UNOWNED, GONE, false);
}

static void
a_domain_of_a_deleted_instance_is_ours_to_remove(void **state)
{
    Fixture *f = *state;

    g_ptr_array_add(f->domains, &f->other_domain);
    g_hash_table_add(f->facts.deleted, (gpointer)GONE);
    expect_one(f, DRIFT_DOMAIN_UNOWNED, GONE, true);
}

static void
what_a_request_works_on_is_no_drift(void **state)
{
    Fixture *f = *state;

    g_ptr_array_add(f->domains, &f->other_domain);
    g_ptr_array_add(f->ports, &f->other_port);
    g_hash_table_add(f->facts.busy, (gpointer)GONE);
    f->instance.task_state = TASK_STATE_REBOOTING;
    g_hash_table_add(f->facts.busy, (gpointer)HERE);
    expect_nothing(f);
}

static void
a_switch_port_of_nobody_is_reported(void **state)
{
    Fixture *f = *state;

    g_ptr_array_add(f->ports, &f->other_port);
    expect_one(f, DRIFT_PORT_UNOWNED, GONE, false);
}

static void
files_of_nobody_are_reported_also_half_removed_ones(void **state)
{
    Fixture *f = *state;

    g_ptr_array_add(f->folders, (gpointer)(GONE "_del"));
    expect_one(f, DRIFT_FILES_UNOWNED, GONE, false);
}

static void
an_allocation_of_nobody_is_reported_unless_a_move_holds_it(void **state)
{
    Fixture *f = *state;

    g_hash_table_add(f->facts.consumers, (gpointer)GONE);
    expect_one(f, DRIFT_ALLOCATION_UNOWNED, GONE, false);
    g_ptr_array_unref(f->found);
    g_hash_table_add(f->facts.moves, (gpointer)GONE);
    expect_nothing(f);
}

static void
an_instance_without_its_domain_is_reported(void **state)
{
    Fixture *f = *state;

    g_ptr_array_set_size(f->domains, 0);
    expect_one(f, DRIFT_DOMAIN_MISSING, HERE, false);
}

static void
a_power_state_that_differs_is_reported(void **state)
{
    Fixture *f = *state;

    f->domain.power_state = POWER_STATE_SHUTDOWN;
    expect_one(f, DRIFT_POWER_STATE, HERE, false);
}

static void
a_missing_switch_port_of_a_running_guest_is_ours_to_plug(void **state)
{
    Fixture *f = *state;

    g_ptr_array_set_size(f->ports, 0);
    expect_one(f, DRIFT_PORT_MISSING, HERE, true);
}

static void
missing_files_and_allocations_are_reported(void **state)
{
    Fixture *f = *state;

    g_ptr_array_set_size(f->folders, 0);
    expect_one(f, DRIFT_FILES_MISSING, HERE, false);
    g_ptr_array_unref(f->found);
    g_ptr_array_add(f->folders, (gpointer)HERE);
    g_hash_table_remove_all(f->facts.consumers);
    expect_one(f, DRIFT_ALLOCATION_MISSING, HERE, false);
}

static void
a_task_without_a_request_is_reported(void **state)
{
    Fixture *f = *state;

    f->instance.task_state = TASK_STATE_PAUSING;
    expect_one(f, DRIFT_TASK_WITHOUT_REQUEST, HERE, false);
}

static void
nothing_is_said_of_what_could_not_be_read(void **state)
{
    Fixture *f = *state;

    f->facts.domains = f->facts.ports = f->facts.folders = NULL;
    g_hash_table_unref(f->facts.consumers);
    f->facts.consumers = NULL;
    f->found = drift_find(&f->facts);
    f->facts.consumers = set_of(NULL);
    assert_int_equal(f->found->len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_host_in_order_has_no_drift),
        TEST(a_domain_of_nobody_is_reported_but_is_not_ours),
        TEST(a_domain_of_a_deleted_instance_is_ours_to_remove),
        TEST(what_a_request_works_on_is_no_drift),
        TEST(a_switch_port_of_nobody_is_reported),
        TEST(files_of_nobody_are_reported_also_half_removed_ones),
        TEST(an_allocation_of_nobody_is_reported_unless_a_move_holds_it),
        TEST(an_instance_without_its_domain_is_reported),
        TEST(a_power_state_that_differs_is_reported),
        TEST(a_missing_switch_port_of_a_running_guest_is_ours_to_plug),
        TEST(missing_files_and_allocations_are_reported),
        TEST(a_task_without_a_request_is_reported),
        TEST(nothing_is_said_of_what_could_not_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
