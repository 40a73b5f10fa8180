/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/constraints.h"

#include <string.h>

#include "agent/base/json.h"
#include "compute/fit/numa_layout.h"
#include "compute/fit/saturate.h"

#define HYPERTHREADING "HW_CPU_HYPERTHREADING"

/* What is read of flavor and image, before it is put together. */
typedef struct Wishes {
    CpuPolicy cpu_policy;
    ThreadPolicy thread_policy;
    EmulatorPolicy emulator_policy;
    CpuSet realtime;
    CpuSet dedicated;
} Wishes;

static void
wishes_clear(Wishes *wishes)
{
    cpu_set_clear(&wishes->realtime);
    cpu_set_clear(&wishes->dedicated);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wishes, wishes_clear)

static int
find_name(const char *const *names, const char *text)
{
    for (int i = 0; text && names[i]; i++) {
        if (!strcmp(names[i], text))
            return i;
    }
    return -1;
}

/* ---- policies ---- */

static bool
image_forbidden(NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_IMAGE_CPU_PINNING_FORBIDDEN,
                          "Image property 'hw_cpu_policy' is not permitted to override CPU pinning "
                          "policy set against the flavor");
}

bool
constraints_cpu_policy(const GuestRequest *request, CpuPolicy *ret_policy, NovaError **err)
{
    const char *text = request_flavor_truthy(request, "hw:cpu_policy");
    const CpuPolicy of_flavor = (CpuPolicy)find_name(cpu_policy_names, text);
    const CpuPolicy of_image =
        (CpuPolicy)find_name(cpu_policy_names, request_image(request, "hw_cpu_policy"));

    if (text && of_flavor == CPU_POLICY_NONE)
        return nova_error_set(err, NOVA_ERROR_INVALID_CPU_ALLOCATION_POLICY,
                              "CPU policy requested from 'flavor extra specs' is invalid, given: "
                              "'%s', available: '('dedicated', 'shared', 'mixed')'.", text);
    if ((of_flavor == CPU_MIXED && of_image == CPU_DEDICATED) ||
        (of_flavor == CPU_SHARED && (of_image == CPU_DEDICATED || of_image == CPU_MIXED)))
        return image_forbidden(err);
    *ret_policy = of_flavor != CPU_POLICY_NONE ? of_flavor : of_image;
    return true;
}

bool
constraints_thread_policy(const GuestRequest *request, ThreadPolicy *ret_policy, NovaError **err)
{
    const char *of_flavor = request_flavor(request, "hw:cpu_thread_policy");
    const char *of_image = request_image(request, "hw_cpu_thread_policy");

    if (of_flavor && *of_flavor && find_name(thread_policy_names, of_flavor) < 0)
        return nova_error_set(err, NOVA_ERROR_INVALID_CPU_THREAD_ALLOCATION_POLICY,
                              "CPU thread policy requested from 'flavor extra specs' is invalid, "
                              "given: '%s', available: '('prefer', 'isolate', 'require')'.",
                              of_flavor);
    if (!of_flavor)
        of_flavor = of_image;
    else if (strcmp(of_flavor, "prefer") && of_image && strcmp(of_image, of_flavor))
        return nova_error_set(err, NOVA_ERROR_IMAGE_CPU_THREAD_POLICY_FORBIDDEN,
                              "Image property 'hw_cpu_thread_policy' is not permitted to override "
                              "CPU thread pinning policy set against the flavor");
    *ret_policy = (ThreadPolicy)find_name(thread_policy_names, of_flavor);
    return true;
}

bool
constraints_dedicated_mask(const GuestRequest *request, CpuSet *vcpus, NovaError **err)
{
    const char *mask = request_flavor_truthy(request, "hw:cpu_dedicated_mask");
    g_auto(CpuSet) all = {0};

    if (!mask)
        return true;
    if (!request_parse_vcpu_mask(request, mask, vcpus, err))
        return false;
    cpu_set_add_range(&all, 0, request_last_vcpu(request));
    if (cpu_set_is_empty(vcpus) || cpu_set_is_subset(&all, vcpus))
        return nova_error_set(err, NOVA_ERROR_INVALID_MIXED_INSTANCE_DEDICATED_MASK,
                              "Mixed instance must have at least 1 pinned vCPU and 1 unpinned "
                              "vCPU. See 'hw:cpu_dedicated_mask'.");
    if (!cpu_set_is_subset(vcpus, &all))
        return nova_error_set(err, NOVA_ERROR_INVALID_MIXED_INSTANCE_DEDICATED_MASK,
                              "Mixed instance dedicated vCPU(s) mask is not a subset of vCPUs in "
                              "the flavor. See \"hw:cpu_dedicated_mask\"");
    return true;
}

/* ---- resources and traits that say the same in Placement's words ---- */

/* PREFIX:NAME... or PREFIXn:NAME..., n without a leading zero. */
static bool
names_resource(const char *key, const char *prefix, const char *name)
{
    if (!g_str_has_prefix(key, prefix))
        return false;
    key += strlen(prefix);
    if (*key >= '1' && *key <= '9')
        key += strspn(key, "0123456789");
    return *key == ':' && g_str_has_prefix(key + 1, name);
}

