/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/audit_period.h"

#include <stdlib.h>
#include <string.h>

typedef enum Unit { HOUR, DAY, MONTH, YEAR, N_UNITS } Unit;

static const char *const unit_names[N_UNITS] = {"hour", "day", "month", "year"};

/* The period's border in the month, day or hour of 'now'; it may lie ahead. */
static GDateTime *
border_near(Unit unit, int offset, GDateTime *now)
{
    int year = g_date_time_get_year(now), month = g_date_time_get_month(now);
    int day = g_date_time_get_day_of_month(now), hour = g_date_time_get_hour(now);

    switch (unit) {
    case YEAR:
        return g_date_time_new_utc(year, offset ? offset : 1, 1, 0, 0, 0);
    case MONTH:
        return g_date_time_new_utc(year, month, offset ? offset : 1, 0, 0, 0);
    case DAY:
        return g_date_time_new_utc(year, month, day, offset, 0, 0);
    default:
        return g_date_time_new_utc(year, month, day, hour, offset, 0);
    }
}

static GDateTime *
one_back(Unit unit, GDateTime *from)
{
    switch (unit) {
    case YEAR:
        return g_date_time_add_years(from, -1);
    case MONTH:
        return g_date_time_add_months(from, -1);
    case DAY:
        return g_date_time_add_days(from, -1);
    default:
        return g_date_time_add_hours(from, -1);
    }
}

static gint64
microseconds(GDateTime *time)
{
    return g_date_time_to_unix(time) * G_USEC_PER_SEC;
}

bool
audit_period_last(const char *unit, gint64 now_us, gint64 *ret_begin_us, gint64 *ret_end_us)
{
    g_auto(GStrv) parts = g_strsplit(unit, "@", 2);
    int offset = parts[0] && parts[1] ? atoi(parts[1]) : 0;
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(now_us / G_USEC_PER_SEC);
    g_autoptr(GDateTime) end = NULL, begin = NULL;
    Unit kind = HOUR;

    while (kind < N_UNITS && strcmp(unit_names[kind], parts[0] ? parts[0] : "") != 0)
        kind++;
    end = kind < N_UNITS ? border_near(kind, offset, now) : NULL;
    if (!end)
        return false;
    if (microseconds(end) >= now_us) {
        GDateTime *ahead = end;

        end = one_back(kind, ahead);
        g_date_time_unref(ahead);
    }
    begin = one_back(kind, end);
    *ret_begin_us = microseconds(begin);
    *ret_end_us = microseconds(end);
    return true;
}
