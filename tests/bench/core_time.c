/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/core_time.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

int64_t
core_time_median_ns(const CoreFunction *function, void *input)
{
    int64_t times[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        const int64_t started = now_ns();
        void *result = function->run(input);

        times[i] = now_ns() - started;
        function->release(result);
    }
    qsort(times, ROUNDS, sizeof(times[0]), compare);
    return times[ROUNDS / 2];
}

int
core_time_main(CoreTimeCase time_case, void *user)
{
    bool ok = true;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while (ok && (length = getline(&line, &size, stdin)) >= 0) {
        json_auto_t *json = json_loadb(line, (size_t)length, 0, NULL);

        ok = json != NULL;
        if (ok)
            printf("%lld\n", (long long)time_case(json, user));
        fflush(stdout);
    }
    free(line);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
