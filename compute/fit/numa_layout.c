/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/numa_layout.h"

#include <math.h>
#include <string.h>

#include "compute/fit/saturate.h"

#define NODES_MAX 128
#define CELLS_TIMES_CPUS_MAX (1 << 26) /* what is beyond is no guest, only memory */

/* ---- how many ---- */

static bool
invalid_count(const char *text, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_NUMA_NODES_NUMBER,
                          "The property 'numa_nodes' cannot be '%s'. It must be a number greater "
                          "than 0", text);
}

static bool
forbidden(const char *name, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_FORBIDDEN,
                          "Image property '%s' is not permitted to override NUMA configuration set "
                          "against the flavor", name);
}

/* A number in the form that Python would write it. */
static bool
is_int_like(const char *text)
{
    g_autofree char *same = python_int_text(text, NULL);

    return same && !strcmp(same, text);
}

bool
numa_layout_count(const GuestRequest *request, int64_t *ret_nodes, NovaError **err)
{
    const char *text = request_flavor_truthy(request, "hw:numa_nodes");
    const int64_t of_image = request_image_int(request, "hw_numa_nodes", INT64_MIN);

    *ret_nodes = 0;
    if (text && of_image != INT64_MIN && of_image != 0)
        return forbidden("hw_numa_nodes", err);
    if (text) {
        if (!is_int_like(text) || !python_int(text, ret_nodes, NULL) || *ret_nodes < 1)
            return invalid_count(text, err);
        return true;
    }
    if (of_image == INT64_MIN)
        return true;
    *ret_nodes = of_image;
    if (of_image < 1) {
        g_autofree char *number = g_strdup_printf("%" PRId64, of_image);

        return invalid_count(number, err);
    }
    return true;
}

/* ---- page size ---- */

static bool
parse_page_size(const char *text, double *ret_size_kib, NovaError **err)
{
    static const struct { const char *name; int size; } names[] = {
        {"any", PAGESIZE_ANY}, {"large", PAGESIZE_LARGE}, {"small", PAGESIZE_SMALL}};
    int64_t number;

    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(text, names[i].name)) {
            *ret_size_kib = names[i].size;
            return true;
        }
    }
    if (python_is_digits(text)) {
        if (!python_int(text, &number, err))
            return false;
        *ret_size_kib = (double)number;
        return true;
    }
    if (!python_string_to_bytes(text, ret_size_kib))
        return nova_error_set(err, NOVA_ERROR_MEMORY_PAGE_SIZE_INVALID,
                              "Invalid memory page size '%s'", text);
    *ret_size_kib /= 1024;
    return true;
}

static bool
forbidden_page_size(const char *size, const char *against, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_MEMORY_PAGE_SIZE_FORBIDDEN,
                          "Page size %s forbidden against '%s'", size, against);
}

/* The image may choose where the flavor leaves a choice. */
static bool
choose_page_size(const char *of_flavor, const char *of_image, double *ret_size_kib, NovaError **err)
{
    if (!of_flavor)
        return forbidden_page_size(of_image, "<empty>", err);
    if (!parse_page_size(of_flavor, ret_size_kib, err))
        return false;
    if (!of_image)
        return true;
    if (*ret_size_kib != PAGESIZE_ANY && *ret_size_kib != PAGESIZE_LARGE)
        return forbidden_page_size(of_image, of_flavor, err);
    return parse_page_size(of_image, ret_size_kib, err);
}

bool
numa_layout_page_size(const GuestRequest *request, PageSizeRequest *ret_size, NovaError **err)
{
    const char *of_flavor = request_flavor_truthy(request, "hw:mem_page_size");
    const char *of_image = request_image(request, "hw_mem_page_size");
    double size_kib = 0;

    *ret_size = (PageSizeRequest){0};
    if (of_image && !*of_image)
        of_image = NULL;
    if (!of_flavor && !of_image)
        return true;
    if (!choose_page_size(of_flavor, of_image, &size_kib, err))
        return false;
    if (isinf(size_kib))
        return nova_error_set(err, NOVA_ERROR_OVERFLOW_ERROR,
                              "cannot convert float infinity to integer");
    if (fabs(size_kib) >= 9223372036854775808.0)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "page size %g KiB is beyond 64 bits",
                              size_kib);
    *ret_size = (PageSizeRequest){true, size_kib != 0, (int64_t)size_kib};
    return true;
}

