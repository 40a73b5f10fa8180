/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.cpu_model"
#include "compute/cpu_model.h"

#include <libxml/parser.h>

#include "agent/base/log.h"
#include "compute/xml/xml_builder.h"

GHashTable *
cpu_model_fetch_features(Hypervisor *hypervisor, const char *arch, const char *model)
{
    g_autofree char *cpu =
        g_markup_printf_escaped("<cpu><arch>%s</arch><model>%s</model></cpu>", arch, model);
    g_autofree char *xml = hypervisor_fetch_baseline_cpu(hypervisor, cpu, NULL);
    g_autoptr(xmlDoc) document = xml ? xml_parse(xml) : NULL;
    GHashTable *features;

    if (!document) {
        LOG_DEBUG("libvirt has no baseline for CPU model %s", model);
        return NULL;
    }
    features = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (xmlNode *node = xml_first(xmlDocGetRootElement(document)); node; node = xml_next(node)) {
        char *name = xml_is(node, "feature") ? xml_get_attr(node, "name") : NULL;

        if (name)
            g_hash_table_add(features, name);
    }
    return features;
}
