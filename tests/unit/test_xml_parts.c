/* SPDX-License-Identifier: Apache-2.0 */
/* The pieces of compute/xml that are used on their own. */

#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "compute/xml/capabilities.h"
#include "agent/base/cpu_set.h"
#include "compute/xml/domain_xml.h"
#include "compute/fit/guest_request.h"
#include "compute/xml/xml_builder.h"

static void
assert_cpu_set(const char *spec, const char *expected)
{
    g_auto(CpuSet) set = {0};
    g_autoptr(NovaError) err = NULL;
    g_autofree char *text = NULL;

    assert_true(cpu_set_parse(spec, &set, &err));
    text = cpu_set_format(&set);
    assert_string_equal(text, expected);
}

static void
cpu_specs_are_read_and_written_in_order(void **state)
{
    (void)state;
    assert_cpu_set("1,2,3,9", "1-3,9");
    assert_cpu_set("0-7,^2,^5-6", "0-1,3-4,7");
    assert_cpu_set(" 4 , , 63-65 ", "4,63-65");
    assert_cpu_set("", "");
    assert_cpu_set("^1", "");
}

static void
assert_bad_spec(const char *spec, const char *message)
{
    g_auto(CpuSet) set = {0};
    g_autoptr(NovaError) err = NULL;

    assert_false(cpu_set_parse(spec, &set, &err));
    assert_string_equal(nova_error_class(err), "Invalid");
    assert_string_equal(nova_error_message(err), message);
}

static void
a_bad_cpu_spec_is_told_by_its_rule(void **state)
{
    (void)state;
    assert_bad_spec("0,a-b", "Invalid range expression 'a-b'");
    assert_bad_spec("7-3", "Invalid range expression '7-3'");
    assert_bad_spec("x", "Invalid inclusion expression 'x'");
    assert_bad_spec("^x", "Invalid exclusion expression '^x'");
    assert_bad_spec("99999999999999999999", "Invalid inclusion expression '99999999999999999999'");
}

static void
cpu_sets_know_their_algebra(void **state)
{
    g_auto(CpuSet) a = {0};
    g_auto(CpuSet) b = {0};
    g_autofree char *list = NULL;

    (void)state;
    cpu_set_add_range(&a, 0, 3);
    cpu_set_add_range(&b, 2, 130);
    assert_false(cpu_set_is_subset(&a, &b));
    cpu_set_intersect(&b, &a);
    list = cpu_set_format_list(&b);
    assert_string_equal(list, "[2, 3]");
    assert_true(cpu_set_is_subset(&b, &a));
    cpu_set_subtract(&a, &b);
    assert_int_equal(cpu_set_next(&a, 1), 1);
    assert_int_equal(cpu_set_next(&a, 2), -1);
    assert_false(cpu_set_add(&a, -1));
    assert_false(cpu_set_add(&a, CPU_SET_MAX));
}

