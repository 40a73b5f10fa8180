/* SPDX-License-Identifier: Apache-2.0 */
/* The quota:cpu_* part of <cputune> (LibvirtDriver._update_guest_cputune). */

#include "compute/xml/domain_build.h"

static const struct {
    const char *element;
    const char *extra_spec;
} quotas[] = {
    {"shares", "quota:cpu_shares"},
    {"quota", "quota:cpu_quota"},
    {"period", "quota:cpu_period"},
};

static bool
wants_quota(const DomainBuild *build)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(quotas); i++) {
        if (request_flavor(&build->request, quotas[i].extra_spec))
            return true;
    }
    return false;
}

/* Before the pins, which were made first. */
static void
insert(xmlNode *cputune, xmlNode *pins, xmlNode *node)
{
    if (pins)
        xmlAddPrevSibling(pins, node);
    else
        xml_append(cputune, node);
}

bool
build_cpu_quota(DomainBuild *build, NovaError **err)
{
    xmlNode *pins;

    if (!wants_quota(build))
        return true;
    if (!build->in->facts->has_cpu_controller)
        return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_HOST_CPU_CONTROL_POLICY,
                              "Requested CPU control policy not supported by host");
    if (!build->cputune)
        build->cputune = xml_node(build->document, "cputune");
    pins = xml_first(build->cputune);
    for (unsigned i = 0; i < G_N_ELEMENTS(quotas); i++) {
        const char *text = request_flavor(&build->request, quotas[i].extra_spec);
        g_autofree char *value = NULL;
        xmlNode *node;

        if (!text)
            continue;
        value = python_int_text(text, err);
        if (!value)
            return false;
        node = xml_node(build->document, quotas[i].element);
        xml_set_text(node, value);
        insert(build->cputune, pins, node);
    }
    return true;
}
