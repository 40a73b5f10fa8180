/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/instance_numa.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"
#include "agent/objects/primitive.h"

const char *const cpu_policy_names[] = {"dedicated", "shared", "mixed", NULL};
const char *const thread_policy_names[] = {"prefer", "isolate", "require", NULL};
const char *const emulator_policy_names[] = {"share", "isolate", NULL};

#define TOPOLOGY_VERSION "1.3"
#define CELL_VERSION "1.6"

InstanceNuma *
instance_numa_new(unsigned n_cells)
{
    InstanceNuma *instance = g_new0(InstanceNuma, 1);

    instance->has_cells = true;
    instance->cells = g_new0(InstanceCell, n_cells);
    instance->n_cells = n_cells;
    instance->has_emulator_policy = true;
    instance->emulator_policy = EMULATOR_POLICY_NONE;
    for (unsigned i = 0; i < n_cells; i++) {
        instance->cells[i].set = INSTANCE_CELL_ID | INSTANCE_CELL_CPUSET | INSTANCE_CELL_PCPUSET |
                                 INSTANCE_CELL_MEMORY;
        instance->cells[i].id = i;
        instance->cells[i].cpu_policy = CPU_POLICY_NONE;
        instance->cells[i].thread_policy = THREAD_POLICY_NONE;
    }
    return instance;
}

/* ---- reading ---- */

/* What to keep of an object's version. */
static char *
other_version(const char *version, const char *ours)
{
    return strcmp(version, ours) ? g_strdup(version) : NULL;
}

static const json_t *
member(const json_t *data, const char *field)
{
    const json_t *value = json_object_get(data, field);

    return json_is_null(value) ? NULL : value;
}

static bool
read_needed(const json_t *data, InstanceCell *cell, NovaError **err)
{
    const json_t *id = json_object_get(data, "id");
    const json_t *cpuset = json_object_get(data, "cpuset");
    const json_t *pcpuset = json_object_get(data, "pcpuset");
    const json_t *memory = json_object_get(data, "memory");

    cell->set = (id ? INSTANCE_CELL_ID : 0) | (cpuset ? INSTANCE_CELL_CPUSET : 0) |
                (pcpuset ? INSTANCE_CELL_PCPUSET : 0) | (memory ? INSTANCE_CELL_MEMORY : 0);
    return (!id || primitive_int(id, "id", &cell->id, err)) &&
           (!cpuset || primitive_cpu_set(cpuset, "cpuset", &cell->cpuset, err)) &&
           (!pcpuset || primitive_cpu_set(pcpuset, "pcpuset", &cell->pcpuset, err)) &&
           (!memory || primitive_int(memory, "memory", &cell->memory_mib, err));
}

/* {"vCPU": pCPU}: keys of JSON objects are text. */
static bool
read_pins(const json_t *raw, InstanceCell *cell, NovaError **err)
{
    const char *vcpu;
    json_t *pcpu;

    if (!json_is_object(raw))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "cpu_pinning_raw has no 'items'");
    cell->pins = g_array_new(FALSE, FALSE, sizeof(Pin));
    json_object_foreach ((json_t *)raw, vcpu, pcpu) {
        Pin pin;

        if (!python_int(vcpu, &pin.vcpu, err) ||
            !primitive_int(pcpu, "cpu_pinning_raw", &pin.pcpu, err))
            return false;
        g_array_append_val(cell->pins, pin);
    }
    return true;
}

static bool
read_optional(const json_t *data, InstanceCell *cell, NovaError **err)
{
    const json_t *reserved = member(data, "cpuset_reserved");
    const json_t *pagesize = member(data, "pagesize");
    const json_t *pins = member(data, "cpu_pinning_raw");
    const json_t *cpu_policy = member(data, "cpu_policy");
    const json_t *thread_policy = member(data, "cpu_thread_policy");
    int policy;

    cell->cpu_topology = json_incref(json_object_get(data, "cpu_topology"));
    cell->has_reserved = reserved != NULL;
    cell->has_pagesize = pagesize != NULL;
    if ((reserved &&
         !primitive_cpu_set(reserved, "cpuset_reserved", &cell->cpuset_reserved, err)) ||
        (pagesize && !primitive_int(pagesize, "pagesize", &cell->pagesize_kib, err)) ||
        (pins && !read_pins(pins, cell, err)))
        return false;
    if (cpu_policy) {
        if (!primitive_enum(cpu_policy, "cpu_policy", cpu_policy_names, CPU_POLICY_NONE, &policy,
                            err))
            return false;
        cell->cpu_policy = (CpuPolicy)policy;
    }
    if (thread_policy) {
        if (!primitive_enum(thread_policy, "cpu_thread_policy", thread_policy_names,
                            THREAD_POLICY_NONE, &policy, err))
            return false;
        cell->thread_policy = (ThreadPolicy)policy;
    }
    return true;
}