static void
numbers_are_read_as_python_reads_them(void **state)
{
    static const char *const good[][2] = {{" 12 ", "12"}, {"+4", "4"},      {"-0", "0"},
                                          {"1_0", "10"},  {"007", "7"},     {"-3", "-3"},
                                          {"123456789012345678901234567890",
                                           "123456789012345678901234567890"}};
    static const char *const bad[] = {"", "x", "1.5", "_1", "1__0", "1_", "0x10", "- 1"};

    (void)state;
    for (unsigned i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autofree char *text = python_int_text(good[i][0], NULL);

        assert_string_equal(text, good[i][1]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(NovaError) err = NULL;

        assert_null(python_int_text(bad[i], &err));
        assert_string_equal(nova_error_class(err), "ValueError");
    }
}

static const char host_xml[] =
    "<capabilities><host><uuid>u-1</uuid><cpu><arch>x86_64</arch><model>Penryn</model>"
    "<topology sockets='1' cores='2' threads='1'/><feature name='vmx'/>"
    "<feature policy='disable' name='svm'/></cpu><topology><cells num='1'><cell id='0'>"
    "<memory unit='KiB'>4096</memory><pages size='4' unit='KiB'>1000</pages>"
    "<pages size='2048' unit='KiB'>3</pages><cpus num='2'>"
    "<cpu id='0' socket_id='0' core_id='0' siblings='0-1'/><cpu id='1'/></cpus></cell></cells>"
    "</topology></host><guest><os_type>hvm</os_type><arch name='x86_64'>"
    "<machine canonical='pc-i440fx-7.2'>pc</machine><machine>pc-i440fx-7.2</machine>"
    "<domain type='qemu'/><domain type='kvm'><machine>only-kvm</machine></domain></arch></guest>"
    "</capabilities>";

static void
host_capabilities_are_parsed(void **state)
{
    g_autoptr(HostCapabilities) host = host_capabilities_parse(host_xml, NULL);
    const HostCell *cell;

    (void)state;
    assert_string_equal(host->uuid, "u-1");
    assert_string_equal(host->arch, "x86_64");
    assert_true(g_hash_table_contains(host->cpu_features, "vmx"));
    assert_false(g_hash_table_contains(host->cpu_features, "svm"));
    assert_int_equal(host->cells->len, 1);
    cell = host->cells->pdata[0];
    assert_int_equal(cell->memory_kib, 4096);
    assert_int_equal(g_array_index(cell->pages, HostPages, 1).size_kib, 2048);
    assert_int_equal(g_array_index(cell->cpus, HostCpu, 1).socket_id, -1);
    assert_int_equal(host->machine_names->len, 2);
    assert_string_equal(host->machine_names->pdata[1], "pc");
    assert_false(g_hash_table_contains(host->machines, "only-kvm"));
}

static void
domain_capabilities_are_parsed(void **state)
{
    static const char xml[] =
        "<domainCapabilities><machine>pc-q35-7.2</machine><arch>x86_64</arch><os supported='yes'>"
        "<loader supported='yes'><enum name='type'><value>rom</value><value>pflash</value></enum>"
        "<enum name='secure'><value>no</value></enum></loader></os><cpu><mode name='custom'>"
        "<model usable='no'>EPYC</model></mode></cpu><features><sev supported='yes'/>"
        "<launchSecurity supported='yes'><enum name='sectype'><value>sev-snp</value></enum>"
        "</launchSecurity><tdx supported='no'/></features></domainCapabilities>";
    g_autoptr(DomainCapabilities) domain = domain_capabilities_parse(xml, NULL);

    (void)state;
    assert_string_equal(domain->machine, "pc-q35-7.2");
    assert_true(domain->supports_uefi);
    assert_false(domain->supports_secure_boot);
    assert_true(domain->supports_sev);
    assert_true(domain->supports_sev_snp);
    assert_false(domain->supports_tdx);
    assert_true(g_hash_table_contains(domain->cpu_models, "EPYC"));
}

static void
another_document_is_invalid_input(void **state)
{
    g_autoptr(NovaError) err = NULL;
    g_autoptr(NovaError) broken = NULL;

    (void)state;
    assert_null(host_capabilities_parse("<domain/>", &err));
    assert_string_equal(nova_error_class(err), "InvalidInput");
    assert_null(domain_capabilities_parse("<domainCapabilities>", &broken));
    assert_non_null(broken);
}

static void
the_firmware_of_a_domain_is_read(void **state)
{
    g_autoptr(ExistingFirmware) firmware = existing_firmware_parse(
        "<domain><os firmware='efi'><firmware><feature name='secure-boot' enabled='yes'/></firmware>"
        "<loader type='pflash' readonly='yes' secure='no'>/OVMF.fd</loader>"
        "<nvram template='/VARS.fd'>/nvram</nvram></os><features><smm state='on'/></features>"
        "</domain>", NULL);

    (void)state;
    assert_string_equal(firmware->loader, "/OVMF.fd");
    assert_string_equal(firmware->loader_type, "pflash");
    assert_string_equal(firmware->nvram, "/nvram");
    assert_string_equal(firmware->nvram_template, "/VARS.fd");
    assert_int_equal(firmware->loader_readonly, 1);
    assert_int_equal(firmware->loader_secure, 0);
    assert_true(firmware->has_smm);
}

static void
a_refused_value_is_reported_at_the_end(void **state)
{
    g_autoptr(XmlDocument) nothing = xml_document_new();
    g_autoptr(XmlDocument) control = xml_document_new();
    g_autoptr(NovaError) none = NULL;
    g_autoptr(NovaError) bad = NULL;
    xmlNode *root = xml_node(nothing, "a");

    (void)state;
    xml_attr(root, "b", NULL);
    assert_null(xml_document_text(nothing, root, &none));
    assert_string_equal(nova_error_class(none), "TypeError");
    root = xml_node(control, "a");
    xml_child_text(root, "b", "x\001y");
    assert_null(xml_document_text(control, root, &bad));
    assert_string_equal(nova_error_class(bad), "ValueError");
}

static void
text_is_escaped_and_indented(void **state)
{
    g_autoptr(XmlDocument) document = xml_document_new();
    g_autofree char *text = NULL;
    xmlNode *root = xml_node(document, "a");

    (void)state;
    xml_attr(root, "q", "\"<&>");
    xml_child_text(root, "b", "\303\244 <&>");
    text = xml_document_text(document, root, NULL);
    assert_string_equal(text, "<a q=\"&quot;&lt;&amp;&gt;\">\n  <b>\303\244 &lt;&amp;&gt;</b>\n</a>\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_specs_are_read_and_written_in_order),
        cmocka_unit_test(a_bad_cpu_spec_is_told_by_its_rule),
        cmocka_unit_test(cpu_sets_know_their_algebra),
        cmocka_unit_test(numbers_are_read_as_python_reads_them),
        cmocka_unit_test(host_capabilities_are_parsed),
        cmocka_unit_test(domain_capabilities_are_parsed),
        cmocka_unit_test(another_document_is_invalid_input),
        cmocka_unit_test(the_firmware_of_a_domain_is_read),
        cmocka_unit_test(a_refused_value_is_reported_at_the_end),
        cmocka_unit_test(text_is_escaped_and_indented),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
