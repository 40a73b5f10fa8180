/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Places where a test may kill the process: before and after each thing that changes the world.
 * Compiled in by --enable-fail-points only; a package has none.
 *
 *     FAIL_POINT("guest.define:before", NULL);
 *
 * Passes are counted for one method at a time, that of fail_point_enter(), in whichever threads
 * work on it. Armed by KILONOVA_FAIL_POINT or fail_point_arm():
 *
 *     METHOD/POINT#N     the N-th pass of POINT within METHOD ends in SIGKILL
 *     METHOD/trace       passes are written to the file of KILONOVA_FAIL_TRACE: "POINT#N DETAIL" */

#include <stdbool.h>
#include <stdio.h>

#ifdef ENABLE_FAIL_POINTS

/* The section makes the list of all points without anybody keeping one. */
#define FAIL_POINT(name, detail)                                                                   \
    do {                                                                                           \
        static const char *const fail_point_name __attribute__((section("fail_points"), used)) =  \
            (name);                                                                                \
        fail_point_pass(fail_point_name, (detail));                                                \
    } while (0)

void fail_point_pass(const char *name, const char *detail);

/* The thread works on 'method' now (static text); NULL: on none. */
void fail_point_enter(const char *method);

/* NULL disarms. False when it cannot be understood. */
bool fail_point_arm(const char *spec);

void fail_point_list(FILE *out);

#else

#define FAIL_POINT(name, detail) ((void)0)
#define fail_point_enter(method) ((void)0)

#endif
