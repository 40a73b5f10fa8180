/* SPDX-License-Identifier: Apache-2.0 */
/* <iommu>: a virtual IOMMU for guests that pass devices on (LibvirtDriver._guest_add_iommu_device). */

#include <string.h>

#include "compute/xml/domain_build.h"

#define LIBVIRT_WITH_VIRTIO_IOMMU 8003000

static bool
is_q35(const DomainBuild *build)
{
    return strstr(build->machine_type, "q35") != NULL;
}

static bool
check_machine(const DomainBuild *build, NovaError **err)
{
    const bool is_x86 = arch_is_x86(build->arch);

    if (!is_x86 && !arch_is_aarch64(build->arch))
        return nova_error_set(err, NOVA_ERROR_INVALID_VIOMMU_ARCHITECTURE,
                              "vIOMMU required either x86 or AArch64 architecture, but given "
                              "architecture %s.", build->arch);
    if (is_x86 ? is_q35(build) : strstr(build->machine_type, "virt") != NULL)
        return true;
    return nova_error_set(err, NOVA_ERROR_INVALID_VIOMMU_MACHINE_TYPE,
                          "vIOMMU is not supported by Current machine type %s (Architecture: %s).",
                          build->machine_type, build->arch);
}

static const char *
automatic_model(const DomainBuild *build)
{
    if (build->in->facts->libvirt_version >= LIBVIRT_WITH_VIRTIO_IOMMU)
        return "virtio";
    return arch_is_x86(build->arch) ? "intel" : "smmuv3";
}

bool
build_iommu(DomainBuild *build, NovaError **err)
{
    const char *model = request_flavor_truthy(&build->request, "hw:viommu_model");
    xmlNode *driver;

    if (!model)
        model = request_image(&build->request, "hw_viommu_model");
    if (!model || !*model)
        return true;
    if (!check_machine(build, err))
        return false;
    if (!strcmp(model, "auto"))
        model = automatic_model(build);
    driver = xml_child(xml_child_attr(build->devices, "iommu", "model", model), "driver");
    xml_attr(driver, "intremap", "on");
    xml_attr(driver, "caching_mode", "on");
    xml_attr(driver, "aw_bits", "48");
    xml_attr(driver, "eim", xml_on_off(is_q35(build)));
    xml_attr(driver, "iotlb", "on");
    xml_child_attr(build->features, "ioapic", "driver", "qemu");
    return true;
}
