/* SPDX-License-Identifier: Apache-2.0 */
/* <vcpu cpuset>, <numatune>, <cpu><numa> and the pins of <cputune>: the guest's NUMA topology, as
 * it was fitted to this host (LibvirtDriver._get_guest_numa_config). */

#include <string.h>

#include "compute/fit/saturate.h"
#include "compute/xml/domain_build.h"

/* A guest cell and the host cell that bears the same id. */
typedef struct CellPair {
    const GuestCell *guest;
    const HostCell *host;
    CpuSet shared_cpus; /* of the host cell, for vCPUs that are not pinned */
} CellPair;

typedef struct VcpuPin {
    int64_t vcpu;
    CpuSet cpus;
} VcpuPin;

const HostCell *
find_host_cell(const DomainBuild *build, int64_t id)
{
    const GPtrArray *cells = build->in->host->cells;

    for (guint i = 0; i < cells->len; i++) {
        if (((const HostCell *)cells->pdata[i])->id == id)
            return cells->pdata[i];
    }
    return NULL;
}

static bool
host_supports_numa(const DomainBuild *build)
{
    const char *arch = build->in->host->arch;

    return arch_is_x86(arch) || arch_is_aarch64(arch) || arch_is_ppc64(arch);
}

static bool
is_set(const char *text)
{
    return text && *text;
}

/* ---- CPUs of the host that may be used ---- */

static bool
parse_option_set(const char *spec, const char *option, CpuSet *set, NovaError **err)
{
    if (!cpu_set_parse(spec, set, err))
        return false;
    if (cpu_set_is_empty(set))
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "No CPUs available after parsing '%s' config, '%s'", option, spec);
    return true;
}

static bool
check_online(const DomainBuild *build, const CpuSet *set, const char *option, NovaError **err)
{
    g_autofree char *online = NULL;
    g_autofree char *wanted = NULL;

    if (cpu_set_is_subset(set, &build->in->facts->online_cpus))
        return true;
    online = cpu_set_format_list(&build->in->facts->online_cpus);
    wanted = cpu_set_format_list(set);
    return nova_error_set(err, NOVA_ERROR_INVALID,
                          "Invalid '%s' config: one or more of the configured CPUs is not online. "
                          "Online cpuset(s): %s, configured cpuset(s): %s", option, online, wanted);
}

/* [DEFAULT]vcpu_pin_set goes before [compute]cpu_shared_set. */
bool
cpu_set_shared_of_host(const DomainBuild *build, CpuSet *set, bool *ret_configured, NovaError **err)
{
    const char *legacy = build->options->default_group.vcpu_pin_set;
    const char *shared = build->options->compute.cpu_shared_set;
    const char *spec = is_set(legacy) ? legacy : shared;
    const char *option = is_set(legacy) ? "vcpu_pin_set" : "[compute] cpu_shared_set";

    *ret_configured = is_set(spec);
    if (*ret_configured)
        return parse_option_set(spec, option, set, err) && check_online(build, set, option, err);
    if (!is_set(build->options->compute.cpu_dedicated_set))
        cpu_set_copy(set, &build->in->facts->online_cpus);
    return true;
}

/* Nova asks for the dedicated CPUs too when it looks at the host, and so meets a bad option here. */
static bool
check_dedicated(const DomainBuild *build, NovaError **err)
{
    const char *spec = build->options->compute.cpu_dedicated_set;
    const CpuSet *available = build->options->libvirt.cpu_power_management
                                  ? &build->in->facts->available_cpus
                                  : &build->in->facts->online_cpus;
    g_auto(CpuSet) dedicated = {0};
    g_autofree char *there = NULL;
    g_autofree char *wanted = NULL;

    if (!is_set(spec))
        return true;
    if (!parse_option_set(spec, "[compute] cpu_dedicated_set", &dedicated, err))
        return false;
    if (cpu_set_is_subset(&dedicated, available))
        return true;
    there = cpu_set_format_list(available);
    wanted = cpu_set_format_list(&dedicated);
    return nova_error_set(err, NOVA_ERROR_INVALID,
                          "Invalid '[compute] cpu_dedicated_set' config: one or more of the "
                          "configured CPUs is not available. Available cpuset(s): %s, configured "
                          "cpuset(s): %s", there, wanted);
}

