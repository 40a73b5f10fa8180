/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/task_log.h"

/* clang-format off */
static const ObjectField task_log_fields[] = {
    {"id", FIELD_INT, offsetof(TaskLog, id), NULL, NULL},
    {"task_name", FIELD_STRING, offsetof(TaskLog, task_name), NULL, NULL},
    {"state", FIELD_STRING, offsetof(TaskLog, state), NULL, NULL},
    {"host", FIELD_STRING, offsetof(TaskLog, host), NULL, NULL},
    {"period_beginning", FIELD_STRING, offsetof(TaskLog, period_beginning), NULL, NULL},
    {"period_ending", FIELD_STRING, offsetof(TaskLog, period_ending), NULL, NULL},
    {"message", FIELD_STRING, offsetof(TaskLog, message), NULL, NULL},
    {"task_items", FIELD_INT, offsetof(TaskLog, task_items), NULL, NULL},
    {"errors", FIELD_INT, offsetof(TaskLog, errors), NULL, NULL},
};
/* clang-format on */

const ObjectType TASK_LOG_TYPE = {"TaskLog", "1.0", sizeof(TaskLog), task_log_fields,
    G_N_ELEMENTS(task_log_fields)};
