/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Huge pages that are not for guests: [DEFAULT]reserved_huge_pages
 * (nova.virt.hardware.numa_get_reserved_huge_pages). */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct ReservedPages {
    int64_t node;
    int64_t size_kib;
    int64_t count;
} ReservedPages;

/* From [{"node", "size", "count"}]; of ReservedPages, one for each node and size.
 * NULL with InvalidReservedMemoryPagesOption. */
GArray *reserved_pages_from_json(const json_t *option, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The same from nova.conf's "node:0,size:2048,count:64" each. */
GArray *reserved_pages_parse(const char *const *option, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* 0 when none are. */
int64_t reserved_pages_find(const GArray *reserved, int64_t node, int64_t size_kib);
