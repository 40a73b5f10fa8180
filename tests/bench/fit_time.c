/* SPDX-License-Identifier: Apache-2.0 */
/* fit_time: the nanoseconds of one fit for each case, see core_time.h. For cores.py, beside Nova's own. */

#include "agent/numa_case.h"
#include "tests/bench/core_time.h"

static void *
run_fit(void *request)
{
    InstanceNuma *fitted = NULL;

    return fit_instance_to_host(request, &fitted, NULL) ? fitted : NULL;
}

static void
release_fit(void *fitted)
{
    instance_numa_free(fitted);
}

static int64_t
time_fit(json_t *json, void *user)
{
    static const CoreFunction function = {run_fit, release_fit};
    g_auto(NumaCase) one = {.json = json};
    FitRequest request = {0};

    (void)user;
    return numa_case_read_fit(&one, &request, NULL) ? core_time_median_ns(&function, &request) : -1;
}

int
main(void)
{
    return core_time_main(time_fit, NULL);
}
