/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What follows when a guest is in another power state than its record says
 * (ComputeManager._sync_instance_power_state), driven by libvirt's events and by the periodic
 * check. */

#include "compute/operation.h"

typedef enum PowerVerdict {
    POWER_FINE,      /* or none of our business in that vm state */
    POWER_STOP,      /* it went off by itself: stop the server as its user would */
    POWER_STRANGE,   /* worth a warning, nothing is done */
} PowerVerdict;

/* Pure. *ret_why is the warning that goes with it. */
PowerVerdict power_sync_judge(VmState vm_state, PowerState actual, const char **ret_why);

/* Is there anything to do for this record? One with a task is left alone. Pure. */
bool power_sync_is_due(const Instance *instance, PowerState actual);

/* Reads the record anew; when it has no task and is this host's, records 'actual' and does what
 * the verdict says. */
bool power_sync_instance(Host *host, RequestContext *ctx, const char *uuid, PowerState actual,
                         NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* An event of libvirt's, in a worker: compares the guest with the event first, since it may be old
 * news. Failures are logged. */
void power_sync_on_event(Host *host, const char *uuid, LifecycleEvent event);
