/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.node_facts"
#include "compute/cpu_model.h"
#include "compute/node_facts.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <utmpx.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/versioned_object.h"
#include "compute/fit/reserved_pages.h"
#include "compute/traits.h"
#include "compute/xml/xml_builder.h"
#include "storage/disks.h"

/* What stands in the capabilities but not in NodeFacts, while it is made. */
typedef struct Making {
    NodeFacts *facts;
    const Options *options;
    Hypervisor *hypervisor;
    xmlDoc *document;
    xmlNode *host_cpu;
    xmlNode *cells;       /* <topology><cells>, NULL: none */
    int64_t threads;
    CpuSet online;
    GHashTable *guest_archs;
    GHashTable *disk_buses;
    GHashTable *video_models;
    GHashTable *tpm_models;
    GHashTable *tpm_versions;
    GArray *reserved;     /* of ReservedPages */
    bool supports_secure_boot;
    int release;
} Making;

static GHashTable *
string_set(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static void
making_clear(Making *making)
{
    g_clear_pointer(&making->document, xmlFreeDoc);
    cpu_set_clear(&making->online);
    g_clear_pointer(&making->reserved, g_array_unref);
    g_hash_table_unref(making->guest_archs);
    g_hash_table_unref(making->disk_buses);
    g_hash_table_unref(making->video_models);
    g_hash_table_unref(making->tpm_models);
    g_hash_table_unref(making->tpm_versions);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Making, making_clear)

static xmlDoc *
parse_xml(const char *xml, NovaError **err)
{
    xmlDoc *document = xml_parse(xml);

    if (!document)
        nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "libvirt sent XML that cannot be read");
    return document;
}

static int64_t
attr_int(const xmlNode *node, const char *name, int64_t fallback)
{
    g_autofree char *text = xml_get_attr(node, name);

    return text ? g_ascii_strtoll(text, NULL, 10) : fallback;
}

static char *
child_text(const xmlNode *parent, const char *name)
{
    xmlNode *child = parent ? xml_find(parent, name) : NULL;

    return child ? xml_get_text(child) : NULL;
}

/* ---- cpu_info ---- */

static json_t *
maxphysaddr_json(const xmlNode *cpu)
{
    xmlNode *node = xml_find(cpu, "maxphysaddr");
    g_autofree char *mode = node ? xml_get_attr(node, "mode") : NULL;

    return node ? json_pack("{s:s?, s:I}", "mode", mode, "bits", (json_int_t)attr_int(node, "bits", 0))
                : NULL;
}

static int64_t
count_children(const xmlNode *parent, const char *name)
{
    int64_t n = 0;

    for (xmlNode *node = parent ? xml_first(parent) : NULL; node; node = xml_next(node))
        n += xml_is(node, name);
    return n;
}

static char *
make_cpu_info(Making *making)
{
    const xmlNode *cpu = making->host_cpu;
    xmlNode *topology = xml_find(cpu, "topology");
    g_autofree char *model = child_text(cpu, "model");
    g_autofree char *vendor = child_text(cpu, "vendor");
    json_t *features = json_array();
    json_auto_t *info = NULL;

    making->threads = topology ? attr_int(topology, "threads", 1) : 1;
    info = json_pack(
        "{s:s, s:s?, s:s?, s:{s:I, s:I, s:I, s:I}, s:o*}", "arch", making->facts->arch, "model",
        model, "vendor", vendor, "topology", "cells",
        (json_int_t)MAX(count_children(making->cells, "cell"), 1), "sockets",
        (json_int_t)(topology ? attr_int(topology, "sockets", 1) : 1), "cores",
        (json_int_t)(topology ? attr_int(topology, "cores", 1) : 1), "threads",
        (json_int_t)making->threads, "maxphysaddr", making->release >= 29 ? maxphysaddr_json(cpu) : NULL);
    for (xmlNode *node = xml_first(cpu); node; node = xml_next(node)) {
        g_autofree char *name = xml_is(node, "feature") ? xml_get_attr(node, "name") : NULL;

        if (name)
            json_array_append_new(features, json_string(name));
    }
    json_object_set_new(info, "features", features);
    return json_to_python_text(info);
}

/* ---- supported instances ---- */

