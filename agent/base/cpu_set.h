/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sets of CPU, vCPU and NUMA node numbers, and their text form "0-3,^2,8"
 * (nova.virt.hardware.parse_cpu_spec and format_cpu_spec). Values; one thread at a time. */

#include <glib.h>
#include <stdbool.h>
#include <inttypes.h>

#include "agent/base/nova_error.h"

/* Numbers from CPU_SET_MAX on cannot be members: no host has them, and memory stays bounded. */
#define CPU_SET_MAX (1 << 16)

typedef struct CpuSet {
    unsigned n_words;
    union { /* bit n of word n/64 */
        uint64_t word;   /* most sets are small: n_words <= 1 */
        uint64_t *words; /* n_words > 1 */
    };
} CpuSet;

void cpu_set_clear(CpuSet *set);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CpuSet, cpu_set_clear)

bool cpu_set_add(CpuSet *set, int64_t number); /* false when out of range */
bool cpu_set_add_range(CpuSet *set, int64_t first, int64_t last);
bool cpu_set_has(const CpuSet *set, int64_t number);
void cpu_set_remove(CpuSet *set, int64_t number);
bool cpu_set_is_empty(const CpuSet *set);
int64_t cpu_set_count(const CpuSet *set);
int64_t cpu_set_count_without(const CpuSet *set, const CpuSet *other);
bool cpu_set_intersects(const CpuSet *a, const CpuSet *b);
bool cpu_set_equal(const CpuSet *a, const CpuSet *b);
bool cpu_set_is_subset(const CpuSet *set, const CpuSet *of);
void cpu_set_unite(CpuSet *set, const CpuSet *other);
void cpu_set_intersect(CpuSet *set, const CpuSet *other);
void cpu_set_subtract(CpuSet *set, const CpuSet *other);
void cpu_set_copy(CpuSet *to, const CpuSet *from); /* 'to' must be empty */

/* The smallest member that is at least 'from', or -1. */
int64_t cpu_set_next(const CpuSet *set, int64_t from);

/* Adds the members that a spec names. Invalid with Nova's text when it cannot be read. */
bool cpu_set_parse(const char *spec, CpuSet *set, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* "0-1,4"; "" when empty; g_free(). */
char *cpu_set_format(const CpuSet *set);
/* "[0, 1, 4]", as Nova's messages show a set; g_free(). */
char *cpu_set_format_list(const CpuSet *set);