static int64_t
sum_resource(const GuestRequest *request, const char *name)
{
    GHashTableIter iter;
    void *key, *value;
    int64_t sum = 0;

    if (!request->flavor->extra_specs)
        return 0;
    g_hash_table_iter_init(&iter, request->flavor->extra_specs);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        int64_t amount;

        if (names_resource(key, "resources", name) && value && python_int(value, &amount, NULL))
            sum = saturating_add(sum, amount);
    }
    return sum;
}

static bool
invalid_request(NovaError **err, const char *text)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_REQUEST, "%s", text);
}

/* PCPU means dedicated, VCPU means shared; the emulator's CPU, if it has its own, is a PCPU more. */
static bool
apply_resources(const GuestRequest *request, Wishes *wishes, NovaError **err)
{
    const int64_t vcpus = sum_resource(request, "VCPU");
    const int64_t pcpus = sum_resource(request, "PCPU");
    const bool isolates = wishes->emulator_policy == EMULATOR_ISOLATE;

    if (wishes->cpu_policy != CPU_POLICY_NONE && (vcpus || pcpus))
        return invalid_request(err, "It is not possible to use the 'resources:VCPU' or "
                                    "'resources:PCPU' extra specs in combination with the "
                                    "'hw:cpu_policy' extra spec or 'hw_cpu_policy' image metadata "
                                    "property; use one or the other");
    if (vcpus && pcpus)
        return invalid_request(err, "It is not possible to specify both 'resources:VCPU' and "
                                    "'resources:PCPU' extra specs; use one or the other");
    if (pcpus && isolates && saturating_add(request->flavor->vcpus, 1) != pcpus)
        return invalid_request(err, "You have requested 'hw:emulator_threads_policy=isolate' but "
                                    "have not requested sufficient PCPUs to handle this policy; "
                                    "you must allocate exactly flavor.vcpus + 1 PCPUs.");
    if (pcpus && !isolates && request->flavor->vcpus != pcpus)
        return invalid_request(err, "There is a mismatch between the number of PCPUs requested via "
                                    "'resourcesNN:PCPU' and the flavor); you must allocate exactly "
                                    "flavor.vcpus PCPUs");
    if (pcpus)
        wishes->cpu_policy = CPU_DEDICATED;
    if (vcpus)
        wishes->cpu_policy = CPU_SHARED;
    return true;
}

/* The extra spec whose key sorts first, for ours have no order. */
static const char *
flavor_hyperthreading(const GuestRequest *request)
{
    GHashTableIter iter;
    void *key, *value;
    const char *first = NULL;

    if (!request->flavor->extra_specs)
        return NULL;
    g_hash_table_iter_init(&iter, request->flavor->extra_specs);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        if (names_resource(key, "trait", HYPERTHREADING) && (!first || strcmp(key, first) < 0))
            first = key;
    }
    return first ? request_flavor(request, first) : NULL;
}

static bool
image_requires_hyperthreading(const GuestRequest *request)
{
    return json_has_string(request_image_list(request, "traits_required"), HYPERTHREADING);
}

static bool
apply_hyperthreading(const GuestRequest *request, Wishes *wishes, NovaError **err)
{
    const char *trait = flavor_hyperthreading(request);

    if (!trait && image_requires_hyperthreading(request))
        trait = "required";
    if (!trait || !*trait)
        return true;
    if (wishes->thread_policy != THREAD_POLICY_NONE)
        return invalid_request(err, "It is not possible to use the 'trait:HW_CPU_HYPERTHREADING' "
                                    "extra spec in combination with the 'hw:cpu_thread_policy' "
                                    "extra spec or 'hw_cpu_thread_policy' image metadata property; "
                                    "use one or the other");
    if (!strcmp(trait, "forbidden"))
        wishes->thread_policy = THREAD_ISOLATE;
    else if (!strcmp(trait, "required"))
        wishes->thread_policy = THREAD_REQUIRE;
    return true;
}

/* ---- what goes together ---- */

static bool
needs_mixed(NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_REQUIRED_MIXED_INSTANCE_POLICY,
                          "Cannot specify 'hw:cpu_dedicated_mask' without the 'mixed' policy.");
}

static bool
check_shared(const Wishes *wishes, NovaError **err)
{
    if (wishes->thread_policy != THREAD_POLICY_NONE)
        return nova_error_set(err, NOVA_ERROR_CPU_THREAD_POLICY_CONFIGURATION_INVALID,
                              "Cannot set cpu thread pinning policy in a non dedicated cpu pinning "
                              "policy");
    if (wishes->emulator_policy == EMULATOR_ISOLATE)
        return nova_error_set(err, NOVA_ERROR_BAD_REQUIREMENT_EMULATOR_THREADS_POLICY,
                              "An isolated CPU emulator threads option requires a dedicated CPU "
                              "policy option.");
    if (!cpu_set_is_empty(&wishes->dedicated))
        return needs_mixed(err);
    if (!cpu_set_is_empty(&wishes->realtime))
        return nova_error_set(err, NOVA_ERROR_REALTIME_CONFIGURATION_INVALID,
                              "Cannot set realtime policy in a non dedicated cpu pinning policy");
    return true;
}