static const char *
vm_mode_of(const char *os_type)
{
    return strcmp(os_type, "linux") == 0 ? "xen" : os_type;
}

static const char *
canonical_arch(const char *arch)
{
    if (strcmp(arch, "i386") == 0 || strcmp(arch, "i486") == 0 || strcmp(arch, "i586") == 0)
        return "i686";
    return strcmp(arch, "amd64") == 0 ? "x86_64" : arch;
}

static void
add_guest(Making *making, const xmlNode *guest)
{
    g_autofree char *os_type = child_text(guest, "os_type");
    xmlNode *arch = xml_find(guest, "arch");
    g_autofree char *arch_name = arch ? xml_get_attr(arch, "name") : NULL;

    if (!os_type || !arch_name)
        return;
    for (xmlNode *domain = xml_first(arch); domain; domain = xml_next(domain)) {
        g_autofree char *type = xml_is(domain, "domain") ? xml_get_attr(domain, "type") : NULL;

        if (type)
            json_array_append_new(making->facts->supported_instances,
                                  json_pack("[s, s, s]", canonical_arch(arch_name), type,
                                            vm_mode_of(os_type)));
    }
}

/* ---- CPU sets ---- */

static bool
parse_cpu_option(Making *making, const char *name, const char *spec, CpuSet *set, NovaError **err)
{
    if (!cpu_set_parse(spec, set, err))
        return nova_error_prefix(err, "%s", name);
    if (!cpu_set_is_subset(set, &making->online)) {
        g_autofree char *online = cpu_set_format(&making->online);
        g_autofree char *wanted = cpu_set_format(set);

        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Invalid '%s' config: one or more of the specified CPUs is not "
                              "online. Online cpuset(s): %s, requested cpuset(s): %s",
                              name, online, wanted);
    }
    return true;
}

static bool
is_text(const char *text)
{
    return text && *text;
}

/* vcpu_pin_set, then [compute]cpu_shared_set, then none if only dedicated, else all that is online. */
static bool
make_shared_cpus(Making *making, NovaError **err)
{
    const char *legacy = making->options->default_group.vcpu_pin_set;
    const char *shared = making->options->compute.cpu_shared_set;
    CpuSet *set = &making->facts->shared_cpus;

    if (is_text(legacy))
        return parse_cpu_option(making, "vcpu_pin_set", legacy, set, err);
    if (is_text(shared))
        return parse_cpu_option(making, "[compute] cpu_shared_set", shared, set, err);
    if (!is_text(making->options->compute.cpu_dedicated_set))
        cpu_set_copy(set, &making->online);
    return true;
}

static bool
make_dedicated_cpus(Making *making, NovaError **err)
{
    const char *dedicated = making->options->compute.cpu_dedicated_set;

    if (!is_text(dedicated))
        return true;
    if (is_text(making->options->default_group.vcpu_pin_set))
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "The 'vcpu_pin_set' config option has been deprecated and cannot be "
                              "used with '[compute] cpu_dedicated_set'");
    return parse_cpu_option(making, "[compute] cpu_dedicated_set", dedicated,
                            &making->facts->dedicated_cpus, err);
}

/* ---- NUMA topology ---- */

static json_t *
cpu_list(const CpuSet *set)
{
    json_t *list = json_array();

    for (int64_t cpu = cpu_set_next(set, 0); cpu >= 0; cpu = cpu_set_next(set, cpu + 1))
        json_array_append_new(list, json_integer(cpu));
    return list;
}

static json_t *
pages_json(Making *making, const xmlNode *cell, int64_t cell_id)
{
    json_t *list = json_array();

    for (xmlNode *pages = xml_first(cell); pages; pages = xml_next(pages)) {
        g_autofree char *total = xml_is(pages, "pages") ? xml_get_text(pages) : NULL;
        int64_t size = attr_int(pages, "size", 0);

        if (total)
            json_array_append_new(
                list, object_new_primitive("NUMAPagesTopology", "1.1",
                                 json_pack("{s:I, s:I, s:I, s:I}", "size_kb", (json_int_t)size,
                                           "total", (json_int_t)g_ascii_strtoll(total, NULL, 10),
                                           "used", (json_int_t)0, "reserved",
                                           (json_int_t)reserved_pages_find(making->reserved, cell_id, size))));
    }
    return list;
}

