/* SPDX-License-Identifier: Apache-2.0 */
/* The quota:cpu_* part of <cputune> (LibvirtDriver._update_guest_cputune). */

#include "compute/xml/domain_build.h"

static const char *const quota_names[] = {"shares", "quota", "period"};

static bool
wants_quota(const DomainBuild *build)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(quota_names); i++) {
        g_autofree char *key = g_strconcat("quota:cpu_", quota_names[i], NULL);

        if (request_flavor(&build->request, key))
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
    for (unsigned i = 0; i < G_N_ELEMENTS(quota_names); i++) {
        g_autofree char *key = g_strconcat("quota:cpu_", quota_names[i], NULL);
        const char *text = request_flavor(&build->request, key);
        g_autofree char *value = NULL;
        xmlNode *node;

        if (!text)
            continue;
        value = python_int_text(text, err);
        if (!value)
            return false;
        node = xml_node(build->document, quota_names[i]);
        xml_set_text(node, value);
        insert(build->cputune, pins, node);
    }
    return true;
}