static void
cell_shared_cpus(const HostCell *cell, const CpuSet *shared, CpuSet *ret_cpus)
{
    for (guint i = 0; i < cell->cpus->len; i++)
        cpu_set_add(ret_cpus, g_array_index(cell->cpus, HostCpu, i).id);
    cpu_set_intersect(ret_cpus, shared);
}

/* ---- huge pages ---- */

static int64_t
smallest_page(const HostCell *cell)
{
    int64_t smallest = INT64_MAX;

    for (guint i = 0; i < cell->pages->len; i++)
        smallest = MIN(smallest, g_array_index(cell->pages, HostPages, i).size_kib);
    return smallest;
}

static bool
is_huge_page(const HostCell *cell, int64_t size_kib)
{
    const int64_t smallest = smallest_page(cell);
    bool skipped = false;

    for (guint i = 0; i < cell->pages->len; i++) {
        const int64_t size = g_array_index(cell->pages, HostPages, i).size_kib;

        if (size == smallest && !skipped)
            skipped = true; /* only one of equal smallest entries is left out */
        else if (size == size_kib)
            return true;
    }
    return false;
}

static bool
wants_hugepages(const DomainBuild *build)
{
    if (!build->numa.host_has_topology)
        return false;
    for (guint i = 0; i < build->numa.cells->len; i++) {
        const GuestCell *cell = build->numa.cells->pdata[i];

        if (cell->page_size_kib && is_huge_page(build->in->host->cells->pdata[0],
                                                cell->page_size_kib))
            return true;
    }
    return false;
}

/* ---- <cpu><numa> ---- */

xmlNode *
numa_cpu_cells(DomainBuild *build)
{
    xmlNode *numa = xml_node(build->document, "numa");
    guint paired = 0;

    for (guint i = 0; i < build->numa.cells->len; i++)
        paired += find_host_cell(build, ((GuestCell *)build->numa.cells->pdata[i])->host_cell) != NULL;
    for (guint i = 0; i < build->numa.cells->len; i++) {
        const GuestCell *cell = build->numa.cells->pdata[i];
        g_autofree char *vcpus = cpu_set_format(&cell->vcpus);
        xmlNode *node = xml_child(numa, "cell");

        xml_attr_int(node, "id",
                     build->numa.host_has_topology && i < paired ? i : cell->host_cell);
        xml_attr(node, "cpus", vcpus);
        xml_attr_int(node, "memory", saturating_multiply(cell->memory_mib, 1024));
        if (build->numa.wants_hugepages)
            xml_attr(node, "memAccess", "shared");
    }
    return numa;
}

/* ---- <numatune> ---- */