/* Adds a sibling set unless it stands there already; the list is sorted by first CPU. */
static void
add_siblings(GPtrArray *sets, const char *spec, const CpuSet *usable)
{
    g_autofree CpuSet *set = g_new0(CpuSet, 1);

    if (!cpu_set_parse(spec, set, NULL)) {
        cpu_set_clear(set);
        return;
    }
    cpu_set_intersect(set, usable);
    for (guint i = 0; i < sets->len; i++)
        if (cpu_set_equal(sets->pdata[i], set)) {
            cpu_set_clear(set);
            return;
        }
    if (!cpu_set_is_empty(set))
        g_ptr_array_add(sets, g_steal_pointer(&set));
}

static void
free_cpu_set(void *data)
{
    cpu_set_clear(data);
    g_free(data);
}

static gint
by_first_cpu(gconstpointer a, gconstpointer b)
{
    int64_t x = cpu_set_next(*(CpuSet *const *)a, 0);
    int64_t y = cpu_set_next(*(CpuSet *const *)b, 0);

    return (x > y) - (x < y);
}

static json_t *
siblings_json(const xmlNode *cpus, const CpuSet *usable)
{
    g_autoptr(GPtrArray) sets = g_ptr_array_new_with_free_func(free_cpu_set);
    json_t *list = json_array();

    for (xmlNode *cpu = cpus ? xml_first(cpus) : NULL; cpu; cpu = xml_next(cpu)) {
        g_autofree char *spec = xml_get_attr(cpu, "siblings");

        if (spec)
            add_siblings(sets, spec, usable);
    }
    g_ptr_array_sort(sets, by_first_cpu);
    for (guint i = 0; i < sets->len; i++)
        json_array_append_new(list, cpu_list(sets->pdata[i]));
    return list;
}

static void
read_cell_cpus(const xmlNode *cpus, CpuSet *set, int64_t *ret_socket)
{
    bool one_socket = true;
    int64_t socket = -1;

    for (xmlNode *cpu = cpus ? xml_first(cpus) : NULL; cpu; cpu = xml_next(cpu)) {
        int64_t its_socket = attr_int(cpu, "socket_id", -1);

        cpu_set_add(set, attr_int(cpu, "id", -1));
        if (socket >= 0 && its_socket != socket)
            one_socket = false;
        socket = its_socket;
    }
    *ret_socket = one_socket ? socket : -1;
}

static bool
physnet_is_on(const Options *options, const char *physnet, int64_t cell_id)
{
    g_auto(CpuSet) nodes = {0};
    const char *spec = g_hash_table_lookup(options->neutron_physnets, physnet);

    return spec && cpu_set_parse(spec, &nodes, NULL) && cpu_set_has(&nodes, cell_id);
}

static json_t *
network_metadata_json(Making *making, int64_t cell_id)
{
    g_auto(CpuSet) tunnel_nodes = {0};
    const char *tunnel = making->options->neutron_tunnel.numa_nodes;
    json_t *physnets = json_array();
    bool tunneled = is_text(tunnel) && cpu_set_parse(tunnel, &tunnel_nodes, NULL) &&
                    cpu_set_has(&tunnel_nodes, cell_id);

    for (char **physnet = making->options->neutron.physnets; physnet && *physnet; physnet++)
        if (physnet_is_on(making->options, *physnet, cell_id))
            json_array_append_new(physnets, json_string(*physnet));
    return object_new_primitive("NetworkMetadata", "1.0",
                      json_pack("{s:o, s:b}", "physnets", physnets, "tunneled", tunneled));
}

/* Without [compute]cpu_dedicated_set and cpu_shared_set, pinned guests may use the shared CPUs. */
static const CpuSet *
pinnable_cpus(Making *making)
{
    const NodeFacts *facts = making->facts;

    if (cpu_set_is_empty(&facts->dedicated_cpus) &&
        !(is_text(making->options->compute.cpu_shared_set) &&
          !is_text(making->options->default_group.vcpu_pin_set)))
        return &facts->shared_cpus;
    return &facts->dedicated_cpus;
}

