/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/move_claim.h"

#define OLD_ID 2
#define NEW_ID 3

static Instance *
resizing(int64_t flavor_id)
{
    Instance *instance = object_new(&INSTANCE_TYPE);

    OBJECT_SET(instance, flavor, object_new(&FLAVOR_TYPE));
    OBJECT_SET(instance, old_flavor, object_new(&FLAVOR_TYPE));
    OBJECT_SET(instance, new_flavor, object_new(&FLAVOR_TYPE));
    OBJECT_SET_INT(instance, instance_type_id, flavor_id);
    return instance;
}

static Migration *
migration_of(const char *type)
{
    Migration *migration = object_new(&MIGRATION_TYPE);

    OBJECT_SET_STRING(migration, migration_type, type);
    OBJECT_SET_INT(migration, old_instance_type_id, OLD_ID);
    OBJECT_SET_INT(migration, new_instance_type_id, NEW_ID);
    return migration;
}

static void
a_resize_on_one_node_holds_the_flavor_that_the_server_has_not(void **state G_GNUC_UNUSED)
{
    g_autoptr(Migration) migration = migration_of("resize");
    g_autoptr(Instance) before = resizing(OLD_ID);
    g_autoptr(Instance) after = resizing(NEW_ID);

    assert_ptr_equal(move_claim_flavor(before, migration, true, true, true), before->new_flavor);
    assert_ptr_equal(move_claim_flavor(after, migration, true, true, true), after->old_flavor);
}

static void
a_resize_between_nodes_holds_one_flavor_on_each_until_the_server_is_there(void **state G_GNUC_UNUSED)
{
    g_autoptr(Migration) migration = migration_of("resize");
    g_autoptr(Instance) instance = resizing(OLD_ID);

    assert_ptr_equal(move_claim_flavor(instance, migration, false, true, false), instance->new_flavor);
    assert_null(move_claim_flavor(instance, migration, false, true, true));
    assert_ptr_equal(move_claim_flavor(instance, migration, true, false, false), instance->old_flavor);
    assert_null(move_claim_flavor(instance, migration, true, false, true));
    assert_null(move_claim_flavor(instance, migration, false, false, false));
}

static void
a_cold_migration_holds_the_only_flavor(void **state G_GNUC_UNUSED)
{
    g_autoptr(Migration) migration = migration_of("migration");
    g_autoptr(Instance) instance = resizing(OLD_ID);

    assert_ptr_equal(move_claim_flavor(instance, migration, false, true, false), instance->flavor);
}

static void
the_address_of_a_host_may_contain_its_name(void **state G_GNUC_UNUSED)
{
    Options options = {0};
    g_autofree char *plain = NULL, *named = NULL;

    options.libvirt.migration_inbound_addr = (char *)"192.0.2.7";
    plain = move_claim_host_address(&options, "one");
    options.libvirt.migration_inbound_addr = (char *)"%s.move.example";
    named = move_claim_host_address(&options, "one");
    assert_string_equal(plain, "192.0.2.7");
    assert_string_equal(named, "one.move.example");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resize_on_one_node_holds_the_flavor_that_the_server_has_not),
        cmocka_unit_test(a_resize_between_nodes_holds_one_flavor_on_each_until_the_server_is_there),
        cmocka_unit_test(a_cold_migration_holds_the_only_flavor),
        cmocka_unit_test(the_address_of_a_host_may_contain_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
