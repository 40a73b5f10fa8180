/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, cores and threads of the guest (nova.virt.hardware.get_best_cpu_topology). */

#include "compute/fit/guest_request.h"

#define NO_LIMIT 65536
#define MOST_VCPUS INT32_MAX

static bool
flavor_int(const GuestRequest *request, const char *key, int64_t *ret_value, NovaError **err)
{
    const char *text = request_flavor(request, key);

    *ret_value = 0;
    if (!text || python_int(text, ret_value, NULL))
        return true;
    return nova_error_set(err, NOVA_ERROR_INVALID_REQUEST,
                          "Invalid flavor extra spec. Error: invalid literal for int() with base "
                          "10: '%s'", text);
}

static bool
flavor_topology(const GuestRequest *request, const char *const keys[3], CpuTopology *ret,
                NovaError **err)
{
    return flavor_int(request, keys[0], &ret->sockets, err) &&
           flavor_int(request, keys[1], &ret->cores, err) &&
           flavor_int(request, keys[2], &ret->threads, err);
}

static CpuTopology
image_topology(const GuestRequest *request, const char *const keys[3])
{
    return (CpuTopology){
        request_image_int(request, keys[0], 0),
        request_image_int(request, keys[1], 0),
        request_image_int(request, keys[2], 0),
    };
}

static bool
exceeds(const CpuTopology *wanted, const CpuTopology *limit)
{
    return wanted->sockets > limit->sockets || wanted->cores > limit->cores ||
           wanted->threads > limit->threads;
}

static int64_t
first_limit(int64_t of_image, int64_t of_flavor)
{
    return of_image ? of_image : of_flavor ? of_flavor : NO_LIMIT;
}

/* The image may lower what the flavor allows, never raise it. */
static bool
find_limits(const GuestRequest *request, CpuTopology *ret_limit, NovaError **err)
{
    static const char *const flavor_keys[] = {"hw:cpu_max_sockets", "hw:cpu_max_cores",
                                              "hw:cpu_max_threads"};
    static const char *const image_keys[] = {"hw_cpu_max_sockets", "hw_cpu_max_cores",
                                             "hw_cpu_max_threads"};
    const CpuTopology of_image = image_topology(request, image_keys);
    CpuTopology of_flavor;

    if (!flavor_topology(request, flavor_keys, &of_flavor, err))
        return false;
    if ((of_flavor.sockets && of_image.sockets > of_flavor.sockets) ||
        (of_flavor.cores && of_image.cores > of_flavor.cores) ||
        (of_flavor.threads && of_image.threads > of_flavor.threads))
        return nova_error_set(err, NOVA_ERROR_IMAGE_VCPU_LIMITS_RANGE_EXCEEDED,
                              "Image vCPU topology limits (sockets=%" PRId64 ", cores=%" PRId64
                              ", threads=%" PRId64 ") exceeds the limits of the flavor (sockets=%"
                              PRId64 ", cores=%" PRId64 ", threads=%" PRId64 ")",
                              of_image.sockets, of_image.cores, of_image.threads,
                              of_flavor.sockets, of_flavor.cores, of_flavor.threads);
    ret_limit->sockets = first_limit(of_image.sockets, of_flavor.sockets);
    ret_limit->cores = first_limit(of_image.cores, of_flavor.cores);
    ret_limit->threads = first_limit(of_image.threads, of_flavor.threads);
    return true;
}