static json_t *
cell_json(Making *making, const xmlNode *cell)
{
    xmlNode *cpus = xml_find(cell, "cpus");
    int64_t id = attr_int(cell, "id", 0);
    g_autofree char *memory = child_text(cell, "memory");
    g_auto(CpuSet) all = {0}, shared = {0}, pinnable = {0}, usable = {0};
    json_t *data;
    int64_t socket;

    read_cell_cpus(cpus, &all, &socket);
    cpu_set_copy(&shared, &all);
    cpu_set_intersect(&shared, &making->facts->shared_cpus);
    cpu_set_copy(&pinnable, &all);
    cpu_set_intersect(&pinnable, pinnable_cpus(making));
    cpu_set_copy(&usable, &shared);
    cpu_set_unite(&usable, &pinnable);
    data = json_pack("{s:I, s:o, s:o, s:I, s:i, s:i, s:[], s:o, s:o, s:o}", "id", (json_int_t)id,
                     "cpuset", cpu_list(&shared), "pcpuset", cpu_list(&pinnable), "memory",
                     (json_int_t)(memory ? g_ascii_strtoll(memory, NULL, 10) / 1024 : 0),
                     "cpu_usage", 0, "memory_usage", 0, "pinned_cpus", "siblings",
                     siblings_json(cpus, &usable), "mempages", pages_json(making, cell, id),
                     "network_metadata", network_metadata_json(making, id));
    json_object_set_new(data, "socket", socket >= 0 ? json_integer(socket) : json_null());
    return object_new_primitive("NUMACell", "1.5", data);
}

static char *
make_numa_topology(Making *making)
{
    json_auto_t *topology = NULL;
    json_t *cells;

    if (count_children(making->cells, "cell") == 0)
        return NULL;
    cells = json_array();
    for (xmlNode *cell = xml_first(making->cells); cell; cell = xml_next(cell))
        if (xml_is(cell, "cell"))
            json_array_append_new(cells, cell_json(making, cell));
    topology = object_new_primitive("NUMATopology", "1.2", json_pack("{s:o}", "cells", cells));
    return json_to_python_text(topology);
}

/* ---- traits ---- */

/* Values of <enum name="..."> below a node, into a set. */
static void
collect_enum(const xmlNode *parent, const char *name, GHashTable *set)
{
    for (xmlNode *node = parent ? xml_first(parent) : NULL; node; node = xml_next(node)) {
        if (!xml_is(node, "enum") || !xml_attr_is(node, "name", name))
            continue;
        for (xmlNode *value = xml_first(node); value; value = xml_next(value))
            g_hash_table_add(set, xml_get_text(value));
    }
}

static void
collect_devices(Making *making, const xmlNode *root, bool is_host_arch)
{
    xmlNode *devices = xml_find(root, "devices");
    xmlNode *os = xml_find(root, "os");
    xmlNode *loader = os ? xml_find(os, "loader") : NULL;
    xmlNode *tpm = devices ? xml_find(devices, "tpm") : NULL;
    g_autoptr(GHashTable) secure = string_set(), tpm_backends = string_set();

    collect_enum(devices ? xml_find(devices, "disk") : NULL, "bus", making->disk_buses);
    collect_enum(devices ? xml_find(devices, "video") : NULL, "modelType", making->video_models);
    collect_enum(tpm, "model", making->tpm_models);
    collect_enum(tpm, "backendVersion", making->tpm_versions);
    collect_enum(loader, "secure", secure);
    collect_enum(tpm, "backendModel", tpm_backends);
    if (is_host_arch && g_hash_table_contains(secure, "yes"))
        making->supports_secure_boot = true;
    if (is_host_arch && g_hash_table_contains(tpm_backends, "emulator"))
        making->facts->emulates_tpm = true;
}

/* A machine that this emulator does not have is no error: Nova skips it, too. */
static void
collect_domain_capabilities(Making *making, const char *arch, const char *machine)
{
    g_autofree char *xml = hypervisor_fetch_domain_capabilities(
        making->hypervisor, NULL, arch, machine, making->options->libvirt.virt_type, NULL);
    xmlDoc *document = xml ? parse_xml(xml, NULL) : NULL;

    if (!document)
        return;
    g_hash_table_add(making->guest_archs, g_strdup(arch));
    collect_devices(making, xmlDocGetRootElement(document),
                    strcmp(arch, making->facts->arch) == 0);
    xmlFreeDoc(document);
}