static bool
read_cell(const json_t *primitive, InstanceCell *cell, NovaError **err)
{
    const json_t *data;
    const char *version;

    if (!primitive_open(primitive, "InstanceNUMACell", CELL_VERSION, &data, &version, err))
        return false;
    cell->version = other_version(version, CELL_VERSION);
    return read_needed(data, cell, err) && read_optional(data, cell, err);
}

static bool
read_emulator_policy(const json_t *data, InstanceNuma *instance, NovaError **err)
{
    const json_t *value = json_object_get(data, "emulator_threads_policy");
    int policy = EMULATOR_POLICY_NONE;

    instance->has_emulator_policy = value != NULL;
    if (value && !primitive_enum(value, "emulator_threads_policy", emulator_policy_names,
                                 EMULATOR_POLICY_NONE, &policy, err))
        return false;
    instance->emulator_policy = (EmulatorPolicy)policy;
    return true;
}

InstanceNuma *
instance_numa_from_json(const json_t *primitive, NovaError **err)
{
    g_autoptr(InstanceNuma) instance = NULL;
    const json_t *data, *cells;
    const char *version;
    size_t i;
    json_t *item;

    if (!primitive_open(primitive, "InstanceNUMATopology", TOPOLOGY_VERSION, &data, &version, err))
        return NULL;
    cells = json_object_get(data, "cells");
    if (cells && !primitive_list(cells, "cells", err))
        return NULL;
    instance = instance_numa_new((unsigned)json_array_size(cells));
    instance->has_cells = cells != NULL;
    instance->version = other_version(version, TOPOLOGY_VERSION);
    instance->instance_uuid = g_strdup(json_get_string(data, "instance_uuid", NULL));
    json_array_foreach (cells, i, item) {
        if (!read_cell(item, &instance->cells[i], err))
            return NULL;
    }
    return read_emulator_policy(data, instance, err) ? g_steal_pointer(&instance) : NULL;
}

/* ---- writing ---- */

static json_t *
policy_to_json(const char *const *names, int policy)
{
    return policy < 0 ? json_null() : json_string(names[policy]);
}

static json_t *
pins_to_json(const GArray *pins)
{
    json_t *raw = json_object();

    for (guint i = 0; i < pins->len; i++) {
        const Pin *pin = &g_array_index(pins, Pin, i);
        char vcpu[24];

        g_snprintf(vcpu, sizeof(vcpu), "%" PRId64, pin->vcpu);
        json_object_set_new(raw, vcpu, json_integer(pin->pcpu));
    }
    return raw;
}

static json_t *
cell_to_json(const InstanceCell *cell)
{
    json_t *data = json_object();

    if (cell->set & INSTANCE_CELL_ID)
        json_object_set_new(data, "id", json_integer(cell->id));
    if (cell->set & INSTANCE_CELL_CPUSET)
        json_object_set_new(data, "cpuset", primitive_from_cpu_set(&cell->cpuset));
    if (cell->set & INSTANCE_CELL_PCPUSET)
        json_object_set_new(data, "pcpuset", primitive_from_cpu_set(&cell->pcpuset));
    if (cell->set & INSTANCE_CELL_MEMORY)
        json_object_set_new(data, "memory", json_integer(cell->memory_mib));
    if (cell->cpu_topology)
        json_object_set(data, "cpu_topology", cell->cpu_topology);
    json_object_set_new(data, "cpuset_reserved",
                        cell->has_reserved ? primitive_from_cpu_set(&cell->cpuset_reserved)
                                           : json_null());
    json_object_set_new(data, "pagesize",
                        cell->has_pagesize ? json_integer(cell->pagesize_kib) : json_null());
    json_object_set_new(data, "cpu_pinning_raw",
                        cell->pins ? pins_to_json(cell->pins) : json_null());
    json_object_set_new(data, "cpu_policy", policy_to_json(cpu_policy_names, cell->cpu_policy));
    json_object_set_new(data, "cpu_thread_policy",
                        policy_to_json(thread_policy_names, cell->thread_policy));
    return primitive_make("InstanceNUMACell", cell->version ? cell->version : CELL_VERSION, data);
}

