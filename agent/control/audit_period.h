/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The most recently completed usage period (nova.utils.last_completed_audit_period). Pure. */

#include <glib.h>
#include <stdbool.h>

/* 'unit' is instance_usage_audit_period: "hour", "day", "month", "year", perhaps with "@offset".
 * Times are microseconds since 1970, UTC. False: it is none of them. */
bool audit_period_last(const char *unit, gint64 now_us, gint64 *ret_begin_us, gint64 *ret_end_us);