static int
compare_ids(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* As a CPU spec, but of a list: a host cell that is used twice is named twice. */
static char *
format_node_list(GArray *ids)
{
    GString *text = g_string_new(NULL);

    g_array_sort(ids, compare_ids);
    for (guint i = 0; i < ids->len;) {
        const int64_t first = g_array_index(ids, int64_t, i);
        int64_t last = first;

        for (i++; i < ids->len && g_array_index(ids, int64_t, i) == last + 1; i++)
            last++;
        g_string_append_printf(text, last == first ? "%s%" PRId64 : "%s%" PRId64 "-%" PRId64,
                               text->len ? "," : "", first, last);
    }
    return g_string_free(text, FALSE);
}

static xmlNode *
numatune_element(DomainBuild *build, const GArray *pairs)
{
    xmlNode *numatune = xml_node(build->document, "numatune");
    xmlNode *memory = xml_child(numatune, "memory");
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_autofree char *nodeset = NULL;

    for (guint i = 0; i < pairs->len; i++) {
        xmlNode *node = xml_child(numatune, "memnode");
        const int64_t id = g_array_index(pairs, CellPair, i).host->id;

        xml_attr_int(node, "cellid", i);
        xml_attr(node, "mode", "strict");
        xml_attr_int(node, "nodeset", id);
        g_array_append_val(ids, id);
    }
    nodeset = format_node_list(ids);
    xml_attr(memory, "mode", "strict");
    xml_attr(memory, "nodeset", nodeset);
    return numatune;
}

/* ---- pins ---- */

static void
clear_pair(void *pair)
{
    cpu_set_clear(&((CellPair *)pair)->shared_cpus);
}

static void
clear_pin(void *pin)
{
    cpu_set_clear(&((VcpuPin *)pin)->cpus);
}

static GArray *
pair_cells(const DomainBuild *build, const CpuSet *shared)
{
    GArray *pairs = g_array_new(FALSE, FALSE, sizeof(CellPair));

    g_array_set_clear_func(pairs, clear_pair);
    for (guint i = 0; i < build->numa.cells->len; i++) {
        const GuestCell *guest = build->numa.cells->pdata[i];
        CellPair pair = {guest, find_host_cell(build, guest->host_cell), {0}};

        if (!pair.host)
            continue;
        cell_shared_cpus(pair.host, shared, &pair.shared_cpus);
        g_array_append_val(pairs, pair);
    }
    return pairs;
}

static void
pin_vcpu(const CellPair *pair, const GuestCell *fitted, int64_t vcpu, CpuSet *ret_cpus)
{
    void *pcpu;

    if (fitted->pinning &&
        g_hash_table_lookup_extended(fitted->pinning, GINT_TO_POINTER((gint)vcpu), NULL, &pcpu))
        cpu_set_add(ret_cpus, GPOINTER_TO_INT(pcpu));
    else
        cpu_set_copy(ret_cpus, &pair->shared_cpus);
}

/* [compute]cpu_shared_set ∩ online, for emulator threads with the policy "share". */
static bool
add_shared_emulator_cpus(const DomainBuild *build, CpuSet *emulator, NovaError **err)
{
    const char *spec = build->options->compute.cpu_shared_set;
    g_auto(CpuSet) shared = {0};
    g_autofree char *online = NULL;
    g_autofree char *wanted = NULL;

    if (!parse_option_set(spec, "[compute] cpu_shared_set", &shared, err))
        return false;
    wanted = cpu_set_format_list(&shared);
    online = cpu_set_format_list(&build->in->facts->online_cpus);
    cpu_set_intersect(&shared, &build->in->facts->online_cpus);
    if (cpu_set_is_empty(&shared))
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Invalid cpu_shared_set config, one or more of the specified cpuset "
                              "is not online. Online cpuset(s): %s, requested cpuset(s): %s",
                              online, wanted);
    cpu_set_unite(emulator, &shared);
    return true;
}

/* Isolated: on the pCPU reserved for them; shared: on the host's shared CPUs, if any are named;
 * else wherever vCPUs run that are not real-time. */
static bool
add_emulator_cpus(const DomainBuild *build, const GuestCell *fitted, const CpuSet *realtime,
                  const VcpuPin *pin, CpuSet *emulator, NovaError **err)
{
    const char *policy = build->numa.emulator_threads_policy;

    if (policy && !strcmp(policy, "isolate"))
        cpu_set_unite(emulator, &fitted->reserved);
    else if (policy && !strcmp(policy, "share") && is_set(build->options->compute.cpu_shared_set))
        return add_shared_emulator_cpus(build, emulator, err);
    else if (!cpu_set_has(realtime, pin->vcpu))
        cpu_set_unite(emulator, &pin->cpus);
    return true;
}

/* Nova takes the pins of the n-th pair from the n-th guest cell, even when one has no partner. */
static bool
pin_cells(const DomainBuild *build, const GArray *pairs, const CpuSet *realtime, GArray *pins,
          CpuSet *emulator, NovaError **err)
{
    for (guint i = 0; i < pairs->len; i++) {
        const CellPair *pair = &g_array_index(pairs, CellPair, i);
        const GuestCell *fitted = build->numa.cells->pdata[i];

        for (int64_t vcpu = cpu_set_next(&pair->guest->vcpus, 0); vcpu >= 0;
             vcpu = cpu_set_next(&pair->guest->vcpus, vcpu + 1)) {
            VcpuPin pin = {vcpu, {0}};

            pin_vcpu(pair, fitted, vcpu, &pin.cpus);
            g_array_append_val(pins, pin);
            if (!add_emulator_cpus(build, fitted, realtime, &pin, emulator, err))
                return false;
        }
    }
    return true;
}

