/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One run of a task over a period on a host (nova.objects.TaskLog).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct TaskLog {
    ObjectBase base;
    int64_t id;
    char *task_name;
    char *state;
    char *host;
    char *period_beginning;
    char *period_ending;
    char *message;
    int64_t task_items;
    int64_t errors;
} TaskLog;

extern const ObjectType TASK_LOG_TYPE;
