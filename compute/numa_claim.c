/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.numa_claim"
#include "compute/numa_claim.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/fit/constraints.h"
#include "compute/fit/fit.h"

InstanceNuma *
numa_claim_topology(const Instance *instance, NovaError **err)
{
    json_auto_t *primitive = NULL;

    if (!instance->numa_topology)
        return NULL;
    primitive = object_to_json(instance->numa_topology);
    return instance_numa_from_json(primitive, err);
}

/* ---- placing ---- */

/* *ret_limits is NULL when the scheduler sets none. */
static bool
read_limits(const json_t *limits, FitLimits **ret_limits, NovaError **err)
{
    const json_t *data = json_object_get(limits, "nova_object.data");
    const json_t *numa = json_object_get(data ? data : limits, "numa_topology");

    *ret_limits = NULL;
    if (!json_is_object(numa))
        return true;
    *ret_limits = fit_limits_from_json(numa, err);
    return *ret_limits != NULL;
}

static InstanceNUMATopology *
make_topology(const InstanceNuma *placed, NovaError **err)
{
    json_auto_t *primitive = instance_numa_to_json(placed);

    return instance_numa_topology_from_json(primitive, err);
}

static bool
fit(const Options *options, const ClaimHost *host, const InstanceNuma *wanted,
    InstanceNuma **ret_placed, NovaError **err)
{
    g_autoptr(FitLimits) limits = NULL;
    FitRequest request = {
        .host = host->numa,
        .instance = wanted,
        .pci_requests = host->pci_requests,
        .pci_pools = host->pci_pools,
        .pack = options->compute.packing_host_numa_cells_allocation_strategy,
    };

    if (!read_limits(host->limits, &limits, err))
        return false;
    request.limits = limits;
    return fit_instance_to_host(&request, ret_placed, err);
}

static bool
wants_devices(const ClaimHost *host)
{
    return host->pci_requests && host->pci_requests->len > 0;
}

/* Wherever they are: which are near enough the fit has seen to. */
static bool
has_devices(const ClaimHost *host, bool *ret_has, NovaError **err)
{
    *ret_has = true;
    return !wants_devices(host) || pci_requests_support(host->pci_requests, host->pci_pools, NULL, NULL,
                                                        ret_has, err);
}

static bool
refuse(const ClaimHost *host, bool has_place, bool has_all_devices, NovaError **err)
{
    const char *place = has_place              ? ""
                        : wants_devices(host) ? "Requested instance NUMA topology together with "
                                                "requested PCI devices cannot fit the given host NUMA "
                                                "topology"
                                              : "Requested instance NUMA topology cannot fit the given "
                                                "host NUMA topology";

    return nova_error_set(err, NOVA_ERROR_COMPUTE_RESOURCES_UNAVAILABLE,
                          "Insufficient compute resources: %s%s%s.", place,
                          has_place || has_all_devices ? "" : "; ",
                          has_all_devices ? "" : "Claim pci failed");
}

/* Without cells there is nothing to refuse by, the scheduler has done so: *ret_topology is NULL. */
static bool
place(const Options *options, const ClaimHost *host, const InstanceNuma *wanted,
      InstanceNUMATopology **ret_topology, NovaError **err)
{
    g_autoptr(InstanceNuma) placed = NULL;
    bool is_bound = host->numa && wanted, has_all_devices;

    *ret_topology = NULL;
    if ((is_bound && !fit(options, host, wanted, &placed, err)) ||
        !has_devices(host, &has_all_devices, err))
        return false;
    if ((is_bound && !placed) || !has_all_devices)
        return refuse(host, !is_bound || placed, has_all_devices, err);
    if (placed)
        *ret_topology = make_topology(placed, err);
    return !placed || *ret_topology;
}

bool
numa_claim_place(const Options *options, const ClaimHost *host, Instance *instance, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(InstanceNuma) wanted = numa_claim_topology(instance, &error);
    InstanceNUMATopology *topology;

    if (error)
        return nova_error_propagate(err, error);
    if (!place(options, host, wanted, &topology, err))
        return false;
    if (wanted) {
        instance_numa_topology_free(instance->numa_topology);
        OBJECT_SET(instance, numa_topology, topology);
    }
    return true;
}

bool
numa_claim_place_request(const Options *options, const ClaimHost *host, const GuestRequest *request,
                         InstanceNUMATopology **ret_topology, NovaError **err)
{
    g_autoptr(InstanceNuma) wanted = NULL;

    *ret_topology = NULL;
    return constraints_make(request, &wanted, err) &&
           place(options, host, wanted, ret_topology, err);
}

