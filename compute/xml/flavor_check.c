/* SPDX-License-Identifier: Apache-2.0 */
/* A custom CPU model is chosen by the traits that the flavor requires, and Nova finds those by
 * making a request to Placement out of the flavor alone: whatever is wrong with the flavor comes
 * out there (nova.scheduler.utils.ResourceRequest.from_request_spec). */

#include <string.h>

#include "compute/fit/guest_request.h"

static bool
check_policies(const GuestRequest *alone, const char **ret_cpu_policy, NovaError **err)
{
    static const char *const cpu[] = {"dedicated", "shared", "mixed", NULL};
    static const char *const thread[] = {"prefer", "isolate", "require", NULL};
    const char *cpu_policy = request_flavor_truthy(alone, "hw:cpu_policy");
    const char *thread_policy = request_flavor_truthy(alone, "hw:cpu_thread_policy");
    const char *emulator_policy;

    *ret_cpu_policy = cpu_policy;
    if (cpu_policy && !is_one_of(cpu_policy, cpu))
        return nova_error_set(err, NOVA_ERROR_INVALID_CPU_ALLOCATION_POLICY,
                              "CPU policy requested from 'flavor extra specs' is invalid, given: "
                              "'%s', available: '('dedicated', 'shared', 'mixed')'.", cpu_policy);
    if (thread_policy && !is_one_of(thread_policy, thread))
        return nova_error_set(err, NOVA_ERROR_INVALID_CPU_THREAD_ALLOCATION_POLICY,
                              "CPU thread policy requested from 'flavor extra specs' is invalid, "
                              "given: '%s', available: '('prefer', 'isolate', 'require')'.",
                              thread_policy);
    return request_emulator_threads_policy(alone, &emulator_policy, err);
}

static bool
check_dedicated_mask(const GuestRequest *alone, NovaError **err)
{
    const char *mask = request_flavor_truthy(alone, "hw:cpu_dedicated_mask");
    g_auto(CpuSet) dedicated = {0};
    g_auto(CpuSet) all = {0};

    if (!mask)
        return true;
    if (!request_parse_vcpu_mask(alone, mask, &dedicated, err))
        return false;
    cpu_set_add_range(&all, 0, alone->flavor->vcpus - 1);
    if (!cpu_set_is_empty(&dedicated) && !cpu_set_is_subset(&all, &dedicated) &&
        cpu_set_is_subset(&dedicated, &all))
        return true;
    return nova_error_set(err, NOVA_ERROR_INVALID_MIXED_INSTANCE_DEDICATED_MASK,
                          "Mixed instance must have at least 1 pinned vCPU and 1 unpinned vCPU. "
                          "See 'hw:cpu_dedicated_mask'.");
}

static bool
check_mixed(const GuestRequest *alone, const char *cpu_policy, NovaError **err)
{
    g_auto(CpuSet) realtime = {0};

    return !cpu_policy || strcmp(cpu_policy, "mixed") ||
           (check_dedicated_mask(alone, err) && request_realtime_cpus(alone, &realtime, err));
}

static bool
check_named(const GuestRequest *alone, const char *key, const char *const *allowed,
            NovaErrorKind kind, const char *what, NovaError **err)
{
    const char *value = request_flavor_truthy(alone, key);

    if (!value || is_one_of(value, allowed))
        return true;
    return nova_error_set(err, kind, "Invalid %s '%s'.", what, value);
}

bool
request_check_flavor(const Flavor *flavor, NovaError **err)
{
    static const char *const affinities[] = {"required", "legacy", "preferred", "socket", NULL};
    static const char *const modes[] = {"passthrough", "emulate", NULL};
    const ImageMeta no_image = {0};
    const GuestRequest alone = {flavor, &no_image};
    MemoryEncryption encryption;
    VtpmRequest vtpm;
    const char *text;

    return check_policies(&alone, &text, err) && check_mixed(&alone, text, err) &&
           request_memory_encryption(&alone, NULL, &encryption, err) &&
           request_vtpm(&alone, &vtpm, err) &&
           check_named(&alone, "hw:pci_numa_affinity_policy", affinities,
                       NOVA_ERROR_INVALID_PCINUMA_AFFINITY, "PCI NUMA affinity policy", err) &&
           request_secure_boot(&alone, &text, err) &&
           check_named(&alone, "hw:maxphysaddr_mode", modes, NOVA_ERROR_INVALID,
                       "Maxphyaddr mode", err);
}
