/* SPDX-License-Identifier: Apache-2.0 */
/* <perf>: which kernel counters are kept of the guest (LibvirtDriver._get_supported_perf_events). */

#include "compute/xml/domain_build.h"

/* VIR_PERF_PARAM_* of libvirt-domain.h, without cmt, mbmt and mbml: recent kernels have none. */
const char *const libvirt_perf_events[] = {
    "cache_misses",
    "cache_references",
    "instructions",
    "cpu_cycles",
    "branch_instructions",
    "branch_misses",
    "bus_cycles",
    "stalled_cycles_frontend",
    "stalled_cycles_backend",
    "ref_cpu_cycles",
    "cpu_clock",
    "task_clock",
    "page_faults",
    "context_switches",
    "cpu_migrations",
    "page_faults_min",
    "page_faults_maj",
    "alignment_faults",
    "emulation_faults",
    NULL,
};

void
build_perf(DomainBuild *build)
{
    char **events = build->options->libvirt.enabled_perf_events;
    const char *const *known = build->in->facts->perf_events;

    for (unsigned i = 0; known && events && events[i]; i++) {
        g_autofree char *lowered = g_ascii_strdown(events[i], -1);

        if (!is_one_of(lowered, known))
            continue;
        if (!build->perf)
            build->perf = xml_node(build->document, "perf");
        xml_attr(xml_child_attr(build->perf, "event", "name", events[i]), "enabled", "yes");
    }
}
