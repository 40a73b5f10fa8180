/* SPDX-License-Identifier: Apache-2.0 */
/* <memoryBacking> and persistent memory (LibvirtDriver._get_guest_memory_backing_config,
 * _guest_add_vpmems). */

#include <string.h>

#include "compute/xml/domain_build.h"

static bool
wants_pages(const DomainBuild *build)
{
    for (guint i = 0; build->numa.cells && i < build->numa.cells->len; i++) {
        if (((GuestCell *)build->numa.cells->pdata[i])->page_size_kib)
            return true;
    }
    return false;
}

/* Real-time guests that share the emulator's CPUs need a host that says which those are. */
static bool
check_realtime(const DomainBuild *build, bool *ret_realtime, NovaError **err)
{
    const char *policy = NULL;
    const char *shared = build->options->compute.cpu_shared_set;

    *ret_realtime = request_is_realtime(&build->request);
    if (!*ret_realtime)
        return true;
    if (!request_emulator_threads_policy(&build->request, &policy, err))
        return false;
    if (!g_strcmp0(policy, "share") && !(shared && *shared))
        return nova_error_set(err, NOVA_ERROR_REALTIME_MASK_NOT_FOUND_OR_INVALID,
                              "Use of realtime CPUs requires either one or more non-realtime "
                              "CPU(s) or offloaded emulator threads.");
    return true;
}

static xmlNode *
backing(DomainBuild *build)
{
    if (!build->memory_backing)
        build->memory_backing = xml_node(build->document, "memoryBacking");
    return build->memory_backing;
}

static int64_t
smallest_host_page(const DomainBuild *build)
{
    const HostCell *cell = build->in->host->cells->pdata[0];
    int64_t smallest = INT64_MAX;

    for (guint i = 0; i < cell->pages->len; i++)
        smallest = MIN(smallest, g_array_index(cell->pages, HostPages, i).size_kib);
    return smallest;
}

/* Only cells that a <memnode> exists for: as many as have a host cell. */
static guint
count_memnodes(const DomainBuild *build)
{
    guint count = 0;

    for (guint i = 0; i < build->numa.cells->len; i++)
        count += find_host_cell(build, ((GuestCell *)build->numa.cells->pdata[i])->host_cell) != NULL;
    return count;
}

static bool
add_pages(DomainBuild *build, NovaError **err)
{
    const GPtrArray *cells = build->numa.cells;
    xmlNode *hugepages = NULL;

    if (!build->numa.host_has_topology)
        return nova_error_set(err, NOVA_ERROR_MEMORY_PAGES_UNSUPPORTED,
                              "Host does not support guests with custom memory page sizes");
    for (guint i = 0; i < cells->len && i < count_memnodes(build); i++) {
        const int64_t size = ((GuestCell *)cells->pdata[i])->page_size_kib;
        xmlNode *page;

        if (size <= smallest_host_page(build))
            continue;
        if (!hugepages)
            hugepages = xml_child(backing(build), "hugepages");
        page = xml_child(hugepages, "page");
        xml_attr_int(page, "size", size);
        xml_attr_int(page, "nodeset", i);
        xml_attr(page, "unit", "KiB");
    }
    return true;
}

static void
add_file_backing(xmlNode *backing_node)
{
    xml_child_attr(backing_node, "source", "type", "file");
    xml_child_attr(backing_node, "access", "mode", "shared");
    xml_child_attr(backing_node, "allocation", "mode", "immediate");
    xml_child(backing_node, "discard");
}

bool
build_memory_backing(DomainBuild *build, NovaError **err)
{
    const bool file_backed = build->options->libvirt.file_backed_memory > 0;
    const bool pages = wants_pages(build);
    bool realtime, locked;

    if (!check_realtime(build, &realtime, err))
        return false;
    if (pages && file_backed)
        return nova_error_set(err, NOVA_ERROR_MEMORY_PAGES_UNSUPPORTED,
                              "Host does not support guests with custom memory page sizes");
    if (pages && !add_pages(build, err))
        return false;
    if (!request_locked_memory(&build->request, build->machine_type, &locked, err))
        return false;
    if (realtime)
        xml_child(backing(build), "nosharepages");
    if (realtime || locked)
        xml_child(backing(build), "locked");
    if (file_backed)
        add_file_backing(backing(build));
    return true;
}

static void
add_pmem(DomainBuild *build, const GuestPmem *pmem)
{
    xmlNode *memory = xml_child_attr(build->devices, "memory", "model", "nvdimm");
    xmlNode *source, *target;

    xml_attr(memory, "access", "shared");
    source = xml_child(memory, "source");
    xml_child_text(source, "path", pmem->device_path);
    xml_child_int(source, "alignsize", pmem->align / 1024);
    xml_child(source, "pmem");
    target = xml_child(memory, "target");
    xml_child_int(target, "size", pmem->size / 1024);
    xml_child_int(target, "node", 0);
    xml_child_int(xml_child(target, "label"), "size", 2048);
}

void
build_pmem(DomainBuild *build)
{
    for (unsigned i = 0; i < build->in->n_pmem; i++)
        add_pmem(build, &build->in->pmem[i]);
}