void
numa_claim_clear(Instance *instance)
{
    const GPtrArray *cells = instance->numa_topology ? instance->numa_topology->cells : NULL;

    for (guint i = 0; cells && i < cells->len; i++) {
        InstanceNUMACell *cell = cells->pdata[i];

        json_decref(cell->cpu_pinning_raw);
        OBJECT_SET(cell, cpu_pinning_raw, json_object());
        OBJECT_SET(cell, id, -1);
    }
}

/* ---- at start ---- */

static bool
is_set(const char *option)
{
    return option && *option;
}

static bool
invalid(NovaError **err, const char *text)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION, "%s", text);
}

static bool
check_unpinned(const OptionsCompute *compute, NovaError **err)
{
    return !is_set(compute->cpu_dedicated_set) || is_set(compute->cpu_shared_set) ||
           invalid(err, "This host has unpinned instances but has no CPUs set aside for this "
                        "purpose; configure '[compute] cpu_shared_set' instead of, or in addition "
                        "to, '[compute] cpu_dedicated_set'");
}

static bool
check_mixed(const OptionsCompute *compute, NovaError **err)
{
    if (!is_set(compute->cpu_shared_set))
        return invalid(err, "This host has mixed instance requesting both pinned and unpinned CPUs "
                            "but hasn't set aside unpinned CPUs for this purpose; Configure "
                            "'[compute] cpu_shared_set'.");
    return is_set(compute->cpu_dedicated_set) ||
           invalid(err, "This host has mixed instance requesting both pinned and unpinned CPUs but "
                        "hasn't set aside pinned CPUs for this purpose; Configure '[compute] "
                        "cpu_dedicated_set'");
}

static void
warn_about_lost_cpus(const Options *options, const InstanceNuma *numa)
{
    const char *spec = is_set(options->default_group.vcpu_pin_set)
                           ? options->default_group.vcpu_pin_set
                           : options->compute.cpu_dedicated_set;
    g_auto(CpuSet) available = {0}, lost = {0};
    g_autofree char *text = NULL;

    if (!is_set(spec) || !cpu_set_parse(spec, &available, NULL))
        return;
    for (unsigned i = 0; i < numa->n_cells; i++)
        for (guint k = 0; numa->cells[i].pins && k < numa->cells[i].pins->len; k++)
            cpu_set_add(&lost, g_array_index(numa->cells[i].pins, Pin, k).pcpu);
    cpu_set_subtract(&lost, &available);
    text = cpu_set_format(&lost);
    if (*text)
        LOG_WARNING("Instance is pinned to host CPUs %s but one or more of these CPUs are not "
                    "included in either '[compute] cpu_dedicated_set' or 'vcpu_pin_set'; you should "
                    "update these configuration options to include the missing CPUs or rebuild or "
                    "cold migrate this instance.", text);
}

static bool
check_pinned(const Options *options, const InstanceNuma *numa, NovaError **err)
{
    const OptionsCompute *compute = &options->compute;

    if (is_set(compute->cpu_shared_set) && !is_set(compute->cpu_dedicated_set) &&
        !is_set(options->default_group.vcpu_pin_set))
        return invalid(err, "This host has pinned instances but has no CPUs set aside for this "
                            "purpose; configure '[compute] cpu_dedicated_set' instead of, or in "
                            "addition to, '[compute] cpu_shared_set'.");
    if (numa->cells[0].cpu_policy == CPU_MIXED && !check_mixed(compute, err))
        return false;
    warn_about_lost_cpus(options, numa);
    return true;
}

static bool
check_instance(const Options *options, const Instance *instance, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(InstanceNuma) numa = numa_claim_topology(instance, &error);

    if (error)
        return nova_error_propagate(err, error);
    if (!numa || numa->n_cells == 0 || !instance_cell_is_pinned(&numa->cells[0]))
        return check_unpinned(&options->compute, err);
    return check_pinned(options, numa, err);
}

bool
numa_claim_check_options(const Options *options, const GPtrArray *instances, NovaError **err)
{
    for (guint i = 0; i < instances->len; i++) {
        const Instance *instance = instances->pdata[i];

        if (!instance_is_deleted(instance) &&
            !check_instance(options, instance, err))
            return false;
    }
    return true;
}
