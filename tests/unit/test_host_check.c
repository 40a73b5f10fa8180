/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/objects/instance.h"
#include "compute/host_check.h"
#include "conf/options.h"
#include "tests/unit/options_fixture.h"
#include "tests/unit/tree.h"

/* libvirt's test driver knows CPU models, but cannot compare them. */
typedef struct Bench {
    char *root;
    char *path;
    Hypervisor *hypervisor;
    NodeFacts facts;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->root = g_dir_make_tmp("kilonova-host-XXXXXX", NULL);
    bench->path = tree_use_programs(bench->root);
    bench->hypervisor = hypervisor_new("test:///default", NULL);
    bench->facts = (NodeFacts){.arch = (char *)"x86_64", .emulates_tpm = true};
    assert_true(hypervisor_connect(bench->hypervisor, NULL));
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    g_setenv("PATH", bench->path, TRUE);
    hypervisor_free(bench->hypervisor);
    tree_remove(bench->root);
    g_free(bench->path);
    g_free(bench->root);
    g_free(bench);
    return 0;
}

static void
expect(Bench *bench, const char *text, const char *class, const char *message)
{
    Options *options = load_options_text(bench->root, text);
    g_autoptr(NovaError) error = NULL;

    assert_int_equal(host_check_options(options, bench->hypervisor, &bench->facts, &error), !class);
    if (class) {
        assert_string_equal(nova_error_class(error), class);
        assert_non_null(strstr(nova_error_message(error), message));
    }
    options_free(options);
}

static void
refuses(Bench *bench, const char *text, const char *message)
{
    expect(bench, text, "InvalidConfiguration", message);
}

static void
takes(Bench *bench, const char *text)
{
    expect(bench, text, NULL, NULL);
}

static void
cpu_models_go_with_the_mode_custom(void **state)
{
    takes(*state, "");
    takes(*state, "[libvirt]\ncpu_mode = host-passthrough\n");
    refuses(*state, "[libvirt]\ncpu_mode = custom\n", "The cpu_models option is required when cpu_mode=custom");
    refuses(*state, "[libvirt]\ncpu_mode = host-model\ncpu_models = Nehalem\n",
            "The cpu_models option is not required when cpu_mode!=custom");
    refuses(*state, "[libvirt]\nvirt_type = lxc\ncpu_mode = host-model\n",
            "the current libvirt hypervisor 'lxc' does not support selecting CPU models");
    takes(*state, "[libvirt]\nvirt_type = lxc\ncpu_mode = none\n");
}

static void
a_cpu_model_is_one_that_libvirt_knows(void **state)
{
    takes(*state, "[libvirt]\ncpu_mode = custom\ncpu_models = nehalem, Penryn\ncpu_model_extra_flags = +vmx, -SSE2\n");
    expect(*state, "[libvirt]\ncpu_mode = custom\ncpu_models = Nehalem, Pentium9\n", "InvalidCPUInfo",
           "Configured CPU model: Pentium9 is not correct, or your host CPU arch does not support this model.");
    takes(*state, "[libvirt]\ncpu_mode = custom\ncpu_models = Pentium9\n"
                  "[workarounds]\nskip_cpu_compare_at_startup = true\n");
}

static void
a_vtpm_needs_libvirt_and_its_user(void **state)
{
    Bench *bench = *state;

    takes(bench, "[libvirt]\nswtpm_enabled = true\nswtpm_user = root\nswtpm_group = root\n");
    refuses(bench, "[libvirt]\nswtpm_enabled = true\nswtpm_user = nobody-here\nswtpm_group = root\n",
            "The user configured in '[libvirt] swtpm_user' does not exist on this host; expected 'nobody-here'.");
    refuses(bench, "[libvirt]\nswtpm_enabled = true\nswtpm_user = root\nswtpm_group = nobodies-here\n",
            "The group configured in '[libvirt] swtpm_group' does not exist on this host; expected 'nobodies-here'.");
    refuses(bench, "[libvirt]\nvirt_type = parallels\ncpu_mode = none\nswtpm_enabled = true\n",
            "vTPM support requires '[libvirt] virt_type' of 'qemu' or 'kvm'; found 'parallels'.");
    bench->facts.emulates_tpm = false;
    refuses(bench, "[libvirt]\nswtpm_enabled = true\nswtpm_user = root\nswtpm_group = root\n",
            "vTPM support is configured but it's not supported by libvirt.");
    takes(bench, "");
}

static void
several_paths_that_are_enforced_need_multipathd(void **state)
{
    static const char both[] = "[libvirt]\nvolume_use_multipath = true\nvolume_enforce_multipath = true\n";
    Bench *bench = *state;

    tree_put_program(bench->root, "multipathd", "#!/bin/sh\nexit 1\n");
    takes(bench, "[libvirt]\nvolume_use_multipath = true\n");
    refuses(bench, "[libvirt]\nvolume_enforce_multipath = true\n", "'volume_use_multipath' option should be 'True'");
    refuses(bench, both, "The 'volume_enforce_multipath' option is 'True' but multipathd is not running.");
    tree_put_program(bench->root, "multipathd", "#!/bin/sh\necho path checker states:\n");
    takes(bench, both);
}

static GPtrArray *
one_server(const char *tpm_version)
{
    GPtrArray *instances = g_ptr_array_new_with_free_func((GDestroyNotify)instance_free);
    Instance *instance = object_new(&INSTANCE_TYPE);
    Flavor *flavor = object_new(&FLAVOR_TYPE);

    OBJECT_SET(flavor, extra_specs, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
    if (tpm_version)
        g_hash_table_insert(flavor->extra_specs, g_strdup("hw:tpm_version"), g_strdup(tpm_version));
    OBJECT_SET(instance, flavor, flavor);
    OBJECT_SET(instance, system_metadata, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
    g_ptr_array_add(instances, instance);
    return instances;
}

static void
servers_with_a_vtpm_need_it_on(void **state G_GNUC_UNUSED)
{
    g_autoptr(GPtrArray) plain = one_server(NULL), secure = one_server("2.0");
    g_autoptr(NovaError) error = NULL;
    Options options = {0};

    assert_true(host_check_instances(&options, plain, NULL));
    assert_false(host_check_instances(&options, secure, &error));
    assert_string_equal(nova_error_class(error), "InvalidConfiguration");
    assert_non_null(strstr(nova_error_message(error), "instances with the vTPM feature enabled"));
    options.libvirt.swtpm_enabled = true;
    assert_true(host_check_instances(&options, secure, NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cpu_models_go_with_the_mode_custom),
        TEST(a_cpu_model_is_one_that_libvirt_knows),
        TEST(a_vtpm_needs_libvirt_and_its_user),
        TEST(several_paths_that_are_enforced_need_multipathd),
        cmocka_unit_test(servers_with_a_vtpm_need_it_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
