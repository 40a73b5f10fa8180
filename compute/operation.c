/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/operation.h"

#include <string.h>

#include "agent/base/journal.h"

void
operation_note(Operation *op, const char *note)
{
    journal_note(op->host->journal, op->journal_id, note);
}

bool
operation_has_note(const Operation *op, const char *note)
{
    for (guint i = 0; op->notes && i < op->notes->len; i++)
        if (strcmp(op->notes->pdata[i], note) == 0)
            return true;
    return false;
}

void
operation_step(Operation *op, const char *step)
{
    if (op->host->show_step)
        op->host->show_step(op, step);
}
