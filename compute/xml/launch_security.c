/* SPDX-License-Identifier: Apache-2.0 */
/* <launchSecurity>: encrypted guest memory (LibvirtDriver._guest_configure_mem_encryption). */

#include "compute/xml/domain_build.h"

/* NODBG | NOKS | DOMAIN | SEV, and ES; QEMU's target/i386/sev.h */
#define SEV_POLICY "0x0033"
#define SEV_ES_POLICY "0x0037"
/* SMT | RESERVED */
#define SEV_SNP_POLICY "0x00030000"

static void
add_sev(xmlNode *node, const char *policy)
{
    xml_attr(node, "type", "sev");
    xml_child_text(node, "policy", policy);
}

static void
add_sev_snp(xmlNode *node, bool has_kernel)
{
    xml_attr(node, "type", "sev-snp");
    xml_attr(node, "authorKey", "no");
    xml_attr(node, "vcek", "yes");
    xml_attr(node, "kernelHashes", xml_yes_no(has_kernel));
    xml_child_text(node, "policy", SEV_SNP_POLICY);
}

/* TDX firmware has no SMM, which a secure loader would ask for. */
static void
add_tdx(DomainBuild *build, xmlNode *node)
{
    xml_attr(node, "type", "tdx");
    xml_child(node, "quoteGenerationService");
    build->os.loader_readonly = TRISTATE_TRUE;
    build->os.loader_secure = TRISTATE_UNSET;
}

void
build_launch_security(DomainBuild *build)
{
    const char *kernel_id = build->in->instance->kernel_id;

    if (build->encryption == MEMORY_ENCRYPTION_NONE)
        return;
    build->launch_security = xml_node(build->document, "launchSecurity");
    switch (build->encryption) {
    case MEMORY_ENCRYPTION_SEV:
        add_sev(build->launch_security, SEV_POLICY);
        break;
    case MEMORY_ENCRYPTION_SEV_ES:
        add_sev(build->launch_security, SEV_ES_POLICY);
        break;
    case MEMORY_ENCRYPTION_SEV_SNP:
        add_sev_snp(build->launch_security, kernel_id && *kernel_id);
        break;
    case MEMORY_ENCRYPTION_TDX:
        add_tdx(build, build->launch_security);
        break;
    case MEMORY_ENCRYPTION_NONE:
        break;
    }
}
