/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/capabilities.h"

#include <libxml/parser.h>
#include <string.h>

#include "compute/xml/xml_builder.h"

typedef void (*ElementReader)(const xmlNode *element, void *into);

static void
for_each(const xmlNode *parent, const char *name, ElementReader read, void *into)
{
    for (xmlNode *node = xml_first(parent); node; node = xml_next(node)) {
        if (xml_is(node, name))
            read(node, into);
    }
}

static int64_t
get_int(const xmlNode *node, const char *attribute, int64_t fallback)
{
    g_autofree char *text = attribute ? xml_get_attr(node, attribute) : xml_get_text(node);

    return text ? g_ascii_strtoll(text, NULL, 10) : fallback;
}

static xmlDoc *
parse_document(const char *xml, const char *root, NovaError **err)
{
    xmlDoc *doc = xml_parse(xml);
    xmlNode *element = doc ? xmlDocGetRootElement(doc) : NULL;

    if (element && xml_is(element, root))
        return doc;
    nova_error_set(err, NOVA_ERROR_INVALID_INPUT, "Root element name should be '%s'", root);
    xmlFreeDoc(doc);
    return NULL;
}

static void
clear_cpu(void *cpu)
{
    cpu_set_clear(&((HostCpu *)cpu)->siblings);
}

static void
cell_free(void *cell)
{
    g_array_unref(((HostCell *)cell)->pages);
    g_array_unref(((HostCell *)cell)->cpus);
    g_free(cell);
}

static void
read_pages(const xmlNode *element, void *cell)
{
    const HostPages pages = {get_int(element, "size", 0), get_int(element, NULL, 0)};

    g_array_append_val(((HostCell *)cell)->pages, pages);
}

static void
read_cell_cpu(const xmlNode *element, void *cell)
{
    g_autofree char *siblings = xml_get_attr(element, "siblings");
    HostCpu cpu = {
        .id = get_int(element, "id", 0),
        .socket_id = get_int(element, "socket_id", -1),
        .core_id = get_int(element, "core_id", -1),
    };

    if (siblings && !cpu_set_parse(siblings, &cpu.siblings, NULL))
        cpu_set_clear(&cpu.siblings);
    g_array_append_val(((HostCell *)cell)->cpus, cpu);
}

static void
read_cell(const xmlNode *element, void *cells)
{
    HostCell *cell = g_new0(HostCell, 1);
    const xmlNode *memory = xml_find(element, "memory");

    cell->id = get_int(element, "id", 0);
    cell->memory_kib = memory ? get_int(memory, NULL, 0) : 0;
    cell->pages = g_array_new(FALSE, FALSE, sizeof(HostPages));
    cell->cpus = g_array_new(FALSE, FALSE, sizeof(HostCpu));
    g_array_set_clear_func(cell->cpus, clear_cpu);
    for_each(element, "pages", read_pages, cell);
    for_each(xml_find(element, "cpus"), "cpu", read_cell_cpu, cell);
    g_ptr_array_add(cells, cell);
}

static void
read_feature(const xmlNode *element, void *features)
{
    char *name = xml_get_attr(element, "name");

    if (name && !xml_attr_is(element, "policy", "disable"))
        g_hash_table_add(features, name);
    else
        g_free(name);
}

static void
read_host_cpu(const xmlNode *cpu, HostCapabilities *capabilities)
{
    const xmlNode *topology = xml_find(cpu, "topology");

    capabilities->arch = xml_get_text(xml_find(cpu, "arch"));
    capabilities->cpu_model = xml_get_text(xml_find(cpu, "model"));
    capabilities->cpu_vendor = xml_get_text(xml_find(cpu, "vendor"));
    if (topology) {
        capabilities->sockets = get_int(topology, "sockets", 0);
        capabilities->cores = get_int(topology, "cores", 0);
        capabilities->threads = get_int(topology, "threads", 0);
    }
    for_each(cpu, "feature", read_feature, capabilities->cpu_features);
}

static void
add_machine(const xmlNode *element, HostCapabilities *capabilities, bool is_alias)
{
    g_autofree char *canonical = xml_get_attr(element, "canonical");
    char *name = (canonical != NULL) == is_alias ? xml_get_text(element) : NULL;

    if (!name)
        return;
    g_ptr_array_add(capabilities->machine_names, name);
    g_hash_table_add(capabilities->machines, name);
}

static void
read_machine(const xmlNode *element, void *capabilities)
{
    add_machine(element, capabilities, false);
}

static void
read_machine_alias(const xmlNode *element, void *capabilities)
{
    add_machine(element, capabilities, true);
}

