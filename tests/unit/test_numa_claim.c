/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/objects/primitive.h"
#include "compute/fit/usage.h"
#include "compute/numa_claim.h"

static HostNuma *
host_of_four_cpus(void)
{
    json_t *pages = primitive_make("NUMAPagesTopology", "1.1",
                                   json_pack("{s:i, s:i, s:i, s:i}", "size_kb", 4, "total", 262144,
                                             "used", 0, "reserved", 0));
    json_auto_t *cell = primitive_make(
        "NUMACell", "1.5",
        json_pack("{s:i, s:[], s:[i, i, i, i], s:i, s:i, s:i, s:[], s:[[i], [i], [i], [i]], s:[o], s:i}",
                  "id", 0, "cpuset", "pcpuset", 2, 3, 4, 5, "memory", 1024, "cpu_usage", 0,
                  "memory_usage", 0, "pinned_cpus", "siblings", 2, 3, 4, 5, "mempages", pages, "socket",
                  0));
    json_auto_t *topology =
        primitive_make("NUMATopology", "1.2", json_pack("{s:[O]}", "cells", cell));

    return host_numa_from_json(topology, NULL);
}

static Instance *
pinned_instance(int vcpus, const char *policy)
{
    json_t *own = json_array();
    json_auto_t *topology = NULL;
    Instance *instance = object_new(&INSTANCE_TYPE);

    for (int i = 0; i < vcpus; i++)
        json_array_append_new(own, json_integer(i));
    topology = primitive_make(
        "InstanceNUMATopology", "1.3",
        json_pack("{s:[o], s:n}", "cells",
                  primitive_make("InstanceNUMACell", "1.6",
                                 json_pack("{s:i, s:[], s:o, s:i, s:s}", "id", 0, "cpuset", "pcpuset",
                                           own, "memory", 128, "cpu_policy", policy)),
                  "emulator_threads_policy"));
    OBJECT_SET_STRING(instance, uuid, "6b4b0b0a-0f5e-4b2a-9e0a-7f3f7f3f7f3f");
    OBJECT_SET(instance, numa_topology, instance_numa_topology_from_json(topology, NULL));
    return instance;
}

static void
placed_guest_is_told_its_cpus_and_saved_with_them(void **state)
{
    g_autoptr(HostNuma) host = host_of_four_cpus();
    g_autoptr(Instance) instance = pinned_instance(2, "dedicated");
    const Options options = {0};
    json_auto_t *saved = NULL;
    const json_t *cell;

    (void)state;
    assert_true(numa_claim_place(&options, &(ClaimHost){.numa = host}, instance, NULL));
    saved = object_to_json(instance);
    cell = json_array_get(json_path(saved, "nova_object.data", "numa_topology", "nova_object.data",
                                    "cells", NULL), 0);
    assert_int_equal(json_get_int(json_path(cell, "nova_object.data", "cpu_pinning_raw", NULL), "1", -1),
                     3);
    /* The field exists, but Nova's fit does not fill it, and what it stores has none. */
    assert_null(json_path(saved, "nova_object.data", "numa_topology", "nova_object.data", "instance_uuid",
                          NULL));
    assert_true(object_has_changes(instance));
}

static void
guests_never_share_a_dedicated_cpu(void **state)
{
    g_autoptr(HostNuma) host = host_of_four_cpus();
    g_autoptr(Instance) first = pinned_instance(2, "dedicated");
    g_autoptr(Instance) second = pinned_instance(2, "dedicated");
    g_autoptr(Instance) third = pinned_instance(1, "dedicated");
    g_autoptr(InstanceNuma) placed = NULL, placed_next = NULL;
    g_autoptr(HostNuma) used = NULL, full = NULL;
    g_autoptr(NovaError) err = NULL;
    const Options options = {0};

    (void)state;
    assert_true(numa_claim_place(&options, &(ClaimHost){.numa = host}, first, NULL));
    placed = numa_claim_topology(first, NULL);
    used = usage_apply(host, placed, false, NULL);
    assert_true(numa_claim_place(&options, &(ClaimHost){.numa = used}, second, NULL));
    placed_next = numa_claim_topology(second, NULL);
    full = usage_apply(used, placed_next, false, NULL);
    assert_non_null(full);
    assert_false(numa_claim_place(&options, &(ClaimHost){.numa = full}, third, &err));
    assert_string_equal(nova_error_class(err), "ComputeResourcesUnavailable");
    assert_string_equal(nova_error_message(err),
                        "Insufficient compute resources: Requested instance NUMA topology cannot fit "
                        "the given host NUMA topology.");
}