/* The vCPUs that get CPUs of their own are named by one of the two masks. */
static bool
check_mixed(Wishes *wishes, NovaError **err)
{
    if (cpu_set_is_empty(&wishes->realtime) == cpu_set_is_empty(&wishes->dedicated))
        return nova_error_set(err, NOVA_ERROR_REQUIRED_MIXED_OR_REALTIME_CPU_MASK,
                              "Dedicated CPU set can be specified from either "
                              "'hw:cpu_dedicated_mask' or 'hw:cpu_realtime_mask' when using "
                              "'mixed' CPU policy. 'hw:cpu_dedicated_mask' and "
                              "'hw:cpu_realtime_mask' can not be specified at the same time, or be "
                              "specified with none of them.");
    cpu_set_unite(&wishes->dedicated, &wishes->realtime);
    return true;
}

static bool
check_combination(Wishes *wishes, NovaError **err)
{
    switch (wishes->cpu_policy) {
    case CPU_DEDICATED:
        return cpu_set_is_empty(&wishes->dedicated) || needs_mixed(err);
    case CPU_MIXED:
        return check_mixed(wishes, err);
    default:
        return check_shared(wishes, err);
    }
}

static bool
read_wishes(const GuestRequest *request, Wishes *wishes, NovaError **err)
{
    const char *emulator = NULL;

    if (!constraints_cpu_policy(request, &wishes->cpu_policy, err) ||
        !constraints_thread_policy(request, &wishes->thread_policy, err) ||
        !request_realtime_cpus(request, &wishes->realtime, err) ||
        !constraints_dedicated_mask(request, &wishes->dedicated, err) ||
        !request_emulator_threads_policy(request, &emulator, err))
        return false;
    wishes->emulator_policy = (EmulatorPolicy)find_name(emulator_policy_names, emulator);
    return apply_resources(request, wishes, err) && apply_hyperthreading(request, wishes, err) &&
           check_combination(wishes, err);
}

/* ---- the topology ---- */

/* Persistent memory lies in a NUMA node. */
static bool
wants_persistent_memory(const GuestRequest *request)
{
    const char *text = request_flavor(request, "hw:pmem");
    g_auto(GStrv) labels = g_strsplit(text ? text : "", ",", -1);

    for (char **label = labels; *label; label++) {
        g_autofree char *stripped = python_strip(*label);

        if (*stripped)
            return true;
    }
    return false;
}

static void
set_policies(InstanceNuma *topology, const Wishes *wishes, const PageSizeRequest *page_size)
{
    for (unsigned i = 0; i < topology->n_cells; i++) {
        InstanceCell *cell = &topology->cells[i];

        cell->cpu_policy = wishes->cpu_policy;
        cell->thread_policy = wishes->thread_policy;
        cell->has_pagesize = page_size->is_set;
        cell->pagesize_kib = page_size->size_kib;
    }
    topology->emulator_policy = wishes->emulator_policy;
}

/* An empty text is no policy, and cannot be written into a cell either. */
static bool
check_thread_policy_text(const GuestRequest *request, const Wishes *wishes, NovaError **err)
{
    const char *text = request_flavor(request, "hw:cpu_thread_policy");

    if (!text || *text || wishes->thread_policy != THREAD_POLICY_NONE)
        return true;
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field value  is invalid");
}

bool
constraints_make(const GuestRequest *request, InstanceNuma **ret_topology, NovaError **err)
{
    g_auto(Wishes) wishes = {0};
    g_autoptr(InstanceNuma) topology = NULL;
    PageSizeRequest page_size;
    int64_t nodes;
    bool locked;

    *ret_topology = NULL;
    if (!read_wishes(request, &wishes, err) || !numa_layout_count(request, &nodes, err) ||
        !numa_layout_page_size(request, &page_size, err) ||
        !request_locked_memory(request, NULL, &locked, err))
        return false;
    if (request->flavor->vcpus > CPU_SET_MAX)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%" PRId64 " vCPUs are too many",
                              request->flavor->vcpus);
    if (wishes.cpu_policy == CPU_DEDICATED)
        cpu_set_add_range(&wishes.dedicated, 0, request_last_vcpu(request));
    if (nodes == 0 && !page_size.is_wanted && !wants_persistent_memory(request) &&
        wishes.cpu_policy != CPU_DEDICATED && wishes.cpu_policy != CPU_MIXED)
        return true;
    topology = numa_layout_make(request, nodes ? nodes : 1, &wishes.dedicated, err);
    if (!topology || !check_thread_policy_text(request, &wishes, err))
        return false;
    set_policies(topology, &wishes, &page_size);
    *ret_topology = g_steal_pointer(&topology);
    return true;
}
