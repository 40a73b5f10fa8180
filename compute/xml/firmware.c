/* SPDX-License-Identifier: Apache-2.0 */
/* UEFI: whether the guest gets it, secure boot, and what an existing domain keeps
 * (LibvirtDriver._configure_guest_by_virt_type, _copy_guest_firmware_elements). */

#include <libxml/parser.h>
#include <string.h>

#include "compute/xml/domain_build.h"

/* Any machine type of the host's own architecture counts, as in Host.supports_uefi. */
static bool
host_supports(const DomainBuild *build, bool secure_boot)
{
    const GPtrArray *all = build->in->domain_capabilities;

    for (guint i = 0; all && i < all->len; i++) {
        const DomainCapabilities *capabilities = all->pdata[i];

        if (g_strcmp0(capabilities->arch, build->in->host->arch))
            continue;
        if (secure_boot ? capabilities->supports_secure_boot : capabilities->supports_uefi)
            return true;
    }
    return false;
}

static bool
supports_secure_boot(const DomainBuild *build)
{
    if (!host_supports(build, true))
        return false;
    return strcmp(build->arch, "x86_64") || strstr(build->machine_type, "q35");
}

static bool
choose_secure_boot(DomainBuild *build, NovaError **err)
{
    const char *policy;
    bool secure = false;

    if (!request_secure_boot(&build->request, &policy, err))
        return false;
    if (policy && strcmp(policy, "disabled"))
        secure = supports_secure_boot(build);
    if (policy && !strcmp(policy, "required") && !secure)
        return nova_error_set(err, NOVA_ERROR_SECURE_BOOT_NOT_SUPPORTED,
                              "Secure Boot is not supported by host");
    build->os.loader_secure = secure ? TRISTATE_TRUE : TRISTATE_FALSE;
    build->os.firmware_secure = build->os.loader_secure;
    return true;
}

/* What libvirt once chose stays, unless secure boot was switched or the files are gone. */
static void
keep_firmware(DomainBuild *build, const ExistingFirmware *existing)
{
    GuestOs *os = &build->os;

    if ((int)os->loader_secure != existing->loader_secure ||
        (int)os->firmware_secure != existing->firmware_secure || !existing->files_exist)
        return;
    os->has_firmware = false;
    os->loader = existing->loader;
    os->loader_type = existing->loader_type;
    os->loader_readonly = (Tristate)existing->loader_readonly;
    os->nvram = existing->nvram;
    os->nvram_template = existing->nvram_template;
    if (existing->has_smm)
        xml_child_attr(xml_child(build->features, "smm"), "smm", "state", "on");
}

static bool
wants_uefi(const DomainBuild *build)
{
    const char *type = request_image(&build->request, "hw_firmware_type");

    return type && *type ? !strcmp(type, "uefi") : arch_is_aarch64(build->arch);
}

bool
build_firmware(DomainBuild *build, NovaError **err)
{
    if (!wants_uefi(build))
        return true;
    if (!host_supports(build, false) || !build->machine_type || !*build->machine_type)
        return nova_error_set(err, NOVA_ERROR_UEFI_NOT_SUPPORTED, "UEFI is not supported");
    if (!choose_secure_boot(build, err))
        return false;
    build->os.has_firmware = true;
    build->os.loader_stateless = request_stateless_firmware(&build->request);
    if (build->in->existing)
        keep_firmware(build, build->in->existing);
    return true;
}

/* ---- reading the firmware of a domain ---- */

static int
read_yes_no(const xmlNode *node, const char *name)
{
    g_autofree char *text = node ? xml_get_attr(node, name) : NULL;

    return text && *text ? !strcmp(text, "yes") : -1;
}

static void
read_loader(const xmlNode *loader, ExistingFirmware *firmware)
{
    firmware->loader = xml_get_text(loader);
    firmware->loader_type = xml_get_attr(loader, "type");
    firmware->loader_readonly = read_yes_no(loader, "readonly");
    firmware->loader_secure = read_yes_no(loader, "secure");
    firmware->firmware_secure = firmware->loader_secure;
}

static void
read_secure_feature(const xmlNode *firmware_node, ExistingFirmware *firmware)
{
    for (xmlNode *node = xml_first(firmware_node); node; node = xml_next(node)) {
        if (xml_attr_is(node, "name", "secure-boot"))
            firmware->firmware_secure = xml_attr_is(node, "enabled", "yes");
    }
}

/* In document order, as Nova reads it: a later element overrides an earlier one. */
static void
read_os(const xmlNode *os, ExistingFirmware *firmware)
{
    for (xmlNode *node = xml_first(os); node; node = xml_next(node)) {
        if (xml_is(node, "loader") && !firmware->loader) {
            read_loader(node, firmware);
        } else if (xml_is(node, "nvram") && !firmware->nvram) {
            firmware->nvram = xml_get_text(node);
            firmware->nvram_template = xml_get_attr(node, "template");
        } else if (xml_is(node, "firmware")) {
            read_secure_feature(node, firmware);
        }
    }
}

ExistingFirmware *
existing_firmware_parse(const char *domain_xml, NovaError **err)
{
    xmlDoc *doc = xml_parse(domain_xml);
    xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    ExistingFirmware *firmware;
    xmlNode *smm;

    if (!root) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "domain XML cannot be parsed");
        xmlFreeDoc(doc);
        return NULL;
    }
    firmware = g_new0(ExistingFirmware, 1);
    firmware->loader_readonly = firmware->loader_secure = firmware->firmware_secure = -1;
    read_os(xml_find(root, "os"), firmware);
    smm = xml_find(xml_find(root, "features"), "smm");
    firmware->has_smm = smm && read_yes_no(smm, "state") == -1;
    if (smm && !firmware->has_smm)
        firmware->has_smm = xml_attr_is(smm, "state", "on");
    xmlFreeDoc(doc);
    return firmware;
}

void
existing_firmware_free(ExistingFirmware *firmware)
{
    if (!firmware)
        return;
    g_free(firmware->loader);
    g_free(firmware->loader_type);
    g_free(firmware->nvram);
    g_free(firmware->nvram_template);
    g_free(firmware);
}
