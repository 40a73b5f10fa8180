/* SPDX-License-Identifier: Apache-2.0 */
/* xml_time CASES: nanoseconds of one domain XML for each case that has one, one a line: the function
 * alone, its input parsed already. For xml_cores.py, beside Nova's own function. */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/xml_case.h"

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

/* Negative for a case without XML. */
static int64_t
median_ns(XmlCase *one)
{
    int64_t times[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        const int64_t started = now_ns();
        g_autofree char *xml = xml_case_make_xml(one, NULL);

        times[i] = now_ns() - started;
        if (!xml)
            return -1;
    }
    qsort(times, ROUNDS, sizeof(times[0]), compare);
    return times[ROUNDS / 2];
}

static bool
time_case(XmlCapabilities *capabilities, const char *line, size_t length)
{
    json_auto_t *json = json_loadb(line, length, 0, NULL);
    g_autoptr(XmlCase) one = json ? xml_case_new(capabilities, json, NULL) : NULL;
    const int64_t time = one ? median_ns(one) : -1;

    if (time >= 0)
        printf("%lld\n", (long long)time);
    return json != NULL;
}

int
main(int argc, char **argv)
{
    g_autoptr(XmlCapabilities) capabilities = xml_capabilities_new();
    FILE *in = argc == 2 ? fopen(argv[1], "r") : NULL;
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    bool ok = in != NULL;

    while (ok && (length = getline(&line, &size, in)) >= 0)
        ok = time_case(capabilities, line, (size_t)length);
    free(line);
    if (in)
        fclose(in);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
