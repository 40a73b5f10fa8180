/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A guest's counters as the API shows them (pure): LibvirtDriver.get_diagnostics() and
 * nova.objects.Diagnostics. */

#include <jansson.h>
#include <stdbool.h>

#include "compute/guest_stats.h"

/* Before API microversion 2.48: {"cpu0_time": 17300000000, "vda_read": 262144, ...}. New reference. */
json_t *diagnostics_legacy_json(const GuestStats *stats);

typedef struct DiagnosticsFacts {
    const char *virt_type;   /* [libvirt]virt_type */
    const char *launched_at; /* of the instance; NULL: never */
    gint64 now;              /* seconds of the epoch */
    bool has_config_drive;
} DiagnosticsFacts;

/* The primitive of a Diagnostics object. New reference. */
json_t *diagnostics_json(const GuestStats *stats, const DiagnosticsFacts *facts);
