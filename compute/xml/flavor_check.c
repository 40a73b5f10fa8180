/* SPDX-License-Identifier: Apache-2.0 */
/* A custom CPU model is chosen by the traits that the flavor requires, and Nova finds those by
 * making a request to Placement out of the flavor alone: whatever is wrong with the flavor comes
 * out there (nova.scheduler.utils.ResourceRequest.from_request_spec). */

#include <string.h>

#include "compute/fit/constraints.h"

static bool
check_policies(const GuestRequest *alone, CpuPolicy *ret_cpu_policy, NovaError **err)
{
    ThreadPolicy thread_policy;
    const char *emulator_policy;

    return constraints_cpu_policy(alone, ret_cpu_policy, err) &&
           constraints_thread_policy(alone, &thread_policy, err) &&
           request_emulator_threads_policy(alone, &emulator_policy, err);
}

static bool
check_mixed(const GuestRequest *alone, CpuPolicy cpu_policy, NovaError **err)
{
    g_auto(CpuSet) dedicated = {0}, realtime = {0};

    return cpu_policy != CPU_MIXED || (constraints_dedicated_mask(alone, &dedicated, err) &&
                                       request_realtime_cpus(alone, &realtime, err));
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
    CpuPolicy cpu_policy;
    const char *text;

    return check_policies(&alone, &cpu_policy, err) && check_mixed(&alone, cpu_policy, err) &&
           request_memory_encryption(&alone, NULL, &encryption, err) &&
           request_vtpm(&alone, &vtpm, err) &&
           check_named(&alone, "hw:pci_numa_affinity_policy", affinities,
                       NOVA_ERROR_INVALID_PCINUMA_AFFINITY, "PCI NUMA affinity policy", err) &&
           request_secure_boot(&alone, &text, err) &&
           check_named(&alone, "hw:maxphysaddr_mode", modes, NOVA_ERROR_INVALID,
                       "Maxphyaddr mode", err);
}
