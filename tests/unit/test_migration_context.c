/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "agent/base/json.h"
#include "agent/objects/migration_context.h"

static json_t *
wrapped(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace",
                     "nova", "nova_object.version", version, "nova_object.data", data);
}

static json_t *
flavor(int id, const char *name)
{
    return wrapped("Flavor", "1.2",
                   json_pack("{s:i, s:s, s:i, s:i, s:i, s:i, s:i}", "id", id, "name", name,
                             "memory_mb", 64 * id, "vcpus", 1, "root_gb", id, "ephemeral_gb", 0,
                             "swap", 0));
}

/* As it is in a message of the conductor: nothing is changed. */
static Instance *
recorded_instance(void)
{
    json_auto_t *primitive = wrapped(
        "Instance", "2.8",
        json_pack("{s:s, s:o, s:n, s:n, s:n, s:n, s:o, s:o}", "uuid", "7", "flavor", flavor(1, "small"),
                  "old_flavor", "new_flavor", "numa_topology", "resources", "pci_devices",
                  wrapped("PciDeviceList", "1.3", json_pack("{s:[]}", "objects")), "pci_requests",
                  wrapped("InstancePCIRequests", "1.1",
                          json_pack("{s:s, s:[]}", "instance_uuid", "7", "requests"))));
    Instance *instance = instance_from_json(primitive, NULL);

    assert_non_null(instance);
    assert_false(object_has_changes(instance));
    return instance;
}

static bool
is_change(const Instance *instance, const char *field)
{
    json_auto_t *primitive = object_to_json(instance);
    size_t i;
    json_t *name;

    json_array_foreach (json_object_get(primitive, "nova_object.changes"), i, name)
        if (strcmp(json_string_value(name), field) == 0)
            return true;
    return false;
}

static InstanceNUMATopology *
topology(const char *pins)
{
    json_auto_t *pinning = json_loads(pins, 0, NULL);
    json_auto_t *primitive = wrapped(
        "InstanceNUMATopology", "1.3",
        json_pack("{s:s, s:[o]}", "instance_uuid", "7", "cells",
                  wrapped("InstanceNUMACell", "1.6",
                          json_pack("{s:i, s:[i], s:[], s:i, s:O}", "id", 0, "cpuset", 0, "pcpuset",
                                    "memory", 64, "cpu_pinning_raw", pinning))));

    return instance_numa_topology_from_json(primitive, NULL);
}

static void
an_object_exchanged_for_another_is_a_change(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = recorded_instance();
    json_auto_t *large = flavor(2, "large");

    flavor_free(instance->flavor);
    OBJECT_SET(instance, flavor, flavor_from_json(large, NULL));
    assert_true(is_change(instance, "flavor"));
    assert_false(is_change(instance, "old_flavor"));
}

static void
the_same_object_again_is_none(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = recorded_instance();
    json_auto_t *small = flavor(1, "small");

    flavor_free(instance->flavor);
    OBJECT_SET(instance, flavor, flavor_from_json(small, NULL));
    assert_false(object_has_changes(instance));
}

static void
a_context_keeps_both_sides(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = recorded_instance();
    g_autoptr(InstanceNUMATopology) after = topology("{\"0\": 3}");
    MoveResources resources = {.numa_topology = after, .pci_requests = instance->pci_requests};
    int64_t id = 0;

    assert_false(migration_context_id(instance, &id));
    migration_context_set(instance, 42, &resources);
    assert_true(is_change(instance, "migration_context"));
    assert_true(migration_context_id(instance, &id));
    assert_int_equal(id, 42);
    assert_null(migration_context_get(instance, MOVE_OLD, "numa_topology"));
    assert_non_null(migration_context_get(instance, MOVE_NEW, "numa_topology"));
    assert_non_null(migration_context_get(instance, MOVE_OLD, "pci_requests"));
}

static void
applying_it_and_back_gives_what_was_there(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = recorded_instance();
    g_autoptr(InstanceNUMATopology) after = topology("{\"0\": 3}");
    MoveResources resources = {.numa_topology = after, .pci_requests = instance->pci_requests};

    migration_context_set(instance, 42, &resources);
    assert_true(migration_context_apply(instance, MOVE_NEW, NULL));
    assert_non_null(instance->numa_topology);
    assert_true(is_change(instance, "numa_topology"));
    assert_true(migration_context_apply(instance, MOVE_OLD, NULL));
    assert_null(instance->numa_topology);
    assert_false(is_change(instance, "numa_topology"));
}

static void
without_a_context_nothing_is_applied(void **state G_GNUC_UNUSED)
{
    g_autoptr(Instance) instance = recorded_instance();

    assert_true(migration_context_apply(instance, MOVE_NEW, NULL));
    assert_false(object_has_changes(instance));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_exchanged_for_another_is_a_change),
        cmocka_unit_test(the_same_object_again_is_none),
        cmocka_unit_test(a_context_keeps_both_sides),
        cmocka_unit_test(applying_it_and_back_gives_what_was_there),
        cmocka_unit_test(without_a_context_nothing_is_applied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