static void
collect_arch(Making *making, const char *arch)
{
    bool is_x86 = strcmp(arch, "x86_64") == 0 || strcmp(arch, "i686") == 0;

    if (!is_x86) {
        collect_domain_capabilities(making, arch, NULL);
        return;
    }
    collect_domain_capabilities(making, arch, "pc");
    collect_domain_capabilities(making, arch, "q35");
}

static void
collect_all_capabilities(Making *making)
{
    g_autoptr(GHashTable) archs = string_set();
    GHashTableIter iter;
    void *arch;
    size_t i;
    json_t *row;

    json_array_foreach (making->facts->supported_instances, i, row)
        g_hash_table_add(archs, g_strdup(json_string_value(json_array_get(row, 0))));
    g_hash_table_iter_init(&iter, archs);
    while (g_hash_table_iter_next(&iter, &arch, NULL))
        collect_arch(making, arch);
}

static void
collect_features(const xmlNode *cpu, GHashTable *features)
{
    for (xmlNode *node = xml_first(cpu); node; node = xml_next(node)) {
        char *name = xml_is(node, "feature") ? xml_get_attr(node, "name") : NULL;

        if (name)
            g_hash_table_add(features, name);
    }
}

static void
collect_baseline(Making *making, const char *model, GHashTable *features)
{
    g_autoptr(GHashTable) known = cpu_model_fetch_features(making->hypervisor, making->facts->arch, model);
    GHashTableIter iter;
    void *name;

    if (!known)
        return;
    g_hash_table_iter_init(&iter, known);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        g_hash_table_add(features, g_strdup(name));
}

static void
collect_extra_flags(const Options *options, GHashTable *features)
{
    for (char **flag = options->libvirt.cpu_model_extra_flags; flag && *flag; flag++) {
        const char *name = **flag == '+' || **flag == '-' ? *flag + 1 : *flag;

        g_hash_table_add(features, g_ascii_strdown(name, -1));
    }
}

/* LibvirtDriver._get_cpu_feature_traits(): the features that guests get by cpu_mode. */
static GHashTable *
guest_cpu_features(Making *making)
{
    const OptionsLibvirt *libvirt = &making->options->libvirt;
    const char *mode = libvirt->cpu_mode ? libvirt->cpu_mode : "host-model";
    GHashTable *features = string_set();

    if (strcmp(mode, "none") == 0) {
        collect_baseline(making, strcmp(making->facts->arch, "i686") == 0 ? "qemu32" : "qemu64",
                         features);
        return features;
    }
    if (strcmp(mode, "custom") == 0)
        for (char **model = libvirt->cpu_models; model && *model; model++)
            collect_baseline(making, *model, features);
    else
        collect_features(making->host_cpu, features);
    collect_extra_flags(making->options, features);
    return features;
}

static bool
requires_raw_images(const Options *options)
{
    const char *type = options->libvirt.images_type;

    return (strcmp(type, "rbd") == 0 || strcmp(type, "lvm") == 0) &&
           !options->default_group.force_raw_images;
}

static void
make_traits(Making *making)
{
    g_autoptr(GHashTable) features = guest_cpu_features(making);
    const Options *options = making->options;
    TraitsInput input = {
        .virt_type = options->libvirt.virt_type,
        .host_arch = making->facts->arch,
        .libvirt_version = making->facts->libvirt_version,
        .qemu_version = making->facts->qemu_version,
        .release = making->release,
        .has_hyperthreading = making->threads > 1,
        .swtpm_enabled = options->libvirt.swtpm_enabled,
        .requires_raw_images = requires_raw_images(options),
        .supports_secure_boot = making->supports_secure_boot,
        .supports_mem_backing_file = options->libvirt.file_backed_memory > 0,
        .excluded_image_types = (const char *const *)options->compute.image_type_exclude_list,
        .tpm_secret_security = (const char *const *)options->libvirt.supported_tpm_secret_security,
        .cpu_features = features,
        .guest_archs = making->guest_archs,
        .disk_buses = making->disk_buses,
        .video_models = making->video_models,
        .tpm_models = making->tpm_models,
        .tpm_versions = g_hash_table_size(making->tpm_versions) ? making->tpm_versions : NULL,
    };

    making->facts->traits = traits_make(&input);
}