json_t *
instance_numa_to_json(const InstanceNuma *instance)
{
    json_t *data = json_object();

    if (instance->instance_uuid)
        json_object_set_new(data, "instance_uuid", json_string(instance->instance_uuid));
    if (instance->has_cells) {
        json_t *cells = json_array();

        for (unsigned i = 0; i < instance->n_cells; i++)
            json_array_append_new(cells, cell_to_json(&instance->cells[i]));
        json_object_set_new(data, "cells", cells);
    }
    if (instance->has_emulator_policy)
        json_object_set_new(data, "emulator_threads_policy",
                            policy_to_json(emulator_policy_names, instance->emulator_policy));
    return primitive_make("InstanceNUMATopology",
                          instance->version ? instance->version : TOPOLOGY_VERSION, data);
}

/* ---- copying, freeing ---- */

static void
copy_cell(InstanceCell *to, const InstanceCell *from)
{
    *to = *from;
    to->version = g_strdup(from->version);
    cpu_set_copy(&to->cpuset, &from->cpuset);
    cpu_set_copy(&to->pcpuset, &from->pcpuset);
    cpu_set_copy(&to->cpuset_reserved, &from->cpuset_reserved);
    to->pins = from->pins ? g_array_copy(from->pins) : NULL;
    to->cpu_topology = json_incref(from->cpu_topology);
}

InstanceNuma *
instance_numa_copy_cells(const InstanceNuma *instance)
{
    InstanceNuma *copy = g_new(InstanceNuma, 1);

    *copy = (InstanceNuma){
        .has_cells = true,
        .cells = g_new(InstanceCell, instance->n_cells),
        .n_cells = instance->n_cells,
        .has_emulator_policy = true,
        .emulator_policy = instance->has_emulator_policy ? instance->emulator_policy
                                                         : EMULATOR_POLICY_NONE,
    };
    for (unsigned i = 0; i < instance->n_cells; i++)
        copy_cell(&copy->cells[i], &instance->cells[i]);
    return copy;
}

void
instance_numa_free(InstanceNuma *instance)
{
    if (!instance)
        return;
    for (unsigned i = 0; i < instance->n_cells; i++) {
        InstanceCell *cell = &instance->cells[i];

        g_free(cell->version);
        cpu_set_clear(&cell->cpuset);
        cpu_set_clear(&cell->pcpuset);
        cpu_set_clear(&cell->cpuset_reserved);
        g_clear_pointer(&cell->pins, g_array_unref);
        json_decref(cell->cpu_topology);
    }
    g_free(instance->cells);
    g_free(instance->version);
    g_free(instance->instance_uuid);
    g_free(instance);
}

/* ---- asking ---- */

bool
instance_cell_need(const InstanceCell *cell, unsigned fields, NovaError **err)
{
    static const char *const names[] = {"id", "cpuset", "pcpuset", "memory"};
    unsigned missing = fields & ~cell->set;

    return !missing || primitive_unset(names[__builtin_ctz(missing)], err);
}

bool
instance_numa_need_cells(const InstanceNuma *instance, NovaError **err)
{
    return instance->has_cells || primitive_unset("cells", err);
}

/* In place of what the first 'n_old' pins say of the vCPU, else behind them. */
static void
set_pin(GArray *pins, guint n_old, Pin pin)
{
    for (guint i = 0; i < n_old; i++) {
        Pin *old = &g_array_index(pins, Pin, i);

        if (old->vcpu == pin.vcpu) {
            old->pcpu = pin.pcpu;
            return;
        }
    }
    g_array_append_val(pins, pin);
}

void
instance_cell_pin(InstanceCell *cell, const int64_t *pcpus)
{
    const CpuSet *vcpus = &cell->pcpuset;
    guint n_old;

    if (cpu_set_is_empty(vcpus))
        return;
    if (!cell->pins)
        cell->pins = g_array_sized_new(FALSE, FALSE, sizeof(Pin), (guint)cpu_set_count(vcpus));
    n_old = cell->pins->len;
    for (int64_t vcpu = cpu_set_next(vcpus, 0); vcpu >= 0; vcpu = cpu_set_next(vcpus, vcpu + 1))
        set_pin(cell->pins, n_old, (Pin){vcpu, *pcpus++});
}
