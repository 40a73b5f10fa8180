/* SPDX-License-Identifier: Apache-2.0 */
/* fit_time CASES: nanoseconds of one fit for each case, one a line: the function alone, its input
 * parsed already. For fit_cores.py, beside Nova's own function. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/numa_case.h"

#define ROUNDS 200

static int64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int
compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t
median_ns(const FitRequest *request)
{
    int64_t times[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        const int64_t started = now_ns();
        InstanceNuma *fitted = NULL;

        if (!fit_instance_to_host(request, &fitted, NULL))
            fitted = NULL;
        times[i] = now_ns() - started;
        instance_numa_free(fitted);
    }
    qsort(times, ROUNDS, sizeof(times[0]), compare);
    return times[ROUNDS / 2];
}

static bool
time_case(const char *line, size_t length)
{
    json_auto_t *json = json_loadb(line, length, 0, NULL);
    g_auto(NumaCase) one = {.json = json};
    FitRequest request = {0};

    if (!json || !numa_case_read_fit(&one, &request, NULL))
        return false;
    printf("%lld\n", (long long)median_ns(&request));
    return true;
}

int
main(int argc, char **argv)
{
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool ok = in != NULL;

    while (ok && (length = getline(&line, &size, in)) >= 0)
        ok = time_case(line, (size_t)length);
    free(line);
    if (in)
        fclose(in);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