static int
compare_pins(const void *a, const void *b)
{
    return compare_ids(&((const VcpuPin *)a)->vcpu, &((const VcpuPin *)b)->vcpu);
}

static void
add_realtime_element(const DomainBuild *build, xmlNode *cputune, const CpuSet *realtime)
{
    g_autofree char *vcpus = cpu_set_format(realtime);
    xmlNode *node;

    if (cpu_set_is_empty(realtime))
        return;
    node = xml_child_attr(cputune, "vcpusched", "vcpus", vcpus);
    xml_attr(node, "scheduler", "fifo");
    xml_attr_int(node, "priority", build->options->libvirt.realtime_scheduler_priority);
}

static xmlNode *
cputune_element(DomainBuild *build, GArray *pins, const CpuSet *emulator, const CpuSet *realtime)
{
    xmlNode *cputune = xml_node(build->document, "cputune");
    g_autofree char *cpus = cpu_set_format(emulator);

    xml_child_attr(cputune, "emulatorpin", "cpuset", cpus);
    if (*cpus)
        xml_attr(xml_child_attr(cputune, "iothreadpin", "cpuset", cpus), "iothread", "1");
    g_array_sort(pins, compare_pins);
    for (guint i = 0; i < pins->len; i++) {
        const VcpuPin *pin = &g_array_index(pins, VcpuPin, i);
        g_autofree char *cpuset = cpu_set_format(&pin->cpus);
        xmlNode *node = xml_child(cputune, "vcpupin");

        xml_attr_int(node, "vcpu", pin->vcpu);
        xml_attr(node, "cpuset", cpuset);
    }
    add_realtime_element(build, cputune, realtime);
    return cputune;
}

static bool
tune_cells(DomainBuild *build, const CpuSet *shared, NovaError **err)
{
    g_autoptr(GArray) pairs = pair_cells(build, shared);
    g_autoptr(GArray) pins = g_array_new(FALSE, FALSE, sizeof(VcpuPin));
    g_auto(CpuSet) realtime = {0};
    g_auto(CpuSet) emulator = {0};

    g_array_set_clear_func(pins, clear_pin);
    if (!request_realtime_cpus(&build->request, &realtime, err) ||
        !pin_cells(build, pairs, &realtime, pins, &emulator, err))
        return false;
    build->numatune = numatune_element(build, pairs);
    build->cputune = cputune_element(build, pins, &emulator, &realtime);
    return true;
}

static void
make_vcpu(DomainBuild *build, const CpuSet *shared)
{
    build->vcpu = xml_node(build->document, "vcpu");
    if (shared) {
        g_autofree char *cpuset = cpu_set_format(shared);

        xml_attr(build->vcpu, "cpuset", cpuset);
    }
    g_snprintf(build->vcpu_text, sizeof(build->vcpu_text), "%" PRId64,
               build->request.flavor->vcpus);
    xml_set_text(build->vcpu, build->vcpu_text);
}

bool
build_numa(DomainBuild *build, NovaError **err)
{
    const bool supported = host_supports_numa(build);
    g_auto(CpuSet) shared = {0};
    bool configured;

    if (!supported && build->numa.cells)
        return nova_error_set(err, NOVA_ERROR_NUMA_TOPOLOGY_UNSUPPORTED,
                              "Host does not support guests with NUMA topology set");
    build->numa.host_has_topology = supported && build->in->host->cells->len > 0;
    if (!cpu_set_shared_of_host(build, &shared, &configured, err) ||
        (build->numa.host_has_topology && !check_dedicated(build, err)))
        return false;
    build->numa.wants_hugepages = build->numa.cells && wants_hugepages(build);
    make_vcpu(build, configured && !(build->numa.cells && build->numa.host_has_topology) ? &shared
                                                                                        : NULL);
    if (!build->numa.cells)
        return true;
    build->cpu_numa = numa_cpu_cells(build);
    return !build->numa.host_has_topology || tune_cells(build, &shared, err);
}
