/* SPDX-License-Identifier: Apache-2.0 */
/* <features> (LibvirtDriver._set_features). */

#include <string.h>

#include "compute/xml/domain_build.h"

static bool
hides_hypervisor(const GuestRequest *request)
{
    return is_true_string(request_flavor(request, "hide_hypervisor_id")) ||
           is_true_string(request_flavor(request, "hw:hide_hypervisor_id")) ||
           request_image_bool(request, "img_hide_hypervisor_id") == TRISTATE_TRUE;
}

static void
add_on(xmlNode *parent, const char *name)
{
    xml_child_attr(parent, name, "state", "on");
}

/* A false vendor keeps drivers working that refuse to run in a guest. */
static void
add_hyperv(xmlNode *features, bool hidden)
{
    static const char *const more[] = {"vpindex",     "runtime",  "synic", "reset",
                                       "frequencies", "tlbflush", "ipi"};
    xmlNode *hyperv = xml_child(features, "hyperv");
    xmlNode *node;

    add_on(hyperv, "relaxed");
    add_on(hyperv, "vapic");
    node = xml_child_attr(hyperv, "spinlocks", "state", "on");
    xml_attr(node, "retries", "8191");
    if (hidden) {
        node = xml_child_attr(hyperv, "vendor_id", "state", "on");
        xml_attr(node, "value", "1234567890ab");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(more); i++)
        add_on(hyperv, more[i]);
}

static void
add_tcg_cache(const DomainBuild *build)
{
    const OptInt size = build->options->libvirt.tb_cache_size;
    xmlNode *cache;

    if (g_strcmp0(build->options->libvirt.virt_type, "qemu") || !size.is_set || size.value <= 0)
        return;
    cache = xml_child_int(xml_child(build->features, "tcg"), "tb-cache", size.value);
    xml_attr(cache, "unit", "MiB");
}

/* The device needs DMA between guest and host, which encrypted memory forbids. */
static void
add_vmcoreinfo(DomainBuild *build)
{
    if ((arch_is_x86(build->arch) || arch_is_aarch64(build->arch)) &&
        build->encryption == MEMORY_ENCRYPTION_NONE)
        xml_child(build->features, "vmcoreinfo");
}

bool
build_features(DomainBuild *build, NovaError **err)
{
    const bool hidden = hides_hypervisor(&build->request);
    Tristate pmu;

    xml_child(build->features, "acpi");
    if (!build->options->workarounds.libvirt_disable_apic)
        xml_child(build->features, "apic");
    add_tcg_cache(build);
    if (!g_strcmp0(build->in->instance->os_type, "windows"))
        add_hyperv(build->features, hidden);
    add_vmcoreinfo(build);
    if (hidden)
        add_on(xml_child(build->features, "kvm"), "hidden");
    if (!request_pmu(&build->request, &pmu, err))
        return false;
    if (pmu != TRISTATE_UNSET)
        xml_child_attr(build->features, "pmu", "state", xml_on_off(pmu));
    return true;
}