/* ---- all of it ---- */

/* libvirt names only the features that the model does not have by itself. */
static char *
short_cpu_text(const xmlNode *host_cpu)
{
    static const char *const wanted[] = {"arch", "model", "vendor", "topology", "maxphysaddr",
                                         "feature"};
    xmlNode *cpu = xmlNewNode(NULL, (const xmlChar *)"cpu");
    xmlBuffer *buffer = xmlBufferCreate();
    char *text;

    for (const xmlNode *node = xml_first(host_cpu); node; node = xml_next(node))
        for (size_t i = 0; i < G_N_ELEMENTS(wanted); i++)
            if (xml_is(node, wanted[i]))
                xmlAddChild(cpu, xmlCopyNode((xmlNode *)node, 1));
    xmlNodeDump(buffer, NULL, cpu, 0, 0);
    text = g_strdup((const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    xmlFreeNode(cpu);
    return text;
}

static void
remove_features(xmlNode *cpu)
{
    for (xmlNode *node = xml_first(cpu), *next; node; node = next) {
        next = xml_next(node);
        if (xml_is(node, "feature")) {
            xmlUnlinkNode(node);
            xmlFreeNode(node);
        }
    }
}

/* All features of the host's CPU in place of those beside its model (Host.get_capabilities). */
static void
expand_host_features(Making *making)
{
    g_autofree char *cpu = short_cpu_text(making->host_cpu);
    g_autofree char *xml = NULL;
    g_autoptr(NovaError) error = NULL;
    xmlDoc *document;

    if (!xml_find(making->host_cpu, "model") || strcmp(making->facts->arch, "aarch64") == 0)
        return;
    xml = hypervisor_fetch_baseline_cpu(making->hypervisor, cpu, &error);
    document = xml ? parse_xml(xml, &error) : NULL;
    if (!document) {
        LOG_WARNING("The host's CPU features are not known in full: %s", nova_error_details(error));
        return;
    }
    remove_features(making->host_cpu);
    for (const xmlNode *node = xml_first(xmlDocGetRootElement(document)); node; node = xml_next(node))
        if (xml_is(node, "feature"))
            xmlAddChild(making->host_cpu, xmlDocCopyNode((xmlNode *)node, making->document, 1));
    xmlFreeDoc(document);
}

static bool
read_capabilities(Making *making, NovaError **err)
{
    g_autofree char *xml = hypervisor_fetch_capabilities(making->hypervisor, err);
    xmlNode *root, *host, *topology;

    if (!xml)
        return false;
    making->document = parse_xml(xml, err);
    if (!making->document)
        return false;
    root = xmlDocGetRootElement(making->document);
    host = xml_find(root, "host");
    making->host_cpu = host ? xml_find(host, "cpu") : NULL;
    if (!making->host_cpu)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "libvirt's capabilities have no CPU");
    topology = xml_find(host, "topology");
    making->cells = topology ? xml_find(topology, "cells") : NULL;
    making->facts->arch = child_text(making->host_cpu, "arch");
    if (!making->facts->arch)
        making->facts->arch = g_strdup("x86_64");
    expand_host_features(making);
    for (xmlNode *guest = xml_first(root); guest; guest = xml_next(guest))
        if (xml_is(guest, "guest"))
            add_guest(making, guest);
    return true;
}

static bool
read_online_cpus(Making *making, NovaError **err)
{
    g_autoptr(GArray) cpus = hypervisor_fetch_online_cpus(making->hypervisor, err);

    for (guint i = 0; cpus && i < cpus->len; i++)
        cpu_set_add(&making->online, g_array_index(cpus, int, i));
    return cpus != NULL;
}

static bool
make_facts(Making *making, NovaError **err)
{
    NodeFacts *facts = making->facts;
    uint64_t memory_kib;

    facts->hostname = hypervisor_fetch_hostname(making->hypervisor, err);
    if (!facts->hostname ||
        !hypervisor_fetch_versions(making->hypervisor, &facts->libvirt_version,
                                   &facts->qemu_version, err) ||
        !hypervisor_fetch_memory(making->hypervisor, &memory_kib, err) ||
        !read_online_cpus(making, err) || !read_capabilities(making, err) ||
        !make_shared_cpus(making, err) || !make_dedicated_cpus(making, err))
        return false;
    facts->memory_mib = making->options->libvirt.file_backed_memory > 0
                            ? making->options->libvirt.file_backed_memory
                            : (int64_t)(memory_kib / 1024);
    making->reserved = reserved_pages_parse(
        (const char *const *)making->options->default_group.reserved_huge_pages, err);
    if (!making->reserved)
        return false;
    facts->cpu_info = make_cpu_info(making);
    facts->numa_topology = make_numa_topology(making);
    collect_all_capabilities(making);
    make_traits(making);
    return true;
}

NodeFacts *
node_facts_fetch(Hypervisor *hypervisor, const Options *options, int release, NovaError **err)
{
    g_autoptr(NodeFacts) facts = g_new0(NodeFacts, 1);
    g_auto(Making) making = {
        .facts = facts,
        .options = options,
        .hypervisor = hypervisor,
        .release = release,
        .guest_archs = string_set(),
        .disk_buses = string_set(),
        .video_models = string_set(),
        .tpm_models = string_set(),
        .tpm_versions = string_set(),
    };

    facts->supported_instances = json_array();
    if (!make_facts(&making, err))
        return NULL;
    return g_steal_pointer(&facts);
}

void
node_facts_free(NodeFacts *facts)
{
    if (!facts)
        return;
    g_free(facts->hostname);
    g_free(facts->arch);
    g_free(facts->cpu_info);
    g_free(facts->numa_topology);
    json_decref(facts->supported_instances);
    cpu_set_clear(&facts->shared_cpus);
    cpu_set_clear(&facts->dedicated_cpus);
    if (facts->traits)
        g_ptr_array_unref(facts->traits);
    g_free(facts);
}

bool
node_facts_fetch_disk(const Options *options, DiskSpace *ret_space, NovaError **err)
{
    const uint64_t gib = 1024 * 1024 * 1024;
    StoreSpace space;

    if (!disks_fetch_space(options, &space, err))
        return false;
    *ret_space = (DiskSpace){
        .total_gib = (int64_t)(space.total / gib),
        .used_gib = (int64_t)(space.used / gib),
        .free_bytes = (int64_t)space.free,
    };
    return true;
}

static int64_t
meminfo_kib(const char *text, const char *key)
{
    const char *line = strstr(text, key);

    return line ? g_ascii_strtoll(line + strlen(key), NULL, 10) : 0;
}

int64_t
node_facts_fetch_memory_used_mib(const NodeFacts *facts)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/proc/meminfo", &text, NULL, NULL))
        return 0;
    return facts->memory_mib - (meminfo_kib(text, "MemFree:") + meminfo_kib(text, "Buffers:") +
                                meminfo_kib(text, "\nCached:")) / 1024;
}

