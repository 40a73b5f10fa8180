/* SPDX-License-Identifier: Apache-2.0 */
/* The whole domain: evaluated in Nova's order, written in the order of the XML
 * (LibvirtDriver._get_guest_config and LibvirtConfigGuest.format_dom). */

#include "compute/xml/domain_xml.h"

#include <string.h>

#include "compute/fit/saturate.h"
#include "compute/xml/domain_build.h"
#include "compute/xml/guest_cells.h"

static bool
host_supports(const DomainBuild *build, bool tdx)
{
    const GPtrArray *all = build->in->domain_capabilities;

    for (guint i = 0; all && i < all->len; i++) {
        const DomainCapabilities *capabilities = all->pdata[i];

        if (!g_strcmp0(capabilities->arch, "x86_64") &&
            (tdx ? capabilities->supports_tdx : capabilities->supports_sev))
            return true;
    }
    return false;
}

/* Host.supports_mem_encryption: TDX needs the real CPU to show through. */
static bool
supports_encryption(const DomainBuild *build)
{
    if (g_strcmp0(build->in->host->arch, "x86_64"))
        return false;
    if (build->in->facts->kernel_supports_sev && host_supports(build, false))
        return true;
    return !g_strcmp0(build->options->libvirt.cpu_mode, "host-passthrough") &&
           host_supports(build, true);
}

static void
begin(DomainBuild *build, const DomainInput *input, DomainOutput *output)
{
    const char *package = input->facts->package;

    build->in = input;
    build->out = output;
    build->options = input->options;
    build->request.flavor = input->instance->flavor;
    build->request.image = input->image;
    build->document = xml_document_new();
    build->is_kvm = !g_strcmp0(input->options->libvirt.virt_type, "kvm");
    build->arch = machine_guest_arch(&build->request, input->facts->arch);
    build->machine_type = machine_type(input->options, &build->request, input->facts->arch);
    build->instance_path = g_build_filename(input->options->default_group.instances_path,
                                            input->instance->uuid, NULL);
    build->package_version = g_strconcat(input->nova_version, package ? "-" : NULL, package, NULL);
    build->supports_encryption = supports_encryption(build);
    build->disk_cache_mode = input->facts->direct_io ? "none" : "writeback";
    build->next_scsi_unit = -1;
    build->os.firmware_secure = build->os.loader_secure = TRISTATE_UNSET;
    build->os.loader_readonly = TRISTATE_UNSET;
    build->features = xml_node(build->document, "features");
    build->devices = xml_node(build->document, "devices");
}

static void
end(DomainBuild *build)
{
    xml_document_free(build->document);
    g_free(build->instance_path);
    g_free(build->package_version);
    g_free(build->os.kernel);
    g_free(build->os.initrd);
    g_free(build->os.cmdline);
    g_clear_pointer(&build->os.boot_devices, g_ptr_array_unref);
    g_clear_pointer(&build->numa.cells, g_ptr_array_unref);
}

static bool
evaluate(DomainBuild *build, NovaError **err)
{
    if (!read_guest_cells(build->in->instance, &build->numa, err) || !build_numa(build, err) ||
        !build_memory_backing(build, err))
        return false;
    build->metadata = build_metadata(build);
    build_perf(build);
    if (!build_cpu_quota(build, err) || !build_cpu(build, err) || !build_machine(build, err) ||
        !build_boot(build, err) || !build_features(build, err) || !build_clock(build, err) ||
        !build_storage(build, err) || !build_interfaces(build, err) ||
        !build_consoles(build, err) || !build_graphics(build, err) ||
        !build_virtio_devices(build, err) || !build_controllers(build, err) ||
        !build_host_devices(build, err) || !build_guards(build, err))
        return false;
    build_mdevs(build);
    build_launch_security(build);
    build_pmem(build);
    return build_iommu(build, err);
}

/* Another architecture than the host's can only be emulated. */
static const char *
domain_type(const DomainBuild *build)
{
    return g_strcmp0(build->arch, build->in->host->arch) ? "qemu"
                                                         : build->options->libvirt.virt_type;
}

static void
add_max_memory(const DomainBuild *build, xmlNode *domain, int64_t memory_kib)
{
    int64_t size = memory_kib;

    if (!build->in->n_pmem)
        return;
    for (unsigned i = 0; i < build->in->n_pmem; i++)
        size = saturating_add(size, build->in->pmem[i].size / 1024);
    xml_attr_int(xml_child_int(domain, "maxMemory", size), "slots", build->in->n_pmem);
}

static xmlNode *
assemble(DomainBuild *build)
{
    const int64_t memory_kib = saturating_multiply(build->request.flavor->memory_mb, 1024);
    xmlNode *domain = xml_node(build->document, "domain");

    xml_attr(domain, "type", domain_type(build));
    xml_child_text(domain, "uuid", build->in->instance->uuid);
    xml_child_text(domain, "name", build->in->instance_name);
    xml_child_int(domain, "memory", memory_kib);
    add_max_memory(build, domain, memory_kib);
    xml_append(domain, build->memory_backing);
    xml_append(domain, build->numatune);
    xml_append(domain, build->vcpu);
    xml_append(xml_child(domain, "metadata"), build->metadata);
    xml_append(domain, build->sysinfo);
    xml_append(domain, os_element(build));
    xml_append(domain, build->features);
    xml_child_int(domain, "iothreads", 1);
    xml_append(domain, build->cputune);
    xml_append(domain, build->clock);
    xml_append(domain, build->cpu);
    xml_append(domain, build->devices);
    xml_append(domain, build->perf);
    xml_append(domain, build->launch_security);
    return domain;
}

char *
domain_xml_make(const DomainInput *input, DomainOutput *output, NovaError **err)
{
    g_auto(DomainOutput) ignored = {0};
    DomainBuild build = {0};
    char *text = NULL;

    begin(&build, input, output ? output : &ignored);
    if (evaluate(&build, err))
        text = xml_document_text(build.document, assemble(&build), err);
    end(&build);
    return text;
}

char *
domain_xml_interface(const DomainInput *input, const Vif *vif, NovaError **err)
{
    g_auto(DomainOutput) ignored = {0};
    DomainBuild build = {0};
    xmlNode *node;
    char *text;

    begin(&build, input, &ignored);
    node = interface_element(&build, vif, err);
    text = node ? xml_document_text(build.document, node, err) : NULL;
    end(&build);
    return text;
}

char *
domain_xml_volume(const DomainInput *input, const BlockDevice *volume, const DiskEntry *entry,
                  int64_t scsi_unit, NovaError **err)
{
    g_auto(DomainOutput) ignored = {0};
    DomainBuild build = {0};
    xmlNode *node;
    char *text;

    begin(&build, input, &ignored);
    node = volume_element(&build, volume, entry, scsi_unit, err);
    text = node ? xml_document_text(build.document, node, err) : NULL;
    end(&build);
    return text;
}

char *
domain_xml_metadata(const DomainInput *input, NovaError **err)
{
    g_auto(DomainOutput) ignored = {0};
    DomainBuild build = {0};
    char *text;

    begin(&build, input, &ignored);
    text = xml_document_text(build.document, build_metadata(&build), err);
    end(&build);
    return text;
}

void
domain_output_clear(DomainOutput *output)
{
    g_clear_pointer(&output->machine_type, g_free);
    g_clear_pointer(&output->default_ephemeral_device, g_free);
    g_clear_pointer(&output->default_swap_device, g_free);
    g_clear_pointer(&output->cpu.mode, g_free);
    g_clear_pointer(&output->cpu.model, g_free);
    g_clear_pointer(&output->cpu.features, g_ptr_array_unref);
}
