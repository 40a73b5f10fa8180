/* SPDX-License-Identifier: Apache-2.0 */
/* The log of the serial console. */
#define LOG_NAME "kilonova.compute.console"
#include "compute/ops/ops.h"

#include "agent/base/log.h"
#include "compute/console_log.h"
#include "compute/guest.h"
#include "storage/disks.h"

bool
op_get_console_output(Operation *op, NovaError **err)
{
    g_autoptr(Guest) guest = NULL;
    g_autofree char *path = disks_path(op->host->options, op->instance->uuid, "console.log");
    g_autoptr(GString) log = NULL;

    LOG_INFO("Get console output");
    if (!(guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err)))
        return false;
    log = console_log_read(path);
    op->result = console_log_text(log, json_object_get(op->args, "tail_length"));
    return true;
}