/* ---- layouts that are spelled out ---- */

typedef struct Layout {
    GArray *vcpus;  /* of CpuSet; NULL: not given */
    GArray *memory; /* of int64_t, MiB; NULL: not given */
} Layout;

static void
layout_clear(Layout *layout)
{
    if (layout->vcpus)
        g_array_unref(layout->vcpus);
    if (layout->memory)
        g_array_unref(layout->memory);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Layout, layout_clear)

/* KEY.0, KEY.1, ... up to the first gap. */
static const char *
flavor_entry(const GuestRequest *request, const char *key, int node)
{
    g_autofree char *name = g_strdup_printf("%s.%d", key, node);

    return node < NODES_MAX ? request_flavor(request, name) : NULL;
}

static void
clear_set(void *set)
{
    cpu_set_clear(set);
}

static GArray *
new_sets(void)
{
    GArray *sets = g_array_new(FALSE, TRUE, sizeof(CpuSet));

    g_array_set_clear_func(sets, clear_set);
    return sets;
}

static bool
add_set(GArray *sets, const char *spec, NovaError **err)
{
    g_array_set_size(sets, sets->len + 1);
    return cpu_set_parse(spec, &g_array_index(sets, CpuSet, sets->len - 1), err);
}

static bool
read_vcpus(const GuestRequest *request, Layout *layout, NovaError **err)
{
    const json_t *of_image = request_image_list(request, "hw_numa_cpus");
    const char *spec;
    size_t i;
    json_t *item;

    for (int node = 0; (spec = flavor_entry(request, "hw:numa_cpus", node)); node++) {
        layout->vcpus = layout->vcpus ? layout->vcpus : new_sets();
        if (!add_set(layout->vcpus, spec, err))
            return false;
    }
    if (layout->vcpus && of_image)
        return forbidden("hw_numa_cpus", err);
    if (of_image)
        layout->vcpus = new_sets();
    json_array_foreach (of_image, i, item) {
        if (!add_set(layout->vcpus, json_string_value(item), err))
            return false;
    }
    return true;
}

static bool
read_memory(const GuestRequest *request, Layout *layout, NovaError **err)
{
    const json_t *of_image = request_image_list(request, "hw_numa_mem");
    const char *text;
    int64_t number;
    size_t i;
    json_t *item;

    for (int node = 0; (text = flavor_entry(request, "hw:numa_mem", node)); node++) {
        if (!python_int(text, &number, err))
            return false;
        layout->memory = layout->memory ? layout->memory : g_array_new(FALSE, FALSE, sizeof(int64_t));
        g_array_append_val(layout->memory, number);
    }
    if (layout->memory && of_image)
        return forbidden("hw_numa_mem", err);
    if (of_image)
        layout->memory = g_array_new(FALSE, FALSE, sizeof(int64_t));
    json_array_foreach (of_image, i, item) {
        number = json_integer_value(item);
        g_array_append_val(layout->memory, number);
    }
    return true;
}

static void
set_cell(InstanceCell *cell, const CpuSet *vcpus, const CpuSet *dedicated, int64_t last_vcpu,
         int64_t memory_mib)
{
    g_auto(CpuSet) all = {0};

    cpu_set_add_range(&all, 0, last_vcpu);
    cpu_set_copy(&cell->pcpuset, vcpus);
    cpu_set_intersect(&cell->pcpuset, dedicated);
    cpu_set_copy(&cell->cpuset, vcpus);
    cpu_set_intersect(&cell->cpuset, &all);
    cpu_set_subtract(&cell->cpuset, dedicated);
    cell->memory_mib = memory_mib;
}

/* Every vCPU of the cell exists and is still free. */
static bool
take_vcpus(const CpuSet *vcpus, int64_t last_vcpu, CpuSet *available, NovaError **err)
{
    for (int64_t vcpu = cpu_set_next(vcpus, 0); vcpu >= 0; vcpu = cpu_set_next(vcpus, vcpu + 1)) {
        if (vcpu > last_vcpu)
            return nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_CPU_OUT_OF_RANGE,
                                  "CPU number %" PRId64 " is larger than max %" PRId64, vcpu,
                                  last_vcpu);
        if (!cpu_set_has(available, vcpu))
            return nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_CPU_DUPLICATES,
                                  "CPU number %" PRId64 " is assigned to two nodes", vcpu);
        cpu_set_remove(available, vcpu);
    }
    return true;
}

