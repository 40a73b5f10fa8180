/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Times a pure function on cases, one a line of standard input: what fit_time.c and xml_time.c share. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What is timed: the function alone. Its result is released outside of the measured time. */
typedef struct CoreFunction {
    void *(*run)(void *input);
    void (*release)(void *result);
} CoreFunction;

/* The median of many runs, in nanoseconds. */
int64_t core_time_median_ns(const CoreFunction *function, void *input);

/* For main(): each line of standard input is answered at once by a line with the nanoseconds that
 * 'time_case' says of it, negative for a case that cannot be run. */
typedef int64_t (*CoreTimeCase)(json_t *json, void *user);

int core_time_main(CoreTimeCase time_case, void *user);