/* Any value set by the image makes all of the flavor's preferences void. */
static bool
find_preference(const GuestRequest *request, const CpuTopology *limit, CpuTopology *ret_wanted,
                NovaError **err)
{
    static const char *const flavor_keys[] = {"hw:cpu_sockets", "hw:cpu_cores", "hw:cpu_threads"};
    static const char *const image_keys[] = {"hw_cpu_sockets", "hw_cpu_cores", "hw_cpu_threads"};
    const CpuTopology of_image = image_topology(request, image_keys);
    CpuTopology of_flavor;

    if (!flavor_topology(request, flavor_keys, &of_flavor, err))
        return false;
    if (exceeds(&of_flavor, limit))
        of_flavor = (CpuTopology){0};
    if (exceeds(&of_image, limit))
        return nova_error_set(err, NOVA_ERROR_IMAGE_VCPU_TOPOLOGY_RANGE_EXCEEDED,
                              "Image vCPU topology (sockets=%" PRId64 ", cores=%" PRId64
                              ", threads=%" PRId64 ") exceeds the limits of the flavor or image "
                              "(sockets=%" PRId64 ", cores=%" PRId64 ", threads=%" PRId64 ")",
                              of_image.sockets, of_image.cores, of_image.threads, limit->sockets,
                              limit->cores, limit->threads);
    *ret_wanted = of_image.sockets || of_image.cores || of_image.threads ? of_image : of_flavor;
    return true;
}

static int
score(const CpuTopology *topology, const CpuTopology *wanted)
{
    return (wanted->sockets && topology->sockets == wanted->sockets) +
           (wanted->cores && topology->cores == wanted->cores) +
           (wanted->threads && topology->threads == wanted->threads);
}

/* Few threads, then many sockets, are preferred among equal scores. */
static bool
is_better(const CpuTopology *a, int score_a, const CpuTopology *b, int score_b)
{
    if (score_a != score_b)
        return score_a > score_b;
    if (a->threads != b->threads)
        return a->threads < b->threads;
    return a->sockets > b->sockets;
}

/* All divisors of 'number', in no order; g_array_unref(). */
static GArray *
find_divisors(int64_t number)
{
    GArray *divisors = g_array_new(FALSE, FALSE, sizeof(int64_t));

    for (int64_t small = 1; small <= number / small; small++) {
        const int64_t large = number / small;

        if (number % small)
            continue;
        g_array_append_val(divisors, small);
        if (large != small)
            g_array_append_val(divisors, large);
    }
    return divisors;
}

/* False when no topology gives the flavor's CPUs within the limits. */
static bool
find_best(int64_t vcpus, const CpuTopology *limit, const CpuTopology *wanted, CpuTopology *ret_best)
{
    /* The database has no number of CPUs above MOST_VCPUS; the search is bounded with it. */
    g_autoptr(GArray) divisors = find_divisors(vcpus <= MOST_VCPUS ? vcpus : 0);
    int best_score = -1;

    for (guint i = 0; i < divisors->len; i++) {
        const int64_t sockets = g_array_index(divisors, int64_t, i);

        for (guint k = 0; k < divisors->len && sockets <= limit->sockets; k++) {
            const int64_t cores = g_array_index(divisors, int64_t, k);
            const CpuTopology one = {sockets, cores, vcpus / sockets / cores};

            if (vcpus / sockets % cores || exceeds(&one, limit))
                continue;
            if (best_score < 0 || is_better(&one, score(&one, wanted), ret_best, best_score)) {
                *ret_best = one;
                best_score = score(&one, wanted);
            }
        }
    }
    return best_score >= 0;
}

bool
request_cpu_topology(const GuestRequest *request, bool allow_threads, CpuTopology *ret_topology,
                     NovaError **err)
{
    const int64_t vcpus = request->flavor->vcpus;
    CpuTopology limit = {0}, wanted = {0};

    if (!find_limits(request, &limit, err) || !find_preference(request, &limit, &wanted, err))
        return false;
    if (!allow_threads)
        limit.threads = 1;
    if (find_best(vcpus, &limit, &wanted, ret_topology))
        return true;
    return nova_error_set(err, NOVA_ERROR_IMAGE_VCPU_LIMITS_RANGE_IMPOSSIBLE,
                          "Requested vCPU limits %" PRId64 ":%" PRId64 ":%" PRId64
                          " are impossible to satisfy for vcpus count %" PRId64,
                          MIN(vcpus, limit.sockets), MIN(vcpus, limit.cores),
                          MIN(vcpus, limit.threads), vcpus);
}