static void
read_guest(const xmlNode *guest, void *capabilities)
{
    for_each(xml_find(guest, "arch"), "machine", read_machine, capabilities);
    for_each(xml_find(guest, "arch"), "machine", read_machine_alias, capabilities);
}

static GHashTable *
new_name_set(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

HostCapabilities *
host_capabilities_parse(const char *xml, NovaError **err)
{
    xmlDoc *doc = parse_document(xml, "capabilities", err);
    HostCapabilities *capabilities;
    const xmlNode *root, *host, *topology;

    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);
    host = xml_find(root, "host");
    topology = xml_find(host, "topology");
    capabilities = g_new0(HostCapabilities, 1);
    capabilities->cpu_features = new_name_set();
    capabilities->machine_names = g_ptr_array_new_with_free_func(g_free);
    capabilities->machines = g_hash_table_new(g_str_hash, g_str_equal);
    capabilities->cells = g_ptr_array_new_with_free_func(cell_free);
    capabilities->uuid = xml_get_text(xml_find(host, "uuid"));
    capabilities->has_topology = topology != NULL;
    read_host_cpu(xml_find(host, "cpu"), capabilities);
    for_each(xml_find(topology, "cells"), "cell", read_cell, capabilities->cells);
    for_each(root, "guest", read_guest, capabilities);
    xmlFreeDoc(doc);
    return capabilities;
}

void
host_capabilities_free(HostCapabilities *capabilities)
{
    if (!capabilities)
        return;
    g_free(capabilities->uuid);
    g_free(capabilities->arch);
    g_free(capabilities->cpu_model);
    g_free(capabilities->cpu_vendor);
    g_hash_table_unref(capabilities->cpu_features);
    g_hash_table_unref(capabilities->machines);
    g_ptr_array_unref(capabilities->machine_names);
    g_ptr_array_unref(capabilities->cells);
    g_free(capabilities);
}

/* <enum name="NAME"> below 'parent'. */
static const xmlNode *
find_enum(const xmlNode *parent, const char *name)
{
    for (xmlNode *node = xml_first(parent); node; node = xml_next(node)) {
        if (xml_is(node, "enum") && xml_attr_is(node, "name", name))
            return node;
    }
    return NULL;
}

static bool
enum_has(const xmlNode *parent, const char *name, const char *wanted)
{
    const xmlNode *values = find_enum(parent, name);

    for (xmlNode *node = xml_first(values); node; node = xml_next(node)) {
        g_autofree char *value = xml_get_text(node);

        if (xml_is(node, "value") && value && !strcmp(value, wanted))
            return true;
    }
    return false;
}

static bool
is_supported(const xmlNode *parent, const char *name)
{
    const xmlNode *node = xml_find(parent, name);

    return node && xml_attr_is(node, "supported", "yes");
}

static void
read_cpu_model(const xmlNode *element, void *models)
{
    char *name = xml_get_text(element);

    if (name)
        g_hash_table_add(models, name);
}

static void
read_cpu_mode(const xmlNode *element, void *models)
{
    if (xml_attr_is(element, "name", "custom"))
        for_each(element, "model", read_cpu_model, models);
}

DomainCapabilities *
domain_capabilities_parse(const char *xml, NovaError **err)
{
    xmlDoc *doc = parse_document(xml, "domainCapabilities", err);
    DomainCapabilities *capabilities;
    const xmlNode *root, *loader, *features;

    if (!doc)
        return NULL;
    root = xmlDocGetRootElement(doc);
    loader = xml_find(xml_find(root, "os"), "loader");
    features = xml_find(root, "features");
    capabilities = g_new0(DomainCapabilities, 1);
    capabilities->machine = xml_get_text(xml_find(root, "machine"));
    capabilities->arch = xml_get_text(xml_find(root, "arch"));
    capabilities->supports_uefi = enum_has(loader, "type", "pflash");
    capabilities->supports_secure_boot = enum_has(loader, "secure", "yes");
    capabilities->supports_sev = is_supported(features, "sev");
    capabilities->supports_sev_snp =
        is_supported(features, "launchSecurity") &&
        enum_has(xml_find(features, "launchSecurity"), "sectype", "sev-snp");
    capabilities->supports_tdx = is_supported(features, "tdx");
    capabilities->cpu_models = new_name_set();
    for_each(xml_find(root, "cpu"), "mode", read_cpu_mode, capabilities->cpu_models);
    xmlFreeDoc(doc);
    return capabilities;
}

void
domain_capabilities_free(DomainCapabilities *capabilities)
{
    if (!capabilities)
        return;
    g_free(capabilities->machine);
    g_free(capabilities->arch);
    g_hash_table_unref(capabilities->cpu_models);
    g_free(capabilities);
}