static int
count_users(void)
{
    struct utmpx *entry;
    int n = 0;

    setutxent();
    while ((entry = getutxent()))
        n += entry->ut_type == USER_PROCESS && entry->ut_user[0] != '\0';
    endutxent();
    return n;
}

char *
node_facts_fetch_uptime(void)
{
    g_autoptr(GString) text = g_string_new(NULL);
    double loads[3] = {0, 0, 0};
    struct sysinfo info;
    struct tm local;
    time_t now = time(NULL);
    long minutes, hours, days;
    int users = count_users();

    if (sysinfo(&info) < 0)
        return g_strdup("");
    (void)!getloadavg(loads, 3);
    localtime_r(&now, &local);
    days = info.uptime / 86400;
    hours = info.uptime / 3600 % 24;
    minutes = info.uptime / 60 % 60;
    g_string_append_printf(text, " %02d:%02d:%02d up ", local.tm_hour, local.tm_min, local.tm_sec);
    if (days)
        g_string_append_printf(text, "%ld day%s, ", days, days == 1 ? "" : "s");
    if (hours)
        g_string_append_printf(text, "%2ld:%02ld, ", hours, minutes);
    else
        g_string_append_printf(text, "%ld min, ", minutes);
    g_string_append_printf(text, "%2d user%s,  load average: %.2f, %.2f, %.2f\n", users,
                           users > 1 ? "s" : "", loads[0], loads[1], loads[2]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}