static void
a_new_flavor_is_placed_beside_the_guest_that_is_there(void **state)
{
    g_autoptr(HostNuma) host = host_of_four_cpus();
    g_autoptr(Instance) instance = pinned_instance(2, "dedicated");
    g_autoptr(InstanceNuma) placed = NULL;
    g_autoptr(HostNuma) used = NULL;
    g_autoptr(Flavor) flavor = object_new(&FLAVOR_TYPE);
    json_auto_t *no_image = json_object();
    g_autoptr(ImageMeta) image = image_meta_from_dict(no_image, NULL);
    const GuestRequest request = {flavor, image};
    g_autoptr(InstanceNUMATopology) bigger = NULL;
    InstanceNUMATopology *none = NULL;
    g_autoptr(NovaError) err = NULL;
    const Options options = {0};
    const InstanceNUMACell *cell;

    (void)state;
    assert_true(numa_claim_place(&options, &(ClaimHost){.numa = host}, instance, NULL));
    placed = numa_claim_topology(instance, NULL);
    used = usage_apply(host, placed, false, NULL);
    OBJECT_SET(flavor, vcpus, 2);
    OBJECT_SET(flavor, memory_mb, 256);
    assert_true(numa_claim_place_request(&options, &(ClaimHost){.numa = used}, &request, &none, NULL));
    assert_null(none);
    OBJECT_SET(flavor, extra_specs, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
    g_hash_table_insert(flavor->extra_specs, g_strdup("hw:cpu_policy"), g_strdup("dedicated"));
    assert_true(numa_claim_place_request(&options, &(ClaimHost){.numa = used}, &request, &bigger, NULL));
    cell = bigger->cells->pdata[0];
    assert_int_equal(json_get_int(cell->cpu_pinning_raw, "0", -1), 4);
    assert_int_equal(json_get_int(cell->cpu_pinning_raw, "1", -1), 5);
    OBJECT_SET(flavor, vcpus, 3);
    assert_false(numa_claim_place_request(&options, &(ClaimHost){.numa = used}, &request, &none, &err));
    assert_string_equal(nova_error_class(err), "ComputeResourcesUnavailable");
}

static void
scheduler_limits_count_in_both_forms(void **state)
{
    static const char *const forms[] = {
        "{\"numa_topology\": %s}",
        "{\"nova_object.name\": \"SchedulerLimits\", \"nova_object.data\": {\"numa_topology\": %s}}"};
    static const char limits[] =
        "{\"nova_object.name\": \"NUMATopologyLimits\", \"nova_object.namespace\": \"nova\", "
        "\"nova_object.version\": \"1.1\", \"nova_object.data\": {\"cpu_allocation_ratio\": 0.1, "
        "\"ram_allocation_ratio\": 1.0}}";
    const Options options = {0};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
        g_autofree char *text = g_strdup_printf(forms[i], limits);
        json_auto_t *json = json_loads(text, 0, NULL);
        g_autoptr(HostNuma) host = host_of_four_cpus();
        g_autoptr(Instance) instance = pinned_instance(0, "shared");

        cpu_set_add_range(&host->cells[0].cpuset, 0, 3);
        json_array_append_new(
            ((InstanceNUMACell *)instance->numa_topology->cells->pdata[0])->cpuset, json_integer(0));
        assert_true(numa_claim_place(&options, &(ClaimHost){.numa = host}, instance, NULL));
        assert_false(numa_claim_place(&options, &(ClaimHost){.numa = host, .limits = json}, instance, NULL));
    }
}

static void
given_up_claim_pins_nothing(void **state)
{
    g_autoptr(HostNuma) host = host_of_four_cpus();
    g_autoptr(Instance) instance = pinned_instance(2, "dedicated");
    g_autoptr(InstanceNuma) cleared = NULL;
    const Options options = {0};

    (void)state;
    assert_true(numa_claim_place(&options, &(ClaimHost){.numa = host}, instance, NULL));
    numa_claim_clear(instance);
    cleared = numa_claim_topology(instance, NULL);
    assert_int_equal(cleared->cells[0].id, -1);
    assert_int_equal(cleared->cells[0].pins->len, 0);
}

static bool
options_allow(const char *policy, const char *shared, const char *dedicated)
{
    g_autoptr(GPtrArray) instances = g_ptr_array_new();
    g_autoptr(Instance) instance =
        policy ? pinned_instance(1, policy) : object_new(&INSTANCE_TYPE);
    Options options = {0};
    g_autoptr(NovaError) err = NULL;
    bool allowed;

    options.compute.cpu_shared_set = (char *)shared;
    options.compute.cpu_dedicated_set = (char *)dedicated;
    g_ptr_array_add(instances, instance);
    allowed = numa_claim_check_options(&options, instances, &err);
    if (!allowed)
        assert_int_equal(nova_error_kind(err), NOVA_ERROR_INVALID_CONFIGURATION);
    return allowed;
}

static void
guests_without_cpus_set_aside_for_them_stop_the_start(void **state)
{
    (void)state;
    assert_true(options_allow(NULL, NULL, NULL));
    assert_true(options_allow("dedicated", NULL, NULL));
    assert_false(options_allow(NULL, NULL, "0-3"));
    assert_false(options_allow("shared", NULL, "0-3"));
    assert_true(options_allow("shared", "4", "0-3"));
    assert_false(options_allow("dedicated", "0-3", NULL));
    assert_true(options_allow("dedicated", NULL, "0-3"));
    assert_false(options_allow("mixed", NULL, "0-3"));
    assert_true(options_allow("mixed", "4", "0-3"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(placed_guest_is_told_its_cpus_and_saved_with_them),
        cmocka_unit_test(guests_never_share_a_dedicated_cpu),
        cmocka_unit_test(a_new_flavor_is_placed_beside_the_guest_that_is_there),
        cmocka_unit_test(scheduler_limits_count_in_both_forms),
        cmocka_unit_test(given_up_claim_pins_nothing),
        cmocka_unit_test(guests_without_cpus_set_aside_for_them_stop_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
