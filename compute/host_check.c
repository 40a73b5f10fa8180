/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/host_check.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "agent/objects/image_meta.h"
#include "agent/objects/instance.h"
#include "compute/fit/guest_request.h"
#include "compute/xml/cpu.h"
#include "storage/multipath.h"

static bool
is_kvm_or_qemu(const Options *options)
{
    return strcmp(options->libvirt.virt_type, "kvm") == 0 || strcmp(options->libvirt.virt_type, "qemu") == 0;
}

static bool
invalid(NovaError **err, const char *text)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION, "%s", text);
}

/* ---- CPU models ---- */

static bool
check_cpu_mode(const Options *options, NovaError **err)
{
    const char *mode = options->libvirt.cpu_mode;
    bool has_models = options->libvirt.cpu_models && options->libvirt.cpu_models[0];
    bool is_custom = g_strcmp0(mode, "custom") == 0;

    if (!is_kvm_or_qemu(options) && mode && strcmp(mode, "none") != 0)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "Config requested an explicit CPU model, but the current libvirt hypervisor '%s' does "
                              "not support selecting CPU models", options->libvirt.virt_type);
    if (has_models && !is_custom)
        return invalid(err, "The cpu_models option is not required when cpu_mode!=custom");
    if (is_custom && !has_models)
        return invalid(err, "The cpu_models option is required when cpu_mode=custom");
    return true;
}

/* LibvirtConfigGuestCPU of that model. */
static char *
make_cpu_xml(const char *model, char **flags, NovaError **err)
{
    g_autoptr(XmlDocument) document = xml_document_new();
    g_autoptr(GPtrArray) features = cpu_list_features(flags);
    xmlNode *cpu = xml_node(document, "cpu");

    xml_attr(cpu, "match", "exact");
    xml_child_text(cpu, "model", model);
    cpu_add_features(cpu, features);
    return xml_document_text(document, cpu, err);
}

static char *
join_flags(char **flags)
{
    g_autofree char *joined = flags && *flags ? g_strjoinv("', '", flags) : NULL;

    return joined ? g_strdup_printf("['%s']", joined) : g_strdup("[]");
}

static bool
check_model(const Options *options, Hypervisor *hypervisor, const char *model, NovaError **err)
{
    char **extra = options->libvirt.cpu_model_extra_flags;
    g_autofree char *xml = make_cpu_xml(model, extra, err);
    g_autofree char *flags = join_flags(extra);
    int result;

    if (!xml || !hypervisor_compare_cpu(hypervisor, xml, &result, err))
        return false;
    return result > 0 ||
           nova_error_set(err, NOVA_ERROR_INVALID_CPU_INFO,
                          "Configured CPU model: %s and CPU Flags %s are not compatible with host CPU. Please correct "
                          "your config and try again. Unacceptable CPU info: CPU doesn't have compatibility.\n\n%d\n\n"
                          "Refer to http://libvirt.org/html/libvirt-libvirt-host.html#virCPUCompareResult",
                          model, flags, result);
}

/* A CPU that QEMU emulates needs nothing of the host's. */
static bool
check_cpu_models(const Options *options, Hypervisor *hypervisor, const NodeFacts *facts, NovaError **err)
{
    char **names = options->libvirt.cpu_models;
    g_autoptr(GHashTable) known = NULL;

    if (!check_cpu_mode(options, err))
        return false;
    if (!names || !*names || options->workarounds.skip_cpu_compare_at_startup)
        return true;
    known = hypervisor_fetch_cpu_models(hypervisor, facts->arch, err);
    if (!known)
        return false;
    for (; *names; names++) {
        const char *model = cpu_find_model(known, *names, err);

        if (!model ||
            (strcmp(options->libvirt.virt_type, "kvm") == 0 && !check_model(options, hypervisor, model, err)))
            return false;
    }
    return true;
}

/* ---- vTPM ---- */

static bool
check_vtpm(const Options *options, const NodeFacts *facts, NovaError **err)
{
    const OptionsLibvirt *libvirt = &options->libvirt;

    if (!libvirt->swtpm_enabled)
        return true;
    if (!is_kvm_or_qemu(options))
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "vTPM support requires '[libvirt] virt_type' of 'qemu' or 'kvm'; found '%s'.",
                              libvirt->virt_type);
    if (!facts->emulates_tpm)
        return invalid(err, "vTPM support is configured but it's not supported by libvirt.");
    if (!getpwnam(libvirt->swtpm_user))
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "The user configured in '[libvirt] swtpm_user' does not exist on this host; "
                              "expected '%s'.", libvirt->swtpm_user);
    if (!getgrnam(libvirt->swtpm_group))
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "The group configured in '[libvirt] swtpm_group' does not exist on this host; "
                              "expected '%s'.", libvirt->swtpm_group);
    return true;
}

static bool
wants_vtpm(const Instance *instance)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(instance, NULL);
    GuestRequest request = {instance->flavor, image};
    VtpmRequest vtpm;

    return image && instance->flavor && request_vtpm(&request, &vtpm, NULL) && vtpm.version;
}

bool
host_check_instances(const Options *options, const GPtrArray *instances, NovaError **err)
{
    for (guint i = 0; i < instances->len && !options->libvirt.swtpm_enabled; i++) {
        const Instance *instance = instances->pdata[i];

        if (!instance_is_deleted(instance) && wants_vtpm(instance))
            return invalid(err, "This host has instances with the vTPM feature enabled, but the host is not correctly "
                                "configured; enable vTPM support.");
    }
    return true;
}

/* ---- several paths to a volume ---- */

static bool
check_multipath(const Options *options, NovaError **err)
{
    if (!options->libvirt.volume_enforce_multipath)
        return true;
    if (!options->libvirt.volume_use_multipath)
        return invalid(err, "The 'volume_use_multipath' option should be 'True' when the 'volume_enforce_multipath' "
                            "option is 'True'.");
    return multipath_is_running() ||
           invalid(err, "The 'volume_enforce_multipath' option is 'True' but multipathd is not running.");
}

bool
host_check_options(const Options *options, Hypervisor *hypervisor, const NodeFacts *facts, NovaError **err)
{
    return check_cpu_models(options, hypervisor, facts, err) && check_vtpm(options, facts, err) &&
           check_multipath(options, err);
}