static bool
check_all_is_assigned(const GuestRequest *request, const CpuSet *available, int64_t memory_mib,
                      NovaError **err)
{
    if (!cpu_set_is_empty(available)) {
        g_autofree char *left = cpu_set_format_list(available);

        return nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_CP_US_UNASSIGNED,
                              "CPU number %s is not assigned to any node", left);
    }
    if (memory_mib != request->flavor->memory_mb)
        return nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_MEMORY_OUT_OF_RANGE,
                              "%" PRId64 " MB of memory assigned, but expected %" PRId64 " MB",
                              memory_mib, request->flavor->memory_mb);
    return true;
}

static InstanceNuma *
make_given(const GuestRequest *request, const Layout *layout, const CpuSet *dedicated,
           NovaError **err)
{
    const int64_t last_vcpu = request_last_vcpu(request);
    g_autoptr(InstanceNuma) instance = instance_numa_new(layout->vcpus->len);
    g_auto(CpuSet) available = {0};
    int64_t memory_mib = 0;

    cpu_set_add_range(&available, 0, last_vcpu);
    for (guint i = 0; i < layout->vcpus->len; i++) {
        const CpuSet *vcpus = &g_array_index(layout->vcpus, CpuSet, i);
        const int64_t cell_mib = g_array_index(layout->memory, int64_t, i);

        if (!take_vcpus(vcpus, last_vcpu, &available, err))
            return NULL;
        set_cell(&instance->cells[i], vcpus, dedicated, last_vcpu, cell_mib);
        memory_mib = saturating_add(memory_mib, cell_mib);
    }
    return check_all_is_assigned(request, &available, memory_mib, err) ? g_steal_pointer(&instance)
                                                                       : NULL;
}

static InstanceNuma *
make_even(const GuestRequest *request, int64_t nodes, const CpuSet *dedicated, NovaError **err)
{
    const int64_t n_vcpus = request->flavor->vcpus, memory_mib = request->flavor->memory_mb;
    const int64_t share = n_vcpus / nodes;
    InstanceNuma *instance;

    if (n_vcpus % nodes != 0 || memory_mib % nodes != 0) {
        nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_ASYMMETRIC,
                       "Instance CPUs and/or memory cannot be evenly distributed across instance "
                       "NUMA nodes. Explicit assignment of CPUs and memory to nodes is required");
        return NULL;
    }
    if (nodes > CPU_SET_MAX || nodes * MAX(n_vcpus, 1) > CELLS_TIMES_CPUS_MAX) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%" PRId64 " NUMA nodes are too many", nodes);
        return NULL;
    }
    instance = instance_numa_new((unsigned)nodes);
    for (int64_t i = 0; i < nodes; i++) {
        g_auto(CpuSet) vcpus = {0};

        cpu_set_add_range(&vcpus, i * share, saturating_subtract((i + 1) * share, 1));
        set_cell(&instance->cells[i], &vcpus, dedicated, request_last_vcpu(request), memory_mib / nodes);
    }
    return instance;
}

InstanceNuma *
numa_layout_make(const GuestRequest *request, int64_t nodes, const CpuSet *dedicated,
                 NovaError **err)
{
    g_auto(Layout) layout = {0};

    if (!read_vcpus(request, &layout, err) || !read_memory(request, &layout, err))
        return NULL;
    if (!layout.vcpus && !layout.memory)
        return make_even(request, nodes, dedicated, err);
    if (!layout.vcpus || !layout.memory || layout.vcpus->len != nodes ||
        layout.memory->len != nodes) {
        nova_error_set(err, NOVA_ERROR_IMAGE_NUMA_TOPOLOGY_INCOMPLETE,
                       "CPU and memory allocation must be provided for all NUMA nodes");
        return NULL;
    }
    return make_given(request, &layout, dedicated, err);
}
