/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/guest_cells.h"

static void
cell_free(void *data)
{
    GuestCell *cell = data;

    cpu_set_clear(&cell->vcpus);
    cpu_set_clear(&cell->reserved);
    g_clear_pointer(&cell->pinning, g_hash_table_unref);
    g_free(cell);
}

static bool
add_numbers(const json_t *list, CpuSet *set, NovaError **err)
{
    size_t i;
    json_t *value;

    json_array_foreach (list, i, value) {
        if (!json_is_integer(value) || !cpu_set_add(set, json_integer_value(value)))
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                                  "a CPU of the instance's NUMA topology is not a CPU number");
    }
    return true;
}

/* {"vCPU": pCPU}: keys of JSON objects are text. */
static bool
read_pinning(const json_t *pinning, GuestCell *cell, NovaError **err)
{
    const char *vcpu;
    json_t *pcpu;

    if (!json_object_size(pinning))
        return true;
    cell->pinning = g_hash_table_new(NULL, NULL);
    json_object_foreach ((json_t *)pinning, vcpu, pcpu) {
        int64_t number;

        if (!python_int(vcpu, &number, err))
            return false;
        if (number < 0 || number >= CPU_SET_MAX || !json_is_integer(pcpu) ||
            json_integer_value(pcpu) < 0 || json_integer_value(pcpu) >= CPU_SET_MAX)
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "vCPU %s has no valid pin", vcpu);
        g_hash_table_insert(cell->pinning, GINT_TO_POINTER((gint)number),
                            GINT_TO_POINTER((gint)json_integer_value(pcpu)));
    }
    return true;
}

static bool
read_cell(const InstanceNUMACell *from, GPtrArray *cells, NovaError **err)
{
    GuestCell *cell = g_new0(GuestCell, 1);

    g_ptr_array_add(cells, cell);
    cell->host_cell = from->id;
    cell->memory_mib = from->memory;
    cell->page_size_kib = from->pagesize.is_null ? 0 : from->pagesize.value;
    return add_numbers(from->cpuset, &cell->vcpus, err) &&
           add_numbers(from->pcpuset, &cell->vcpus, err) &&
           add_numbers(from->cpuset_reserved, &cell->reserved, err) &&
           read_pinning(from->cpu_pinning_raw, cell, err);
}

bool
read_guest_cells(const Instance *instance, GuestNuma *numa, NovaError **err)
{
    const InstanceNUMATopology *topology = instance->numa_topology;

    if (!topology)
        return true;
    numa->emulator_threads_policy = topology->emulator_threads_policy;
    numa->cells = g_ptr_array_new_with_free_func(cell_free);
    for (guint i = 0; topology->cells && i < topology->cells->len; i++) {
        if (!read_cell(topology->cells->pdata[i], numa->cells, err))
            return false;
    }
    return true;
}
